"""Weekly portfolios of stocks by a cross-sectional score: which stocks are held, and what they earned by day.

The score of a pool is ranked inside the pool. Stocks are bought at the entry of one week's end and sold at that of the
next, in equal weights. A stock without a price at the entry can't be bought; one that is suspended at the exit is
valued at its last price.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from processors.arrays import Floats, Ids
from processors.indicators.excess_score import scores
from processors.kinds import is_stock
from processors.studies.panel import Panel, Trait
from processors.studies.result import Mode

TAILS = (0.1, 0.2, 0.3, 0.5)
QUINTILES = 5
#: A pool with fewer stocks forms no portfolio that week (ours).
MIN_STOCKS = 20
#: A listing is new for so many sessions (ours).
NEW_SESSIONS = 60


@dataclass(frozen=True, slots=True)
class Trading:
    """How portfolios are traded.

    Parameters
    ----------
    mode : entry at the close of the week's end, or at the first open or close after the figures were published.
    at_open : whether the point-in-time entry is at the open.
    cost : of each trade, a fraction of its value.
    st, new : whether stocks under special treatment, and listings of the last `NEW_SESSIONS` sessions, are held.
    limits : whether stocks at their upper limit can't be bought, and those at their lower limit can't be sold short.
    known_exit : whether stocks that are suspended at the exit are left out, which nobody knows at the entry.
    """

    mode: Mode
    at_open: bool = False
    cost: float = 0.0
    st: bool = True
    new: bool = True
    limits: bool = False
    known_exit: bool = False


@dataclass(frozen=True, slots=True)
class Holding:
    """Returns of what is held from week to week, fractions.

    Parameters
    ----------
    weekly : (weeks,) NaN for a week without a portfolio.
    daily : (days,) on every day of the panel, NaN on days without a portfolio.
    """

    weekly: Floats
    daily: Floats


@dataclass(frozen=True, slots=True)
class Portfolio:
    """The long and the short leg, and the long leg less the short one after costs.

    Parameters
    ----------
    turnover : mean share of a leg that is replaced each week.
    """

    long: Holding
    short: Holding
    spread: Holding
    turnover: float


class Weeks:
    """The weeks of a panel as one kind of trading sees them."""

    def __init__(self, panel: Panel, trading: Trading, filled: Floats | None = None) -> None:
        self.panel, self.trading = panel, trading
        ends = panel.week_ends()
        self.entry = panel.entry(trading.mode, at_open=trading.at_open)
        self.starts, self.stops = ends[:-1], ends[1:]
        self.at_open = trading.at_open and trading.mode is Mode.POINT_IN_TIME
        #: Levels with the last known one on days without a price.
        self.filled = filled_levels(panel) if filled is None else filled
        #: The first day with a price; a stock that has one on the first day of the panel is not new.
        self._first = (~np.isnan(panel.levels)).argmax(axis=0)
        at = panel.securities.at
        self._bounds = np.searchsorted(at, np.stack([self.starts, self.starts + 1])).T.tolist()

    def __len__(self) -> int:
        return len(self.starts)

    def cross_section(self, week: int, member: str | None) -> Ids:
        """Return the columns of `Panel.levels` of the stocks that can be traded, by ascending score (n,).

        Parameters
        ----------
        member : column of `SecurityRows` that flags the members of the pool, None for all stocks.
        """
        panel, trading = self.panel, self.trading
        buy, sell = self.span(week)
        nobody: Ids = np.empty(0, dtype=np.intp)
        if max(buy, sell) >= len(panel.days) or not len(panel.level_keys):
            return nobody
        rows = slice(*self._bounds[week])
        table = panel.securities
        keys, gain, growth = (
            table.keys[rows],
            *(table.columns[name][rows].astype(np.float64) for name in ("gain", "growth")),
        )
        used = is_stock(keys) & ~np.isnan(gain) & ~np.isnan(growth)
        if member is not None:
            used &= table.columns[member][rows] == 1
        score = scores(gain[used], growth[used], 0.1)["excess_score"]
        columns = np.searchsorted(panel.level_keys, keys[used])
        price = (panel.open_levels if self.at_open else panel.levels)[buy, columns]
        can = ~np.isnan(price) & ~np.isnan(score)
        if trading.known_exit:
            can &= ~np.isnan((panel.open_levels if self.at_open else panel.levels)[sell, columns])
        if not trading.st:
            can &= (panel.traits[self.starts[week], columns] & Trait.ST) == 0
        if not trading.new:
            first = self._first[columns]
            can &= (first == 0) | (self.starts[week] - first >= NEW_SESSIONS)
        return np.asarray(columns[can][np.argsort(score[can], kind="stable")])

    def span(self, week: int) -> tuple[int, int]:
        """Return the positions of the days of a week's entry and exit."""
        return int(self.entry[self.starts[week]]), int(self.entry[self.stops[week]])

    def buyable(self, week: int, columns: Ids, *, short: bool) -> Ids:
        """Return the columns that the limits allow to buy, or to sell short."""
        if not self.trading.limits:
            return columns
        high, low = (Trait.UP_AT_OPEN, Trait.DOWN_AT_OPEN) if self.at_open else (Trait.UP_AT_CLOSE, Trait.DOWN_AT_CLOSE)
        traits = self.panel.traits[self.span(week)[0], columns]
        return np.asarray(columns[(traits & (low if short else high)) == 0])

    def path(self, week: int, columns: Ids) -> Floats:
        """Return the mean growth of equal weights since the entry, at the end of each day held and at the exit (n,)."""
        buy, sell = self.span(week)
        if not self.at_open:
            return np.asarray((self.filled[buy + 1 : sell + 1, columns] / self.filled[buy, columns]).mean(axis=1))
        opened = self.panel.open_levels
        last = np.where(np.isnan(opened[sell, columns]), self.filled[sell - 1, columns], opened[sell, columns])
        held = np.vstack([self.filled[buy:sell, columns], last])
        return np.asarray((held / opened[buy, columns]).mean(axis=1))

    def portfolios(
        self, member: str | None, tails: tuple[float, ...] = TAILS
    ) -> tuple[dict[float, Portfolio], list[Holding], Floats]:
        """Return the long-short portfolio of each tail, the quintiles and the number of stocks (weeks,)."""
        count = np.zeros(len(self))
        quintiles = [_Held(self) for _ in range(QUINTILES)]
        builders = {tail: _Builder(self) for tail in tails}
        for week in range(len(self)):
            ordered = self.cross_section(week, member)
            if len(ordered) < MIN_STOCKS:
                continue
            count[week] = len(ordered)
            for tail, builder in builders.items():
                size = max(1, int(tail * len(ordered) + 1e-9))
                builder.add(
                    week,
                    self.buyable(week, ordered[-size:], short=False),
                    self.buyable(week, ordered[:size], short=True),
                )
            for quintile, part in zip(quintiles, np.array_split(ordered, QUINTILES), strict=True):
                quintile.add(week, self.path(week, part))
        found = {tail: builder.finish() for tail, builder in builders.items()}
        return found, [quintile.finish() for quintile in quintiles], count


class _Held:
    """Adds up the returns of one holding, week by week."""

    def __init__(self, weeks: Weeks) -> None:
        self._weeks = weeks
        self._weekly, self._growth = np.full(len(weeks), np.nan), np.full(len(weeks.panel.days), np.nan)

    def add(self, week: int, value: Floats) -> None:
        """Add a week by the value at the end of each day held, 1 before the entry."""
        self._weekly[week] = value[-1] - 1
        buy, sell = self._weeks.span(week)
        first = buy if self._weeks.at_open else buy + 1
        before = np.nan_to_num(self._growth[first : sell + 1], nan=1.0)  # the day of the exit is that of the next entry
        self._growth[first : sell + 1] = before * value / np.concatenate([[1.0], value[:-1]])

    def finish(self) -> Holding:
        return Holding(self._weekly, self._growth - 1)


class _Builder:
    """Adds up one long-short portfolio, week by week."""

    def __init__(self, weeks: Weeks) -> None:
        self._weeks = weeks
        self._long, self._short, self._spread = (_Held(weeks) for _ in range(3))
        self._before: tuple[Ids, Ids] | None = None
        self._replaced: list[float] = []

    def add(self, week: int, long: Ids, short: Ids) -> None:
        """Hold both legs over a week; the cost of the trades at the entry lowers its first return."""
        if not len(long) or not len(short):
            return
        weeks = self._weeks
        bought, sold = weeks.path(week, long), weeks.path(week, short)
        traded = 2.0  # the first purchase of both legs
        if self._before is not None:
            replaced = [
                1 - len(np.intersect1d(a, b)) / len(b) for a, b in zip(self._before, (long, short), strict=True)
            ]
            self._replaced.append(float(np.mean(replaced)))
            traded = 2 * sum(replaced)  # what is replaced is sold, and something else is bought
        self._before = long, short
        self._long.add(week, bought)
        self._short.add(week, sold)
        self._spread.add(week, 1 + bought - sold - weeks.trading.cost * traded)

    def finish(self) -> Portfolio:
        replaced = float(np.mean(self._replaced)) if self._replaced else 0.0
        return Portfolio(self._long.finish(), self._short.finish(), self._spread.finish(), replaced)


def filled_levels(panel: Panel) -> Floats:
    """Return the levels (days, securities) with the last known one on days without a price."""
    return np.asarray(pd.DataFrame(panel.levels).ffill().to_numpy(dtype=np.float64))
