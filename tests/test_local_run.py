"""`marginwatch up`: the settings of its processes, whom it notifies, what ends it, and where it simulates."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import KafkaConnectionError
from typer.testing import CliRunner, Result

from feeds import simulate
from feeds.errors import InputError
from processors.daily_store import DailyStore
from processors.days import shanghai_moment, to_date, to_day
from processors.deadlines import overdue
from processors.events import EndOfDay, RowBatch
from streams import readers
from streams.calendars import xshg
from streams.cli import local_run
from streams.cli.main import app
from streams.cli.options import LocalBroker
from streams.errors import LocalRunError, LocalServiceError
from streams.form import Form
from streams.local.local_redis import EmbeddedRedis
from streams.local.processes import WorkerProcess, environment
from streams.publisher import Publisher
from streams.settings import Settings
from tests.building import batch, end_of_day
from tests.harness import Stack

CHANNEL = {"kind": "webhook", "url": "https://example.com/hook", "severity": "info"}
FILE = '[channels.desk]\nkind = "webhook"\nurl = "https://example.com/hook"\n'
PRINTS_CHANNELS = "from streams.settings import Settings; print(*Settings().channels, Settings().redis)"


class FakeServer:
    def __init__(self, *_arguments: Any, **_options: Any) -> None:
        self.url = "redis://127.0.0.1:1/0"

    def __enter__(self) -> FakeServer:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing runs."""


def plan(**changes: Any) -> local_run.LocalRunPlan:
    options: dict[str, Any] = {
        "data": None, "start": None, "end": None, "form": Form.FRAMES, "broker": LocalBroker.EMBEDDED, "workers": 1,
        "until_done": True, "export_to": None, "state_dir": None, "notify": False,
    }  # fmt: skip
    return local_run.LocalRunPlan(**options | changes)


@pytest.mark.parametrize(
    ("notify", "channels", "line"), [(False, [], "channels none is notified"), (True, ["desk"], "channels desk")]
)
def test_a_local_stack_notifies_no_channel_unless_asked(
    notify: bool,
    channels: list[str],
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in ("EmbeddedBroker", "EmbeddedRedis"):
        monkeypatch.setattr(local_run, name, FakeServer)
    base = Settings(channels={"desk": CHANNEL})
    with contextlib.ExitStack() as stack:
        settings = local_run._services(plan(notify=notify), base, tmp_path, local_run._Processes(stack))
    assert [*settings.channels] == channels
    assert line in capsys.readouterr().err


def test_no_deadline_closes_a_day_behind_the_data_of_a_local_stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("EmbeddedBroker", "EmbeddedRedis"):
        monkeypatch.setattr(local_run, name, FakeServer)
    with contextlib.ExitStack() as stack:
        given = local_run._services(plan(data=tmp_path), Settings(), tmp_path, local_run._Processes(stack))
    for name, value in environment(given).items():
        monkeypatch.setenv(name, value)
    settings, now = Settings(), shanghai_moment(to_day(date(2026, 11, 27)), 0)

    def overdue_behind(rows: RowBatch, *, closed: bool) -> EndOfDay | None:
        store = DailyStore("prices.daily", (), late_days=5, history_days=2)
        store.apply(rows)
        if closed:
            store.close(end_of_day(rows))
        return overdue(store, now, settings.due("prices.daily"), xshg(), settings.deadline_gap_days)

    last = batch("prices.daily", date(2020, 7, 27), {"600000.SH": {"close": 1.0}})
    assert overdue_behind(last, closed=True) is None
    half = overdue_behind(last, closed=False)
    assert half is not None and half.trade_date == date(2020, 7, 27)


@pytest.mark.parametrize("name", ["broker", "redis"])
def test_up_ends_with_each_of_its_servers(name: str, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        processes = local_run._Processes(stack)
        local_run._services(plan(), Settings(), tmp_path, processes)
        server = next(one for one in processes._started if one.name == name)
        os.kill(server.pid, signal.SIGKILL)
        with pytest.raises(LocalServiceError, match=f"the {name} ended with code -9 during its work; the end of /"):
            processes.wait_for(lambda: False, "its work")


def test_a_process_that_stands_still_is_named_while_the_run_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(local_run, "_ASKED_S", 0.2)
    with contextlib.ExitStack() as stack:
        processes = local_run._Processes(stack)
        redis = processes.start(EmbeddedRedis(tmp_path))
        redis.pause()
        said = ""

        def is_reported(text: str) -> bool:
            nonlocal said
            said += capsys.readouterr().err.replace("\n", " ")
            return text in said

        processes.wait_for(lambda: is_reported("the redis is not ready, the stream waits for it"), "the stream")
        assert said.count("is not ready") == 1
        redis.resume()
        processes.wait_for(redis.answers, "the stream")


def test_a_child_process_has_the_settings_that_it_is_given_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "marginwatch.toml").write_text(FILE)
    monkeypatch.setenv("MARGINWATCH_CHANNELS__PAGER", '{"kind": "webhook", "url": "https://example.com/pager"}')
    monkeypatch.setenv("MARGINWATCH_REDIS_URL_FILE", str(tmp_path / "redis-of-production"))
    monkeypatch.chdir(tmp_path)
    given = Settings(channels={}, redis_url_file=None).model_copy(update={"channels": {}})
    worker = WorkerProcess(given, tmp_path)
    command = [sys.executable, "-c", PRINTS_CHANNELS]
    done = subprocess.run(command, env=worker._environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "redis://127.0.0.1:6379/0\n"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("error", [KafkaConnectionError("gone"), BrokenPipeError("closed"), ValueError("a fault")])
def test_nobody_waits_for_alerts_that_are_read_no_more(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def follow(*_: object, **__: object) -> Iterator[str]:
        yield "first"
        raise error

    monkeypatch.setattr(readers, "follow", follow)
    watcher = local_run._AlertWatcher(Settings())
    watcher.start()
    nothing = local_run._Processes(contextlib.ExitStack())
    watcher.await_barrier("first", nothing)
    with pytest.raises(LocalRunError, match=type(error).__name__) as caught:
        watcher.await_barrier("second", nothing)
    assert caught.value.__cause__ is error
    with pytest.raises(LocalRunError):
        watcher.ended()


@pytest.mark.parametrize(("today", "last"), [("2024-06-11", "2024-06-07"), ("2024-06-10", "2024-06-06")])
def test_the_simulated_session_is_the_newest_that_may_run(today: str, last: str) -> None:
    """A Tuesday, and the holiday before it, on which Tuesday is to come; the stream refuses a day to come."""
    found = simulate.last_session(xshg(), to_day(date.fromisoformat(today)))
    assert str(to_date(found)) == last


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
@pytest.mark.parametrize("form", Form)
def test_a_simulation_is_not_published_beside_other_rows(
    form: Form, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment(stack.settings).items():
        monkeypatch.setenv(name, value)

    def simulated() -> Result:
        options = ("--days", "30", "--stocks", "20", "--no-session", "--to", "2024-06-28", "--as", form.value)
        return CliRunner().invoke(app, ["feed", "simulate", *options])

    assert [simulated().exit_code, simulated().exit_code] == [0, 0]  # its own rows are no others
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=30, stocks=20, funds=2))
    with Publisher(stack.settings, source="exchange", form=form) as publisher:
        _, first = next(market.history())
        publisher.day(first)
    refused = simulated()
    assert isinstance(refused.exception, InputError)
    assert "rows that are not simulated" in str(refused.exception)
