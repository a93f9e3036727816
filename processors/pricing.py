"""Prices of one partition's securities: returns that know ex-right days, gaps and suspensions.

A security's *adjusted level* is a chain of its returns: ``level_t = level_{t−1} × close_t / prev_close_t``, where the
exchange's ``prev_close`` is already ex-right adjusted. Where no ``prev_close`` is given, the last known close is used
in its place. A day without a price (suspended, or no row) has no return and no level of its own; the chain goes on
from the last one. The chain begins at 1 with a security's first price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from processors.column_table import ColumnTable, DayColumns, Layout
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar, to_date, to_day
from processors.events import Floats
from processors.pack import Array
from processors.parameters import Parameters
from processors.table import DAY, TableSet

PRICES = "prices.daily"
_YEAR_DAYS = 251


@dataclass(slots=True)
class Levels:
    """One closed day; arrays by column of the store. ``level`` and ``close`` are the last known ones."""

    level: Floats
    close: Floats
    fresh: npt.NDArray[np.bool_]  # which have a price of this very day
    total: Floats  # Σ of the levels of all days with a price, for means over a window
    count: Floats

    def widened(self, width: int) -> Levels:
        """The same for columns that were added since: nothing is known of them."""
        more = width - len(self.level)
        if not more:
            return self
        nothing, zero = np.full(more, np.nan), np.zeros(more)
        return Levels(
            np.concatenate([self.level, nothing]),
            np.concatenate([self.close, nothing]),
            np.concatenate([self.fresh, zero.astype(bool)]),
            np.concatenate([self.total, zero]),
            np.concatenate([self.count, zero]),
        )


_COLUMNS = [("level", "<f8"), ("close", "<f8"), ("fresh", "|b1"), ("total", "<f8"), ("count", "<f8")]
_BEGINNING = Levels(np.empty(0), np.empty(0), np.empty(0, dtype=bool), np.empty(0), np.empty(0))


class Pricing:
    """The rows of ``prices.daily`` and the levels of the last year."""

    def __init__(self, parameters: Parameters, calendar: TradingCalendar) -> None:
        self.parameters = parameters
        self._calendar = calendar
        # Any marker closes a day: feeds bring the prices they have, not those of a whole exchange.
        self.book = DailyStore(PRICES, (), late_days=parameters.late_days, history_days=2)
        self.days = ColumnTable[int, Levels](
            "levels",
            DAY,
            Layout[None](None, _COLUMNS),
            to_columns=self._to_columns,
            from_columns=self._from_columns,
            keep=parameters.late_days + _YEAR_DAYS,
        )
        self.tables = TableSet(self.book.tables, self.days)

    def closed(self, applied: ApplyResult) -> list[int]:
        """Derive every day that was closed or changed, and all behind it; return them."""
        touched = {*applied.closed, *applied.changed}
        if not touched:
            return []
        days = list(self.book.closed_days(min(touched)))
        for day in days:
            self._derive(day)
        self.days.trim()
        return days

    def _derive(self, day: int) -> None:
        width = self.book.width
        earlier = self.book.newest_closed(before=day)
        before = (_BEGINNING if earlier is None else self.days[earlier]).widened(width)
        close, previous = self.book.figure(day, "close"), self.book.figure(day, "prev_close")
        fresh = self.book.present(day) & ~(self.book.figure(day, "suspended") == 1.0) & ~np.isnan(close)
        growth = close / np.where(np.isnan(previous), before.close, previous)
        chained = np.where(np.isnan(before.level), 1.0, before.level * growth)
        level = np.where(fresh, chained, before.level)
        self.days[day] = Levels(
            level,
            np.where(fresh, close, before.close),
            fresh,
            before.total + np.where(fresh, level, 0.0),
            before.count + fresh,
        )

    def features(self, day: int, columns: npt.NDArray[np.intp]) -> dict[str, Array]:
        """What the market stage needs of a closed day, NaN where absent.

        ``level``; ``return_1`` and ``return_15`` (fractions); ``above_200`` (1 above the own 200-day mean, 0 not);
        ``ytd`` (return since the last session of the year before).
        """
        p, today = self.parameters, self.days[day]
        level = np.where(today.fresh, today.level, np.nan)
        previous, yesterday = self.book.figure(day, "prev_close"), self._back(day, 1)
        close = np.where(today.fresh, today.close, np.nan)
        held = np.where(yesterday.fresh, yesterday.close, np.nan)
        year = self._at(self._calendar.before(to_day(date(to_date(day).year, 1, 1))))
        before = self._back(day, p.breadth_days)
        known = today.count - before.count
        mean = (today.total - before.total) / np.where(known >= p.breadth_least, known, np.nan)
        whole = self._calendar.shift(day, -p.breadth_days) in self.days
        out = {
            "level": level,
            "return_1": close / np.where(np.isnan(previous), held, previous) - 1,
            "return_15": level / self._back(day, p.score_days).level - 1,
            "above_200": np.where(np.isnan(level) | np.isnan(mean) | (not whole), np.nan, level > mean),
            "ytd": level / year.level - 1,
        }
        return {name: values[columns] for name, values in out.items()}

    def _back(self, day: int, sessions: int) -> Levels:
        return self._at(self._calendar.shift(day, -sessions))

    def _at(self, day: int | None) -> Levels:
        found = None if day is None else self.days.get(day)
        return (found or _BEGINNING).widened(self.book.width)

    # -- state -----------------------------------------------------------------------------------------------

    def _to_columns(self, levels: Levels) -> DayColumns[None]:
        columns = self.book.places.by_key
        columns = columns[columns < len(levels.level)]
        columns = columns[~np.isnan(levels.level[columns])]
        found: dict[str, Array] = {name: getattr(levels, name)[columns] for name, _ in _COLUMNS}
        return DayColumns(None, self.book.keys[columns], found)

    def _from_columns(self, _day: int, stored: DayColumns[None]) -> Levels:
        columns = self.book.places.of(stored.keys)
        levels = _BEGINNING.widened(self.book.width)
        for name, _ in _COLUMNS:
            getattr(levels, name)[columns] = stored.columns[name]
        return levels
