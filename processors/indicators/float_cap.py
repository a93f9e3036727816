"""fin_balance_to_float_cap 融资余额占流通市值: the margin balance as a share of the tradable market."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.needs import float_cap, total
from processors.ratio_percentiles import EXPANDING, TRAILING, percentile_columns, percentile_signals
from processors.signal import Column, Level, Signal

BALANCE, CAP = total("fin_balance"), float_cap()
WINDOWS = tuple((total("fin_balance", **window), float_cap(**window)) for window in (TRAILING, EXPANDING))

RATIO = Signal(
    "fin_balance_to_float_cap",
    Level.MARKET,
    "Margin balance over float cap",
    "融资余额占流通市值",
    "ratio",
    (BALANCE, CAP),
    "B_t / Σ float cap of the exchanges' A shares (000001.SH and 399106.SZ)",
    "[DG24]",
)
SIGNALS = (RATIO, *percentile_signals(RATIO, *WINDOWS))


def compute(block: Block) -> dict[str, Column]:
    """Return the share and its percentiles."""
    balance, cap = block[BALANCE], block[CAP]
    share = balance / np.where(cap > 0, cap, np.nan)
    trailing, expanding = (block[balances] / block[caps] for balances, caps in WINDOWS)
    details = {"fin_balance_cny": balance, "float_cap_cny": cap}
    return {
        RATIO.id: Column(share, details, "the float cap is zero"),
        **percentile_columns(RATIO, share, trailing, expanding, block.parameters),
    }
