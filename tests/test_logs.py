"""Logs: an event that repeats does not fill a disk, and what is left out is counted."""

from __future__ import annotations

import logging

import pytest
import structlog
from typer.testing import CliRunner

from console import server
from streams import console, logs
from streams.cli.main import app
from streams.settings import Settings


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(message: object, *args: object, name: str = "a") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 1, message, args, None)


def test_an_event_is_written_twenty_times_a_minute_and_then_counted() -> None:
    clock = Clock()
    limit = logs.RepeatFilter(clock)
    lines = [record({"event": "waiting", "n": n}) for n in range(100)]
    assert [limit.filter(line) for line in lines] == [True] * 20 + [False] * 80
    assert limit.filter(record({"event": "another"}))
    assert limit.filter(record({"event": "waiting"}, name="b"))
    clock.now = 60.0
    after = record({"event": "waiting", "n": 100})
    assert limit.filter(after)
    assert after.msg == {"event": "waiting", "n": 100, "lines_left_out": 80}
    again = record({"event": "waiting", "n": 101})
    assert limit.filter(again)
    assert "lines_left_out" not in again.msg


def test_lines_of_libraries_are_counted_by_their_template() -> None:
    clock = Clock()
    limit = logs.RepeatFilter(clock)
    assert sum(limit.filter(record("node %s is away", n)) for n in range(50)) == 20
    clock.now = 61.0
    after = record("node %s is away", 51)
    assert limit.filter(after)
    assert after.getMessage() == "node 51 is away (30 such lines were left out)"


@pytest.mark.usefixtures("restored_logs")
def test_the_limit_applies_to_what_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    for n in range(40):
        structlog.get_logger().warning("a step waits", n=n)
    assert capsys.readouterr().err.count("a step waits") == 20


@pytest.mark.usefixtures("restored_logs")
def test_no_address_that_a_client_requests_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    logging.getLogger("httpx").info("HTTP Request: %s", "http://desk:secret@quotes/")
    assert "secret" not in capsys.readouterr().err


@pytest.mark.usefixtures("restored_logs")
def test_a_command_writes_its_log_to_stderr_and_its_result_to_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert CliRunner().invoke(app, ["calendar", "check"]).exit_code == 0
    structlog.get_logger().warning("a message can't be read")
    written = capsys.readouterr()
    assert "a message can't be read" in written.err
    assert not written.out


@pytest.mark.usefixtures("restored_logs")
def test_a_console_logs_as_the_settings_say_and_limits_what_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    class Served(Exception):  # noqa: N818 - no error
        pass

    def serve(*_: object, **__: object) -> None:
        raise Served

    async def secret(_: Settings) -> str:
        return "s"

    root = logging.getLogger()
    monkeypatch.setattr(server, "run", serve)
    monkeypatch.setattr(console, "_secret", secret)
    with pytest.raises(Served):
        console.run(Settings(log_level="error"))
    (handler,) = root.handlers
    assert any(isinstance(one, logs.RepeatFilter) for one in handler.filters)
    assert root.level == logging.ERROR
