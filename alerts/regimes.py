"""The market regime of every day, for records that count only the cases of one regime."""

from __future__ import annotations

from datetime import date

import msgspec
import numpy as np

from processors.arrays import Mask
from processors.days import TradingCalendar, to_day
from processors.indicators.regime import RALLY, RANGE, REGIME
from processors.outputs import MarketSignal
from processors.table import DAY, Table, TableSet, ValueCodec

_CODES = {RANGE: 1, RALLY: 2}  # 0 where the regime is absent


class _Regime(msgspec.Struct, array_like=True):
    """The newest regime of a day; empty where it is absent."""

    revision: int
    name: str


class Regimes:
    """Regimes as they were published, by position in the calendar."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._rows: Table[int, _Regime] = Table("regime", DAY, ValueCodec(_Regime))
        self._codes = np.zeros(len(calendar), dtype=np.int8)
        self._days: dict[str, Mask] = {}  # regime → its days, until a regime changes
        self.newest = 0  # the newest day; 0 if there is none
        self.tables = TableSet(self._rows, on_load=self._loaded)

    def observe(self, message: MarketSignal) -> date | None:
        """Store the regime of a day; return the day, None if nothing changed."""
        if message.signal != REGIME.id or message.provisional:
            return None
        day = to_day(message.trade_date)
        stored = self._rows.get(day)
        if day not in self._calendar or (stored is not None and stored.revision >= message.revision):
            return None
        self._rows[day] = _Regime(message.revision, "" if message.value is None else str(message.value))
        self._set(day, self._rows[day])
        return message.trade_date

    def days_of(self, regime: str) -> Mask:
        """Return which days of the calendar belong to a regime (days,), read-only; all of them if it is empty."""
        if regime not in self._days:
            days = np.asarray(self._codes == _CODES[regime]) if regime else np.ones(len(self._codes), dtype=bool)
            days.flags.writeable = False
            self._days[regime] = days
        return self._days[regime]

    def _set(self, day: int, stored: _Regime) -> None:
        self.newest = max(self.newest, day)
        self._codes[self._calendar.position(day)] = _CODES.get(stored.name, 0)
        self._days.clear()

    def _loaded(self) -> None:
        for day, stored in self._rows.items():
            self._set(day, stored)
