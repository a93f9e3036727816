"""factor: long-short portfolios by excess score within three pools, with costs and a five-factor regression [ZT21]."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import statsmodels.api as sm

from processors.arrays import Floats
from processors.days import to_date
from processors.studies.events import prices_in_hand
from processors.studies.measure import RATIO_INTERVAL, block_interval, falls, performance, ratio_interval
from processors.studies.panel import FACTORS, Panel
from processors.studies.portfolios import TAILS, Holding, Portfolio, Trading, Weeks, filled_levels
from processors.studies.result import Bars, Cell, Chart, Finding, Kind, Line, Mode, Result, Table, Unit
from processors.studies.samples import SAMPLES

TITLE = "Excess score 超额得分因子: weekly long-short portfolios"
SOURCE = "[ZT21]"
_WEEKS, _DAYS = 52, 244
#: Pool → column of its members, and the published annual return, Sharpe, maximum drawdown, cumulative return of the
#: 10% tails.
POOLS: dict[str, tuple[str | None, tuple[float, float, float, float]]] = {
    "all stocks": (None, (0.2006, 2.29, 0.1073, 1.6858)),
    "CSI 300": ("csi300", (0.1847, 1.65, 0.1288, 1.4488)),
    "CSI 500": ("csi500", (0.1802, 1.63, 0.1100, 1.3959)),
}
_FIGURES = (
    ("annual return", Unit.RATIO, Kind.EFFECT),
    ("Sharpe", Unit.NUMBER, Kind.EFFECT),
    ("maximum drawdown", Unit.RATIO, Kind.LOSS),
    ("cumulative return", Unit.RATIO, Kind.EFFECT),
)
#: Weeks of the source's sample; the cumulative return of a history that is shorter or longer by more says nothing.
_PUBLISHED_WEEKS = (SAMPLES[SOURCE][1] - SAMPLES[SOURCE][0]).days / 7
_AS_LONG = 0.1
#: Lowest and highest R² of the published five-factor regressions.
_R2 = (0.036, 0.196)
_COSTS = (0.001, 0.003)
_FREE = "as the source: close of the day, no costs"
_COLUMNS = ("pool", "portfolio", "weeks", "stocks", "annual", "cumulative", "σ", "Sharpe", "Sharpe (daily)", "drawdown", "replaced a week")  # fmt: skip
_UNITS = dict.fromkeys(("annual", "cumulative", "σ", "drawdown", "replaced a week"), Unit.RATIO)
_VARIANT_COLUMNS = ("variant", "annual", "Sharpe", "drawdown", "cumulative", "weeks")


@dataclass(frozen=True, slots=True)
class _Measured:
    """Performance of a holding: returns by week, the drawdown by day."""

    annual: float
    sharpe: float | None
    drawdown: float
    cumulative: float
    volatility: float | None
    sharpe_daily: float | None
    weeks: int

    def figures(self) -> tuple[float, float | None, float, float]:
        """Return the figures in the order of the published ones."""
        return self.annual, self.sharpe, self.drawdown, self.cumulative


def run(panel: Panel, mode: Mode) -> Result:
    """Return weekly portfolios, long the highest scores and short the lowest, held from week's end to week's end."""
    filled = filled_levels(panel)
    trading = Trading(mode, cost=panel.cost)
    weeks = Weeks(panel, trading, filled)
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    lines: list[Line] = []
    drawdowns: list[Line] = []
    bars: list[Bars] = []
    spreads: dict[tuple[str, float], Floats] = {}
    for pool, (member, published) in POOLS.items():
        portfolios, quintiles, count = weeks.portfolios(member)
        main = portfolios[TAILS[0]]
        if not np.isfinite(main.spread.weekly).any():
            findings += _absent(pool, member, published)
            continue
        typical = float(np.median(count[count > 0]))
        for tail, portfolio in portfolios.items():
            spreads[pool, tail] = portfolio.spread.weekly
            rows.append((pool, f"tails {tail:.0%}", *_row(measure(portfolio.spread), typical, portfolio.turnover)))
        legs = {"long 10%": main.long, "short 10%": main.short}
        legs |= {f"quintile {i}": quintile for i, quintile in enumerate(quintiles, 1)}
        rows += [(pool, name, *_row(measure(leg), typical, None)) for name, leg in legs.items()]
        if member is None:
            bars = [Bars(f"Q{i}", measure(quintile).annual) for i, quintile in enumerate(quintiles, 1)]
        findings += _beside(pool, published, main)
        held = np.flatnonzero(~np.isnan(main.spread.daily))
        daily = main.spread.daily[held]
        lines.append(panel.cumulative(pool, held, daily))
        drawdowns.append(Line(pool, lines[-1].days, falls(daily).tolist()))
    tables = [Table("portfolios", "Weekly portfolios", _COLUMNS, rows, _UNITS)]
    charts = [
        Chart("factor", "Cumulative return of the 10% tails, by day", Unit.RATIO, lines=lines),
        Chart("drawdown", "Drawdown of the 10% tails, by day", Unit.RATIO, lines=drawdowns),
        Chart("quintiles", "All stocks: annual return by quintile of the score", Unit.RATIO, bars=bars),
    ]
    remark = ""
    if lines:
        variants = _sensitivity(panel, filled)
        tables.append(variants)
        annual = {str(row[0]): float(row[1] or 0.0) for row in variants.rows}
        free, costly = annual[_FREE], annual[_costs(_COSTS[0])]
        remark = f"All stocks, 10% tails: costs of {_COSTS[0]:.1%} a trade lower the annual return from {free:.1%} to {costly:.1%}."
        shown = [(str(row[0]), float(row[1])) for row in variants.rows if isinstance(row[1], float)]
        charts.append(Chart("sensitivity", "All stocks, 10% tails: annual return by variant", Unit.RATIO,
                            bars=[Bars(name, value) for name, value in shown], upright=False))  # fmt: skip
    notes = [
        "long the 10% highest scores, short the 10% lowest, equal weights; ranks are inside each pool, of its members on the day",
        f"costs: {panel.cost:.2%} of each trade (--cost); the published figures have none; no limits on shorting",
        "a stock that is suspended at the exit is valued at its last price; drawdown by day, Sharpe by week without a risk-free rate",
        prices_in_hand(panel),
    ]
    if panel.factors is None:
        notes.append("no factor returns were given (--factors FILE, or ff5_daily in the folder): the five-factor regression is left out")  # fmt: skip
    findings += _regression_findings(regressions := _regressions(spreads, weeks, panel.factors))
    if regressions:
        tables.append(_regression_table(regressions))
    first, last = panel.period()
    return Result("factor", TITLE, SOURCE, mode, first, last, findings, tables, charts, notes, remark)


def measure(held: Holding) -> _Measured:
    """Return the performance of a holding of at least one week."""
    known = held.weekly[~np.isnan(held.weekly)]
    weekly = performance(known, _WEEKS)
    daily = performance(held.daily[~np.isnan(held.daily)], _DAYS)
    return _Measured(
        weekly.annual, weekly.sharpe, daily.drawdown, weekly.cumulative, weekly.volatility, daily.sharpe, len(known)
    )


def _row(m: _Measured, stocks: float, turnover: float | None) -> tuple[Cell, ...]:
    return m.weeks, stocks, m.annual, m.cumulative, m.volatility, m.sharpe, m.sharpe_daily, m.drawdown, turnover


def _absent(pool: str, member: str | None, published: tuple[float, ...]) -> list[Finding]:
    note = "no members of this index are known" if member else "no week with enough prices and balances"
    return [
        Finding(f"{pool}: {what}", None, unit, value, note=note, kind=kind)
        for (what, unit, kind), value in zip(_FIGURES, published, strict=True)
    ]


def _beside(pool: str, published: tuple[float, ...], main: Portfolio) -> list[Finding]:
    """Return the four figures of the 10% tails beside the published ones."""
    known = main.spread.weekly[~np.isnan(main.spread.weekly)]
    cases = len(known)
    low, high = block_interval(known, np.arange(cases), 4)
    out = [
        Finding(f"{pool}: {what}", ours, unit, value, cases=cases, kind=kind)
        for (what, unit, kind), value, ours in zip(_FIGURES, published, measure(main.spread).figures(), strict=True)
    ]
    yearly = (None, None) if low is None or high is None else (low * _WEEKS, high * _WEEKS)
    out[0] = replace(out[0], low=yearly[0], high=yearly[1], interval="block bootstrap of the weekly mean × 52")
    low, high = ratio_interval(out[1].ours, cases, _WEEKS)
    out[1] = replace(out[1], low=low, high=high, interval=RATIO_INTERVAL)
    if cases < _WEEKS:
        out[2] = replace(out[2], kind=Kind.NONE, note="a fall of less than a year says nothing about one of years")
    if abs(cases / _PUBLISHED_WEEKS - 1) > _AS_LONG:
        out[-1] = replace(
            out[-1], kind=Kind.NONE, note=f"published of {_PUBLISHED_WEEKS / _WEEKS:.1f} years, ours of {cases} weeks"
        )
    return out


def _sensitivity(panel: Panel, filled: Floats) -> Table:
    """Return the 10% tails of all stocks under each assumption, one changed at a time, and under all of them."""
    source, later = Trading(Mode.AS_SOURCE), Trading(Mode.POINT_IN_TIME)
    strict = replace(later, at_open=True, cost=_COSTS[0], st=False, new=False, limits=True)
    variants = [
        (_FREE, source),
        ("close of the next session", later),
        ("open of the next session", replace(later, at_open=True)),
        *((_costs(cost), replace(source, cost=cost)) for cost in _COSTS),
        ("without ST stocks", replace(source, st=False)),
        ("without listings of the last 60 sessions", replace(source, new=False)),
        ("stocks at their price limit can't be traded", replace(source, limits=True)),
        ("stocks suspended at the exit are left out (nobody knows them)", replace(source, known_exit=True)),
        (f"all that a desk meets: next open, {_COSTS[0]:.1%} costs, no ST, no new listings, price limits", strict),
    ]
    annual, sharpe, drawdown, cumulative = POOLS["all stocks"][1]
    rows: list[tuple[Cell, ...]] = [("published", annual, sharpe, drawdown, cumulative, None)]
    for name, trading in variants:
        found = Weeks(panel, trading, filled).portfolios(None, TAILS[:1])[0][TAILS[0]].spread
        weeks = int((~np.isnan(found.weekly)).sum())
        rows.append((name, *(measure(found).figures() if weeks else (None,) * 4), weeks))
    units = dict.fromkeys(("annual", "drawdown", "cumulative"), Unit.RATIO)
    return Table("sensitivity", "All stocks, 10% tails: what the assumptions change", _VARIANT_COLUMNS, rows, units)


def _costs(cost: float) -> str:
    return f"costs of {cost:.1%} a trade"


def _regressions(
    spreads: dict[tuple[str, float], Floats], weeks: Weeks, factors: pd.DataFrame | None
) -> dict[tuple[str, float], Any]:
    """Regress each weekly spread on the five factors, compounded over each week held, with HAC errors of 4 lags."""
    if factors is None:
        return {}
    days = factors.index.to_numpy("datetime64[D]")
    dates = np.array([to_date(day) for day in weeks.panel.days.tolist()], dtype="datetime64[D]")
    last = len(dates) - 1
    bounds = [dates[np.minimum(weeks.entry[at], last)] for at in (weeks.starts, weeks.stops)]
    side: Literal["left", "right"] = "left" if weeks.at_open else "right"
    first, end = (np.searchsorted(days, bound, side=side) for bound in bounds)
    growth = np.vstack([np.ones(len(FACTORS)), np.cumprod(1 + factors.to_numpy(dtype=np.float64), axis=0)])
    compounded = np.where((end > first)[:, None], growth[end] / growth[first] - 1, np.nan)
    out = {}
    for key, series in spreads.items():
        known = ~np.isnan(series) & ~np.isnan(compounded).any(axis=1)
        if known.sum() > 2 * len(FACTORS):
            model: Any = sm.OLS(series[known], sm.add_constant(compounded[known]))
            out[key] = model.fit(cov_type="HAC", cov_kwds={"maxlags": 4})
    return out


def _regression_table(fits: dict[tuple[str, float], Any]) -> Table:
    columns = ("pool", "tails", "weeks", "alpha a week", "t (HAC)", *FACTORS, "R²")
    rows: list[tuple[Cell, ...]] = [
        (pool, f"{tail:.0%}", int(fit.nobs), float(fit.params[0]), float(fit.tvalues[0]),
         *(float(v) for v in fit.params[1:]), float(fit.rsquared))
        for (pool, tail), fit in fits.items()
    ]  # fmt: skip
    return Table("five_factors", "Five-factor regression of every pool and tail", columns, rows, {"alpha a week": Unit.RATIO, "R²": Unit.RATIO})  # fmt: skip


def _regression_findings(fits: dict[tuple[str, float], Any]) -> list[Finding]:
    """Return lowest and highest R² of pools and tails beside the published ones, and the alpha of all stocks."""
    squares = [float(fit.rsquared) for fit in fits.values()]
    note = "" if squares else "no factor returns"
    out = [
        Finding(f"five-factor R², {name} of pools and tails", value, Unit.RATIO, published, note=note, kind=Kind.LEVEL)
        for name, value, published in (
            ("lowest", min(squares, default=None), _R2[0]),
            ("highest", max(squares, default=None), _R2[1]),
        )
    ]
    if ("all stocks", TAILS[0]) in fits:
        fit = fits["all stocks", TAILS[0]]
        low, high = (float(x) * _WEEKS for x in fit.conf_int()[0])
        alpha = float(fit.params[0]) * _WEEKS
        out.append(Finding("all stocks: alpha a year over five factors", alpha, low=low, high=high,
                           interval="HAC, 4 lags", cases=int(fit.nobs)))  # fmt: skip
    return out
