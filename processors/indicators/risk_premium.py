"""risk_premium 股权风险溢价: what stocks earn beyond the ten-year government bond."""

from __future__ import annotations

import numpy as np

from processors.codes import to_id
from processors.events import KEYS
from processors.market_view import INDICES, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

RATES = "rates.daily"
CN10Y = KEYS["tenor"].index("CN10Y")

SIGNALS = (
    Signal(
        "risk_premium",
        Level.MARKET,
        "Equity risk premium",
        "股权风险溢价",
        "ratio",
        (INDICES, RATES),
        "1 / PE of the CSI All Share (or the index given) − 10-year yield; bands: trailing mean ± 2σ; above 4% is rare",
        "[GF25], window of the bands ours",
        parameters=("risk_premium_index", "risk_premium_days", "percentile_least"),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the premium; details carry its parts and, once a year is known, mean, σ and where it lies in the bands."""
    p = view.parameters
    index = to_id(p.risk_premium_index)
    try:
        pe, bond = view.value(INDICES, index, "pe_ttm"), view.value(RATES, CN10Y, "yield")
    except Missing as missing:
        return {"risk_premium": missing.absent()}
    if pe <= 0:
        return {"risk_premium": Absent(f"the PE of {p.risk_premium_index} is {pe:g}: no earnings yield")}
    premium = 1 / pe - bond
    details: dict[str, float] = {"pe_ttm": pe, "yield": bond}
    pes, yields = (
        view.window(topic, key, name, p.risk_premium_days)
        for topic, key, name in ((INDICES, index, "pe_ttm"), (RATES, CN10Y, "yield"))
    )
    history = 1 / np.where(pes > 0, pes, np.nan) - yields
    known = history[~np.isnan(history)]
    if len(known) >= p.percentile_least:
        mean, sigma = float(known.mean()), float(known.std(ddof=1))
        details |= {"mean": mean, "sigma": sigma, "upper": mean + 2 * sigma, "lower": mean - 2 * sigma}
    return {"risk_premium": Reading(premium, details)}
