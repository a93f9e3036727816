"""breadth_200 and ytd_distribution 市场宽度: how many securities take part in a move, told by their prices alone."""

from __future__ import annotations

import numpy as np

from processors.codes import is_fund
from processors.market_view import MarketView
from processors.pricing import PRICES
from processors.signal import Absent, Level, Reading, Signal, Value

_EDGES = (-0.30, -0.10, 0.10, 0.30, 0.50, 1.00)
BINS = ("< −30%", "−30…−10%", "−10…10%", "10…30%", "30…50%", "50…100%", "> 100%")

SIGNALS = (
    Signal(
        "breadth_200",
        Level.MARKET,
        "Share of stocks above their own 200-day mean",
        "站上200日均线个股占比",
        "ratio",
        (PRICES,),
        "stocks whose adjusted level is above its mean of the last 200 trading days / stocks with a price and at least 160 of them",
        "[GF25], least days ours",
        window_days=200,
        parameters=("breadth_days", "breadth_least"),
    ),
    Signal(
        "ytd_distribution",
        Level.MARKET,
        "Median return of the stocks since the year began; shares of seven classes in the details",
        "年初至今涨跌幅分布",
        "ratio",
        (PRICES,),
        "share of stocks by adjusted return since the last session of the year before: < −30, −30…−10, −10…10, 10…30, 30…50, 50…100, > 100%",
        "[GF25]",
        window_days=2,
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return breadth and distribution; details carry how many stocks were counted."""
    stocks = ~is_fund(view.prices.keys)
    above, gains = (view.prices.columns[name][stocks] for name in ("above_200", "ytd"))
    above, gains = above[~np.isnan(above)], gains[~np.isnan(gains)]
    p = view.parameters
    return {
        "breadth_200": Reading(float(above.mean()), {"stocks": len(above)})
        if len(above)
        else Absent(f"{PRICES}: no stock has {p.breadth_least} prices in {p.breadth_days} trading days"),
        "ytd_distribution": Reading(float(np.median(gains)), _shares(gains))
        if len(gains)
        else Absent(f"{PRICES}: no stock has a price of the year before"),
    }


def _shares(gains: np.ndarray) -> dict[str, Value]:
    # A chain of returns has rounding: a gain of just 30% belongs to the class that begins there.
    counts = np.bincount(np.searchsorted(_EDGES, gains.round(12), side="right"), minlength=len(BINS))
    return {"stocks": len(gains)} | dict(zip(BINS, (counts / len(gains)).tolist(), strict=True))
