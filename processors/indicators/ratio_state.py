"""ratio_state: the state machine on the financing-buy ratio, whose BREAKDOWN is the peak warning (顶部预警).

NORMAL → HOT at ≥ hot → BREAKDOWN on the first day < breakdown after HOT → NORMAL, armed again only by a new ≥ hot.
COLD and EXTREME_COLD are levels, not bottom signals: of 11 cases 6 were followed by a stop or rebound [DG22].
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from processors.market_view import MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

_INPUTS = ("margin.market", "indices.daily")
_FORMULA = (
    "HOT at ratio ≥ 10.3%; BREAKDOWN at the first < 10.0% after HOT; then NORMAL until a new ≥ 10.3%; "
    "COLD at ≤ 6.75%, EXTREME_COLD at ≤ 6.25% (no bottom signal by itself: 6 of 11)"
)

SIGNALS = (
    Signal(
        "ratio_state",
        Level.MARKET,
        "State of the 5-day financing-buy ratio",
        "融资买入占比状态（5日）",
        "state",
        _INPUTS,
        _FORMULA,
        "[DG22]",
        window_days=5,
        provisional=True,
        parameters=(
            "ratio_hot",
            "ratio_breakdown",
            "ratio_cold",
            "ratio_extreme_cold",
            "ratio_thresholds",
            "ratio_quantile_days",
        ),
    ),
    Signal(
        "ratio_state_daily",
        Level.MARKET,
        "State of the daily financing-buy ratio",
        "融资买入占比状态（日）",
        "state",
        _INPUTS,
        _FORMULA,
        "[DG22]",
        provisional=True,
        parameters=(
            "ratio_hot",
            "ratio_breakdown",
            "ratio_cold",
            "ratio_extreme_cold",
            "ratio_thresholds",
            "ratio_quantile_days",
        ),
    ),
)
BASIS = {"ratio_state": "fin_buy_ratio_5d", "ratio_state_daily": "fin_buy_ratio"}


class RatioState(StrEnum):
    """The states of the market's heat."""

    NORMAL = "NORMAL"
    HOT = "HOT"
    BREAKDOWN = "BREAKDOWN"
    COLD = "COLD"
    EXTREME_COLD = "EXTREME_COLD"


def advance(
    before: str | None, ratio: float, *, hot: float, breakdown: float, cold: float, extreme_cold: float
) -> RatioState:
    """Return the next state; ``before`` is yesterday's, None if there was none."""
    if ratio >= hot:
        return RatioState.HOT
    if before == RatioState.HOT:
        return RatioState.HOT if ratio >= breakdown else RatioState.BREAKDOWN
    if ratio <= extreme_cold:
        return RatioState.EXTREME_COLD
    return RatioState.COLD if ratio <= cold else RatioState.NORMAL


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the state on both bases; details carry the ratio, the thresholds and yesterday's state."""
    return {signal: _state(view, signal, basis) for signal, basis in BASIS.items()}


def _state(view: MarketView, signal: str, basis: str) -> Reading | Absent:
    ratio = view.today(basis)
    if not isinstance(ratio, float):
        return Absent(f"{basis} is absent")
    try:
        hot, breakdown, cold, extreme_cold = _thresholds(view, basis)
    except Missing as missing:
        return missing.absent()
    last = view.latest_before(signal)
    before = last if isinstance(last, str) else None
    state = advance(before, ratio, hot=hot, breakdown=breakdown, cold=cold, extreme_cold=extreme_cold)
    return Reading(
        state.value,
        {
            "ratio": ratio,
            "before": before or "",
            "hot": hot,
            "breakdown": breakdown,
            "cold": cold,
            "extreme_cold": extreme_cold,
        },
    )


def _thresholds(view: MarketView, basis: str) -> tuple[float, float, float, float]:
    p = view.parameters
    if p.ratio_thresholds == "fixed":
        return p.ratio_hot, p.ratio_breakdown, p.ratio_cold, p.ratio_extreme_cold
    # Trailing (ours): the published thresholds are about the 90% and 10% quantiles; the inner and outer lines keep
    # their published proportion to them.
    values = [view.result(basis, back) for back in range(1, p.ratio_quantile_days + 1)]
    known = [v for v in values if isinstance(v, float)]
    if len(known) < p.ratio_quantile_days:
        raise Missing(f"trailing quantiles need {p.ratio_quantile_days} days of {basis}, {len(known)} are known")
    cold, hot = (float(q) for q in np.quantile(known, [0.1, 0.9]))
    return hot, hot * p.ratio_breakdown / p.ratio_hot, cold, cold * p.ratio_extreme_cold / p.ratio_cold
