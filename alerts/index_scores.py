"""The index after every day: opens and closes, and which days fulfil an expectation.

The entry of day T is the open of T+1, the first tradable price after the figures of T are known. A path is unknown as
long as its entry or one of its closes is.
"""

from __future__ import annotations

from datetime import date

import msgspec
import numpy as np

from alerts.rules.base import Expectation
from processors.arrays import Floats, Indexer
from processors.days import TradingCalendar, to_day
from processors.outputs import MarketSignal
from processors.table import DAY, Table, TableSet, ValueCodec

_INDEX = "index_close/000001.SH"
#: Longest horizon of an expectation about the index, trading days.
LONGEST = 60
_NAN = float("nan")


class _Prices(msgspec.Struct, array_like=True):
    """The newest open and close of the index on a day, points; NaN where absent."""

    revision: int
    open: float
    close: float


class IndexScores:
    """Opens and closes of the SSE Composite, and which days fulfil an expectation, by position in the calendar."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._rows: Table[int, _Prices] = Table("close", DAY, ValueCodec(_Prices, version=2))
        size = len(calendar) + LONGEST + 1  # a path that leaves the calendar is unknown
        self._open, self._close = np.full(size, np.nan), np.full(size, np.nan)
        self._hits: dict[str, Floats] = {}  # by record: 1 or 0 by position, NaN where unknown
        self.newest = 0  # the newest day; 0 if there is none
        self._stale: dict[str, tuple[int, int]] = {}  # by record: positions whose hits have to be computed again
        self.tables = TableSet(self._rows, on_load=self._loaded)

    def observe(self, message: MarketSignal) -> date | None:
        """Store the prices of a day; return it, None if nothing changed."""
        if message.name != _INDEX or message.provisional:
            return None
        day = to_day(message.trade_date)
        stored = self._rows.get(day)
        if day not in self._calendar or (stored is not None and stored.revision >= message.revision):
            return None
        prices = _Prices(message.revision, _number(message.details.get("open")), _number(message.value))
        self._rows[day] = prices
        self._set(day, prices)
        return message.trade_date

    def entry(self, at: int) -> float:
        """Return the open of the session after a position, points; NaN where absent."""
        return float(self._open[at + 1])

    def paths(self, at: Indexer, days: int) -> Floats:
        """Return the returns from the entry of each position to the closes of its next ``days`` sessions (n, days)."""
        closes = np.lib.stride_tricks.sliding_window_view(self._close, days)[at + 1]
        return np.asarray(closes / self._open[at + 1, None] - 1)

    def hits(self, record: str, expectation: Expectation) -> Floats:
        """Return which positions fulfil an expectation: 1, 0, or NaN where the path is unknown."""
        if record not in self._hits:
            self._hits[record] = np.full(len(self._calendar), np.nan)
            known = [self._calendar.position(day) for day in self._rows]
            self._stale[record] = (max(0, min(known) - LONGEST), max(known) + 1) if known else (0, 0)
        first, last = self._stale.pop(record, (0, 0))
        if first < last:
            paths = self.paths(np.arange(first, last), expectation.horizon_days)
            known_paths = ~np.isnan(paths).any(axis=1)
            self._hits[record][first:last] = np.where(known_paths, expectation.hit(paths), np.nan)
        return self._hits[record]

    def _set(self, day: int, prices: _Prices) -> None:
        at = self._calendar.position(day)
        self.newest = max(self.newest, day)
        self._open[at], self._close[at] = prices.open, prices.close
        for record in self._hits:
            first, last = self._stale.get(record, (at, at))
            self._stale[record] = min(first, max(0, at - LONGEST)), max(last, at)

    def _loaded(self) -> None:
        for day, prices in self._rows.items():
            self._set(day, prices)


def _number(value: object) -> float:
    """Return a positive price; NaN for anything else."""
    return float(value) if isinstance(value, (int, float)) and value > 0 else _NAN
