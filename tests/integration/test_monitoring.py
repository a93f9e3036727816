"""A real Prometheus scrapes a running worker: every query of every dashboard and every rule works on what it sees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from feeds import simulate
from processors.codes import to_code
from processors.days import to_date, to_day
from processors.events import RowBatch, concat
from processors.parameters import Parameters
from streams.calendars import xshg
from streams.form import Form
from streams.local.local_service import free_port
from streams.local.processes import http_ok
from tests.alertmanager import Alertmanager
from tests.building import batch
from tests.harness import Stack, wait_until

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
INSTANCE = "prometheus"
#: A board asks some twenty queries at once, on every refresh of every screen.
SLOW_S = 0.5
#: What has no data while all is well, and why.
MAY_BE_EMPTY = {
    "marginwatch_stalled": "a partition has this only once it has stood still",
    "count by (alertname, severity, alertstate) (ALERTS)": "no alert of the system fires",
    "sum by (stage, reason) (rate(marginwatch_rows_ignored_total[5m]))": "no row was ignored",
    'max by (industry) (marginwatch_industry{signal="theme_score", industry=~".*"})': "no chart model is set",
}


class Prometheus:
    """A server on a free port that scrapes one worker every second, with the project's rules.

    Parameters
    ----------
    target : address of the worker; None for the files as they are.
    alertmanager : address of the server that its alerts go to.
    """

    def __init__(self, folder: Path, target: str | None = None, alertmanager: str = "") -> None:
        configured = DEPLOY / "prometheus/prometheus.yml"
        if target is not None:
            configured = self._here(folder, target, alertmanager)
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        with (folder / "prometheus.log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    "prometheus",
                    f"--config.file={configured}",
                    f"--storage.tsdb.path={folder / 'tsdb'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                ],
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: http_ok(f"{self.url}/-/ready"), 20, "a ready Prometheus")

    def _here(self, folder: Path, target: str, alertmanager: str) -> Path:
        """Write the configuration with the addresses of this machine, and short intervals."""
        config = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
        rules = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text("utf-8"))
        (job,) = [j for j in config["scrape_configs"] if j["job_name"] == "marginwatch"]
        job["static_configs"] = [{"targets": [target]}]
        config["alerting"]["alertmanagers"] = [{"static_configs": [{"targets": [alertmanager]}]}]
        config["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["scrape_configs"] = [job]
        (folder / "rules.yml").write_text(yaml.safe_dump(rules), "utf-8")
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
        return folder / "prometheus.yml"

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

    def seconds(self, expr: str) -> float:
        """How long an instant query takes."""
        started = time.perf_counter()
        self.values(expr)
        return time.perf_counter() - started

    def scrapes(self) -> float:
        """How many scrapes of the worker succeeded."""
        return sum(self.values('sum_over_time(up{job="marginwatch"}[1h])'))

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(120)


Servers = tuple[Prometheus, Alertmanager]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[str | None], Servers]]:
    """Start a Prometheus for a worker's URL, and the Alertmanager of its alerts."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian's package has it)")
    started: list[Prometheus | Alertmanager] = []

    def starting(url: str | None) -> Servers:
        folder = tmp_path / INSTANCE
        folder.mkdir()
        started.append(alertmanager := Alertmanager(folder))
        target = None if url is None else url.removeprefix("http://")
        started.append(prometheus := Prometheus(folder, target, alertmanager.address))
        return prometheus, alertmanager

    yield starting
    for server in started:
        server.stop()


def boards() -> dict[str, Any]:
    paths = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
    return {path.stem: json.loads(path.read_text("utf-8")) for path in paths}


def panels() -> list[tuple[str, str]]:
    """Every query of every panel, with variables at their default: board and title, expression."""
    return [
        (f"{name}: {panel['title']}", re.sub(r"\$(industry|index|group|style)\b", ".*", target["expr"]))
        for name, board in boards().items()
        for panel in board["panels"]
        for target in panel["targets"]
    ]


#: Percentiles of a history that is shorter than a year.
PARAMETERS = Parameters(percentile_least=60)


def fuller(day: int, batches: dict[str, RowBatch], number: int = 0) -> dict[str, RowBatch]:
    """A simulated day with what the simulation leaves out: valuations, further indices, yields, funds, collateral."""
    indices, wave = batches["indices.daily"], float(np.sin(number / 15))
    indices.figures["float_cap"][:] = 3e13
    indices.figures["pe_ttm"][:] = 14 + wave
    indices.figures["turnover_rate"][:] = 0.01
    plain = {"close": 5000 + 1500 * wave, "turnover": 1e12, "pe_ttm": 16 + wave}
    known = {to_code(key) for key in indices.keys.tolist()}
    wanted = {*PARAMETERS.timing_indices, *PARAMETERS.risk_premium_others, *PARAMETERS.valuation_indices}
    wanted |= {*PARAMETERS.bottom_indices, *PARAMETERS.cycle_indices, *PARAMETERS.return_indices}
    more = dict.fromkeys({*wanted, PARAMETERS.risk_premium_index, "399106.SZ"} - known, plain)
    more["399106.SZ"] = plain | {"float_cap": 3e13}
    funds = {
        "510000.SH": {"shares": 1e9 + 1e6 * number, "price": 3.0},
        "159901.SZ": {"shares": 2e9, "price": 2.0, "style": 1.0},
    }
    return batches | {
        "indices.daily": concat([indices, batch("indices.daily", to_date(day), more)]),
        "rates.daily": batch("rates.daily", to_date(day), {"CN10Y": {"yield": 0.027}}),
        "etf.daily": batch("etf.daily", to_date(day), funds),
        "margin.collateral": batch("margin.collateral", to_date(day), {"CN": {"collateral_ratio": 2.6 + 0.1 * wave}}),
    }


def feed(stack: Stack) -> None:
    """A year and a session: enough for every signal that a panel shows; one message that is refused."""
    calendar = xshg()
    market = simulate.Market(simulate.Simulation(calendar, to_day(date(2024, 6, 28)), days=265, stocks=93, funds=4))
    with stack.publisher(Form.EVENTS, simulate.SOURCE) as events, stack.publisher() as frames:
        frames.raw("margin.market", b"{no json")
        for number, (day, batches) in enumerate(market.history()):
            frames.day(fuller(day, batches, number))
        stack.settle(frames)
        today = calendar.shift(market.simulation.last_day, 1)
        assert today is not None
        for _, batches in market.session(today, ratio=0.105, every_minutes=120):
            for rows in batches.values():
                events.rows_of(rows)
        stack.settle(events)


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_every_query_of_every_panel_and_rule_works_on_a_running_worker(
    stack: Stack, start: Callable[[str | None], Servers]
) -> None:
    stack.settings = stack.settings.model_copy(update={"parameters": PARAMETERS})
    worker = stack.worker().ready()
    prometheus, alertmanager = start(worker.url)
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
    for board in boards().values():
        for annotation in board["annotations"]["list"]:
            prometheus.values(annotation["expr"])
        for variable in board["templating"]["list"]:
            if variable["type"] == "query":
                metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]).groups()  # type: ignore[union-attr]
                assert prometheus.values(f"count by ({label}) ({metric})"), variable["name"]
    slow = [(title, seconds) for title, expr in queries if (seconds := prometheus.seconds(expr)) > SLOW_S]
    assert slow == [], "record these expressions in deploy/prometheus/rules.yml"

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

    def received() -> dict[str, Any] | None:
        return next((one for one in alertmanager.alerts() if one["labels"]["alertname"] == "DeadLetters"), None)

    wait_until(lambda: received() is not None, 30, "the alert at Alertmanager")
    found = received()
    assert found is not None
    assert "docs" not in found["labels"]
    assert found["annotations"]["runbook_url"].startswith("http://127.0.0.1:8000/operations/runbook.html#")
    assert found["receivers"] == [{"name": "none"}]
    assert firing <= {"DeadLetters", "CalendarRunsOut"}  # the latter by the day on which the test runs


def test_prometheus_and_alertmanager_start_on_the_files_as_they_are(start: Callable[[str | None], Servers]) -> None:
    prometheus, alertmanager = start(None)
    written = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text("utf-8"))["groups"]
    found = {group["name"]: len(group["rules"]) for group in prometheus.get("rules")["groups"]}
    assert found == {group["name"]: len(group["rules"]) for group in written}

    def receivers() -> list[str]:
        return [one["url"] for one in prometheus.get("alertmanagers")["activeAlertmanagers"]]

    def targets() -> set[tuple[str, str]]:
        found = prometheus.get("targets")["activeTargets"]
        return {(one["labels"]["job"], one["discoveredLabels"]["__address__"]) for one in found}

    wait_until(lambda: bool(receivers() and targets()), 30, "the discovery of the addresses in the files")
    assert receivers() == ["http://alertmanager:9093/api/v2/alerts"]
    assert targets() == {
        ("marginwatch", "worker-1:6066"),
        ("marginwatch", "worker-2:6066"),
        ("prometheus", "127.0.0.1:9090"),
    }

    down, unready = ({"alertname": name, "instance": "worker-1:6066"} for name in ("WorkerDown", "WorkerNotReady"))
    other = unready | {"instance": "worker-2:6066"}
    alertmanager.post(down, unready, other)

    def states() -> dict[tuple[str, str], str]:
        found = alertmanager.alerts()
        return {(one["labels"]["alertname"], one["labels"]["instance"]): one["status"]["state"] for one in found}

    wait_until(lambda: "unprocessed" not in states().values() and len(states()) == 3, 30, "alerts that are routed")
    assert states() == {
        ("WorkerDown", "worker-1:6066"): "active",
        ("WorkerNotReady", "worker-1:6066"): "suppressed",  # a worker that is down is not ready either
        ("WorkerNotReady", "worker-2:6066"): "active",
    }


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
