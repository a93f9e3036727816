"""Running a feed: publish day by day, with progress, at full speed or paced."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from feeds.ledger import PublishLedger
from processors.days import to_date
from processors.events import RowBatch
from streams.publisher import Publisher

Days = Iterable[tuple[int, dict[str, RowBatch]]]
#: One trading session lasts four hours: the meaning of a speed of "1×".
_SESSION_S = 4 * 3600.0
#: Days of topics that may be sent without the broker's word: waiting for it each day would halve the speed.
_CONFIRM_EVERY = 64


def publish_days(
    publisher: Publisher,
    days: Days,
    *,
    ledger: PublishLedger | None = None,
    speed: float | None = None,
    on_day: Callable[[str], None] = lambda _day: None,
) -> int:
    """Publish every day's rows and markers; return how many days.

    Parameters
    ----------
    journal : keeps rows that are published already from going out again, and gives corrected ones their revision.
    speed : how many times faster than real sessions, None for as fast as possible.
    on_day : told each date that has been published.
    """
    count = 0
    started = time.monotonic()
    try:
        for day, batches in days:
            if speed is not None:
                time.sleep(max(0.0, started + count * _SESSION_S / speed - time.monotonic()))
            _publish_day(publisher, batches, ledger)
            count += 1
            on_day(to_date(day).isoformat())
        publisher.flush()
        if ledger is not None:
            ledger.confirm()
    except BaseException:
        if ledger is not None:
            ledger.abandon()
        raise
    return count


def _publish_day(publisher: Publisher, batches: dict[str, RowBatch], ledger: PublishLedger | None) -> None:
    if ledger is None:
        publisher.day(batches)
        return
    news = ledger.begin(batches)
    publisher.day(news.rows, news.counted)
    if ledger.days_open >= _CONFIRM_EVERY:
        publisher.flush()
        ledger.confirm()


def publish_session(
    publisher: Publisher,
    snapshots: Iterable[tuple[int, dict[str, RowBatch]]],
    *,
    speed: float | None = None,
    on_minute: Callable[[str], None] = lambda _minute: None,
) -> None:
    """Publish the snapshots of a running session; ``speed`` is relative to the clock on the wall."""
    started, first = time.monotonic(), None
    for minute, batches in snapshots:
        first = minute if first is None else first
        if speed is not None:
            time.sleep(max(0.0, started + (minute - first) * 60.0 / speed - time.monotonic()))
        for batch in batches.values():
            publisher.rows_of(batch)
        publisher.flush()
        on_minute(f"{minute // 60:02d}:{minute % 60:02d}")


def parse_speed(text: str) -> float | None:
    """Read ``max`` or ``N×`` (also ``Nx``, ``N``).

    Raises
    ------
    ValueError : for anything else, saying what is expected.
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
