"""factor: long-short portfolios by excess score, with tails, quintiles and a five-factor regression [ZT21]."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import statsmodels.api as sm

from processors.days import to_date
from processors.events import Floats
from processors.kinds import is_stock
from processors.studies.events import prices_in_hand
from processors.studies.measure import block_interval, performance
from processors.studies.panel import Panel
from processors.studies.result import Cell, Chart, Finding, Line, Mode, Result, Table, Unit

TITLE = "Excess score 超额得分因子: weekly long-short portfolios"
SOURCE = "[ZT21]"
_WEEKS = 52
TAILS = (0.1, 0.2, 0.3, 0.5)
#: Universe → published annual return, Sharpe, maximum drawdown of the 10% tails.
UNIVERSES = {"all stocks": (0.2006, 2.29, 0.1073), "CSI 300": (0.1847, 1.65, 0.1288), "CSI 500": (0.1802, 1.63, 0.1100)}
_COLUMNS = ("universe", "portfolio", "weeks", "stocks", "annual", "cumulative", "σ", "Sharpe", "drawdown")
_UNITS = dict.fromkeys(("annual", "cumulative", "σ", "drawdown"), Unit.RATIO)
_MIN_STOCKS = 20
FACTORS = ("MKT", "SMB", "HML", "RMW", "CMA")


def run(panel: Panel, mode: Mode, factors: pd.DataFrame | None = None) -> Result:
    """Return weekly portfolios, long the highest scores and short the lowest, held from week's end to week's end.

    Parameters
    ----------
    factors : weekly or daily returns of the five factors by date, as fractions; None if there are none.
    """
    weeks = _Weeks(panel, mode)
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    lines: list[Line] = []
    main: Floats = np.empty(0)
    for universe, published in UNIVERSES.items():
        member = {"CSI 300": "csi300", "CSI 500": "csi500"}.get(universe)
        chosen = weeks.portfolios(member)
        if not np.isfinite(chosen.spread[TAILS[0]]).any():
            for what, value in zip(("annual return", "Sharpe", "maximum drawdown"), published, strict=True):
                unit = Unit.NUMBER if what == "Sharpe" else Unit.RATIO
                findings.append(
                    Finding(f"{universe}: {what}", None, unit, value, note="no members of this index are known")
                )
            continue
        for name, series in (
            *((f"tails {tail:.0%}", chosen.spread[tail]) for tail in TAILS),
            *((f"quintile {i + 1}", chosen.quintiles[:, i]) for i in range(5)),
        ):
            known = series[~np.isnan(series)]
            p = performance(known, _WEEKS)
            rows.append((universe, name, len(known), float(np.median(chosen.count[chosen.count > 0])), p.annual, p.cumulative, p.volatility, p.sharpe, p.drawdown))  # fmt: skip
        series = chosen.spread[TAILS[0]]
        known = ~np.isnan(series)
        p = performance(series[known], _WEEKS)
        low, high = block_interval(series[known], np.arange(known.sum()), 4)
        annual = [None if x is None else x * _WEEKS for x in (low, high)]
        findings += [
            Finding(f"{universe}: annual return", p.annual, Unit.RATIO, published[0], annual[0], annual[1], "block bootstrap of the weekly mean × 52", int(known.sum())),
            Finding(f"{universe}: Sharpe", p.sharpe, Unit.NUMBER, published[1], cases=int(known.sum())),
            Finding(f"{universe}: maximum drawdown", p.drawdown, Unit.RATIO, published[2], cases=int(known.sum())),
        ]  # fmt: skip
        lines.append(panel.cumulative(universe, weeks.stops[known], series[known]))
        main = series if universe == "all stocks" else main
    tables = [Table("portfolios", "Weekly portfolios", _COLUMNS, rows, _UNITS)]
    notes = [
        "long the 10% highest scores, short the 10% lowest, equal weights, no costs, no limits on shorting",
        "published figures are of 2016–2021-03 with the prices of all stocks",
        prices_in_hand(panel),
    ]
    if factors is None:
        notes.append("no factor returns were given (--factors FILE): the five-factor regression is left out")
    elif len(main):
        tables.append(_regression(main, weeks, factors))
    first, last = panel.period()
    return Result(
        "factor", TITLE, SOURCE, mode, first, last, findings, tables,
        [Chart("factor", "Cumulative return of the 10% tails", Unit.RATIO, lines=lines)], notes,
    )  # fmt: skip


class _Portfolios:
    def __init__(self, weeks: int) -> None:
        self.spread = {tail: np.full(weeks, np.nan) for tail in TAILS}
        self.quintiles = np.full((weeks, 5), np.nan)
        self.count = np.zeros(weeks)


class _Weeks:
    """Scores at every week's end, and returns until the next week's end."""

    def __init__(self, panel: Panel, mode: Mode) -> None:
        self.panel = panel
        ends = panel.week_ends()
        entry = panel.entry(mode, at_open=False)
        self.starts, self.stops = ends[:-1], ends[1:]
        self.buy, self.sell = entry[self.starts], entry[self.stops]
        self.days = panel.days[ends]
        rows = panel.securities
        self._bounds = np.searchsorted(rows.at, np.stack([self.starts, self.starts + 1]))

    def portfolios(self, member: str | None) -> _Portfolios:
        """Return weekly returns of the tails and quintiles of a universe.

        Parameters
        ----------
        member : column of `SecurityRows` that flags the members, None for all stocks.
        """
        out = _Portfolios(len(self.starts))
        for week, (first, last) in enumerate(self._bounds.T.tolist()):
            score, gain = self._cross_section(week, slice(first, last), member)
            if len(score) < _MIN_STOCKS:
                continue
            ordered = gain[np.argsort(score, kind="stable")]
            out.count[week] = len(ordered)
            for tail in TAILS:
                size = max(1, int(tail * len(ordered) + 1e-9))
                out.spread[tail][week] = ordered[-size:].mean() - ordered[:size].mean()
            out.quintiles[week] = [part.mean() for part in np.array_split(ordered, 5)]
        return out

    def _cross_section(self, week: int, rows: slice, member: str | None) -> tuple[Floats, Floats]:
        panel, buy, sell = self.panel, self.buy[week], self.sell[week]
        empty = np.empty(0)
        if max(buy, sell) >= len(panel.days) or not len(panel.level_keys):
            return empty, empty
        keys, score = panel.securities.keys[rows], panel.securities.columns["excess_score"][rows].astype(np.float64)
        used = ~np.isnan(score) & is_stock(keys)
        if member is not None:
            used &= panel.securities.columns[member][rows] == 1
        column = np.minimum(np.searchsorted(panel.level_keys, keys), len(panel.level_keys) - 1)
        used &= panel.level_keys[column] == keys
        gain = panel.levels[sell, column] / panel.levels[buy, column] - 1
        used &= ~np.isnan(gain)
        return score[used], gain[used]


def _regression(series: Floats, weeks: _Weeks, factors: pd.DataFrame) -> Table:
    """Regress the weekly spread on the five factors, compounded over each week, with HAC errors of 4 lags."""
    days = np.array([to_date(day) for day in weeks.days.tolist()], dtype="datetime64[D]")
    weeks_of_days = pd.cut(factors.index.to_series(), bins=list(days.astype("datetime64[ns]")), labels=False).to_numpy()
    compounded = (1 + factors).groupby(weeks_of_days).prod() - 1
    compounded = compounded.reindex(range(len(series)))
    known: npt.NDArray[np.bool_] = ~np.isnan(series) & compounded.notna().all(axis=1).to_numpy()
    model: Any = sm.OLS(series[known], sm.add_constant(compounded[known].to_numpy()))
    fit = model.fit(cov_type="HAC", cov_kwds={"maxlags": 4})
    rows: list[tuple[Cell, ...]] = [
        (name, float(value), float(t), float(p))
        for name, value, t, p in zip(
            ("alpha (weekly)", *factors.columns), fit.params, fit.tvalues, fit.pvalues, strict=True
        )
    ]
    rows.append(("R²", float(fit.rsquared), None, None))
    return Table("five_factors", f"Five-factor regression of the 10% tails, {int(known.sum())} weeks", ("factor", "loading", "t (HAC)", "p"), rows)  # fmt: skip
