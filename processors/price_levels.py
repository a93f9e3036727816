"""Adjusted price levels and returns of the securities of one partition.

The *adjusted level* of a security chains its returns: ``level_t = level_{t−1} × close_t / prev_close_t``. The
exchange's ``prev_close`` is already ex-right adjusted; the last known close replaces a missing one. A day without a
price (suspended, or no row) has neither return nor level, and the chain continues from the last level. A chain starts
at 1 with the first price of the security.

**Days that never arrived.** A day that lacks the rows of an exchange may have a move of its own, which is no part of
``close_t / prev_close_t``: the chain continues from the last known close, so the level has the move over those days.

**Corporate actions.** Without ``prev_close``, a move beyond the board's daily limit can only be a corporate action: the
return is absent, and the level goes on unchanged. Over days that never arrived the limit compounds; beyond it, their
move is left out. The first days of a listing have no limit on some boards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.arrays import Array, Floats, Indexer, Mask
from processors.charts import SESSIONS
from processors.codes import EXCHANGES, exchange_of
from processors.column_table import ColumnTable, DayColumns, Layout
from processors.completeness import CheckedStore
from processors.daily_store import ApplyResult
from processors.days import TradingCalendar
from processors.key_index import widened
from processors.kinds import LIMIT_TOLERANCE, SMALLEST_LIMIT, UNLIMITED_DAYS, daily_limits, unlimited_listings
from processors.needs import PRICES, Need, session_before
from processors.parameters import Parameters
from processors.registry import frame_columns
from processors.table import DAY, TableSet


@dataclass(slots=True)
class DayLevels:
    """Levels after one closed day; arrays (n,) by column of the store."""

    level: Floats  # last known level, NaN before the first price
    close: Floats  # last known close, CNY
    fresh: Mask  # whether the day itself has a price
    action: Mask  # whether the move since the last price is a corporate action
    age: npt.NDArray[np.int16]  # days with a price since the listing, `_LONG_AGO` where the topic begins later
    unknown: npt.NDArray[np.int16]  # sessions since the last price that lack the rows of the exchange
    total: Floats  # Σ of the levels of all days with a price, for means over a window
    count: npt.NDArray[np.int32]  # number of those days

    def widened(self, width: int) -> DayLevels:
        """Return the levels over ``width`` columns; columns added since then have no price."""
        if len(self.level) == width:
            return self
        return DayLevels(**{name: widened(getattr(self, name), width, fill) for name, fill in _FILL.items()})


#: The values of a security before its first price.
_FILL = {"level": np.nan, "close": np.nan, "fresh": False, "action": False, "age": 0, "unknown": 0, "total": 0.0,
         "count": 0}  # fmt: skip
_COLUMNS = [
    ("level", "<f8"), ("close", "<f8"), ("fresh", "|b1"), ("action", "|b1"), ("age", "<i2"), ("unknown", "<i2"),
    ("total", "<f8"), ("count", "<i4"),
]  # fmt: skip
_NO_LEVELS = DayLevels(**{name: np.empty(0, dtype=kind) for name, kind in _COLUMNS})
_LONG_AGO = 10_000  # with the days of a century to come, it is within an age's 16 bits


class PriceLevels:
    """The store of ``prices.daily``, and the levels as far back as the registered signals need them."""

    def __init__(self, parameters: Parameters, calendar: TradingCalendar) -> None:
        self.parameters = parameters
        self._calendar = calendar
        # Any punctuation closes a day: a feed sends the prices that it has, not those of a whole exchange.
        self.store = CheckedStore(PRICES, late_days=parameters.late_days, history_days=SESSIONS)
        self._needs = frame_columns(PRICES, parameters)
        #: Trading days of levels that a need reads: a year, or the longest mean.
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
        """Recompute the levels from the earliest closed or changed day on; return the recomputed days."""
        days = self.store.closed_since(applied)
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
        unknown = before.unknown + (0 if earlier is None else len(self._calendar.between(earlier, day)) - 2)
        published = ~np.isnan(previous)
        growth = close / np.where(published, previous, before.close)
        over_gap = fresh & published & (unknown > 0)
        # The move that may be a corporate action: without ``prev_close`` the growth, else the one over unknown days.
        move, sessions = growth, 1 + unknown
        if over_gap.any():
            move = np.where(over_gap, previous / before.close, growth)
            sessions = np.where(over_gap, unknown, sessions)
        action = (over_gap | (fresh & ~published)) & (np.abs(move - 1) > SMALLEST_LIMIT)
        if len(asked := np.flatnonzero(action)):
            action[asked] = self._beyond_limit(day, asked, move[asked], before.age[asked], sessions[asked])
        growth[action & ~published] = 1.0
        if over_gap.any():
            growth = np.where(over_gap & ~action, close / before.close, growth)
        level = np.where(fresh, np.where(np.isnan(before.level), 1.0, before.level * growth), before.level)
        self.days[day] = DayLevels(
            level,
            np.where(fresh, close, before.close),
            fresh,
            action,
            np.where(fresh, before.age + 1 if earlier is not None else _LONG_AGO, before.age).astype(np.int16),
            np.where(fresh, 0, unknown + self._never_arrived(day)).astype(np.int16),
            before.total + np.where(fresh, level, 0.0),
            before.count + fresh,
        )

    def _never_arrived(self, day: int) -> Mask:
        """Return the securities without a row on a closed day that lacks rows of their exchange (width,)."""
        lacking = [EXCHANGES.index(exchange) for exchange in self.store.missing(day)]
        return ~self.store.present(day) & np.isin(exchange_of(self.store.keys), lacking)

    def _beyond_limit(
        self,
        day: int,
        columns: Indexer,
        move: Floats,
        age: npt.NDArray[np.int16],
        sessions: npt.NDArray[np.int16],
    ) -> Mask:
        """Return which prices moved further than their boards allow in a number of sessions (n,).

        Parameters
        ----------
        columns : (n,) columns of the store.
        move : (n,) price over the last close.
        age : (n,) days with a price before the day.
        """
        keys = self.store.keys[columns]
        limits = daily_limits(keys, day, self.store.figure(day, "st")[columns] == 1.0)
        free = unlimited_listings(keys, day) & (age < UNLIMITED_DAYS)
        highest, lowest = (1 + limits) ** sessions, np.maximum(1 - limits, 0) ** sessions
        tolerance = LIMIT_TOLERANCE + 1e-9
        return np.asarray(~free & ((move > highest + tolerance) | (move < lowest - tolerance)))

    def features(self, day: int, columns: Indexer) -> dict[str, Array]:
        """Return the columns of a closed day's feature frame: name → (m,), NaN where absent.

        ``level`` requires a price of the day itself. A level of an earlier day is the last known level on that day.

        Parameters
        ----------
        columns : (m,) columns of the store.
        """
        return {name: self._figure(day, need)[columns] for name, need in self._needs.items()}

    def _figure(self, day: int, need: Need) -> Floats:
        if need.figure == "return_1":
            return self._return(day)
        if need.figure == "open_to_close":
            return self._open_to_close(day)
        if need.figure == "corporate_action":
            return np.where(self.days[day].fresh, self.days[day].action, np.nan)
        if need.mean:
            return self.mean_over(day, need.window(self.parameters), need.required(self.parameters))
        earlier = session_before(day, need.back, self.parameters, self._calendar)
        level = self.line(earlier, "level")
        return level if earlier != day else np.where(self.line(day, "fresh"), level, np.nan)

    def _return(self, day: int) -> Floats:
        """Return the day's return, a fraction: over ``prev_close``, or over the close of the previous session.

        NaN on the day of a corporate action without ``prev_close``.
        """
        today, yesterday = self.days[day], self._calendar.shift(day, -1)
        previous = self.store.figure(day, "prev_close")
        close = np.where(today.fresh & ~(today.action & np.isnan(previous)), today.close, np.nan)
        last = np.where(self.line(yesterday, "fresh"), self.line(yesterday, "close"), np.nan)
        return np.asarray(close / np.where(np.isnan(previous), last, previous) - 1)

    def _open_to_close(self, day: int) -> Floats:
        """Return the return from the day's open to its close, a fraction; NaN without a positive open."""
        today, opened = self.days[day], self.store.figure(day, "open")
        return np.asarray(np.where(today.fresh, today.close, np.nan) / np.where(opened > 0, opened, np.nan) - 1)

    def mean_over(self, day: int, days: int, least: int) -> Floats:
        """Return the mean level over the days of a window with a price (width,); NaN where too few are known."""
        start = self._calendar.shift(day, -days)
        if start is None:
            return np.full(self.store.width, np.nan)
        # Sums go on from the newest day with prices; a history that begins later has none.
        before = start if start in self.days else max((one for one in self.days if one <= start), default=None)
        total, count = (self.line(day, name) - self.line(before, name) for name in ("total", "count"))
        return np.asarray(total / np.where(count >= least, count, np.nan))

    def line(self, day: int | None, name: str) -> Array:
        """Return one of the `DayLevels` after a day by column of the store; a day that is unknown has no prices."""
        found = None if day is None else self.days.get(day)
        return widened(getattr(found or _NO_LEVELS, name), self.store.width, _FILL[name])

    # -- state -----------------------------------------------------------------------------------------------

    def _to_columns(self, levels: DayLevels) -> DayColumns[None]:
        columns = self.store.key_index.where(~np.isnan(levels.level))
        found: dict[str, Array] = {name: getattr(levels, name)[columns] for name, _ in _COLUMNS}
        return DayColumns(None, self.store.keys[columns], found)

    def _from_columns(self, _day: int, stored: DayColumns[None]) -> DayLevels:
        columns = self.store.key_index.get_or_add(stored.keys)
        levels = _NO_LEVELS.widened(self.store.width)
        for name, _ in _COLUMNS:
            getattr(levels, name)[columns] = stored.columns[name]
        return levels
