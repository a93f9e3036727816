"""ratio_state: the state machine on the financing-buy ratio, whose BREAKDOWN is the peak warning (顶部预警).

NORMAL → HOT at ≥ hot → BREAKDOWN on the first day < breakdown after HOT → NORMAL; only a new ratio ≥ hot leads to HOT
again. COLD and EXTREME_COLD are levels, not bottom signals: 6 of 11 cases preceded a stop or rebound [DG22].
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from processors.block import Block
from processors.events import Floats
from processors.indicators.fin_buy_ratio import BUY, BUYS, TURNOVER, TURNOVERS, daily_ratio, trailing_ratio
from processors.needs import total, turnover
from processors.signal import Column, Level, Signal
from processors.statistics import rolling_sums

_FORMULA = (
    "HOT at ratio ≥ 10.3%; BREAKDOWN at the first < 10.0% after HOT; then NORMAL until a new ≥ 10.3%; "
    "COLD at ≤ 6.75%, EXTREME_COLD at ≤ 6.25% (no bottom signal by itself: 6 of 11)"
)
_THRESHOLDS = ("ratio_hot", "ratio_breakdown", "ratio_cold", "ratio_extreme_cold", "ratio_thresholds", "late_days")
#: The history whose quantiles are the trailing thresholds.
PAST_BUYS = total("fin_buy", days="ratio_quantile_days", plus="ratio_window_days", optional=True)
PAST_TURNOVERS = turnover(days="ratio_quantile_days", plus="ratio_window_days", optional=True)
PAST_DAILY_BUYS = total("fin_buy", days="ratio_quantile_days", plus=1, optional=True)
PAST_DAILY_TURNOVERS = turnover(days="ratio_quantile_days", plus=1, optional=True)

TRAILING_STATE = Signal(
    "ratio_state",
    Level.MARKET,
    "State of the 5-day financing-buy ratio",
    "融资买入占比状态（5日）",
    "state",
    (BUYS, TURNOVERS, PAST_BUYS, PAST_TURNOVERS),
    _FORMULA,
    "[DG22]",
    parameters=_THRESHOLDS,
)
DAILY_STATE = Signal(
    "ratio_state_daily",
    Level.MARKET,
    "State of the daily financing-buy ratio",
    "融资买入占比状态（日）",
    "state",
    (BUY, TURNOVER, PAST_DAILY_BUYS, PAST_DAILY_TURNOVERS),
    _FORMULA,
    "[DG22]",
    parameters=_THRESHOLDS,
)
SIGNALS = (TRAILING_STATE, DAILY_STATE)
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
    """Return the state after a day [DG22].

    Parameters
    ----------
    before : state of the previous day, None if there is none.
    ratio : financing-buy ratio, a fraction.
    hot, breakdown, cold, extreme_cold : thresholds, fractions.

    Examples
    --------
    >>> lines = {"hot": 0.103, "breakdown": 0.100, "cold": 0.0675, "extreme_cold": 0.0625}
    >>> state, path = None, []
    >>> for ratio in (0.09, 0.104, 0.101, 0.099, 0.098, 0.066, 0.062):
    ...     state = advance(state, ratio, **lines)
    ...     path.append(state.value)
    >>> path
    ['NORMAL', 'HOT', 'HOT', 'BREAKDOWN', 'NORMAL', 'COLD', 'EXTREME_COLD']
    """
    if ratio >= hot:
        return RatioState.HOT
    if before == RatioState.HOT:
        return RatioState.HOT if ratio >= breakdown else RatioState.BREAKDOWN
    if ratio <= extreme_cold:
        return RatioState.EXTREME_COLD
    return RatioState.COLD if ratio <= cold else RatioState.NORMAL


def compute(block: Block) -> dict[str, Column]:
    """Return the state on both bases; the details contain the ratio, the thresholds and the previous state."""
    return {
        "ratio_state": _states(block, TRAILING_STATE, trailing_ratio(block[BUYS], block[TURNOVERS])),
        "ratio_state_daily": _states(block, DAILY_STATE, daily_ratio(block[BUY], block[TURNOVER])),
    }


def _past(block: Block, signal: Signal) -> Floats:
    """Return the signal's ratios of the ``ratio_quantile_days`` days before each day (k, days)."""
    basis, _, buys, turnovers = signal.needs
    span = basis.window(block.parameters)
    return daily_ratio(*(rolling_sums(block[need], span)[:, :-1] for need in (buys, turnovers)))


def _states(block: Block, signal: Signal, ratios: Floats) -> Column:
    thresholds, absent = _thresholds(block, signal)
    previous: list[str | None] = [None] * len(block)

    def step(before: str | None, i: int) -> str | None:
        if np.isnan(ratios[i]) or i in absent:
            return None
        previous[i] = before or ""
        return advance(
            before, float(ratios[i]), **{name: float(values[i]) for name, values in thresholds.items()}
        ).value

    # The state machine pauses on days without a value.
    states = block.scan(signal, step, max_gap_days=block.parameters.late_days - 1)
    return Column(states, {"ratio": ratios, "before": previous, **thresholds}, "turnover is zero", absent)


def _thresholds(block: Block, signal: Signal) -> tuple[dict[str, Floats], dict[int, str]]:
    """Return the four thresholds on every day, and the days on which they are unknown with the reason."""
    p, days = block.parameters, len(block)
    fixed = {
        "hot": p.ratio_hot,
        "breakdown": p.ratio_breakdown,
        "cold": p.ratio_cold,
        "extreme_cold": p.ratio_extreme_cold,
    }
    if p.ratio_thresholds == "fixed":
        return {name: np.full(days, threshold) for name, threshold in fixed.items()}, {}
    # Trailing (ours): the published thresholds `hot` and `cold` are about the 90% and 10% quantiles; the other two
    # keep their published proportion to them.
    past = _past(block, signal)
    known, needed = (~np.isnan(past)).sum(axis=1), past.shape[1]
    absent = {
        i: f"trailing quantiles need {needed} days of the ratio, {known[i]} are known"
        for i in np.flatnonzero(known < needed).tolist()
    }
    cold, hot = (np.array([np.quantile(row, share) for row in past]) for share in (0.1, 0.9))
    trailing = {
        "hot": hot,
        "breakdown": hot * p.ratio_breakdown / p.ratio_hot,
        "cold": cold,
        "extreme_cold": cold * p.ratio_extreme_cold / p.ratio_cold,
    }
    return trailing, absent
