"""What the commands that publish share: the journal, the report before anything is sent, what was done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from rich.markup import escape

from processors.days import to_date
from processors.errors import MarginwatchError
from streams import show
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.feeds.checked import Parts
    from streams.feeds.journal import Journal
    from streams.publisher import Publisher


@contextmanager
def opened_journal(*, without: bool) -> Iterator[Journal | None]:
    """What was published so far, unless that shall not matter."""
    if without:
        yield None
        return
    from streams.feeds import journal

    with journal.opened(Settings()) as found:
        yield found


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
    from streams.calendars import xshg
    from streams.feeds import checked
    from streams.publisher import Form, Publisher

    if check:
        for line in checked.examples(found.parts):
            show.out.print(escape(line))
    findings = list(found.findings)
    folder = None
    if found.parts:
        calendar = xshg(Settings().calendar_file)
        folder = checked.gather(found.parts, calendar, source, *dates, ranked=ranked)
        earlier = checked.newest(checked.gather(before.parts, calendar, source)) if before is not None else {}
        findings += checked.reports(folder.by_day(), calendar, earlier)
        for note in folder.notes:
            show.err.print(escape(f"  note: {note}"))
    for line in checked.told(findings):
        show.err.print(escape(line))
    checked.refuse(findings, force=force)
    if folder is None:
        raise MarginwatchError("nothing was published: no file holds any figures")
    days = folder.days()
    span = f"{to_date(days[0])} to {to_date(days[-1])}"
    show.err.print(f"{folder.rows:,} rows, {len(days)} trading days ({span}), source {source}")
    if check:
        show.err.print("checked only: nothing was published")
        return
    with (
        opened_journal(without=no_journal) as journal,
        Publisher(Settings(), source=source, form=Form(as_)) as publisher,
    ):
        barrier = checked.publish(publisher, folder, journal)
    tell_published(publisher, journal, barrier)
