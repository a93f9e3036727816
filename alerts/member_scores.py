"""Stocks, and industries, after every day: their levels, and excess returns over the equal-weight mean of all of them.

The entry of day T is the open of T+1. What has no price there, or at the horizon's end, has no return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import numpy as np

from alerts.removed_days import REMOVED_ROW, RemovedDays
from alerts.rules.base import Message, security_frame
from processors.arrays import Floats, Ids
from processors.codes import reindex_sorted
from processors.column_table import ColumnTable, DayColumns, Layout
from processors.days import TradingCalendar, to_day
from processors.industries import INDEX_OF
from processors.kinds import is_stock
from processors.needs import DETAIL, INDICES, PRICES
from processors.outputs import PRICING, DayStatus, IndustrySignals
from processors.table import DAY, TEXT, Table, TableSet

#: Trading days after which the returns of members are known.
HORIZONS = (5, 20, 60)
#: Sessions of levels: a corrected level of the last 60 sessions has its entry among the 60 before.
_KEPT = 2 * HORIZONS[-1] + 1
_INDICES: Ids = np.array(INDEX_OF, dtype=np.int32)


@dataclass(slots=True)
class _Levels:
    """The levels of a day at its open and its close; (n,), NaN where absent.

    ``revision`` is that of the prices: what else is in a message may arrive half a year behind in a backfill.
    """

    revision: int
    keys: Ids
    opened: Floats
    closed: Floats


@dataclass(frozen=True, slots=True)
class Excess:
    """Excess returns of all of a universe from the entry of a day to the end of a horizon; (n,), keys ascending."""

    keys: Ids
    returns: Floats


#: Reads the levels of a universe out of a message that has them, with the status of their day.
ReadLevels = Callable[[Message], tuple[DayStatus, _Levels] | None]


def stock_levels(message: Message) -> tuple[DayStatus, _Levels] | None:
    """Return the adjusted levels of all stocks, of a frame with prices."""
    frame = security_frame(message, PRICING)
    if frame is None:
        return None
    level, inside = frame.columns["price_level"], frame.columns["open_to_close"]
    stock = is_stock(frame.keys) & ~np.isnan(level)
    opened = level[stock] / (1 + inside[stock])
    revision = frame.status.revision_of(DETAIL, PRICES)
    return frame.status, _Levels(revision, frame.keys[stock], opened, level[stock])


def industry_levels(message: Message) -> tuple[DayStatus, _Levels] | None:
    """Return the levels of the industries' indices."""
    if not isinstance(message, IndustrySignals):
        return None
    close, opened = message.columns["index_close"], message.columns["index_open"]
    known = ~np.isnan(close)
    return message.status, _Levels(message.status.revision_of(INDICES), _INDICES[known], opened[known], close[known])


class MemberScores:
    """Levels of a universe on the last sessions; days are numbers since 1970-01-01.

    Parameters
    ----------
    name : of the table.
    read : the levels of a message.
    """

    def __init__(self, name: str, read: ReadLevels, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._read = read
        self.refused = 0
        self._levels = ColumnTable[int, _Levels](
            name,
            DAY,
            Layout[int](int, [("open", "<f8"), ("close", "<f8")], version=3),
            to_columns=lambda s: DayColumns(s.revision, s.keys, {"open": s.opened, "close": s.closed}),
            from_columns=lambda _day, s: _Levels(s.header, s.keys, s.columns["open"], s.columns["close"]),
            keep=_KEPT,
        )
        self._removed: Table[str, RemovedDays] = Table(f"{name}_removed", TEXT, REMOVED_ROW)
        self.tables = TableSet(self._levels, self._removed)

    def observe(self, message: Message) -> date | None:
        """Store the levels of a day; return it, None if nothing changed. A day older than the kept ones is refused."""
        if (found := self._read(message)) is None:
            return None
        status, levels = found
        day = to_day(status.trade_date)
        stored = self._levels.get(day)
        if day not in self._calendar or (stored is not None and stored.revision >= levels.revision):
            return None
        if len(self._levels) >= _KEPT and day < min(self._levels):
            self.refused += self._set_removed(day, levels.revision)
            return None
        self._levels[day] = levels
        return status.trade_date

    @property
    def newest(self) -> int:
        """The newest day with levels; 0 if there is none."""
        return max(self._levels, default=0)

    def trim(self) -> list[int]:
        """Remove the levels that no correction needs any more; return their days."""
        revisions = {day: levels.revision for day, levels in self._levels.items()}
        removed = self._levels.trim()
        for day in removed:
            self._set_removed(day, revisions[day])
        return removed

    def _set_removed(self, day: int, revision: int) -> bool:
        """Set the revision of a removed day; return False if it is no news."""
        days = self._removed.setdefault(self._levels.name, RemovedDays())
        self._removed.touch(self._levels.name)
        return days.add(day, revision, self._calendar)

    def excess(self, day: int, horizon: int) -> Excess | None:
        """Return the excess returns of all that have both prices; None where a day is unknown."""
        entry, end = self._calendar.shift(day, 1), self._calendar.shift(day, horizon)
        if entry is None or end is None or entry not in self._levels or end not in self._levels:
            return None
        first, last = self._levels[entry], self._levels[end]
        growth = reindex_sorted(first.keys, last.keys, last.closed) / first.opened - 1
        known = ~np.isnan(growth)
        returns = growth[known]
        return Excess(first.keys[known], returns - returns.mean() if len(returns) else returns)
