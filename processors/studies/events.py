"""Forward excess returns of groups of securities, shared by the studies of streaks, extremes and divergence."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats, Mask
from processors.days import to_date
from processors.kinds import is_stock
from processors.studies.measure import Interval, block_interval, episodes, mean
from processors.studies.panel import Panel
from processors.studies.result import Cell, Finding, Kind, Mode, Unit

COLUMNS = ("cases", "days apart", "mean", "low", "high", "median", "win rate")
UNITS = dict.fromkeys(("mean", "low", "high", "median", "win rate"), Unit.RATIO)


def prices_in_hand(panel: Panel) -> str:
    """Return which share of the stocks of the margin list has a price, by year, as a note on method."""
    rows = panel.securities
    stock = is_stock(rows.keys) & panel.in_period[rows.at]
    keys, at = rows.keys[stock], rows.at[stock]
    column = np.searchsorted(panel.level_keys, keys)
    known = np.append(panel.level_keys, -1)[column] == keys
    priced = np.zeros(len(keys), dtype=bool)
    priced[known] = ~np.isnan(panel.levels[at[known], column[known]])
    years = np.array([to_date(day).year for day in panel.days.tolist()])[at]
    shares = ", ".join(f"{year} {priced[years == year].mean():.0%}" for year in np.unique(years).tolist())
    return (
        f"share of the margin list's stocks with a price, by year: {shares or 'none'}. Cases without both prices are left out; "
        "where a price is known because of what became of a stock later, the rest are survivors"
    )


class Forward:
    """Forward excess returns of every stock and day of the period, in one mode."""

    def __init__(self, panel: Panel, mode: Mode) -> None:
        self._panel = panel
        self._entry = panel.entry(mode, at_open=False)
        self._stock = is_stock(panel.securities.keys) & panel.in_period[panel.securities.at]
        self._returns: dict[int, Floats] = {}

    def of(self, chosen: Mask, horizon: int) -> Group:
        """Return the group of the chosen rows of stocks with a forward return.

        Parameters
        ----------
        chosen : (n,) rows of `SecurityRows`.
        horizon : trading days of the return.
        """
        if horizon not in self._returns:
            self._returns[horizon] = self._panel.security_forward(self._entry, horizon)
        returns = self._returns[horizon]
        used = chosen & self._stock & ~np.isnan(returns)
        return Group(returns[used], self._panel.securities.at[used].astype(np.int_), horizon)


class Group:
    """Returns of cases, with their days.

    Parameters
    ----------
    returns : (n,) excess returns, fractions.
    days : (n,) positions in `Panel.days`.
    horizon : trading days of the returns.
    """

    def __init__(self, returns: Floats, days: npt.NDArray[np.int_], horizon: int) -> None:
        self.returns, self.days, self.horizon = returns, days, horizon
        self.low, self.high = block_interval(returns, days, horizon)

    @property
    def mean(self) -> float | None:
        """Mean excess return."""
        return mean(self.returns)

    @property
    def wins(self) -> float | None:
        """Share of positive excess returns."""
        return float((self.returns > 0).mean()) if len(self.returns) else None

    @property
    def episodes(self) -> int:
        """Number of days whose horizons do not overlap."""
        return episodes(self.days, self.horizon)

    def mean_finding(
        self,
        what: str,
        published: float | None = None,
        note: str = "",
        kind: Kind = Kind.NONE,
        base: float | None = None,
    ) -> Finding:
        """Return the mean excess return beside the published one."""
        interval = (self.low, self.high)
        return self._finding(what, self.mean, published, interval, note, kind, base)

    def win_finding(
        self,
        what: str,
        published: float | None = None,
        note: str = "",
        kind: Kind = Kind.NONE,
        base: float | None = None,
    ) -> Finding:
        """Return the win rate beside the published one."""
        interval = block_interval((self.returns > 0).astype(np.float64), self.days, self.horizon)
        return self._finding(what, self.wins, published, interval, note, kind, base)

    def _finding(
        self, what: str, ours: float | None, published: float | None, interval: Interval, note: str, kind: Kind,
        base: float | None,
    ) -> Finding:  # fmt: skip
        how, cases = "block bootstrap", len(self.returns)
        note = note or ("" if cases else "no case in the period with both prices")
        return Finding(what, ours, Unit.RATIO, published, *interval, how, cases, self.episodes, note, kind, base)

    def row(self) -> tuple[Cell, ...]:
        """Return the cells of a table row, in the order of `COLUMNS`."""
        median = float(np.median(self.returns)) if len(self.returns) else None
        return (len(self.returns), self.episodes, self.mean, self.low, self.high, median, self.wins)
