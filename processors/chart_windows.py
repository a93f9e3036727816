"""The last 20 sessions of the securities of one partition as charts, from their adjusted prices.

Open, high and low are adjusted like the close of their session: ``open × level / close``. Volume is adjusted the other
way round, so that a split changes no bar: ``volume × close / level``. The mean of a session is that of the adjusted
closes of the 20 sessions up to it; it requires as many prices as a chart.
"""

from __future__ import annotations

import numpy as np

from processors.arrays import Array, Floats, Indexer
from processors.charts import LEAST_PRICES, LINES, SESSIONS, Bars, enough, heights, to_words
from processors.days import TradingCalendar
from processors.price_levels import DayLevels, PriceLevels


class ChartWindows:
    """The bars of the sessions that charts show: a session is part of four charts, and its bars are computed once."""

    def __init__(self, prices: PriceLevels, calendar: TradingCalendar) -> None:
        self._prices = prices
        self._calendar = calendar
        # Session → its levels, which are another object after a change of the day or an earlier one, and its bars
        # (6, columns of the store at that time, and one more for securities that came later).
        self._bars: dict[int, tuple[DayLevels | None, Floats]] = {}

    def bars(self, day: int, columns: Indexer) -> Bars:
        """Return the bars of the 20 sessions up to a day, of some columns of the store (n,)."""
        sessions = [self._calendar.shift(day, -back) for back in range(SESSIONS - 1, -1, -1)]
        self._bars = {session: self._bars_of(session) for session in sessions if session is not None}
        out = np.full((LINES, SESSIONS, len(columns)), np.nan)
        for i, session in enumerate(sessions):
            if session is not None:
                out[:, i] = self._bars[session][1].take(columns, axis=1, mode="clip")
        return Bars(*(line.T for line in out))

    def features(self, day: int, columns: Indexer) -> tuple[Indexer, dict[str, Array]]:
        """Return the columns of the store that have a chart on a day (m,), and its heights as columns of a frame.

        Parameters
        ----------
        columns : (n,) the columns of the store that have a row on the day.
        """
        found = self.bars(day, columns)
        usable = enough(found)
        return columns[usable], to_words(heights(found)[usable])

    def _bars_of(self, session: int) -> tuple[DayLevels | None, Floats]:
        """Return the levels of a session, and its open, high, low, close, mean and volume by column (6, width + 1).

        The last column, which no security has, is NaN.
        """
        levels = self._prices.days.get(session)
        if session in self._bars and self._bars[session][0] is levels:
            return self._bars[session]
        fresh, last, close = (self._prices.line(session, name) for name in ("fresh", "level", "close"))
        level, store = np.where(fresh, last, np.nan), self._prices.store
        prices = np.array([store.figure(session, name) for name in ("open", "high", "low")])
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = level / close
            adjusted = np.where(prices > 0, prices * factor, np.nan)
            volumes = store.figure(session, "volume") / factor
        bars = np.full((LINES, store.width + 1), np.nan)
        bars[:, :-1] = [*adjusted, level, self._prices.mean_over(session, SESSIONS, LEAST_PRICES), volumes]
        return levels, bars
