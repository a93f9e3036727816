"""Commands that a signal ends."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from feeds.errors import InputError
from feeds.feed_report import FeedReport, Outcome
from processors.days import to_day
from processors.events import RowBatch
from streams.__main__ import main as program
from streams.cli.publish import PublishOptions, feed_command
from streams.errors import PublishError
from streams.exit_signals import ended_by_signals
from streams.form import Form
from streams.publisher import Publisher
from tests.publishing import Message, feed, sent
from tests.test_feed_checks import CODES, D1, D2, D3, detail

__all__ = ["sent"]  # a fixture


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


def test_a_ctrl_c_right_behind_the_imports_ends_the_program_as_a_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first collection of garbage takes a while there; a traceback followed."""

    def interrupted() -> None:
        enable()
        raise KeyboardInterrupt

    enable = gc.enable
    monkeypatch.setattr(gc, "enable", interrupted)
    with pytest.raises(SystemExit, match="130"):
        program()


def test_a_publishing_command_that_is_ended_reports_what_it_has_done(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="143"):
        _end_after(FeedReport.of_error("vendor", InputError("a.csv: no row")))
    assert '"source":"vendor"' in capsys.readouterr().out.replace(" ", "")


def _end_after(report: FeedReport) -> None:
    with feed_command(PublishOptions("vendor", Form.FRAMES, no_ledger=True, json=True)) as command:
        command.reports.append(report)
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("ends", [PublishError("the broker is away"), SystemExit(143)], ids=["outage", "SIGTERM"])
@pytest.mark.parametrize(
    ("options", "counted", "said"),
    [
        ((), [40, 40, 0], "of the rows that count as published some may not have arrived"),
        (("--no-ledger",), [0, 0, 0], "rows may have been sent, though none counts as published"),
    ],
    ids=["ledger", "no ledger"],
)
def test_the_report_of_an_interrupted_run_counts_what_was_sent_as_far_as_it_is_known(
    sent: list[Message],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ends: BaseException,
    options: tuple[str, ...],
    counted: list[int],
    said: str,
) -> None:
    close_day = Publisher.close_day

    def close_until_the_end(publisher: Publisher, batch: RowBatch) -> None:
        if int(batch.days[0]) == to_day(date(2024, 6, 12)):
            raise ends
        close_day(publisher, batch)

    monkeypatch.setattr(Publisher, "close_day", close_until_the_end)
    days = [detail(day, CODES) for day in (D1, D2, D3)]
    pd.concat(days).to_csv(file := tmp_path / "margin_detail.csv", index=False)
    result = feed("vendor", file, "--json", *options)
    report = msgspec.json.decode(result.stdout, type=FeedReport)
    published = [rows.published for day in report.days for rows in day.exchanges.values()]
    assert (report.outcome, published) == (Outcome.INTERRUPTED, counted)
    assert f"interrupted: {said}" in result.stderr
