"""divergence 背离: long streaks of the margin balance against the price, by regime of the market."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from processors.arrays import Array, Counts, Floats
from processors.block import Block
from processors.indicators.equal_weight import EQUAL_WEIGHT
from processors.indicators.regime import RALLY, RANGE, REGIME
from processors.indicators.streak import FIN_STREAK
from processors.needs import DETAIL, price, result, security
from processors.signal import Level, Signal

#: Prices are retained over this many days; the excess return of a longer streak covers its last 60 days.
MAX_STREAK_DAYS = 60
STREAK, LEVELS = security(FIN_STREAK), price("level", days=MAX_STREAK_DAYS, plus=1)
MEANS, CURRENT_REGIME = result(EQUAL_WEIGHT, days=MAX_STREAK_DAYS), result(REGIME)
_EXCESS_NEEDS = (STREAK, LEVELS, MEANS)

SIGNALS = (
    Signal(
        "streak_excess",
        Level.SECURITY,
        "Excess return over the days of the streak",
        "连续期间超额收益",
        "ratio",
        _EXCESS_NEEDS,
        "return of the stock over the last |streak| trading days less the compounded equal-weight mean return of the stocks in the margin list",
        "[SW14], at most 60 days ours",
    ),
    Signal(
        "divergence",
        Level.SECURITY,
        "Divergence: 1 in a range, 2 in a rally, else 0",
        "融资余额与股价背离",
        "case",
        (*_EXCESS_NEEDS, CURRENT_REGIME),
        "1: RANGE, up-streak ≥ <divergence_streak> and excess return over it < <divergence_excess:%> (published −2.04% over the next 20 days); 2: RALLY, down-streak ≥ <divergence_streak> and "
        "excess return > 0 (published −3.10%)",
        "[SW14]",
        parameters=("divergence_streak", "divergence_excess"),
    ),
)


def compute(block: Block) -> dict[str, Array]:
    """Return ``streak_excess`` and ``divergence`` over the rows of the margin detail (n,)."""
    p, section = block.parameters, block.section(DETAIL)
    streaks, level = block.on(section, STREAK).astype(int), block.on(section, LEVELS)
    excess = _excess(block, streaks, level)
    regimes = block[CURRENT_REGIME].tolist()
    in_range, in_rally = (np.array([one == which for one in regimes])[section.day_of_row] for which in (RANGE, RALLY))
    case = np.zeros(len(streaks))
    case[in_range & (streaks >= p.divergence_streak) & (excess < p.divergence_excess)] = 1.0
    case[in_rally & (streaks <= -p.divergence_streak) & (excess > 0)] = 2.0
    short = np.abs(streaks) < p.divergence_streak
    known = ~np.isnan(level) & (short | ~np.isnan(excess)) & (in_range | in_rally)
    case[~known | ~block.stocks] = np.nan
    return {"streak_excess": excess, "divergence": case}


def _excess(block: Block, streaks: Counts, level: Floats) -> Floats:
    """Return the excess return over the streak for the rows of the margin detail (n,); NaN without a streak."""
    section = block.section(DETAIL)
    length = np.where(block.stocks & ~np.isnan(level), np.minimum(np.abs(streaks), MAX_STREAK_DAYS), 0)
    grown = np.array([_compounded(means) for means in block[MEANS]])[section.day_of_row, length]
    rows = np.flatnonzero((length > 0) & ~np.isnan(grown))
    excess = np.full(len(streaks), np.nan)
    begins = block.positions[section.day_of_row[rows]] - length[rows]
    # The rows whose streak began on one day, on whatever day of the block it is read.
    rows, begins = rows[order := np.argsort(begins, kind="stable")], begins[order]
    starts = np.flatnonzero(np.r_[True, begins[1:] != begins[:-1]]) if len(rows) else begins
    for start, end in pairwise([*starts.tolist(), len(rows)]):
        here, day = rows[start:end], block.calendar.day_at(int(begins[start]))
        excess[here] = level[here] / block.on_day(day, LEVELS, section.keys[here]) - 1 - grown[here]
    return excess


def _compounded(means: Floats) -> Floats:
    """Return the mean return compounded over the last 0, 1, … days (days + 1,); NaN from the first unknown day on.

    Parameters
    ----------
    means : (days,) the equal-weight mean returns, oldest first.
    """
    return np.cumprod(np.concatenate([[1.0], 1 + means[::-1]])) - 1
