"""Publishing day by day, with progress, at full speed or at the pace of real sessions (`feeds.daily.replay`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping

from feeds.checks.incomplete_days import IncompleteDay
from feeds.daily.ledger import PendingRows, PublishLedger
from feeds.files.dataset import DayRows
from feeds.mappings.refused_rows import RefusedRows
from feeds.ports import RowPublisher
from processors.arrays import Days, Ids
from processors.days import to_date
from processors.events import RowBatch

#: A trading session lasts four hours; speed 1× publishes one day in that time.
_SESSION_S = 4 * 3600.0
#: Entries of the ledger between two acknowledgements of the broker, about a month: one each day would halve the
#: throughput, and each stores the figures of the newest days (`feeds.daily.published_figures.SLOTS`).
_CONFIRM_EVERY = 256
#: Called with each date that has been published.
OnDay = Callable[[str], None]


def publish_days(
    publisher: RowPublisher,
    days: Iterable[DayRows],
    *,
    ledger: PublishLedger | None = None,
    speed: float | None = None,
    on_day: OnDay = lambda _day: None,
    incomplete: Collection[IncompleteDay] = (),
    refused: RefusedRows | None = None,
    skipped: Mapping[str, Days] | None = None,
) -> None:
    """Publish the rows and end-of-day markers of every day.

    Parameters
    ----------
    incomplete : topics and days without their end-of-day markers, because an exchange is missing.
    refused : the rows that were left out; the end-of-day markers count them.
    skipped : topic → sessions without a row, whose punctuation goes before the next rows of the topic.
    ledger : leaves out rows that were published before, and assigns the revision of corrected rows.
    speed : how many times faster than real sessions; None for as fast as possible.
    on_day : called with each date that has been published.

    Raises
    ------
    UnavailableError : if Kafka or Redis does not answer; publishing the same days again completes them.
    """
    count = 0
    started = time.monotonic()
    lapsed = sorted((day, topic) for topic, without in (skipped or {}).items() for day in without.tolist())
    try:
        for day, batches in days:
            while lapsed and lapsed[0][0] < day:
                gone, topic = lapsed.pop(0)
                publisher.lapse(topic, gone)
            if speed is not None:
                time.sleep(max(0.0, started + count * _SESSION_S / speed - time.monotonic()))
            publish_day(publisher, batches, ledger, incomplete, (refused or {}).get(day))
            count += 1
            on_day(to_date(day).isoformat())
        publisher.flush()
        if ledger is not None:
            ledger.confirm()
    except BaseException:
        if ledger is not None:
            ledger.abandon()
        raise


def parse_speed(text: str) -> float | None:
    """Read ``max`` (None) or ``N×`` (also ``Nx``, ``N``).

    Raises
    ------
    ValueError : for anything else, with what is expected.
    """
    if text == "max":
        return None
    try:
        speed = float(text.rstrip("×x"))
    except ValueError:
        speed = 0.0
    if speed <= 0:
        raise ValueError(f"speed {text!r}: expected `max` or a positive factor such as `600×`")
    return speed


def publish_day(
    publisher: RowPublisher,
    batches: dict[str, RowBatch],
    ledger: PublishLedger | None,
    incomplete: Collection[IncompleteDay] = (),
    refused: Mapping[str, Ids] | None = None,
) -> None:
    """Publish the rows and end-of-day markers of topics on one day; parameters as of `publish_days`."""
    pending = PendingRows.of(batches, refused or {}) if ledger is None else ledger.begin(batches, refused)
    whole = {
        t: rows for t, rows in pending.counted.items() if not len(rows) or (t, int(rows.days[0])) not in incomplete
    }
    publisher.day(pending.rows, whole)
    if ledger is None:
        return
    if ledger.days_open >= _CONFIRM_EVERY:
        publisher.flush()
        ledger.confirm()
