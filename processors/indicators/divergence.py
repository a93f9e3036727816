"""divergence 背离: long streaks of the margin balance against the price, read by the market's regime."""

from __future__ import annotations

import numpy as np

from processors.indicators.excess_score import INPUTS
from processors.indicators.regime import RALLY, RANGE
from processors.market_view import MarketView
from processors.pack import Array
from processors.signal import Level, Signal

#: Longer streaks are read over this many days: so far back prices are kept.
MOST_DAYS = 60
_EQUAL_WEIGHT = "equal_weight_return"

SIGNALS = (
    Signal(
        "streak_excess",
        Level.SECURITY,
        "Excess return over the days of the streak",
        "连续期间超额收益",
        "ratio",
        INPUTS,
        "return of the stock over the last |streak| trading days less the compounded equal-weight mean return of the stocks in the margin list",
        "[SW14], at most 60 days ours",
        window_days=2,
    ),
    Signal(
        "divergence",
        Level.SECURITY,
        "Divergence: 1 in a range, 2 in a rally, else 0",
        "融资余额与股价背离",
        "case",
        INPUTS,
        "1: RANGE, up-streak ≥ 8 and excess return over it < −10% (published −2.04% over the next 20 days); 2: RALLY, down-streak ≥ 8 and "
        "excess return > 0 (published −3.10%)",
        "[SW14]",
        window_days=61,
        parameters=("divergence_streak", "divergence_excess"),
    ),
)


def compute(view: MarketView) -> dict[str, Array]:
    """Return the columns over the day's margin detail."""
    p, detail = view.parameters, view.detail
    streak = detail.columns["fin_streak"].astype(int)
    days = np.minimum(np.abs(streak), MOST_DAYS)
    level = view.priced("level", detail.keys)
    excess = np.full(len(streak), np.nan)
    stock = view.stock & ~np.isnan(level)
    means = _compounded(view, int(days[stock].max(initial=0)))
    order = np.argsort(np.where(stock, days, 0), kind="stable")
    bounds = np.searchsorted(np.where(stock, days, 0)[order], np.arange(len(means) + 2))
    for back in range(1, len(means)):
        here = order[bounds[back] : bounds[back + 1]]
        if len(here):
            excess[here] = level[here] / view.priced("level", detail.keys[here], back) - 1 - means[back]
    regime = view.today_of("regime")
    in_range, in_rally = regime == RANGE, regime == RALLY
    case = np.where(in_range & (streak >= p.divergence_streak) & (excess < p.divergence_excess), 1.0, 0.0)
    case[in_rally & (streak <= -p.divergence_streak) & (excess > 0)] = 2.0
    known = ~np.isnan(level) & ((np.abs(streak) < p.divergence_streak) | ~np.isnan(excess)) & (in_range or in_rally)
    case[~known | ~view.stock] = np.nan
    return {"streak_excess": excess, "divergence": case}


def _compounded(view: MarketView, most: int) -> list[float]:
    """The equal-weight mean return compounded over the last 0, 1, … days, as far back as every day of it is known."""
    out, grown = [0.0], 1.0
    for back in range(most):
        mean = view.today_of(_EQUAL_WEIGHT) if back == 0 else view.result(_EQUAL_WEIGHT, back)
        if mean is None:
            break
        grown *= 1 + float(mean)
        out.append(grown - 1)
    return out
