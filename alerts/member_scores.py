"""Securities after every day: adjusted levels, and excess returns over the equal-weight mean of all stocks.

The entry of day T is the open of T+1. A stock without a price there, or at the horizon's end, has no return.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors.codes import Ids, reindex_sorted
from processors.column_table import ColumnTable, DayColumns, Layout
from processors.days import TradingCalendar, to_day
from processors.events import Floats
from processors.kinds import is_stock
from processors.outputs import SecuritySignals
from processors.table import DAY, TableSet

#: Trading days after which the returns of members are known.
HORIZONS = (5, 20, 60)
#: Sessions of levels: a corrected level of the last 60 sessions has its entry among the 60 before.
_KEPT = 2 * HORIZONS[-1] + 1


@dataclass(slots=True)
class _Levels:
    """Adjusted levels of all stocks of a day at its open and its close; (n,), NaN where absent."""

    revision: int
    keys: Ids
    opened: Floats
    closed: Floats


@dataclass(frozen=True, slots=True)
class Excess:
    """Excess returns of all stocks from the entry of a day to the end of a horizon; (n,), keys ascending."""

    keys: Ids
    returns: Floats


class MemberScores:
    """Levels of the last sessions; days are numbers since 1970-01-01."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self.refused = 0
        self._levels = ColumnTable[int, _Levels](
            "levels",
            DAY,
            Layout[int](int, [("open", "<f8"), ("close", "<f8")], version=2),
            to_columns=lambda s: DayColumns(s.revision, s.keys, {"open": s.opened, "close": s.closed}),
            from_columns=lambda _day, s: _Levels(s.header, s.keys, s.columns["open"], s.columns["close"]),
            keep=_KEPT,
        )
        self.tables = TableSet(self._levels)

    def observe(self, frame: SecuritySignals) -> int | None:
        """Store the levels of a day; return it, None if nothing changed. A day older than the kept ones is refused."""
        day = to_day(frame.status.trade_date)
        stored = self._levels.get(day)
        if day not in self._calendar or (stored is not None and stored.revision >= frame.status.revision):
            return None
        if len(self._levels) >= _KEPT and day < min(self._levels):
            self.refused += 1
            return None
        level, inside = frame.columns["price_level"], frame.columns["open_to_close"]
        stock = is_stock(frame.keys) & ~np.isnan(level)
        self._levels[day] = _Levels(
            frame.status.revision, frame.keys[stock], level[stock] / (1 + inside[stock]), level[stock]
        )
        return day

    @property
    def newest(self) -> int:
        """The newest day with levels; 0 if there is none."""
        return max(self._levels, default=0)

    def trim(self) -> list[int]:
        """Remove the levels that no correction needs any more; return their days."""
        return self._levels.trim()

    def excess(self, day: int, horizon: int) -> Excess | None:
        """Return the excess returns of all stocks with both prices; None where a day is unknown."""
        entry, end = self._calendar.shift(day, 1), self._calendar.shift(day, horizon)
        if entry is None or end is None or entry not in self._levels or end not in self._levels:
            return None
        first, last = self._levels[entry], self._levels[end]
        growth = reindex_sorted(first.keys, last.keys, last.closed) / first.opened - 1
        known = ~np.isnan(growth)
        return Excess(first.keys[known], growth[known] - growth[known].mean()) if known.any() else None
