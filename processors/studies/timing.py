"""timing: the low-lag trendline and GF's TD-style timing on the indices [GF25]."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats, Mask
from processors.studies.measure import RATIO_INTERVAL, Performance, hit_rate, performance, ratio_interval
from processors.studies.panel import CSI300, INDICES, SSE, Panel
from processors.studies.result import Cell, Chart, Finding, Mode, Result, Table, Unit

TITLE = "Timing 择时: LLT and GFTD"
SOURCE = "[GF25]"
_YEAR = 244
_COLUMNS = (
    "index",
    "strategy",
    "annual",
    "cumulative",
    "σ",
    "Sharpe",
    "drawdown",
    "trades",
    "trades won",
    "share of days in",
    "days",
)
_UNITS = dict.fromkeys(("annual", "cumulative", "σ", "drawdown", "trades won", "share of days in"), Unit.RATIO)
_INDICES = (SSE, CSI300, "000905.SH", "399006.SZ")
_STRATEGIES = ("LLT", "GFTD")
_GFTD = 0.8


def run(panel: Panel, mode: Mode) -> Result:
    """Return the performance of LLT (long or out) and GFTD (long or short) on each index, against holding it.

    The period is that of the indices' prices, which may begin before the margin figures.
    """
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    charts: list[Chart] = []
    won: dict[str, list[Mask]] = {name: [] for name in _STRATEGIES}
    spans: list[Mask] = []
    period, dates = np.flatnonzero(panel.in_period), panel.dates()
    known: set[str] = set()
    for index in _INDICES:
        returns = _returns(panel, index, mode)
        if not np.isfinite(returns).any():
            continue
        name, days = INDICES[index], int(np.isfinite(returns).sum())
        priced = np.flatnonzero(~np.isnan(returns))
        closed = np.flatnonzero(panel.in_period & ~np.isnan(panel.closes[index]))
        known |= {dates[at] for at in closed.tolist()}
        hold = performance(returns[priced], _YEAR)
        rows.append((name, "hold", *_figures(hold), None, None, 1.0, days))
        lines = [panel.cumulative("hold", period[priced], returns[priced])]
        for strategy, column in zip(_STRATEGIES, (f"llt/{index}", f"gftd/{index}/position"), strict=True):
            position = _positions(panel, column, mode)[panel.in_period]
            used = priced[~np.isnan(position[priced])]
            if not len(used):
                continue
            held, gains = position[used], returns[used]
            p = performance(held * gains, _YEAR)
            trades = _trades(held, gains, held)
            won[strategy].append(trades > 0)
            if strategy == "GFTD":
                spans.append(_trades(np.abs(held), gains, held) > 0)
            rate = float((trades > 0).mean()) if len(trades) else None
            rows.append((name, strategy, *_figures(p), len(trades), rate, float((held != 0).mean()), len(used)))
            findings.append(
                Finding(f"{name} {strategy}: Sharpe", p.sharpe, Unit.NUMBER, None,
                        *ratio_interval(p.sharpe, len(used), _YEAR), RATIO_INTERVAL, cases=len(used),
                        base=performance(gains, _YEAR).sharpe, note="base: holding the index on the same days")
            )  # fmt: skip
            lines.append(panel.cumulative(strategy, period[used], held * gains))
        charts.append(Chart(f"timing_{index[:6]}", f"Cumulative return on the {name}", Unit.RATIO, lines=lines))
    hits = np.concatenate([np.empty(0, dtype=bool), *won["GFTD"]])
    rises = np.concatenate([np.empty(0, dtype=bool), *spans])
    note = f"{len(charts)} indices that move together: fewer are independent; base: the same spans, always long"
    base = float(rises.mean()) if len(rises) else None
    what = "GFTD: signals that earned until the next one"
    findings.insert(0, hit_rate(what, int(hits.sum()), len(hits), _GFTD, note=note, base=base))
    return Result(
        "timing", TITLE, SOURCE, mode, min(known, default=""), max(known, default=""), findings,
        [Table("strategies", "Strategies against holding, by index", _COLUMNS, rows, _UNITS)],
        charts,
        [
            "no costs; short positions of GFTD earn the index's fall; days without a known position are left out, and a move over days "
            "without a price belongs to the position at its beginning",
            "the published success rate of about 80% does not say when a signal counts as right: ours, if the index moved its way "
            "until the next signal",
        ],
    )  # fmt: skip


def _figures(p: Performance) -> tuple[Cell, ...]:
    return p.annual, p.cumulative, p.volatility, p.sharpe, p.drawdown


def _returns(panel: Panel, index: str, mode: Mode) -> Floats:
    """Return the returns of the period's days, close to close or open to the next open.

    The move over days without a price belongs to the first of them: nobody can trade before the next price.
    """
    price = panel.closes[index] if mode is Mode.AS_SOURCE else panel.opens[index]
    returns, known = np.full(len(price), np.nan), np.flatnonzero(~np.isnan(price))
    returns[known[:-1] + (mode is Mode.AS_SOURCE)] = price[known[1:]] / price[known[:-1]] - 1
    return returns[panel.in_period]


def _positions(panel: Panel, column: str, mode: Mode) -> Floats:
    """Return the position on each day (days,), decided at the previous close and traded there or at the day's open."""
    decided = panel.column(column)
    known = panel.moments(15 * 60 + 30)  # when the day's index prices are published
    position = np.full(len(decided), np.nan)
    if mode is Mode.AS_SOURCE:
        position[1:] = decided[:-1]
        return position
    entry = panel.entry(mode, at_open=True, known=known)
    inside = entry < len(position)
    position[entry[inside]] = decided[inside]
    return position


def _trades(position: Floats, returns: Floats, spans: Floats) -> Floats:
    """Return the return of every trade, a sequence of days with one position (n,); the last, open trade is left out.

    Parameters
    ----------
    spans : (n,) the positions whose changes begin a trade.
    """
    starts = np.flatnonzero(np.diff(spans)) + 1
    trades = np.split(np.arange(len(position)), starts)
    return np.array([float(np.prod(1 + position[t] * returns[t]) - 1) for t in trades[:-1] if position[t[0]]])
