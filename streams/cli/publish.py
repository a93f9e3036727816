"""What the publishing commands share: the ledger, the report before anything is published, the result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from processors.days import to_date
from streams.calendars import xshg
from streams.cli.terminal import err, out
from streams.settings import Settings

if TYPE_CHECKING:
    from feeds.dataset import Dataset, SourceTables
    from feeds.ledger import PublishLedger
    from feeds.security_names import SecurityNames
    from feeds.validate import Finding, Rows
    from processors.days import TradingCalendar
    from streams.form import Form
    from streams.publisher import Publisher

_CHECKED = "checked only: nothing was published"


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """The options of every publishing command: the name of the source, ``--as``, and the flags of the same names."""

    source: str
    form: Form
    check: bool
    force: bool
    no_ledger: bool


@contextmanager
def opened_ledger(*, without: bool) -> Iterator[PublishLedger | None]:
    """Open the publish ledger; None without it."""
    if without:
        yield None
        return
    from streams import feed_services

    with feed_services.open_ledger(Settings()) as found:
        yield found


def known_names(*, without: bool) -> SecurityNames:
    """Return the names of the security master; none without Redis."""
    from feeds.security_names import SecurityNames
    from streams import feed_services

    return SecurityNames({} if without else feed_services.load_security_names(Settings()))


def report_published(publisher: Publisher, ledger: PublishLedger | None, barrier: str) -> None:
    """Print how many rows were published, unchanged and corrected."""
    err.print(f"published {publisher.rows:,} rows in {publisher.messages:,} messages; barrier {barrier}")
    if ledger is not None and (ledger.unchanged or ledger.corrected):
        err.print(
            f"{ledger.unchanged:,} rows were published before and not sent again; {ledger.corrected:,} corrected "
            "rows were published with a new revision"
        )


def publish_checked(
    found: SourceTables,
    options: PublishOptions,
    *,
    dates: tuple[date | None, date | None] = (None, None),
    before: SourceTables | None = None,
) -> None:
    """Show what was read and its findings; publish it, unless it is only checked or has an error.

    Parameters
    ----------
    before : tables of the day before, for comparison only.

    Raises
    ------
    InputError : if there is no row, or (unless forced) an error in the figures.
    typer.Exit : with 1, if a row, a sheet or a cell was refused and the rest is published.
    """
    from feeds.dataset import gather
    from feeds.publish import publish_dataset
    from streams.publisher import Publisher

    settings = Settings()
    calendar = xshg(settings.calendar_file)
    names = known_names(without=options.check or options.no_ledger)
    earlier: Rows = {}
    if before is not None:
        earlier = gather(before.tables, calendar, options.source).newest_rows()
        names.learn(before.tables)
    dataset = checked_dataset(found, calendar, options, earlier, names, dates=dates)
    days = dataset.days()
    span = f"{to_date(days[0])} to {to_date(days[-1])}"
    err.print(f"{dataset.rows:,} rows, {len(days)} trading days ({span}), source {options.source}")
    if options.check:
        err.print(_CHECKED)
        exit_if_refused(dataset.findings)
        return
    with (
        opened_ledger(without=options.no_ledger) as ledger,
        Publisher(settings, source=options.source, form=options.form) as publisher,
    ):
        barrier = publish_dataset(publisher, dataset, ledger)
    report_published(publisher, ledger, barrier)
    exit_if_refused(dataset.findings)


def print_findings(findings: Iterable[Finding]) -> None:
    """Print findings on stderr, the first few of each kind."""
    from feeds import check_report

    for line in check_report.format_findings(findings):
        err.print(escape(line))


def exit_if_refused(findings: Iterable[Finding]) -> None:
    """Raise `typer.Exit` with 1 if something that was read is not published."""
    from feeds.validate import Severity

    refused = sum(one.severity is Severity.REFUSED for one in findings)
    if refused:
        err.print(f"{refused} rows, sheets or cells are refused (see REFUSED above); everything else counts")
        raise typer.Exit(1)


def publish_fetched(
    days: Sequence[date], fetch: Callable[[date], SourceTables], options: PublishOptions, *, pause_s: float
) -> None:
    """Fetch, check and publish day by day; an error of one day leaves the days before it published.

    Parameters
    ----------
    pause_s : the wait between two days.

    Raises
    ------
    InputError : with the day that could not be fetched or published, and how to go on from there.
    """
    from rich.progress import track

    from feeds.errors import InputError
    from feeds.publish import publish_days
    from streams.publisher import Publisher

    settings, source, check = Settings(), options.source, options.check
    calendar = xshg(settings.calendar_file)
    before: Rows = {}
    names = known_names(without=check or options.no_ledger)
    findings: list[Finding] = []
    with (
        opened_ledger(without=check or options.no_ledger) as ledger,
        nullcontext() if check else Publisher(settings, source=source, form=options.form) as publisher,
    ):
        for place, day in enumerate(track(days, "fetching", console=err)):
            if place:
                time.sleep(pause_s)
            try:
                found = fetch(day)
                dataset = checked_dataset(found, calendar, options, before, names)
            except InputError as error:
                done = f"; the days before it are published, go on with --from {day}" if place and publisher else ""
                raise InputError(f"{day}: {error}{done}") from error
            findings += dataset.findings
            before = {**before, **dataset.newest_rows()}
            names.learn(found.tables)
            if publisher is not None:
                publish_days(publisher, dataset.by_day(), ledger=ledger)
        barrier = publisher.barrier() if publisher is not None else ""
    if publisher is None:
        err.print(_CHECKED)
    else:
        report_published(publisher, ledger, barrier)
    exit_if_refused(findings)


def checked_dataset(
    found: SourceTables,
    calendar: TradingCalendar,
    options: PublishOptions,
    before: Rows,
    names: SecurityNames,
    *,
    dates: tuple[date | None, date | None] = (None, None),
) -> Dataset:
    """Return what was read as rows to publish; print notes and findings, and with ``check`` the first rows.

    Raises
    ------
    InputError : if there is no row, or (unless forced) an error in the figures.
    """
    from feeds import check_report
    from feeds.dataset import gather
    from feeds.errors import InputError

    if options.check:
        for line in check_report.format_first_rows(found.tables):
            out.print(escape(line))
    findings = [*found.findings, *names.compare(found.tables)]
    dataset = None
    if found.tables:
        dataset = gather(found.tables, calendar, options.source, *dates)
        findings += [*dataset.findings, *check_report.check_days(dataset.by_day(), calendar, before)]
        for note in dataset.notes:
            err.print(escape(f"  note: {note}"))
    print_findings(findings)
    check_report.refuse_errors(findings, force=options.force)
    if dataset is None:
        raise InputError("nothing was published: no file contains any figures")
    dataset.findings = findings
    return dataset
