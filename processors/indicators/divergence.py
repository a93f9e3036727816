"""divergence 背离: long streaks of the margin balance against the price, by regime of the market."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.events import Floats
from processors.indicators.equal_weight import EQUAL_WEIGHT
from processors.indicators.regime import RALLY, RANGE, REGIME
from processors.indicators.streak import FIN_STREAK
from processors.needs import DETAIL, price, result, security
from processors.pack import Array
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
        "1: RANGE, up-streak ≥ 8 and excess return over it < −10% (published −2.04% over the next 20 days); 2: RALLY, down-streak ≥ 8 and "
        "excess return > 0 (published −3.10%)",
        "[SW14]",
        parameters=("divergence_streak", "divergence_excess"),
    ),
)


def compute(block: Block) -> dict[str, Array]:
    """Return ``streak_excess`` and ``divergence`` over the rows of the margin detail (n,)."""
    section = block.section(DETAIL)
    streaks = block.on(section, STREAK).astype(int)
    regimes, means = block[CURRENT_REGIME].tolist(), block[MEANS]
    days = [
        _day(block, i, section.keys[section.rows(i)], streaks[section.rows(i)], means[i], regimes[i])
        for i in range(len(block))
    ]
    excess, case = (np.concatenate(parts) for parts in zip(*days, strict=True))
    return {"streak_excess": excess, "divergence": case}


def _day(
    block: Block, i: int, keys: np.ndarray, streak: np.ndarray, means: Floats, regime: str | None
) -> tuple[Floats, Floats]:
    p, stocks = block.parameters, block.stocks[block.section(DETAIL).rows(i)]
    length = np.minimum(np.abs(streak), MAX_STREAK_DAYS)
    level = block.priced(i, LEVELS, keys, 0)
    excess = np.full(len(streak), np.nan)
    priced = np.where(stocks & ~np.isnan(level), length, 0)
    grown = _compounded(means, int(priced.max(initial=0)))
    order = np.argsort(priced, kind="stable")
    bounds = np.searchsorted(priced[order], np.arange(len(grown) + 2))
    for back in range(1, len(grown)):
        rows = order[bounds[back] : bounds[back + 1]]
        if len(rows):
            excess[rows] = level[rows] / block.priced(i, LEVELS, keys[rows], back) - 1 - grown[back]
    in_range, in_rally = regime == RANGE, regime == RALLY
    case = np.zeros(len(streak))
    if in_range:
        case[(streak >= p.divergence_streak) & (excess < p.divergence_excess)] = 1.0
    if in_rally:
        case[(streak <= -p.divergence_streak) & (excess > 0)] = 2.0
    known = ~np.isnan(level) & ((np.abs(streak) < p.divergence_streak) | ~np.isnan(excess)) & (in_range or in_rally)
    case[~known | ~stocks] = np.nan
    return excess, case


def _compounded(means: Floats, most: int) -> list[float]:
    """Return the equal-weight mean return compounded over the last 0, 1, … days, back to the first unknown day."""
    out, grown = [0.0], 1.0
    for mean in means[::-1][:most].tolist():
        if mean != mean:
            break
        grown *= 1 + mean
        out.append(grown - 1)
    return out
