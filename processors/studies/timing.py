"""timing: the low-lag trendline and GF's TD-style timing on the indices [GF25]."""

from __future__ import annotations

import numpy as np

from processors.events import Floats
from processors.studies.measure import hit_rate, performance
from processors.studies.panel import CSI300, SSE, Panel
from processors.studies.result import Cell, Chart, Finding, Line, Mode, Result, Table, Unit

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
)
_UNITS = dict.fromkeys(("annual", "cumulative", "σ", "drawdown", "trades won", "share of days in"), Unit.RATIO)
_INDICES = (SSE, CSI300, "000905.SH", "399006.SZ")


def run(panel: Panel, mode: Mode) -> Result:
    """Return the performance of LLT (long or out) and GFTD (long or short) against holding the index."""
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    lines: list[Line] = []
    wins = cases = 0
    for index in _INDICES:
        returns = _returns(panel, index, mode)
        if not np.isfinite(returns).any():
            continue
        hold = performance(returns, _YEAR)
        rows.append(
            (index, "hold", hold.annual, hold.cumulative, hold.volatility, hold.sharpe, hold.drawdown, None, None, 1.0)
        )
        for name, column in (("LLT", f"llt/{index}"), ("GFTD", f"gftd/{index}/position")):
            position = _positions(panel, column, mode)[panel.in_period]
            earned = np.nan_to_num(position) * np.nan_to_num(returns)
            p = performance(earned, _YEAR)
            trades = _trades(position, returns)
            won = int((trades > 0).sum())
            rows.append((index, name, p.annual, p.cumulative, p.volatility, p.sharpe, p.drawdown, len(trades),
                         won / len(trades) if len(trades) else None, float((np.nan_to_num(position) != 0).mean())))  # fmt: skip
            if name == "GFTD":
                wins, cases = wins + won, cases + len(trades)
            if index == CSI300:
                lines.append(panel.cumulative(name, np.flatnonzero(panel.in_period), earned))
        if index == CSI300:
            lines.append(panel.cumulative("hold", np.flatnonzero(panel.in_period), np.nan_to_num(returns)))
    note = f"{len(_INDICES)} indices that move together: fewer are independent"
    findings.append(hit_rate("GFTD: signals that earned until the next one", wins, cases, 0.8, note=note))
    for row in rows:
        if row[0] == CSI300:
            value = row[5]
            findings.append(
                Finding(f"{CSI300} {row[1]}: Sharpe", value if isinstance(value, float) else None, Unit.NUMBER)
            )
    first, last = panel.period()
    return Result(
        "timing", TITLE, SOURCE, mode, first, last, findings,
        [Table("strategies", "Strategies against holding", _COLUMNS, rows, _UNITS)],
        [Chart("timing", "Cumulative return on the CSI 300", Unit.RATIO, lines=lines)],
        [
            "no costs; short positions of GFTD earn the index's fall",
            "the published success rate of about 80% does not say when a signal counts as right: ours, if the index moved its way "
            "until the next signal",
        ],
    )  # fmt: skip


def _returns(panel: Panel, index: str, mode: Mode) -> Floats:
    """Return the returns of the period's days, close to close or open to the next open."""
    price = panel.closes[index] if mode is Mode.AS_SOURCE else panel.opens[index]
    returns = np.full(len(price), np.nan)
    if mode is Mode.AS_SOURCE:
        returns[1:] = price[1:] / price[:-1] - 1
    else:
        returns[:-1] = price[1:] / price[:-1] - 1
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


def _trades(position: Floats, returns: Floats) -> Floats:
    """Return the return of every trade, a sequence of days with one position (n,); the last, open trade is left out."""
    known = np.nan_to_num(position)
    starts = np.flatnonzero(np.diff(known)) + 1
    trades = np.split(np.arange(len(known)), starts)
    return np.array(
        [float(np.prod(1 + known[t] * np.nan_to_num(returns[t])) - 1) for t in trades[:-1] if len(t) and known[t[0]]]
    )
