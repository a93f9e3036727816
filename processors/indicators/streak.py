"""fin_streak 连续增减天数: consecutive days on which a security's margin balance rose or fell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats
from processors.indicators.fin_change import FIN_CHANGE
from processors.needs import security
from processors.signal import Level, Signal

FIN_STREAK = Signal(
    "fin_streak",
    Level.SECURITY,
    "Consecutive rises (+) or falls (−)",
    "融资余额连续增减天数",
    "days",
    (security(FIN_CHANGE),),
    "consecutive days with Δ > 0 (up) or Δ < 0 (down); zero ends it, a day without Δ pauses it, leaving the "
    "eligible list resets it",
    "[SW14]",
)
SIGNALS = (FIN_STREAK,)


def advance(before: npt.NDArray[np.int32], change: Floats) -> npt.NDArray[np.int32]:
    """Return the streaks (n,) after a day.

    Parameters
    ----------
    before : (n,) streaks of the previous day.
    change : (n,) Δ; the streak pauses where it is NaN.

    Examples
    --------
    >>> advance(np.array([2, -1, 4, 4], dtype=np.int32), np.array([0.1, 0.1, 0.0, np.nan])).tolist()
    [3, 1, 0, 4]
    """
    up = np.maximum(before, 0) + 1
    down = np.minimum(before, 0) - 1
    moved = np.where(change > 0, up, np.where(change < 0, down, 0))
    return np.where(np.isnan(change), before, moved).astype(np.int32)
