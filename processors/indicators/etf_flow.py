"""etf_flow ETF资金流: money that went into funds, by style: change of shares × price."""

from __future__ import annotations

import numpy as np

from processors.events import FIGURES
from processors.market_view import MarketView
from processors.signal import Absent, Level, Reading, Signal

FUNDS = "etf.daily"
STYLES = next(c.words for c in FIGURES[FUNDS] if c.name == "style")

SIGNALS = (
    Signal(
        "etf_flow",
        Level.MARKET,
        "Net flow into funds of a style",
        "ETF净流入（按风格）",
        "CNY",
        (FUNDS,),
        "per style: Σ (shares_t − shares_{t−1}) × price_t over funds with both; details: shares and the sum of 20 days",
        "[GF25], window of the sum ours",
        window_days=2,
        subjects=True,
        parameters=("etf_flow_days",),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return one reading per style that any fund has had today."""
    today, before = view.book_day(FUNDS, 0), view.book_day(FUNDS, 1)
    if not len(today["key"]):
        return {}
    out: dict[str, Reading | Absent] = {}
    for number in np.unique(today["style"]).astype(int).tolist():
        name = f"etf_flow/{STYLES[number]}"
        of_style = today["style"] == number
        both, here, there = np.intersect1d(today["key"][of_style], before["key"], return_indices=True)
        if not len(both):
            out[name] = Absent(f"{FUNDS}: no fund of the style has shares of the day before")
            continue
        change = today["shares"][of_style][here] - before["shares"][there]
        price = today["price"][of_style][here]
        priced = ~np.isnan(price)
        if not priced.any():
            out[name] = Absent(f"{FUNDS}: none of the {len(both)} funds of the style has a price")
            continue
        flow = float((change[priced] * price[priced]).sum())
        past = [view.result(name, back) for back in range(1, view.parameters.etf_flow_days)]
        known = [float(v) for v in past if isinstance(v, float)]
        details = {"funds": int(priced.sum()), "without_price": int((~priced).sum()), "days": len(known) + 1}
        out[name] = Reading(flow, details | {"cumulative": flow + sum(known)})
    return out
