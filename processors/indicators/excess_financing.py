"""excess_financing 超额融资: how much faster borrowed money grew than the index over 15 trading days."""

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
    "±level at |excess| ≥ level (0.05); back to 0 once it is nearer to 0 than level − 0.01",
    "[ZT21] levels, hysteresis ours",
    parameters=("excess_level", "excess_hysteresis", "late_days"),
)
SIGNALS = (
    Signal(
        "excess_financing",
        Level.MARKET,
        "Excess financing over 15 days",
        "超额融资（15日）",
        "ratio",
        _NEEDS,
        "(B_t / B_{t−15} − 1) − (I_t / I_{t−15} − 1); B = margin balance of all exchanges, I = SSE Composite",
        "[ZT21]",
    ),
    LEVEL,
)


def advance(before: float, excess: float, level: float, hysteresis: float) -> float:
    """Return the level in force: 0, +level or −level."""
    for side in (level, -level):
        sign = 1.0 if side > 0 else -1.0
        if sign * excess >= level:
            return side
        if before == side and sign * excess >= level - hysteresis:
            return side
    return 0.0


def compute(block: Block) -> dict[str, Column]:
    """Return excess financing (a fraction) and the level in force."""
    p = block.parameters
    balance, index_ = block[BALANCE_BEFORE], block[CLOSE_BEFORE]
    growth = block[BALANCE] / np.where(balance != 0, balance, np.nan) - 1
    rise = block[CLOSE] / np.where(index_ != 0, index_, np.nan) - 1
    excess = growth - rise
    befores = np.zeros(len(block))

    def step(before: float | None, i: int) -> float | None:
        if np.isnan(excess[i]):
            return None
        befores[i] = before or 0.0
        return advance(befores[i], float(excess[i]), p.excess_level, p.excess_hysteresis)

    levels = block.scan(LEVEL, step, max_gap_days=p.late_days - 1)
    zero = "a base figure is zero"
    details = {"excess": excess, "before": befores, "level": np.full(len(block), p.excess_level)}
    return {
        "excess_financing": Column(excess, {"balance_growth": growth, "index_return": rise}, zero),
        "excess_level": Column(levels, details, zero),
    }
