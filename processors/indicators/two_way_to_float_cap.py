"""two_way_to_float_cap 两融余额占流通市值: margin and short balance together as a share of the tradable market."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.needs import float_cap, total
from processors.ratio_percentiles import EXPANDING, TRAILING, percentile_columns, percentile_signals
from processors.signal import Column, Level, Signal

BALANCE, SHORT, CAP = total("fin_balance"), total("short_balance"), float_cap()
WINDOWS = tuple(
    (total("fin_balance", **window), total("short_balance", **window), float_cap(**window))
    for window in (TRAILING, EXPANDING)
)

RATIO = Signal(
    "two_way_to_float_cap",
    Level.MARKET,
    "Margin and short balance over float cap",
    "两融余额占流通市值",
    "ratio",
    (BALANCE, SHORT, CAP),
    "(Σ fin_balance + Σ short_balance) / Σ float cap of the exchanges' A shares (000001.SH and 399106.SZ); published "
    "deciles to 2024-03: 2.21 2.25 2.30 2.37 2.42 2.47 2.52 2.55 2.59%",
    "[DG24]",
)
SIGNALS = (RATIO, *percentile_signals(RATIO, *WINDOWS))


def compute(block: Block) -> dict[str, Column]:
    """Return the share and its percentiles; the details contain the summands and the float cap in CNY."""
    balance, short, cap = block[BALANCE], block[SHORT], block[CAP]
    share = (balance + short) / np.where(cap > 0, cap, np.nan)
    trailing, expanding = ((block[b] + block[s]) / block[c] for b, s, c in WINDOWS)
    details = {"fin_balance_cny": balance, "short_balance_cny": short, "float_cap_cny": cap}
    return {
        RATIO.id: Column(share, details, "the float cap is zero"),
        **percentile_columns(RATIO, share, trailing, expanding, block.parameters),
    }
