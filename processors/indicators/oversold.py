"""oversold 超卖: how far down an index is, beside a reference date (the low of 2018 by default); no verdict."""

from __future__ import annotations

from datetime import date

import numpy as np

from processors.codes import to_id
from processors.days import to_day
from processors.events import Floats
from processors.market_view import INDICES, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal, Value
from processors.statistics import distance, drawdown, percentile_of, rsi

_RSI_DAYS = 14

SIGNALS = (
    Signal(
        "oversold",
        Level.MARKET,
        "Drawdown from the 250-day high, with RSI, distance to the mean and PE percentile",
        "指数超卖（回撤、RSI、乖离、PE分位）",
        "ratio",
        (INDICES,),
        "per index: close / max close of 250 days − 1; details: RSI(14), close / 250-day mean − 1, percentile of the PE over "
        "1250 days, and the same on the reference date (2018-12-28)",
        "[GF25]",
        window_days=250,
        subjects=True,
        parameters=("timing_indices", "oversold_days", "oversold_reference", "percentile_days", "percentile_least"),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return one reading per index."""
    return {f"oversold/{code}": _index(view, code) for code in view.parameters.timing_indices}


def _index(view: MarketView, code: str) -> Reading | Absent:
    p, index = view.parameters, to_id(code)
    try:
        closes = view.full_window(INDICES, index, "close", p.oversold_days)
    except Missing as missing:
        return missing.absent()
    details: dict[str, Value] = dict(_figures(closes))
    rank = percentile_of(view.window(INDICES, index, "pe_ttm", p.percentile_days), p.percentile_least)
    if rank is not None:
        details["pe_percentile"] = rank
    reference = to_day(date.fromisoformat(p.oversold_reference))
    if reference < view.day:  # what was known then is known now
        then = view.at_date(INDICES, index, "close", reference, p.oversold_days)
        if len(then) == p.oversold_days and not np.isnan(then).any():
            details |= {f"reference_{name}": value for name, value in _figures(then).items()}
            details["reference_drawdown"] = drawdown(then)
    return Reading(drawdown(closes), details)


def _figures(closes: Floats) -> dict[str, float]:
    return {"rsi_14": float(rsi(closes, _RSI_DAYS)), "mean_distance": distance(closes)}
