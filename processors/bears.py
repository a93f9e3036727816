"""Bear markets 熊市 of a price: a fall of at least 20% from a peak, ended by a rise of at least 20% from its trough."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from processors.arrays import Floats


@dataclass(frozen=True, slots=True)
class Bear:
    """A bear market that has ended.

    Parameters
    ----------
    peak, trough, end : positions of the close it fell from, of its lowest close, and of the close that ended it.
    fall : trough over peak, less 1, a negative fraction.
    """

    peak: int
    trough: int
    end: int
    fall: float


def bear_markets(closes: Floats, depth: float) -> list[Bear]:
    """Return the bear markets that have ended, oldest first; one that has not ended yet is none of them.

    Parameters
    ----------
    closes : (days,), NaN where unknown.
    depth : the fall from the peak, and the rise from the trough, a fraction.

    Examples
    --------
    >>> [(b.peak, b.trough, b.end, round(b.fall, 3)) for b in bear_markets(np.array([90, 100, 80, 70, 84, 60.0]), 0.2)]
    [(1, 3, 4, -0.3)]
    """
    places = np.flatnonzero(~np.isnan(closes))
    known = closes[places]
    found: list[Bear] = []
    start = 0
    while start < len(known):
        highs = np.maximum.accumulate(known[start:])
        fallen = known[start:] <= highs * (1 - depth)
        if not fallen.any():
            break
        begin = start + int(fallen.argmax())
        lows = np.minimum.accumulate(known[begin:])
        risen = known[begin:] >= lows * (1 + depth)
        if not risen.any():
            break
        end = begin + int(risen.argmax())
        peak, trough = start + int(known[start:begin].argmax()), begin + int(known[begin:end].argmin())
        fall = float(known[trough] / known[peak] - 1)
        found.append(Bear(int(places[peak]), int(places[trough]), int(places[end]), fall))
        start = end
    return found


def current_drawdowns(closes: Floats, bears: list[Bear]) -> Floats:
    """Return each close over the highest one since the last bear market ended, less 1 (days,), as falls are measured.

    Parameters
    ----------
    closes : (days,), NaN where unknown.
    bears : its bear markets.

    Examples
    --------
    >>> closes = np.array([90, 100, 80, 70, 84, 81.9])
    >>> current_drawdowns(closes, bear_markets(closes, 0.2)).round(3).tolist()
    [0.0, 0.0, -0.2, -0.3, 0.0, -0.025]
    """
    bounds = [0, *(bear.end for bear in bears), len(closes)]
    highs = [np.fmax.accumulate(closes[start:end]) for start, end in pairwise(bounds)]
    return np.asarray(closes / np.concatenate(highs) - 1)
