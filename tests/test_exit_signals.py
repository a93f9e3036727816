"""Commands that a signal ends."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from feeds.errors import InputError
from feeds.feed_report import FeedReport
from streams.cli.publish import PublishOptions, feed_command
from streams.exit_signals import ended_by_signals
from streams.form import Form


@pytest.fixture
def sighup() -> Iterator[Callable[[signal.Handlers], None]]:
    """Set what happens at a SIGHUP."""
    before = signal.getsignal(signal.SIGHUP)
    yield lambda handler: signal.signal(signal.SIGHUP, handler)
    signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_closes_ends_a_command_unless_nohup_has_started_it(
    sighup: Callable[[signal.Handlers], None],
) -> None:
    sighup(signal.SIG_DFL)
    with pytest.raises(SystemExit, match="129"), ended_by_signals():
        os.kill(os.getpid(), signal.SIGHUP)
    sighup(signal.SIG_IGN)
    with ended_by_signals():
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN


def test_a_publishing_command_that_is_ended_reports_what_it_has_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="143"):
        _end_after(FeedReport.of_error("vendor", InputError("a.csv: no row")))
    assert '"source":"vendor"' in capsys.readouterr().out.replace(" ", "")


def _end_after(report: FeedReport) -> None:
    with feed_command(PublishOptions("vendor", Form.FRAMES, no_ledger=True, json=True)) as command:
        command.reports.append(report)
        os.kill(os.getpid(), signal.SIGTERM)
