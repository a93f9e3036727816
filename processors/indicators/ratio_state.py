"""ratio_state: the state machine on the financing-buy ratio, whose BREAKDOWN is the peak warning (顶部预警).

NORMAL → HOT at ≥ hot → BREAKDOWN on the first day < breakdown after HOT → NORMAL; only a new ratio ≥ hot leads to HOT
again. COLD and EXTREME_COLD are levels, not bottom signals: 6 of 11 cases preceded a stop or rebound [DG22].

The same machine runs on fixed thresholds (the 5-day and the daily ratio) and on trailing quantiles of the 5-day ratio:
fixed thresholds fail when the market's heat drifts, as in 2014–2015.
"""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.indicators.fin_buy_ratio import BUY, BUYS, TURNOVER, TURNOVERS, daily_ratio, trailing_ratio
from processors.needs import total, turnover
from processors.signal import Column, Level, Signal
from processors.statistics import rolling_sums

_FORMULA = (
    "HOT at ratio ≥ <ratio_hot:%>; BREAKDOWN at the first < <ratio_breakdown:%> after HOT; then NORMAL until a new ≥ <ratio_hot:%>; "
    "COLD at ≤ <ratio_cold:%>, EXTREME_COLD at ≤ <ratio_extreme_cold:%> (no bottom signal by itself: 6 of 11)"
)
_THRESHOLDS = ("ratio_hot", "ratio_breakdown", "ratio_cold", "ratio_extreme_cold")
#: The history whose quantiles are the trailing thresholds; its last ratio is the day's own.
PAST_BUYS = total("fin_buy", days="ratio_quantile_days", plus="ratio_window_days", optional=True)
PAST_TURNOVERS = turnover(days="ratio_quantile_days", plus="ratio_window_days", optional=True)

TRAILING_STATE = Signal(
    "ratio_state",
    Level.MARKET,
    "State of the <ratio_window_days>-day financing-buy ratio",
    "融资买入占比状态（<ratio_window_days>日）",
    "state",
    (BUYS, TURNOVERS),
    _FORMULA,
    "[DG22]",
    parameters=(*_THRESHOLDS, "late_days"),
)
DAILY_STATE = Signal(
    "ratio_state_daily",
    Level.MARKET,
    "State of the daily financing-buy ratio",
    "融资买入占比状态（日）",
    "state",
    (BUY, TURNOVER),
    _FORMULA,
    "[DG22]",
    parameters=(*_THRESHOLDS, "late_days"),
)
QUANTILE_STATE = Signal(
    "ratio_state_quantile",
    Level.MARKET,
    "State of the <ratio_window_days>-day financing-buy ratio against its own last <ratio_quantile_days> days",
    "融资买入占比状态（<ratio_window_days>日，滚动分位）",
    "state",
    (BUYS, TURNOVERS, PAST_BUYS, PAST_TURNOVERS),
    "as ratio_state, with hot and cold at the <ratio_quantile_hot:%> and <ratio_quantile_cold:%> quantiles of the <ratio_quantile_days> days before (at least <percentile_least> of them known); "
    "breakdown and extreme cold in their proportion to the fixed lines (<ratio_breakdown:%> / <ratio_hot:%> and <ratio_extreme_cold:%> / <ratio_cold:%>; no bottom signal by itself: "
    "6 of 11)",
    "[DG22], trailing quantiles ours",
    parameters=(*_THRESHOLDS, "ratio_quantile_hot", "ratio_quantile_cold", "late_days"),
    warmup="percentile_least",
)
SIGNALS = (TRAILING_STATE, DAILY_STATE, QUANTILE_STATE)
#: The states that alerts read, and the ratio of each.
BASIS = {"ratio_state": "fin_buy_ratio_5d", "ratio_state_daily": "fin_buy_ratio"}


class RatioState(StrEnum):
    """The states of the market's heat."""

    NORMAL = "NORMAL"
    HOT = "HOT"
    BREAKDOWN = "BREAKDOWN"
    COLD = "COLD"
    EXTREME_COLD = "EXTREME_COLD"


COLD_STATES = (RatioState.COLD, RatioState.EXTREME_COLD)


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
    """Return the three states; the details contain the ratio, the thresholds and the previous state."""
    fixed = fixed_thresholds(block)
    ratio = trailing_ratio(block[BUYS], block[TURNOVERS])
    return {
        "ratio_state": _column(block, TRAILING_STATE, ratio, fixed),
        "ratio_state_daily": _column(block, DAILY_STATE, daily_ratio(block[BUY], block[TURNOVER]), fixed),
        "ratio_state_quantile": _against_quantiles(block, ratio),
    }


def _column(block: Block, signal: Signal, ratios: Floats, thresholds: dict[str, Floats]) -> Column:
    values, previous = states(block, signal, ratios, thresholds)
    return Column(values, {"ratio": ratios, "before": previous, **thresholds}, "turnover is zero")


def _against_quantiles(block: Block, ratio: Floats) -> Column:
    """Return the state on trailing thresholds; ``days`` in the details is the number of ratios behind them.

    The published ``hot`` and ``cold`` are about the 90% and 10% quantiles of 2018–2022; the other two thresholds keep
    their published proportion to them (ours).
    """
    p = block.parameters
    past = daily_ratio(*(rolling_sums(block[n], p.ratio_window_days)[:, :-1] for n in (PAST_BUYS, PAST_TURNOVERS)))
    known = (~np.isnan(past)).sum(axis=1)
    shares = (p.ratio_quantile_hot, p.ratio_quantile_cold)
    quantiles = [
        np.quantile(row[~np.isnan(row)], shares) if count >= p.percentile_least else (np.nan, np.nan)
        for row, count in zip(past, known, strict=True)
    ]
    hot, cold = np.array(quantiles).T
    thresholds = {
        "hot": hot,
        "breakdown": hot * p.ratio_breakdown / p.ratio_hot,
        "cold": cold,
        "extreme_cold": cold * p.ratio_extreme_cold / p.ratio_cold,
    }
    column = _column(block, QUANTILE_STATE, ratio, thresholds)
    absent = {
        i: f"trailing quantiles need {p.percentile_least} days of the ratio, {known[i]} are known"
        for i in np.flatnonzero(known < p.percentile_least).tolist()
    }
    return replace(column, details={**column.details, "days": known}, absent=absent)


def states(
    block: Block, signal: Signal, ratios: Floats, thresholds: dict[str, Floats]
) -> tuple[list[str | None], list[str | None]]:
    """Run the state machine of a signal; return the state of each day and the state before it, None where absent.

    The machine pauses on days without a ratio; after ``late_days`` of them it starts again.

    Parameters
    ----------
    signal : one of `SIGNALS`.
    ratios : (k,) fractions.
    thresholds : name of a parameter of `advance` → (k,) fractions.
    """
    previous: list[str | None] = [None] * len(block)

    def step(before: str | None, i: int) -> str | None:
        lines = {name: float(values[i]) for name, values in thresholds.items()}
        if np.isnan([ratios[i], *lines.values()]).any():
            return None
        previous[i] = before or ""
        return advance(before, float(ratios[i]), **lines).value

    return block.scan(signal, step, max_gap_days=block.parameters.late_days - 1), previous


def fixed_thresholds(block: Block) -> dict[str, Floats]:
    """Return the published thresholds, the same on every day (k,)."""
    p = block.parameters
    fixed = {
        "hot": p.ratio_hot,
        "breakdown": p.ratio_breakdown,
        "cold": p.ratio_cold,
        "extreme_cold": p.ratio_extreme_cold,
    }
    return {name: np.full(len(block), threshold) for name, threshold in fixed.items()}
