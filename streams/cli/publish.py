"""What the commands that publish share: the journal, the report before anything is sent, what was done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import date
from typing import TYPE_CHECKING

from rich.markup import escape

from processors.days import to_date
from processors.errors import MarginwatchError
from streams.calendars import xshg
from streams.cli.terminal import err, out
from streams.settings import Settings

if TYPE_CHECKING:
    from feeds.dataset import SourceTables
    from feeds.folder import Dataset
    from feeds.ledger import PublishLedger
    from feeds.names import Names
    from feeds.validate import Rows
    from processors.days import TradingCalendar
    from streams.form import Form
    from streams.publisher import Publisher

_CHECKED = "checked only: nothing was published"


@contextmanager
def opened_ledger(*, without: bool) -> Iterator[PublishLedger | None]:
    """What was published so far, unless that shall not matter."""
    if without:
        yield None
        return
    from feeds import ledger

    with ledger.opened(Settings()) as found:
        yield found


def known_names(*, without: bool) -> Names:
    """The security master's names of securities, unless Redis shall not be asked."""
    from feeds import names

    return names.Names() if without else names.remembered(Settings())


def report_published(publisher: Publisher, ledger: PublishLedger | None, barrier: str) -> None:
    err.print(f"published {publisher.rows:,} rows in {publisher.messages:,} messages; barrier {barrier}")
    if ledger is not None and (ledger.unchanged or ledger.corrected):
        err.print(
            f"{ledger.unchanged:,} rows were published before and not sent again; {ledger.corrected:,} corrected "
            "ones went out with a new revision"
        )


def publish_checked(
    found: SourceTables,
    *,
    source: str,
    as_: Form,
    check: bool,
    force: bool,
    dates: tuple[date | None, date | None] = (None, None),
    ranked: bool = False,
    before: SourceTables | None = None,
    no_ledger: bool,
) -> None:
    """Show what was read and what is wrong with it; publish it unless only checked, or an error stands in the way."""
    from feeds import dataset
    from streams.publisher import Publisher

    calendar = xshg(Settings().calendar_file)
    names = known_names(without=check or no_ledger)
    earlier: Rows = {}
    if before is not None:
        earlier = dataset.newest(dataset.gather(before.parts, calendar, source))
        names.learn(before.parts)
    folder = judged(found, calendar, source, earlier, names, check=check, force=force, dates=dates, ranked=ranked)
    days = folder.days()
    span = f"{to_date(days[0])} to {to_date(days[-1])}"
    err.print(f"{folder.rows:,} rows, {len(days)} trading days ({span}), source {source}")
    if check:
        err.print(_CHECKED)
        return
    with (
        opened_ledger(without=no_ledger) as ledger,
        Publisher(Settings(), source=source, form=as_) as publisher,
    ):
        barrier = dataset.publish(publisher, folder, ledger)
    report_published(publisher, ledger, barrier)


def publish_fetched(
    days: Sequence[date],
    fetch: Callable[[date], SourceTables],
    *,
    pause_s: float,
    source: str,
    as_: Form,
    check: bool,
    force: bool,
    no_ledger: bool,
) -> None:
    """Fetch, judge and publish day by day: what stands in the way of one leaves those before it published.

    Parameters
    ----------
    pause_s : between two days.

    Raises
    ------
    FeedError : naming the day that could not be fetched or published, and how to go on from there.
    """
    from rich.progress import track

    from feeds import dataset
    from feeds.folder import FeedError
    from feeds.publish import publish_days
    from streams.publisher import Publisher

    calendar = xshg(Settings().calendar_file)
    before: Rows = {}
    names = known_names(without=check or no_ledger)
    with (
        opened_ledger(without=check or no_ledger) as ledger,
        nullcontext() if check else Publisher(Settings(), source=source, form=as_) as publisher,
    ):
        for place, day in enumerate(track(days, "fetching", console=err)):
            if place:
                time.sleep(pause_s)
            try:
                found = fetch(day)
                folder = judged(found, calendar, source, before, names, check=check, force=force)
            except FeedError as error:
                done = f"; what was before it is published, go on with --from {day}" if place and publisher else ""
                raise FeedError(f"{day}: {error}{done}") from error
            before = {**before, **dataset.newest(folder)}
            names.learn(found.parts)
            if publisher is not None:
                publish_days(publisher, dataset.once(folder).by_day(), ledger=ledger)
        barrier = publisher.barrier() if publisher is not None else ""
    if publisher is None:
        err.print(_CHECKED)
    else:
        report_published(publisher, ledger, barrier)


def judged(
    found: SourceTables,
    calendar: TradingCalendar,
    source: str,
    before: Rows,
    names: Names,
    *,
    check: bool,
    force: bool,
    dates: tuple[date | None, date | None] = (None, None),
    ranked: bool = False,
) -> Dataset:
    """Return what was read as rows to publish; show notes and findings, and with ``check`` the first rows.

    Raises
    ------
    FeedError : if there is no row, or (unless forced) an error in the figures.
    """
    from feeds import dataset

    if check:
        for line in dataset.examples(found.parts):
            out.print(escape(line))
    findings = [*found.findings, *names.findings(found.parts)]
    folder = None
    if found.parts:
        folder = dataset.gather(found.parts, calendar, source, *dates, ranked=ranked)
        findings += dataset.reports(folder.by_day(), calendar, before)
        for note in folder.notes:
            err.print(escape(f"  note: {note}"))
    for line in dataset.told(findings):
        err.print(escape(line))
    dataset.refuse(findings, force=force)
    if folder is None:
        raise MarginwatchError("nothing was published: no file holds any figures")
    return folder
