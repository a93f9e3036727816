"""What followed a chart: returns after it, and whether they lie above the median of the day.

A return is entered at the open of the session after the chart (T+1) and ends at the close of the last session of its
horizon (T+5, T+20). A stock without a price on T+1 cannot be entered and has none. A stock that is suspended at the end
is valued at its last price.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from processors.arrays import Floats

#: Horizons of the labels, sessions; the first one is that of the score.
HORIZONS: Final = (5, 20)
#: Sessions between the last chart that a network learns from and the first one that it scores: a label ends behind it.
GAP: Final = max(HORIZONS)


def forward(opens: Floats, levels: Floats, horizon: int) -> Floats:
    """Return the returns after every day (days, n), fractions; NaN where no entry or no end is known.

    Parameters
    ----------
    opens : (days, n) adjusted opens, consecutive sessions; NaN without a price.
    levels : (days, n) last known adjusted close; NaN before the first price.
    horizon : sessions from the open of the first to the close of the last.
    """
    out = np.full(opens.shape, np.nan)
    if len(opens) > horizon:
        out[:-horizon] = levels[horizon:] / opens[1 : len(opens) - horizon + 1] - 1
    return out


def above_median(returns: Floats) -> Floats:
    """Return 1 above the median of the known returns of a day, 0 below or on it, NaN where unknown: (n,)."""
    known = ~np.isnan(returns)
    if not known.any():
        return np.full(len(returns), np.nan)
    return np.where(known, (returns > np.median(returns[known])).astype(np.float64), np.nan)
