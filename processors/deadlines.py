"""Deadlines of the daily feeds: the fallback that closes a day whose punctuation never arrives.

The fold reads no clock. The worker that owns a partition writes an `EndOfDay` with ``deadline`` into the feed's
partition, and the fold closes the day when it reads that message. So a replay of the topic closes the same days at the
same rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, time

from processors.daily_store import DailyStore
from processors.days import TradingCalendar, shanghai_day, shanghai_moment, to_date
from processors.events import EndOfDay
from processors.trading_hours import TradingHours


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time of day in Shanghai, on the trade date itself or on the next session."""

    at: time
    next_session: bool = False

    def moment(self, day: int, calendar: TradingCalendar) -> int | None:
        """Return the moment of a day's deadline, µs since the epoch; None if the calendar ends before it."""
        due_day = calendar.shift(day, 1) if self.next_session else day
        if due_day is None:
            return None
        return shanghai_moment(due_day, self.at.hour * 60 + self.at.minute)


def silent_since(newest: int, now: int, max_silence_us: int, hours: TradingHours) -> int | None:
    """Return the moment since which an intraday feed has been silent for too long, µs since the epoch.

    None outside sessions, or while the silence is no longer than ``max_silence_us``. A silence since the morning is one
    and the same in the afternoon.

    Parameters
    ----------
    newest : moment of its newest row, µs since the epoch.
    max_silence_us : µs; silence counts from the opening of the session's half at the earliest, and ends with the half.
    """
    if hours.half_at(now) is None:
        return None
    for opening, end in hours.halves(shanghai_day(now)):
        since = max(newest, opening)
        if min(now, end) - since > max_silence_us:
            return since
    return None


#: Exchange margin figures appear before the open of T+1 (08:30–09:00), prices and indices after the close of T.
DEADLINES = {
    "margin.daily": Deadline(time(9, 10), next_session=True),
    "margin.market": Deadline(time(9, 10), next_session=True),
    "indices.daily": Deadline(time(18, 0)),
    "prices.daily": Deadline(time(18, 0)),
    "valuations.daily": Deadline(time(18, 0)),
    "rates.daily": Deadline(time(18, 0)),
    "margin.collateral": Deadline(time(9, 10), next_session=True),
    "etf.daily": Deadline(time(9, 10), next_session=True),
}


def newest_due(deadline: Deadline, now: int, calendar: TradingCalendar) -> int | None:
    """Return the newest trade date whose deadline has passed at ``now`` (µs since the epoch); None if there is none."""
    day = calendar.before(shanghai_day(now) + 1)
    while day is not None:
        moment = deadline.moment(day, calendar)
        if moment is not None and moment < now:
            return day
        day = calendar.shift(day, -1)
    return None


def is_late(newest: date | None, due: date | None, *, closed: bool) -> bool:
    """Return whether a feed has not closed a day that is due.

    Parameters
    ----------
    newest : its newest day with rows; a feed without any is not late, because a deployment may lack it.
    due : the newest trade date whose deadline has passed.
    closed : whether the newest day is closed.
    """
    return newest is not None and due is not None and (newest, closed) < (due, True)


def overdue(
    store: DailyStore, now: int, deadline: Deadline, calendar: TradingCalendar, gap_days: int
) -> EndOfDay | None:
    """Return the punctuation that closes the oldest day whose deadline has passed; None if there is none.

    Parameters
    ----------
    now : µs since the epoch.
    gap_days : a feed without rows for more trading days than this has ended (a backfill of old years). Only days with
        rows are closed after that.
    """
    day = store.oldest_open()
    if day is None:
        newest = store.newest_with_rows()
        day = None if newest is None or newest not in calendar else calendar.shift(store.sorted_days[-1], 1)
        if day is None or newest is None or len(calendar.between(newest, day)) - 1 > gap_days:
            return None
    moment = deadline.moment(day, calendar)
    if moment is None or now <= moment:
        return None
    return EndOfDay(feed=store.topic, trade_date=to_date(day), expected={}, source="deadline", deadline=True)
