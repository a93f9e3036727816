"""etf_flow_5d ETF 5日净流入: net flow into all listed funds over a week of trading."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.indicators.etf_flow import ETF_FLOW_TOTAL
from processors.needs import result
from processors.signal import Column, Level, Signal
from processors.statistics import rolling_sums

_DAYS = 5
FLOWS = result(ETF_FLOW_TOTAL, days=_DAYS)

SIGNALS = (
    Signal(
        "etf_flow_5d",
        Level.MARKET,
        "Net flow into funds over 5 days",
        "ETF 5日净流入",
        "CNY",
        (FLOWS,),
        "Σ etf_flow_total over 5 trading days, all of which are known; details: the flow of the day",
        "[GF25]",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the sum in CNY; the details contain the day's flow."""
    flows = block[FLOWS].astype(np.float64)
    return {"etf_flow_5d": Column(rolling_sums(flows, _DAYS)[:, 0], {"day_cny": flows[:, -1]})}
