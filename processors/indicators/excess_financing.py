"""excess_financing 超额融资: growth of the margin balance less growth of the index over 15 trading days."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.needs import index, total
from processors.signal import Column, Level, Signal

BALANCE, BALANCE_BEFORE = total("fin_balance"), total("fin_balance", back="excess_lag_days")
CLOSE, CLOSE_BEFORE = index("close", "000001.SH"), index("close", "000001.SH", back="excess_lag_days")
_NEEDS = (BALANCE, BALANCE_BEFORE, CLOSE, CLOSE_BEFORE)

LEVEL = Signal(
    "excess_level",
    Level.MARKET,
    "Alert level of excess financing, with hysteresis",
    "超额融资警戒水平",
    "ratio",
    _NEEDS,
    "±level at |excess| ≥ level (<excess_level>); back to 0 once it is nearer to 0 than level − <excess_hysteresis>",
    "[ZT21] levels, hysteresis ours",
    parameters=("excess_level", "excess_hysteresis", "late_days"),
)
SIGNALS = (
    Signal(
        "excess_financing",
        Level.MARKET,
        "Excess financing over <excess_lag_days> days",
        "超额融资（<excess_lag_days>日）",
        "ratio",
        _NEEDS,
        "(B_t / B_{t−<excess_lag_days>} − 1) − (I_t / I_{t−<excess_lag_days>} − 1); B = margin balance of all exchanges, I = SSE Composite",
        "[ZT21]",
    ),
    LEVEL,
)


def advance(before: float, excess: float, level: float, hysteresis: float) -> float:
    """Return the alert level after a day: 0, +level or −level.

    Parameters
    ----------
    before : alert level of the day before.
    excess : excess financing, a fraction.
    level : magnitude at which the alert level is reached.
    hysteresis : the alert level is left at ``level − hysteresis``.

    Examples
    --------
    >>> advance(0.0, 0.045, level=0.05, hysteresis=0.01)
    0.0
    >>> advance(0.05, 0.045, level=0.05, hysteresis=0.01)
    0.05
    >>> advance(0.05, -0.06, level=0.05, hysteresis=0.01)
    -0.05
    """
    for side in (level, -level):
        sign = 1.0 if side > 0 else -1.0
        if sign * excess >= level:
            return side
        if before == side and sign * excess >= level - hysteresis:
            return side
    return 0.0


def compute(block: Block) -> dict[str, Column]:
    """Return excess financing (a fraction) and its alert level."""
    p = block.parameters
    balance_before, close_before = block[BALANCE_BEFORE], block[CLOSE_BEFORE]
    growth = block[BALANCE] / np.where(balance_before != 0, balance_before, np.nan) - 1
    rise = block[CLOSE] / np.where(close_before != 0, close_before, np.nan) - 1
    excess = growth - rise
    previous = np.zeros(len(block))

    def step(before: float | None, i: int) -> float | None:
        if np.isnan(excess[i]):
            return None
        previous[i] = before or 0.0
        return advance(previous[i], float(excess[i]), p.excess_level, p.excess_hysteresis)

    levels = block.scan(LEVEL, step, max_gap_days=p.late_days - 1)
    zero = "a base figure is zero"
    details = {"excess": excess, "before": previous, "level": np.full(len(block), p.excess_level)}
    return {
        "excess_financing": Column(excess, {"balance_growth": growth, "index_return": rise}, zero),
        "excess_level": Column(levels, details, zero),
    }
