"""A hit rate beside its base rate: the interval of the difference, and its plain reading.

Cases that lie closer together than their horizon share its returns, so they count once: an *episode* is a run of cases
within one horizon. Single cases of the index are compared as shares with as many observations as there are episodes
(Newcombe 1998, method 10); the securities of digests, which come in hundreds a day, by sums over blocks of one horizon.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alerts.model import RecordFinding
from processors.arrays import Floats
from processors.shares import Z, episodes, wilson

#: Fewest episodes of which a record says anything (ours).
LEAST_EPISODES = 10


@dataclass(frozen=True, slots=True)
class Comparison:
    """The 95% interval of the hit rate less the base rate (None where unknown), and its reading."""

    episodes: int
    low: float | None = None
    high: float | None = None

    @property
    def finding(self) -> RecordFinding:
        """What the interval says."""
        if self.episodes < LEAST_EPISODES or self.low is None:
            return RecordFinding.TOO_FEW
        return RecordFinding.BETTER if self.low > 0 else RecordFinding.NO_BETTER


def compare_shares(hits: int, days: npt.NDArray[np.integer], base_hits: int, base_days: int, span: int) -> Comparison:
    """Compare the share of hits among single cases with that among all days.

    Parameters
    ----------
    hits, days : the hits, and the ascending positions of all scored cases in the calendar.
    base_hits, base_days : the hits among all scored days, and the number of these.
    span : the horizon, trading days; windows of the base overlap too, so ``span`` days count as one.
    """
    runs = episodes(days, span)
    if not runs or not base_days:
        return Comparison(runs)
    share, base = hits / len(days), base_hits / base_days
    (low, high), (base_low, base_high) = wilson(share, runs), wilson(base, max(1.0, base_days / span))
    below = float(np.hypot(share - low, base_high - base))
    above = float(np.hypot(high - share, base - base_low))
    return Comparison(runs, share - base - below, share - base + above)


def compare_blocks(hits: Floats, cases: Floats, base_hits: Floats, base_cases: Floats, span: int) -> Comparison:
    """Compare the share of hits among the securities of digests with that among all stocks.

    The variance is that of a difference of ratios of sums over blocks of ``span`` days; neighbouring blocks share
    returns, so their covariance is added where it is positive.

    Parameters
    ----------
    hits, cases, base_hits, base_cases : (n,) counts by trading day, 0 where there is none.
    span : the horizon, trading days.
    """
    runs = episodes(np.flatnonzero(cases), span)
    if runs < 2 or not base_cases.sum():
        return Comparison(runs)
    difference = hits.sum() / cases.sum() - base_hits.sum() / base_cases.sum()
    residual = (hits - cases * hits.sum() / cases.sum()) / cases.sum()
    residual -= (base_hits - base_cases * base_hits.sum() / base_cases.sum()) / base_cases.sum()
    blocks = np.add.reduceat(residual, np.arange(0, len(residual), span))
    variance = float((blocks**2).sum() + max(0.0, 2 * float((blocks[1:] * blocks[:-1]).sum())))
    half = _student(runs - 1) * float(np.sqrt(variance * runs / (runs - 1)))
    base = float(base_hits.sum() / base_cases.sum())  # no share is below 0 or above 1
    return Comparison(runs, max(float(difference) - half, -base), min(float(difference) + half, 1 - base))


def _student(freedom: int) -> float:
    """Return the 97.5% quantile of Student's t, by its expansion about the normal quantile (Hill 1970)."""
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    fourth = (79 * Z**9 + 776 * Z**7 + 1482 * Z**5 - 1920 * Z**3 - 945 * Z) / 92160
    return Z + first / freedom + second / freedom**2 + third / freedom**3 + fourth / freedom**4
