"""A real Prometheus scrapes a running worker: every query of every dashboard and every rule works on what it sees."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from feeds import simulate
from processors.days import to_date, to_day
from processors.events import RowBatch, concat
from processors.parameters import Parameters
from streams.calendars import xshg
from streams.form import Form
from streams.local_service import free_port
from streams.processes import http_ok
from tests.building import batch
from tests.harness import Stack, wait_until

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
INSTANCE = "prometheus"
#: What has no data while all is well, and why.
MAY_BE_EMPTY = {
    "marginwatch_stalled": "a partition has this only once it has stood still",
    "count by (alertname, severity, alertstate) (ALERTS)": "no alert of the system fires",
    "sum by (stage, reason) (rate(marginwatch_rows_ignored_total[5m]))": "no row was ignored",
}


class Prometheus:
    """A server on a free port that scrapes one worker every second, with the project's rules."""

    def __init__(self, folder: Path, target: str) -> None:
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
        rules = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text("utf-8"))
        (job,) = [j for j in config["scrape_configs"] if j["job_name"] == "marginwatch"]
        job["static_configs"] = [{"targets": [target]}]
        del config["alerting"]
        config |= {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [job]}
        (folder / "rules.yml").write_text(yaml.safe_dump(rules), "utf-8")
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={folder / 'prometheus.yml'}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: http_ok(f"{self.url}/-/ready"), 20, "a ready Prometheus")

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{query}", timeout=10) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def values(self, expr: str) -> list[float]:
        """Every known value of an instant query; NaN is none. An error of the query is an `HTTPError`."""
        found = [float(sample["value"][1]) for sample in self.get("query", query=expr)["result"]]
        return [value for value in found if not np.isnan(value)]

    def scrapes(self) -> float:
        """How many scrapes of the worker succeeded."""
        return sum(self.values('sum_over_time(up{job="marginwatch"}[1h])'))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Start a Prometheus for a worker's URL."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian's package has it)")
    started: list[Prometheus] = []

    def starting(url: str) -> Prometheus:
        folder = tmp_path / INSTANCE
        folder.mkdir()
        started.append(Prometheus(folder, url.removeprefix("http://")))
        return started[-1]

    yield starting
    for server in started:
        server.stop()


def panels() -> list[tuple[str, str]]:
    """Every query of every panel, with variables at their default: board and title, expression."""
    found = []
    for path in sorted((DEPLOY / "grafana/dashboards").glob("*.json")):
        board = json.loads(path.read_text("utf-8"))
        for panel in board["panels"]:
            found += [
                (f"{path.stem}: {panel['title']}", t["expr"].replace("$industry", ".*")) for t in panel["targets"]
            ]
    return found


def fuller(day: int, batches: dict[str, RowBatch]) -> dict[str, RowBatch]:
    """A simulated day with what the simulation leaves out: float caps, the PE of the risk premium, yields."""
    indices = batches["indices.daily"]
    indices.figures["float_cap"][:] = 3e13
    plain = {"close": 5000.0, "prev_close": 5000.0, "turnover": 1e12}
    more = {Parameters().risk_premium_index: plain | {"pe_ttm": 16.0}, "399106.SZ": plain | {"float_cap": 3e13}}
    return batches | {
        "indices.daily": concat([indices, batch("indices.daily", to_date(day), more)]),
        "rates.daily": batch("rates.daily", to_date(day), {"CN10Y": {"yield": 0.027}}),
    }


def feed(stack: Stack) -> None:
    """A year and a session: enough for every signal that a panel shows; one message that is refused."""
    calendar = xshg()
    market = simulate.Market(simulate.Simulation(calendar, to_day(date(2024, 6, 28)), days=210, stocks=93, funds=4))
    with stack.publisher(Form.EVENTS, simulate.SOURCE) as events, stack.publisher() as frames:
        frames.raw("margin.market", b"{no json")
        for day, batches in market.history():
            frames.day(fuller(day, batches))
        stack.settle(frames)
        today = calendar.shift(market.simulation.last_day, 1)
        assert today is not None
        for _, batches in market.session(today, ratio=0.105, every_minutes=120):
            for rows in batches.values():
                events.rows_of(rows)
        stack.settle(events)


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_every_query_of_every_panel_and_rule_works_on_a_running_worker(stack: Stack, start: Any) -> None:
    worker = stack.worker().ready()
    prometheus: Prometheus = start(worker.url)
    wait_until(lambda: prometheus.scrapes() >= 2, 20, "a first scrape")  # counters are seen at 0
    feed(stack)
    fed = prometheus.scrapes()
    wait_until(lambda: prometheus.scrapes() >= fed + 2, 20, "a scrape of everything")

    queries = panels()
    unknown = MAY_BE_EMPTY.keys() - {expr for _, expr in queries}
    assert not unknown, f"no panel asks this any more: {unknown}"

    def empty() -> list[tuple[str, str]]:
        return [(title, expr) for title, expr in queries if not prometheus.values(expr) and expr not in MAY_BE_EMPTY]

    # A quantile of a recorded rate needs a few scrapes and evaluations.
    wait_until(lambda: not empty() or prometheus.scrapes() >= fed + 15, 40, "enough scrapes")
    assert empty() == []

    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    written = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text("utf-8"))
    assert len(rules) == sum(len(group["rules"]) for group in written["groups"])
    for rule in rules:
        assert (rule["health"], rule.get("lastError")) == ("ok", None), rule
        assert rule["type"] == "alerting" or prometheus.values(rule["name"]), rule
        prometheus.values(rule["query"])
    firing = {
        alert["labels"]["alertname"] for alert in prometheus.get("alerts")["alerts"] if alert["state"] == "firing"
    }
    assert "DeadLetters" in firing
    assert firing <= {"DeadLetters", "CalendarRunsOut"}  # the latter by the day on which the test runs


def newest(url: str) -> dict[tuple[str, ...], float]:
    """What a worker tells of the market and of the industries, by name and labels."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            (sample.name, *sorted(sample.labels.values())): sample.value
            for family in families
            for sample in family.samples
            if family.name in ("marginwatch_signal", "marginwatch_industry", "marginwatch_ratio_state")
        }


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_worker_that_takes_over_tells_the_newest_values_before_anything_new_comes(stack: Stack) -> None:
    first = stack.worker().ready()
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=10, stocks=62, funds=4))
    with stack.publisher() as frames:
        for _, batches in market.history():
            frames.day(batches)
        stack.settle(frames)
    told = newest(first.url)
    assert {"marginwatch_signal", "marginwatch_industry", "marginwatch_ratio_state"} == {name for name, *_ in told}
    first.terminate()

    second = stack.worker().ready()
    assert newest(second.url) == told
