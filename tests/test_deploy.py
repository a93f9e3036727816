"""The compose file and what it mounts, as far as they can be held against the code without an engine."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY
from typer import Context
from typer.main import get_command

import alerts.delivery.metrics  # noqa: F401 - both register their metrics
import streams.metrics  # noqa: F401
from console import dashboards
from console.dashboards.market_boards import LATE_FEEDS
from docs import signal_pages
from processors.parameters import Parameters
from processors.registry import signals_of
from processors.signal import Level
from streams.cli.main import app
from streams.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = ROOT / "docs/pages"
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


def test_every_long_running_service_has_a_health_check_and_listens_on_loopback_only() -> None:
    for name, service in services.items():
        assert ("healthcheck" in service) != (name in ONE_SHOT), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_settings_and_commands_of_the_workers_exist() -> None:
    top = get_command(app)
    for name, service in services.items():
        for variable in service.get("environment", {}):
            if variable.startswith("MARGINWATCH_"):
                assert variable.removeprefix("MARGINWATCH_").lower() in Settings.model_fields, f"{name}: {variable}"
        if service.get("build"):
            found, context = top, Context(top)
            for word in service["command"]:
                _, found, _ = found.resolve_command(context, [word])  # type: ignore[attr-defined]
    assert sum(s.get("command") == ["worker"] for s in services.values()) == 2


def test_documented_commands_in_containers_exist() -> None:
    """No host reaches Kafka and Redis: whoever starts the compose file finds here how to feed it and to look at it."""
    text = (PAGES / "operations/index.md").read_text("utf-8").replace("\\\n", "")
    runs = [shlex.split(line) for line in text.splitlines() if line.startswith("docker compose run")]
    used = set()
    for words in runs:
        at = next(i for i, word in enumerate(words) if word in services)
        assert services[words[at]]["build"]
        found, context = get_command(app), Context(get_command(app))
        for word in words[at + 1 :]:
            if hasattr(found, "resolve_command"):
                _, found, _ = found.resolve_command(context, [word])
        used.add(found.name)
        variables = [words[i + 1].partition("=")[0] for i, word in enumerate(words) if word == "-e"]
        assert {name.removeprefix("MARGINWATCH_").lower() for name in variables} <= Settings.model_fields.keys()
    assert used == {"status", "files", "run", "console"}


def test_scrape_targets_are_services_on_the_port_they_listen_on() -> None:
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
    (job,) = [j for j in config["scrape_configs"] if j["job_name"] == "marginwatch"]
    for target in job["static_configs"][0]["targets"]:
        service, port = target.split(":")
        assert services[service]["environment"]["MARGINWATCH_HTTP_PORT"] == port


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def boards() -> list[dict[str, Any]]:
    return [json.loads(path.read_text("utf-8")) for path in sorted(dashboards.FOLDER.glob("*.json"))]


def queries(board: dict[str, Any]) -> list[str]:
    """Every query of a board: of its panels, its annotations, and its variables."""
    of_panels = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    return [*of_panels, *(one["expr"] for one in board["annotations"]["list"]), *(v["query"] for v in variables(board))]


def variables(board: dict[str, Any]) -> list[dict[str, Any]]:
    """The variables with the values of a label."""
    return [variable for variable in board["templating"]["list"] if variable["type"] == "query"]


#: The values at which the colours of a signed figure begin, with and without one of its own for 0.
_SIGNED = ({None, 0}, {None, 0, 1e-12})


def test_a_figure_of_0_has_the_colour_of_neither_a_rise_nor_a_fall() -> None:
    steps = [panel["fieldConfig"]["defaults"]["thresholds"]["steps"] for board in boards() for panel in board["panels"]
             if "thresholds" in panel["fieldConfig"]["defaults"]]  # fmt: skip
    signed = [
        [step["color"] for step in one] for one in steps if {"value": 0, "color": "red"} in one or "1e-12" in str(one)
    ]
    assert signed
    assert all(colours == ["green", "text", "red"] for colours in signed)


def test_every_metric_that_rules_and_panels_use_exists() -> None:
    exprs = [rule["expr"] for rule in rules()] + [query for board in boards() for query in queries(board)]
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used_records = {name for expr in exprs for name in re.findall(r"\w+:marginwatch_\w+:\w+", expr)}
    assert used_records == recorded  # each is recorded, and none for nothing
    assert {name for expr in exprs for name in re.findall(r"\bmarginwatch_\w+", expr)} <= metric_names()


#: Counters that neither a board nor a rule has, and where a person sees what they count.
SEEN_ELSEWHERE = {
    "marginwatch_quarantined_total": "a critical alert data_quality, and `marginwatch dlq list`",
    "marginwatch_feed_rows_total": "the report of the run",
    "marginwatch_feed_refused_total": "an alert data_quality of the run",
    "marginwatch_feed_errors_total": "an alert data_quality of the run",
    "marginwatch_notifications_total": "`marginwatch notify log`",
}


def test_what_a_counter_counts_is_on_a_board_in_a_rule_or_elsewhere() -> None:
    exprs = " ".join([rule["expr"] for rule in rules()] + [query for board in boards() for query in queries(board)])
    counters = {name for name in metric_names() if re.fullmatch(r"marginwatch_\w+_total", name)}
    assert {name for name in counters if name not in exprs} == set(SEEN_ELSEWHERE)


def test_the_dashboards_are_up_to_date_and_no_other_is_there() -> None:
    rendered = dashboards.rendered(Parameters())
    assert {*dashboards.FOLDER.glob("*.json")} == rendered.keys()
    for path, text in rendered.items():
        assert path.read_text("utf-8") == text, "run `python -m docs`"


def test_panels_have_a_place_a_unit_and_the_source_that_the_variable_names() -> None:
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    (provisioned,) = source["datasources"]
    assert len({board["uid"] for board in boards()}) == len(boards()) == 8
    for board in boards():
        (variable,) = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
        assert (variable["name"], variable["current"]["value"]) == ("datasource", provisioned["uid"])
        taken: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                     for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24, panel["title"]
            taken |= cells
            assert panel["datasource"]["uid"] == "${datasource}"
            own = [p["value"] for o in panel["fieldConfig"]["overrides"] for p in o["properties"] if p["id"] == "unit"]
            units = own if panel["type"] == "table" else [panel["fieldConfig"]["defaults"]["unit"]]
            assert all(units), panel["title"]
            assert len(units) == (len(panel["targets"]) if panel["type"] == "table" else 1), panel["title"]
            assert re.search(r"[\u4e00-\u9fff]", panel["title"]), f"{panel['title']} has no Chinese term"


def test_the_trade_date_of_an_answer_is_beside_it() -> None:
    answers = 0
    for board in boards():
        for panel, beside in itertools.pairwise(board["panels"]):
            if panel["title"].startswith("Near a top?"):
                answers += 1
                (day,) = beside["targets"]
                assert day["expr"] == "max(marginwatch_verdict_trade_date_seconds) * 1000"
                assert beside["fieldConfig"]["defaults"]["unit"].startswith("time:")
                assert beside["gridPos"]["y"] == panel["gridPos"]["y"]
    assert answers == 2


def test_every_panel_says_what_it_shows_and_links_to_a_page_that_exists() -> None:
    pages = {signal_pages.path(signal) for level in Level for signal in signals_of(level)}
    exist = {"signals/index", *(path.removesuffix(".md") for path in pages)}
    exist |= {path.relative_to(PAGES).with_suffix("").as_posix() for path in PAGES.rglob("*.md")}
    for board in boards():
        (address,) = [v for v in board["templating"]["list"] if v["name"] == "docs"]
        config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text("utf-8"))
        assert address["query"] == address["current"]["value"] == config["global"]["external_labels"]["docs"]
        for panel in board["panels"]:
            assert len(panel["description"]) > 10, panel["title"]
            (link,) = panel["links"]
            assert link["url"].removeprefix("${docs}/").removesuffix(".html") in exist, panel["title"]
            assert panel["targets"], panel["title"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_every_variable_of_a_board_is_used_by_its_panels_and_every_alert_is_marked() -> None:
    for board in boards():
        used = {
            name for panel in board["panels"] for t in panel["targets"] for name in re.findall(r"\$(\w+)", t["expr"])
        }
        assert used == {variable["name"] for variable in variables(board)}, board["uid"]
        marked = [(one["enable"], one["datasource"]["uid"], one["titleFormat"]) for one in board["annotations"]["list"]]
        assert marked == [(True, "${datasource}", title) for title in ("{{rule}}", "{{rule}}", "{{alertname}}")]
    names = {variable["name"] for board in boards() for variable in variables(board)}
    assert names == {"industry", "index", "group", "style"}


def test_grafana_finds_the_boards_where_compose_mounts_them() -> None:
    mounts = dict(volume.split(":")[:2] for volume in services["grafana"]["volumes"])
    (provider,) = yaml.safe_load((ROOT / "deploy/grafana/provisioning/dashboards/marginwatch.yml").read_text("utf-8"))[
        "providers"
    ]
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text("utf-8"))
    host, port = source["datasources"][0]["url"].removeprefix("http://").split(":")
    assert f"127.0.0.1:{port}:{port}" in services[host]["ports"]


def test_every_state_of_the_ratio_has_the_number_that_its_rule_records() -> None:
    (rule,) = [r for r in rules() if r.get("record") == "basis:marginwatch_ratio_state:code"]
    found = {name: int(factor or 1) for name, factor in re.findall(r'state="(\w+)"\}\)(?: \* (-?\d))?', rule["expr"])}
    assert found == {state.value: code for state, (code, _) in dashboards.STATES.items()}


def test_every_alert_rule_has_a_test_that_it_fires_and_one_that_it_does_not() -> None:
    tests = yaml.safe_load((ROOT / "deploy/prometheus/tests.yml").read_text("utf-8"))["tests"]
    cases = [case for test in tests for case in test.get("alert_rule_test", ())]
    for rule in rules():
        if "alert" in rule:
            fires = {bool(case.get("exp_alerts")) for case in cases if case["alertname"] == rule["alert"]}
            assert fires == {True, False}, rule["alert"]


def test_the_image_holds_what_it_copies() -> None:
    for line in (ROOT / "Dockerfile").read_text("utf-8").splitlines():
        if line.startswith("COPY"):
            for source in line.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}" in (ROOT / ".dockerignore").read_text("utf-8").splitlines(), source


def locked(name: str) -> dict[str, str]:
    """Package → version of a lock file."""
    found = re.findall(r"^([a-z0-9._-]+)==(\S+)", (ROOT / name).read_text("utf-8"), re.MULTILINE)
    return dict(found)


def test_the_demo_installs_the_local_servers_and_the_console_and_nothing_of_tests_or_studies() -> None:
    demo, here = locked("requirements-demo.lock"), locked("requirements.lock")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needed = (
        *declared["dependencies"],
        *(t for n in ("local", "console") for t in declared["optional-dependencies"][n]),
    )
    assert {re.split(r"[\[<>=; ]", text)[0] for text in needed} <= demo.keys()
    assert {"pytest", "mypy", "playwright", "statsmodels", "matplotlib", "mkdocs-material"} & demo.keys() == set()
    assert {name: version for name, version in demo.items() if here.get(name) != version} == {}
    made = subprocess.run(["make", "-nB", "demo"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "requirements-demo.lock" in made
    assert not re.search(r"-r requirements\.lock", made)


def test_the_image_contains_what_production_needs_and_nothing_of_tests_or_local_servers() -> None:
    production, here = locked("requirements-production.lock"), locked("requirements.lock")
    charts = locked("requirements-charts.lock")
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    names = {re.split(r"[\[<>=; ]", text)[0] for text in declared["project"]["dependencies"]}
    assert names <= production.keys()
    of_tests = {"pytest", "pytest-xdist", "hypothesis", "playwright", "mypy", "ruff", "mkdocs-material", "uv"}
    local = {re.split(r"[<>=]", text)[0] for text in declared["project"]["optional-dependencies"]["local"]}
    assert of_tests | local <= here.keys()
    assert (of_tests | local) & production.keys() == set()
    assert production["setuptools"]  # the image builds its wheel without fetching anything unlocked
    differing = {n: (v, here[n]) for n, v in production.items() if n in here and here[n] != v}
    assert differing == {}
    assert {n: (v, charts[n]) for n, v in production.items() if n in charts and charts[n] != v} == {}
    assert {n: (v, here[n]) for n, v in charts.items() if n in here and here[n] != v} == {}
    assert "onnxruntime" in production and "torch" in charts
    assert {"torch", "onnx", "triton"} & (production.keys() | here.keys()) == set()  # scoring needs no training
    assert "--no-build-isolation" in (ROOT / "Dockerfile").read_text("utf-8")


def test_every_service_has_a_limit_of_memory() -> None:
    assert [name for name, service in services.items() if not service.get("mem_limit")] == []


def test_no_log_of_a_service_grows_without_end() -> None:
    """The default driver of Docker has no limit: years of log lines fill the disk of Kafka and Redis."""
    assert [name for name, service in services.items() if service.get("logging") != {"driver": "local"}] == []


def test_the_image_is_built_from_every_package() -> None:
    include = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]
    packages = {pattern.removesuffix("*") for pattern in include["include"]}
    assert packages == {"processors", "feeds", "alerts", "console", "streams"}
    copied = re.findall(r"^COPY (\w+) \1$", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    sent = re.findall(r"^!([a-z]+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert set(copied) == set(sent) == packages


@pytest.mark.parametrize(
    "arguments",
    [
        ["promtool", "check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"],
        ["promtool", "check", "rules", "deploy/prometheus/rules.yml"],
        ["promtool", "test", "rules", "deploy/prometheus/tests.yml"],
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


def test_the_dashboard_counts_the_feeds_of_the_alert_feed_late() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text("utf-8"))["groups"]
    (alert,) = [rule for group in groups for rule in group["rules"] if rule.get("alert") == "FeedLate"]
    assert alert["expr"] == LATE_FEEDS
