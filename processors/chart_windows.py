"""The last 20 sessions of the securities of one partition as charts, from their adjusted prices.

Open, high and low are adjusted like the close of their session: ``open × level / close``. Volume is adjusted the other
way round, so that a split changes no bar: ``volume × close / level``. The mean of a session is that of the adjusted
closes of the 20 sessions up to it; it requires as many prices as a chart.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.charts import LEAST_PRICES, SESSIONS, Bars, enough, heights, to_words
from processors.days import TradingCalendar
from processors.events import Floats
from processors.pack import Array
from processors.price_levels import PriceLevels


def bars(prices: PriceLevels, calendar: TradingCalendar, day: int, columns: npt.NDArray[np.intp]) -> Bars:
    """Return the bars of the 20 sessions up to a day, of some columns of the store (n,)."""
    sessions = [calendar.shift(day, -back) for back in range(SESSIONS - 1, -1, -1)]
    levels = [prices.levels_on(session) for session in sessions]
    fresh, level, close = (
        np.array([getattr(of_day, name)[columns] for of_day in levels]) for name in ("fresh", "level", "close")
    )
    opens, highs, lows, volumes = (
        np.array([_figure(prices, session, name, columns) for session in sessions])
        for name in ("open", "high", "low", "volume")
    )
    means = np.array([_mean(prices, calendar, session, columns) for session in sessions])
    level = np.where(fresh, level, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = level / close
        adjusted = (np.where(price > 0, price * factor, np.nan) for price in (opens, highs, lows))
        return Bars(*(line.T for line in (*adjusted, level, means, volumes / factor)))


def _figure(prices: PriceLevels, session: int | None, name: str, columns: npt.NDArray[np.intp]) -> Floats:
    return np.full(len(columns), np.nan) if session is None else prices.store.figure(session, name)[columns]


def _mean(prices: PriceLevels, calendar: TradingCalendar, session: int | None, columns: npt.NDArray[np.intp]) -> Floats:
    """Return the mean of the adjusted closes of the 20 sessions up to one (n,); NaN where too few are known."""
    start = None if session is None else calendar.shift(session, -SESSIONS)
    if session is None or start is None:
        return np.full(len(columns), np.nan)
    # Sums go on from the newest day with prices; a history that begins later has none.
    before = start if start in prices.days else max((day for day in prices.days if day <= start), default=None)
    today, earlier = prices.levels_on(session), prices.levels_on(before)
    known = today.count[columns] - earlier.count[columns]
    total = today.total[columns] - earlier.total[columns]
    return np.asarray(total / np.where(known >= LEAST_PRICES, known, np.nan))


def features(
    prices: PriceLevels, calendar: TradingCalendar, day: int, columns: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], dict[str, Array]]:
    """Return the columns of the store that have a chart on a day (m,), and its heights as columns of a feature frame.

    Parameters
    ----------
    columns : (n,) the columns of the store that have a row on the day.
    """
    found = bars(prices, calendar, day, columns)
    usable = enough(found)
    return columns[usable], to_words(heights(found)[usable])
