"""The days that are no longer kept, and the revision under which each was last read."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter

from processors.days import TradingCalendar
from processors.table import ValueCodec

#: Runs that are remembered: nineteen years of weeks. Of older days than theirs nothing is known.
_MOST_RUNS = 1_000

#: Sessions behind each other that were read under one revision, or another day: first and last day, revision.
Run = tuple[int, int, int]


class RemovedDays:
    """Tells a day that comes too late from one that is published again: a rebuilt stage repeats all days.

    Days are numbers since 1970-01-01. They are stored as runs, ascending.
    """

    __slots__ = ("runs",)

    def __init__(self, runs: list[Run] | None = None) -> None:
        self.runs = runs or []

    @property
    def newest(self) -> int | None:
        """The newest removed day; None before the first one."""
        return self.runs[-1][1] if self.runs else None

    def add(self, day: int, revision: int, calendar: TradingCalendar) -> bool:
        """Set the revision of a removed day; return False if the day was read under this one or a higher one."""
        at = bisect_right(self.runs, day, key=itemgetter(0))
        parts, end = [(day, day, revision)], at
        if at and self.runs[at - 1][1] >= day:
            at -= 1
            first, last, known = self.runs[at]
            if known >= revision and (day in calendar or first == last):
                return False
            before, after = calendar.before(day), calendar.after(day, 1)
            if before is not None and first <= before:
                parts.insert(0, (first, before, known))
            if after is not None and after <= last:
                parts.append((after, last, known))
        start, stop = max(0, at - 1), end + 1
        self.runs[start:stop] = _joined([*self.runs[start:at], *parts, *self.runs[end:stop]], calendar)
        del self.runs[:-_MOST_RUNS]
        return True


def _joined(runs: list[Run], calendar: TradingCalendar) -> list[Run]:
    """Return runs with those of sessions that follow each other under one revision as one."""
    out = runs[:1]
    for run in runs[1:]:
        first, last, revision = out[-1]
        follows = last in calendar and run[0] in calendar and calendar.after(last, 1) == run[0]
        if follows and revision == run[2]:
            out[-1] = first, run[1], revision
        else:
            out.append(run)
    return out


#: How the removed days of one subject or universe are stored.
REMOVED_ROW = ValueCodec[RemovedDays](list[Run], to_plain=lambda days: days.runs, from_plain=RemovedDays)
