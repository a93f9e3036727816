"""The compose file and what it mounts, as far as they can be held against the code without an engine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY
from typer.main import get_command

import alerts.metrics  # noqa: F401 - registers the metrics
from streams.cli import app
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
ONE_SHOT = {"topics"}
compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
services = compose["services"]


def metric_names() -> set[str]:
    names = set()
    for metric in REGISTRY.collect():
        suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(metric.type, ("",))
        names |= {metric.name + suffix for suffix in suffixes}
    return names


def test_every_reference_resolves() -> None:
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, name
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for {needed}, which has no health check"
            else:
                assert needed in ONE_SHOT
        for secret in service.get("secrets", []):
            assert secret in compose["secrets"]
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in compose["volumes"], volume


def test_every_service_that_stays_has_a_health_check_and_listens_on_loopback_only() -> None:
    for name, service in services.items():
        assert ("healthcheck" in service) != (name in ONE_SHOT), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_settings_and_commands_of_the_workers_exist() -> None:
    command = get_command(app)
    for name, service in services.items():
        for variable in service.get("environment", {}):
            if variable.startswith("MARGINWATCH_"):
                assert variable.removeprefix("MARGINWATCH_").lower() in Settings.model_fields, f"{name}: {variable}"
        if service.get("build"):
            found = command
            for word in service["command"]:
                found = found.commands[word]  # type: ignore[attr-defined]
    assert sum(s.get("command") == ["worker"] for s in services.values()) == 2


def test_scrape_targets_are_services_on_the_port_they_listen_on() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = [j for j in config["scrape_configs"] if j["job_name"] == "marginwatch"]
    for target in job["static_configs"][0]["targets"]:
        service, port = target.split(":")
        assert services[service]["environment"]["MARGINWATCH_HTTP_PORT"] == port


@pytest.mark.parametrize("path", ["deploy/prometheus/rules.yml", "deploy/grafana/dashboards/pipeline.json"])
def test_every_metric_that_rules_and_panels_use_exists(path: str) -> None:
    text = (ROOT / path).read_text("utf-8")
    if path.endswith(".json"):
        text = " ".join(t["expr"] for p in json.loads(text)["panels"] for t in p["targets"])
    used = set(re.findall(r"marginwatch_\w+", text))
    assert used
    assert used <= metric_names()


def test_the_image_holds_what_it_copies() -> None:
    for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source


@pytest.mark.parametrize(
    "arguments",
    [
        ["promtool", "check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"],
        ["promtool", "check", "rules", "deploy/prometheus/rules.yml"],
        ["amtool", "check-config", "deploy/alertmanager/alertmanager.yml"],
        ["docker", "compose", "config", "--quiet"],
    ],
)
def test_their_own_tools_accept_the_files(arguments: list[str]) -> None:
    if shutil.which(arguments[0]) is None:
        pytest.skip(f"{arguments[0]} is not installed")
    if arguments[0] == "docker" and subprocess.run(["docker", "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker has no compose plugin here")
    done = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
