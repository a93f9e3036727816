"""excess_financing 超额融资: how much faster borrowed money grew than the index over 15 trading days."""

from __future__ import annotations

from processors.market_view import SSE_COMPOSITE, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

_INPUTS = ("margin.market", "indices.daily")

SIGNALS = (
    Signal(
        "excess_financing",
        Level.MARKET,
        "Excess financing over 15 days",
        "超额融资（15日）",
        "ratio",
        _INPUTS,
        "(B_t / B_{t−15} − 1) − (I_t / I_{t−15} − 1); B = margin balance of all exchanges, I = SSE Composite",
        "[ZT21]",
        window_days=16,
        provisional=True,
        parameters=("excess_lag_days", "excess_level", "excess_hysteresis"),
    ),
    Signal(
        "excess_level",
        Level.MARKET,
        "Alert level of excess financing, with hysteresis",
        "超额融资警戒水平",
        "ratio",
        _INPUTS,
        "±level at |excess| ≥ level (0.05); back to 0 once it is nearer to 0 than level − 0.01",
        "[ZT21] levels, hysteresis ours",
        window_days=16,
        provisional=True,
        parameters=("excess_lag_days", "excess_level", "excess_hysteresis"),
    ),
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


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return excess financing (a fraction) and the level in force."""
    lag = view.parameters.excess_lag_days
    try:
        balance, balance_before = view.total("fin_balance"), view.total("fin_balance", lag)
        index, index_before = view.index_close(SSE_COMPOSITE), view.index_close(SSE_COMPOSITE, lag)
    except Missing as missing:
        return {signal.id: missing.absent() for signal in SIGNALS}
    if not balance_before or not index_before:
        return {signal.id: Absent("a base figure is zero") for signal in SIGNALS}
    growth, rise = balance / balance_before - 1, index / index_before - 1
    excess = growth - rise
    last = view.latest_before("excess_level")
    before = last if isinstance(last, float) else 0.0
    level = advance(before, excess, view.parameters.excess_level, view.parameters.excess_hysteresis)
    return {
        "excess_financing": Reading(excess, {"balance_growth": growth, "index_return": rise}),
        "excess_level": Reading(level, {"excess": excess, "before": before, "level": view.parameters.excess_level}),
    }
