"""Trading hours: the halves of a session, the next opening, the last close.

The call auction (09:15–09:25) does not belong to a session: its only trades happen at its end. Moments are µs since the
epoch. No function reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from processors.days import MINUTE_US, TradingCalendar, shanghai_day, shanghai_moment, to_day

#: Opening and end of the two halves of a session, minutes of the day in Shanghai.
HALVES = ((9 * 60 + 30, 11 * 60 + 30), (13 * 60, 15 * 60))

#: End of the call auction, the moment of a day's first trades, minutes of the day in Shanghai.
FIRST_TRADES = 9 * 60 + 25

#: Beginning of the call auction at the close, whose trades happen at its end, minutes of the day in Shanghai.
CLOSING_AUCTION = 14 * 60 + 57

#: Sessions that the circuit breaker of the CSI 300 ended: day → the minute of the day in Shanghai.
_BROKEN_OFF = {to_day(date(2016, 1, 4)): 13 * 60 + 34, to_day(date(2016, 1, 7)): 10 * 60}


def last_minute(day: int, calendar: TradingCalendar) -> int:
    """Return the minute of the day in Shanghai at which a session ends."""
    return _BROKEN_OFF.get(day, HALVES[0 if day in calendar.half_days else 1][1])


@dataclass(frozen=True, slots=True)
class TradingHours:
    """The trading hours of the exchanges on the sessions of a calendar."""

    calendar: TradingCalendar

    def halves(self, day: int) -> list[tuple[int, int]]:
        """Return opening and end of each half of a day; empty for a day that is no session."""
        if day not in self.calendar:
            return []
        last = last_minute(day, self.calendar)
        return [
            (shanghai_moment(day, opening), shanghai_moment(day, min(end, last)))
            for opening, end in HALVES
            if opening < last
        ]

    def traded_minutes(self, now: int) -> float:
        """Return for how many minutes a session has traded at a moment of its day; 0 on a day that is none."""
        return sum(max(0, min(now, end) - opening) for opening, end in self.halves(shanghai_day(now))) / MINUTE_US

    def close(self, day: int) -> int:
        """Return the moment of a session's close; raises `MarginwatchError` on a day that is no session."""
        self.calendar.position(day)
        return self.halves(day)[-1][1]

    def half_at(self, now: int) -> tuple[int, int] | None:
        """Return the half [opening, end) that contains ``now``; None outside sessions."""
        return next((half for half in self.halves(shanghai_day(now)) if half[0] <= now < half[1]), None)

    def next_open(self, now: int) -> int | None:
        """Return the first opening of a half after ``now``; None beyond the calendar's last session."""
        days = self.calendar.between(shanghai_day(now), self.calendar.last)[:2].tolist()
        return next((opening for day in days for opening, _ in self.halves(day) if opening > now), None)

    def last_close(self, now: int) -> int | None:
        """Return the newest end of a half at or before ``now``; None before the first one."""
        days = self.calendar.between(self.calendar.first, shanghai_day(now))[-2:].tolist()
        return max((end for day in days for _, end in self.halves(day) if end <= now), default=None)
