"""excess_score 超额得分: rank of a stock's return against rank of its balance growth."""

from __future__ import annotations

import numpy as np

from processors.arrays import Array, Floats
from processors.block import Block
from processors.needs import DETAIL, price, security
from processors.signal import Level, Signal

BALANCE, BALANCE_BEFORE = security("fin_balance"), security("fin_balance", back="score_days")
LEVEL, LEVEL_BEFORE = price("level"), price("level", back="score_days")
_NEEDS = (BALANCE, BALANCE_BEFORE, LEVEL, LEVEL_BEFORE)
_FORMULA = "s0 = rank(<score_days>-day return) / rank(<score_days>-day balance growth), ranks over the day's stocks with both (mean rank of equals); "

SIGNALS = (
    Signal(
        "excess_score",
        Level.SECURITY,
        "Excess score",
        "融资余额超额得分",
        "score",
        _NEEDS,
        _FORMULA + "|s0 − median(s0)|",
        "[ZT21]",
    ),
    Signal(
        "excess_kind",
        Level.SECURITY,
        "Early positioning (−1: the balance ran ahead of the price) or chasing (+1)",
        "提前布局/追涨",
        "side",
        _NEEDS,
        _FORMULA + "sign of ln s0 − median(ln s0): −1 early_positioning, +1 chasing, 0 at the median",
        "[ZT21]",
    ),
    Signal(
        "excess_top",
        Level.SECURITY,
        "Among the <score_top:%> that are farthest from the median on either side",
        "超额得分前<score_top:%>",
        "flag",
        _NEEDS,
        _FORMULA
        + "1 for the ⌊<score_top:%> n⌋ largest |ln s0 − median(ln s0)| of the day, else 0; by |s0 − median(s0)| all of "
        "them would be chasing, because s0 is a ratio",
        "[ZT21], logarithm ours",
        parameters=("score_top",),
    ),
)


def compute(block: Block) -> dict[str, Array]:
    """Return the three columns over the rows of the margin detail (n,)."""
    section = block.section(DETAIL)
    before = block.on(section, BALANCE_BEFORE)
    gain = block.on(section, LEVEL) / block.on(section, LEVEL_BEFORE) - 1
    growth = block.on(section, BALANCE) / np.where(before > 0, before, np.nan) - 1
    used = ~np.isnan(gain) & ~np.isnan(growth) & block.stocks
    out = {signal.id: np.full(len(section.keys), np.nan) for signal in SIGNALS}
    for i in range(len(block)):
        rows = np.flatnonzero(used[section.rows(i)]) + section.rows(i).start
        for name, values in scores(gain[rows], growth[rows], block.parameters.score_top).items():
            out[name][rows] = values
    return out


def scores(gain: Floats, growth: Floats, share: float) -> dict[str, Floats]:
    """Return the columns (n,) of stocks with both figures; all NaN for fewer than two stocks.

    Parameters
    ----------
    gain, growth : (n,) return and balance growth, fractions.
    share : share of the stocks that are flagged.
    """
    if len(gain) < 2:
        return {signal.id: np.full(len(gain), np.nan) for signal in SIGNALS}
    s0 = _mean_ranks(gain) / _mean_ranks(growth)
    logs = np.log(s0)
    # The rounding makes a/b and b/a equally far from a median of 1, whatever the CPU's logarithm gives in the last bit.
    distance = (logs - np.median(logs)).round(12) + 0.0  # + 0.0: no −0.0
    top, count = np.zeros(len(gain)), int(share * len(gain) + 1e-9)
    if count:
        top[np.argsort(-np.abs(distance), kind="stable")[:count]] = 1.0
    return {
        "excess_score": np.abs(s0 - np.median(s0)),
        "excess_kind": np.sign(distance),
        "excess_top": top,
    }


def _mean_ranks(values: Floats) -> Floats:
    """Return ranks (n,), 1 for the smallest; ties (to 10⁻¹², against rounding of chained returns) share their mean rank."""
    rounded = values.round(12)
    order = np.argsort(rounded, kind="stable")
    ordered = rounded[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    last = np.concatenate([first[1:], [len(values)]])
    out = np.empty(len(values))
    out[order] = np.repeat((first + 1 + last) / 2, last - first)
    return out
