"""fin_balance_to_float_cap 融资余额占流通市值: the margin balance as a share of the tradable market."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.needs import float_cap, total
from processors.signal import Column, Level, Signal
from processors.statistics import percentiles

BALANCE, CAP = total("fin_balance"), float_cap()
BALANCES = total("fin_balance", days="percentile_days", min_periods="percentile_least")
CAPS = float_cap(days="percentile_days", min_periods="percentile_least")

SIGNALS = (
    Signal(
        "fin_balance_to_float_cap",
        Level.MARKET,
        "Margin balance over float cap",
        "融资余额占流通市值",
        "ratio",
        (BALANCE, CAP),
        "B_t / Σ float cap of the exchanges' A shares (000001.SH and 399106.SZ)",
        "[DG24]",
    ),
    Signal(
        "fin_balance_to_float_cap_percentile",
        Level.MARKET,
        "Its percentile over five years",
        "融资余额占流通市值分位",
        "ratio",
        (BALANCES, CAPS),
        "share of the last 1250 trading days' known values that are not above today's; at least 250 of them",
        "[DG24], window ours",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the share and its percentile."""
    balance, cap = block[BALANCE], block[CAP]
    share = balance / np.where(cap > 0, cap, np.nan)
    window = block[BALANCES] / block[CAPS]
    min_periods = block.parameters.percentile_least
    return {
        "fin_balance_to_float_cap": Column(
            share, {"fin_balance_cny": balance, "float_cap_cny": cap}, "the float cap is zero"
        ),
        "fin_balance_to_float_cap_percentile": Column(
            percentiles(window, min_periods), {"share": share}, f"fewer than {min_periods} days are known"
        ),
    }
