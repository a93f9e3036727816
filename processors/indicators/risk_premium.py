"""risk_premium 股权风险溢价: earnings yield of stocks less the ten-year government bond yield."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.needs import index, rate
from processors.signal import Column, Level, Signal
from processors.statistics import deviations, means

PE, YIELD = index("pe_ttm", each="risk_premium_index"), rate("CN10Y")
PES = index("pe_ttm", each="risk_premium_index", days="risk_premium_days", optional=True)
YIELDS = rate("CN10Y", days="risk_premium_days", optional=True)

SIGNALS = (
    Signal(
        "risk_premium",
        Level.MARKET,
        "Equity risk premium",
        "股权风险溢价",
        "ratio",
        (PE, YIELD, PES, YIELDS),
        "1 / PE of the CSI All Share (or the index given) − 10-year yield; bands: trailing mean ± 2σ; above 4% is rare",
        "[GF25], window of the bands ours",
        parameters=("percentile_least",),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the premium; the details contain its parts, and the bands once ``percentile_least`` days are known."""
    p = block.parameters
    pe, bond = block[PE], block[YIELD]
    premium = 1 / np.where(pe > 0, pe, np.nan) - bond
    pes = block[PES]
    history = 1 / np.where(pes > 0, pes, np.nan) - block[YIELDS]
    enough = (~np.isnan(history)).sum(axis=1) >= p.percentile_least
    mean, sigma = (np.where(enough, values, np.nan) for values in (means(history), deviations(history)))
    details = {"pe_ttm": pe, "yield": bond, "mean": mean, "sigma": sigma}
    details |= {"upper": mean + 2 * sigma, "lower": mean - 2 * sigma}
    return {
        "risk_premium": Column(premium, details, f"the PE of {p.risk_premium_index} is not positive: no earnings yield")
    }
