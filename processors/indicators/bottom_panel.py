"""bottom_panel 底部观察: what past bottoms had in common, side by side and never one verdict."""

from __future__ import annotations

import numpy as np

from processors.codes import to_id
from processors.events import Floats
from processors.market_view import INDICES, SSE_COMPOSITE, TOTALS, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal, Value
from processors.statistics import drawdown, percentile_of

_MONTH = 20

SIGNALS = (
    Signal(
        "bottom_panel",
        Level.MARKET,
        "How many of the panel's figures are known; the figures stand in the details",
        "底部观察面板",
        "count",
        (TOTALS, INDICES),
        "side by side: ratio and whether it is in the cold zone; each index's drawdown and its rank among the deepest falls "
        "of its own past bear markets (≥ 20%); month-average turnover rate and PE of the SSE Composite with percentiles",
        "[DG22], ranks ours",
        parameters=("timing_indices", "ratio_cold", "bear_market", "percentile_days", "percentile_least"),
    ),
)


def bear_markets(closes: Floats, depth: float) -> list[float]:
    """Return the deepest drawdown of every finished fall of at least ``depth`` (a new high ends it)."""
    out, high, worst = [], -np.inf, 0.0
    for close in closes[~np.isnan(closes)].tolist():
        if close >= high:
            if worst <= -depth:
                out.append(worst)
            high, worst = close, 0.0
        else:
            worst = min(worst, close / high - 1)
    return out


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the panel."""
    p = view.parameters
    details: dict[str, Value] = {}
    ratio = view.today("fin_buy_ratio_5d")
    if isinstance(ratio, float):
        details |= {"fin_buy_ratio_5d": ratio, "cold_zone": int(ratio <= p.ratio_cold)}
    for code in p.timing_indices:
        closes = view.window(INDICES, to_id(code), "close", p.percentile_days)
        if np.isnan(closes[-1]):
            continue
        now, past = drawdown(closes), bear_markets(closes, p.bear_market)
        details[f"{code} drawdown"] = now
        if past:
            details[f"{code} bear_markets"] = len(past)
            details[f"{code} deeper_than"] = sum(now <= fall for fall in past) / len(past)
    details |= _sse(view)
    if not details:
        return {"bottom_panel": Absent("none of the panel's figures is known")}
    return {"bottom_panel": Reading(len(details), details)}


def _sse(view: MarketView) -> dict[str, float]:
    p, out = view.parameters, {}
    rates = view.window(INDICES, SSE_COMPOSITE, "turnover_rate", p.percentile_days + _MONTH)
    if len(rates) > _MONTH and not np.isnan(rates[-_MONTH:]).any():
        sums = np.convolve(rates, np.full(_MONTH, 1 / _MONTH), mode="valid")
        out["turnover_rate_month"] = float(sums[-1])
        if (rank := percentile_of(sums, p.percentile_least)) is not None:
            out["turnover_rate_percentile"] = rank
    try:
        out["pe_ttm"] = view.value(INDICES, SSE_COMPOSITE, "pe_ttm")
    except Missing:
        return out
    rank = percentile_of(view.window(INDICES, SSE_COMPOSITE, "pe_ttm", p.percentile_days), p.percentile_least)
    return out if rank is None else out | {"pe_percentile": rank}
