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
from streams import show
from streams.calendars import xshg
from streams.settings import Settings

if TYPE_CHECKING:
    from processors.days import TradingCalendar
    from streams.feeds.checked import Parts
    from streams.feeds.folder import Folder
    from streams.feeds.journal import Journal
    from streams.feeds.names import Names
    from streams.feeds.validate import Rows
    from streams.publisher import Publisher

_CHECKED = "checked only: nothing was published"


@contextmanager
def opened_journal(*, without: bool) -> Iterator[Journal | None]:
    """What was published so far, unless that shall not matter."""
    if without:
        yield None
        return
    from streams.feeds import journal

    with journal.opened(Settings()) as found:
        yield found


def known_names(*, without: bool) -> Names:
    """The security master's names of securities, unless Redis shall not be asked."""
    from streams.feeds import names

    return names.Names() if without else names.remembered(Settings())


def tell_published(publisher: Publisher, journal: Journal | None, barrier: str) -> None:
    show.err.print(f"published {publisher.rows:,} rows in {publisher.messages:,} messages; barrier {barrier}")
    if journal is not None and (journal.unchanged or journal.corrected):
        show.err.print(
            f"{journal.unchanged:,} rows were published before and not sent again; {journal.corrected:,} corrected "
            "ones went out with a new revision"
        )


def publish_checked(
    found: Parts,
    *,
    source: str,
    as_: str,
    check: bool,
    force: bool,
    dates: tuple[date | None, date | None] = (None, None),
    ranked: bool = False,
    before: Parts | None = None,
    no_journal: bool,
) -> None:
    """Show what was read and what is wrong with it; publish it unless only checked, or an error stands in the way."""
    from streams.feeds import checked
    from streams.publisher import Form, Publisher

    calendar = xshg(Settings().calendar_file)
    names = known_names(without=check or no_journal)
    earlier: Rows = {}
    if before is not None:
        earlier = checked.newest(checked.gather(before.parts, calendar, source))
        names.learn(before.parts)
    folder = judged(found, calendar, source, earlier, names, check=check, force=force, dates=dates, ranked=ranked)
    days = folder.days()
    span = f"{to_date(days[0])} to {to_date(days[-1])}"
    show.err.print(f"{folder.rows:,} rows, {len(days)} trading days ({span}), source {source}")
    if check:
        show.err.print(_CHECKED)
        return
    with (
        opened_journal(without=no_journal) as journal,
        Publisher(Settings(), source=source, form=Form(as_)) as publisher,
    ):
        barrier = checked.publish(publisher, folder, journal)
    tell_published(publisher, journal, barrier)


def publish_fetched(
    days: Sequence[date],
    fetch: Callable[[date], Parts],
    *,
    pause_s: float,
    source: str,
    as_: str,
    check: bool,
    force: bool,
    no_journal: bool,
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

    from streams.feeds import checked
    from streams.feeds.folder import FeedError
    from streams.feeds.run import publish_days
    from streams.publisher import Form, Publisher

    calendar = xshg(Settings().calendar_file)
    before: Rows = {}
    names = known_names(without=check or no_journal)
    with (
        opened_journal(without=check or no_journal) as journal,
        nullcontext() if check else Publisher(Settings(), source=source, form=Form(as_)) as publisher,
    ):
        for place, day in enumerate(track(days, "fetching", console=show.err)):
            if place:
                time.sleep(pause_s)
            try:
                found = fetch(day)
                folder = judged(found, calendar, source, before, names, check=check, force=force)
            except FeedError as error:
                done = f"; what was before it is published, go on with --from {day}" if place and publisher else ""
                raise FeedError(f"{day}: {error}{done}") from error
            before = {**before, **checked.newest(folder)}
            names.learn(found.parts)
            if publisher is not None:
                publish_days(publisher, checked.once(folder).by_day(), journal=journal)
        barrier = publisher.barrier() if publisher is not None else ""
    if publisher is None:
        show.err.print(_CHECKED)
    else:
        tell_published(publisher, journal, barrier)


def judged(
    found: Parts,
    calendar: TradingCalendar,
    source: str,
    before: Rows,
    names: Names,
    *,
    check: bool,
    force: bool,
    dates: tuple[date | None, date | None] = (None, None),
    ranked: bool = False,
) -> Folder:
    """Return what was read as rows to publish; show notes and findings, and with ``check`` the first rows.

    Raises
    ------
    FeedError : if there is no row, or (unless forced) an error in the figures.
    """
    from streams.feeds import checked

    if check:
        for line in checked.examples(found.parts):
            show.out.print(escape(line))
    findings = [*found.findings, *names.findings(found.parts)]
    folder = None
    if found.parts:
        folder = checked.gather(found.parts, calendar, source, *dates, ranked=ranked)
        findings += checked.reports(folder.by_day(), calendar, before)
        for note in folder.notes:
            show.err.print(escape(f"  note: {note}"))
    for line in checked.told(findings):
        show.err.print(escape(line))
    checked.refuse(findings, force=force)
    if folder is None:
        raise MarginwatchError("nothing was published: no file holds any figures")
    return folder
