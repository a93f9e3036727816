"""Prices of one partition's securities: returns that know ex-right days, gaps and suspensions.

A security's *adjusted level* is a chain of its returns: ``level_t = level_{t−1} × close_t / prev_close_t``, where the
exchange's ``prev_close`` is already ex-right adjusted. Where no ``prev_close`` is given, the last known close is used
in its place. A day without a price (suspended, or no row) has no return and no level of its own; the chain goes on
from the last one. The chain begins at 1 with a security's first price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.column_table import ColumnTable, DayColumns, Layout
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar
from processors.events import Floats
from processors.needs import PRICES, Need, session_before
from processors.pack import Array
from processors.parameters import Parameters
from processors.registry import frame_columns
from processors.table import DAY, TableSet


@dataclass(slots=True)
class DayLevels:
    """One closed day; arrays by column of the store. ``level`` and ``close`` are the last known ones."""

    level: Floats
    close: Floats
    fresh: npt.NDArray[np.bool_]  # which have a price of this very day
    total: Floats  # Σ of the levels of all days with a price, for means over a window
    count: Floats

    def widened(self, width: int) -> DayLevels:
        """The same for columns that were added since: nothing is known of them."""
        more = width - len(self.level)
        if not more:
            return self
        nothing, zero = np.full(more, np.nan), np.zeros(more)
        return DayLevels(
            np.concatenate([self.level, nothing]),
            np.concatenate([self.close, nothing]),
            np.concatenate([self.fresh, zero.astype(bool)]),
            np.concatenate([self.total, zero]),
            np.concatenate([self.count, zero]),
        )


_COLUMNS = [("level", "<f8"), ("close", "<f8"), ("fresh", "|b1"), ("total", "<f8"), ("count", "<f8")]
_NO_LEVELS = DayLevels(np.empty(0), np.empty(0), np.empty(0, dtype=bool), np.empty(0), np.empty(0))


class PriceLevels:
    """The rows of ``prices.daily`` and the levels of the last year."""

    def __init__(self, parameters: Parameters, calendar: TradingCalendar) -> None:
        self.parameters = parameters
        self._calendar = calendar
        # Any marker closes a day: feeds bring the prices they have, not those of a whole exchange.
        self.store = DailyStore(PRICES, (), late_days=parameters.late_days, history_days=2)
        self._needs = frame_columns(PRICES, parameters)
        #: How far back a level is asked for: a year, or the longest mean.
        self._history = max(need.reach(parameters) for need in self._needs.values())
        self.days = ColumnTable[int, DayLevels](
            "levels",
            DAY,
            Layout[None](None, _COLUMNS),
            to_columns=self._to_columns,
            from_columns=self._from_columns,
            keep=parameters.late_days + self._history,
        )
        self.tables = TableSet(self.store.tables, self.days)

    def update(self, applied: ApplyResult) -> list[int]:
        """Derive every day that was closed or changed, and all behind it; return them."""
        touched = {*applied.closed, *applied.changed}
        if not touched:
            return []
        days = list(self.store.closed_days(min(touched)))
        for day in days:
            self._derive(day)
        self.days.trim()
        return days

    def _derive(self, day: int) -> None:
        width = self.store.width
        earlier = self.store.newest_closed(before=day)
        before = (_NO_LEVELS if earlier is None else self.days[earlier]).widened(width)
        close, previous = self.store.figure(day, "close"), self.store.figure(day, "prev_close")
        fresh = self.store.present(day) & ~(self.store.figure(day, "suspended") == 1.0) & ~np.isnan(close)
        growth = close / np.where(np.isnan(previous), before.close, previous)
        chained = np.where(np.isnan(before.level), 1.0, before.level * growth)
        level = np.where(fresh, chained, before.level)
        self.days[day] = DayLevels(
            level,
            np.where(fresh, close, before.close),
            fresh,
            before.total + np.where(fresh, level, 0.0),
            before.count + fresh,
        )

    def features(self, day: int, columns: npt.NDArray[np.intp]) -> dict[str, Array]:
        """What the registered signals need of the securities of a closed day, NaN where absent.

        ``level`` is that of a price of the very day, an earlier one the last known then; ``return_1`` is a fraction.
        """
        return {name: self._figure(day, need)[columns] for name, need in self._needs.items()}

    def _figure(self, day: int, need: Need) -> Floats:
        if need.figure == "return_1":
            return self._return(day)
        if need.mean:
            return self._mean_level(day, need)
        earlier = session_before(day, need.back, self.parameters, self._calendar)
        found = self._levels_on(earlier)
        return found.level if earlier != day else np.where(found.fresh, found.level, np.nan)

    def _return(self, day: int) -> Floats:
        """Return of the day: over ``prev_close``, or over the close of the session before."""
        today, yesterday = self.days[day], self._back(day, 1)
        previous = self.store.figure(day, "prev_close")
        close = np.where(today.fresh, today.close, np.nan)
        held = np.where(yesterday.fresh, yesterday.close, np.nan)
        return np.asarray(close / np.where(np.isnan(previous), held, previous) - 1)

    def _mean_level(self, day: int, need: Need) -> Floats:
        """Mean of the levels of a security's days with a price; NaN where too few are known, or the window is not."""
        today, days = self.days[day], need.window(self.parameters)
        if self._calendar.shift(day, -days) not in self.days:
            return np.full(self.store.width, np.nan)
        before = self._back(day, days)
        known = today.count - before.count
        enough = known >= need.required(self.parameters)
        return np.asarray((today.total - before.total) / np.where(enough, known, np.nan))

    def _back(self, day: int, sessions: int) -> DayLevels:
        return self._levels_on(self._calendar.shift(day, -sessions))

    def _levels_on(self, day: int | None) -> DayLevels:
        found = None if day is None else self.days.get(day)
        return (found or _NO_LEVELS).widened(self.store.width)

    # -- state -----------------------------------------------------------------------------------------------

    def _to_columns(self, levels: DayLevels) -> DayColumns[None]:
        columns = self.store.key_index.by_key
        columns = columns[columns < len(levels.level)]
        columns = columns[~np.isnan(levels.level[columns])]
        found: dict[str, Array] = {name: getattr(levels, name)[columns] for name, _ in _COLUMNS}
        return DayColumns(None, self.store.keys[columns], found)

    def _from_columns(self, _day: int, stored: DayColumns[None]) -> DayLevels:
        columns = self.store.key_index.get_or_add(stored.keys)
        levels = _NO_LEVELS.widened(self.store.width)
        for name, _ in _COLUMNS:
            getattr(levels, name)[columns] = stored.columns[name]
        return levels
