"""Shares of hits among cases whose windows overlap: the interval of a share, and how many cases are independent."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

import numpy as np
import numpy.typing as npt

Z = 1.959963984540054  # 97.5% quantile of the normal distribution


def wilson(share: float, observations: float) -> tuple[float, float]:
    """Return the 95% interval of a share by Wilson's score.

    Parameters
    ----------
    observations : their number, more than 0; a fraction where they overlap.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(6 / 11, 11)]
    [0.28, 0.787]
    """
    square = Z * Z / observations
    middle = (share + square / 2) / (1 + square)
    half = float(np.sqrt(square * (share * (1 - share) + square / 4))) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def episodes(days: npt.NDArray[np.integer[Any]], span: int) -> int:
    """Return how many days are at least ``span`` positions apart, counted greedily from the first day.

    Parameters
    ----------
    days : (n,) positions in the calendar.

    Examples
    --------
    >>> episodes(np.array([1, 2, 6, 30]), span=5)
    3
    """
    listed, count, at = sorted(days.tolist()), 0, 0
    while at < len(listed):
        count, at = count + 1, bisect_left(listed, listed[at] + span, at + 1)
    return count
