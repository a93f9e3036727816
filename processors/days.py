"""Trading days (交易日) as integers, and the trading calendar.

Arrays contain a trade date as int32 days since 1970-01-01; inputs and outputs carry ISO text. The exchange's calendar
(XSHG) decides which days are trading days, never weekdays or gaps in the data.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from hashlib import blake2b

import numpy as np

from processors.arrays import Days, Ints, Mask
from processors.errors import MarginwatchError, RowError

#: Offset of the exchange's clock (UTC+8 all year), a day and a minute, in µs.
SHANGHAI_OFFSET_US, DAY_US, MINUTE_US = 8 * 3_600_000_000, 86_400_000_000, 60_000_000
#: The same for datetimes.
SHANGHAI = timezone(timedelta(microseconds=SHANGHAI_OFFSET_US))
_EPOCH = date(1970, 1, 1).toordinal()
#: Years of dates and moments that messages may carry, both included, and the same in µs since the epoch. They are so
#: far inside of what dates, NumPy and pandas represent that adding days or a time zone to them never overflows.
_YEARS = (1970, 2199)
FIRST_MOMENT, LAST_MOMENT = 0, (date(_YEARS[1] + 1, 1, 1).toordinal() - _EPOCH) * DAY_US - 1


@lru_cache(maxsize=16_384)
def to_day(when: date) -> int:
    """Return the days since 1970-01-01.

    Examples
    --------
    >>> to_day(date(2020, 1, 2))
    18263
    """
    return when.toordinal() - _EPOCH


@lru_cache(maxsize=16_384)
def to_date(day: int) -> date:
    """Return the inverse of `to_day`."""
    return date.fromordinal(day + _EPOCH)


_MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC)


def moment(microseconds: int) -> datetime:
    """Return a number of microseconds since the epoch as a UTC datetime."""
    return _MIDNIGHT + timedelta(microseconds=microseconds)


def microseconds(when: datetime) -> int:
    """Return the inverse of `moment`, exact to the microsecond."""
    return (when - _MIDNIGHT) // timedelta(microseconds=1)


def check_times(times: Iterable[date | datetime | None]) -> None:
    """Raise `RowError` unless every moment of a message has a time zone, and all lie between 1970 and 2199."""
    for when in times:
        if isinstance(when, datetime) and when.tzinfo is None:
            raise RowError(f"{when.isoformat()} has no time zone")
        if when is not None and not _YEARS[0] <= when.year <= _YEARS[1]:
            raise RowError(f"{when.isoformat()} does not lie between {_YEARS[0]} and {_YEARS[1]}")


def shanghai_day(stamp: int) -> int:
    """Return the day in Shanghai of a moment (µs since the epoch), counted from 1970-01-01."""
    return (stamp + SHANGHAI_OFFSET_US) // DAY_US


def shanghai_date(when: datetime) -> date:
    """Return the date in Shanghai of a moment with a time zone."""
    return when.astimezone(SHANGHAI).date()


def shanghai_days(stamps: Ints) -> Days:
    """Return `shanghai_day` of many moments."""
    return ((stamps + SHANGHAI_OFFSET_US) // DAY_US).astype(np.int32)


def shanghai_moment(day: int, minute: int = 0) -> int:
    """Return the moment (µs since the epoch) of a minute of a day in Shanghai."""
    return day * DAY_US + minute * MINUTE_US - SHANGHAI_OFFSET_US


class TradingCalendar:
    """The sorted sessions of the exchange.

    Parameters
    ----------
    official_until : the last session that the exchange has announced; later ones are predicted. The last of all
        sessions if it is not given.
    half_days : sessions that end at 11:30.

    Attributes
    ----------
    digest : of all sessions and half days: windows count sessions, so state of another calendar must be rebuilt.

    Raises
    ------
    MarginwatchError : if there is no session.
    """

    def __init__(
        self, sessions: Iterable[date], official_until: date | None = None, half_days: Iterable[date] = ()
    ) -> None:
        self._days = np.unique(np.array([to_day(s) for s in sessions], dtype=np.int32))
        self._listed: list[int] = self._days.tolist()  # a single day is looked up faster in a list
        if not len(self._days):
            raise MarginwatchError("the trading calendar is empty: give at least one session")
        self._position = {int(d): i for i, d in enumerate(self._days)}
        self.half_days = frozenset(map(to_day, half_days))
        self.official_until = self.last if official_until is None else to_day(official_until)
        self.digest = blake2b(repr((self._listed, sorted(self.half_days))).encode(), digest_size=4).hexdigest()

    def __contains__(self, day: int) -> bool:
        return day in self._position

    @property
    def first(self) -> int:
        """The first session of the calendar."""
        return int(self._days[0])

    @property
    def last(self) -> int:
        """The last session of the calendar; no later trade date can be validated."""
        return int(self._days[-1])

    def __len__(self) -> int:
        return len(self._days)

    def position(self, day: int) -> int:
        """Return the position of a session among all sessions.

        Raises
        ------
        MarginwatchError : if the day is no session.
        """
        at = self._position.get(day)
        if at is None:
            raise MarginwatchError(f"{to_date(day)} is not a trading day")
        return at

    def day_at(self, position: int) -> int:
        """Return the inverse of `position`."""
        return self._listed[position]

    def days_from(self, start: int, end: int) -> list[int]:
        """Return the sessions at the positions ``start`` ≥ 0 to ``end`` − 1."""
        return self._listed[start:end]

    def contains(self, days: Days) -> Mask:
        """Return which of ``days`` are sessions (n,)."""
        at = np.searchsorted(self._days, days)
        at[at == len(self._days)] = 0
        return np.asarray(self._days[at] == days)

    def shift(self, day: int, sessions: int) -> int | None:
        """Return the session ``sessions`` after (before, if negative) ``day``; None past the calendar's ends."""
        moved = self.position(day) + sessions
        return self._listed[moved] if 0 <= moved < len(self._listed) else None

    def count_before(self, day: int) -> int:
        """Return how many sessions are before a day (any day): its position, or that of the next session."""
        return bisect_left(self._listed, day)

    def after(self, day: int, sessions: int) -> int | None:
        """Return the session ``sessions`` (at least 1) after a day (any day); None past the calendar's end."""
        at = bisect_right(self._listed, day) + sessions - 1
        return self._listed[at] if at < len(self._listed) else None

    def before(self, day: int) -> int | None:
        """Return the last session before a day (any day); None before the first one."""
        at = bisect_left(self._listed, day)
        return self._listed[at - 1] if at else None

    def ends_week(self, day: int) -> bool:
        """Return whether a session is the last of its calendar week; False for the last session of the calendar."""
        following = self.shift(day, 1)
        return following is not None and following - to_date(following).weekday() > day

    def between(self, start: int, end: int) -> Days:
        """Return the sessions from ``start`` to ``end``, both included."""
        return self._days[np.searchsorted(self._days, start) : np.searchsorted(self._days, end, side="right")]

    def left_after(self, day: int) -> int:
        """Return how many announced sessions the calendar has after ``day``."""
        return len(self.between(day + 1, self.official_until))
