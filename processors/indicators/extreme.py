"""extreme 融资余额变动极值: the day's largest rises and falls of the margin balance across stocks."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats, Mask
from processors.indicators.fin_change import FIN_CHANGE
from processors.needs import cross_section, security
from processors.signal import Level, Signal

EXTREME = Signal(
    "extreme",
    Level.SECURITY,
    "Extreme rise (+1) or fall (−1) of the balance",
    "融资余额变动极值",
    "side",
    (security(FIN_CHANGE),),
    "+1 for Δ > 0 among the ⌊<extreme_share:%> n⌋ largest of the day's n stocks, −1 for Δ < 0 among the ⌊<extreme_share:%> n⌋ smallest, "
    "else 0; stocks only",
    "[SW14] §2.2",
    parameters=("extreme_share",),
)
SIGNALS = (
    EXTREME,
    Signal(
        "consecutive_extreme",
        Level.SECURITY,
        "Extreme on the same side two days in a row",
        "连续极值",
        "side",
        (cross_section(EXTREME), cross_section(EXTREME, back=1)),
        "extreme_t where extreme_t = extreme_{t−1} ≠ 0, else 0; absent where rows that extreme_{t−1} needs are missing",
        "[SW14]",
    ),
)


def extreme(change: Floats, stock: Mask, share: float) -> Floats:
    """Return +1, −1 or 0 for every stock with a Δ (n,); NaN for other securities, for absent Δ, and where the tails are empty.

    Parameters
    ----------
    change : (n,) Δ, a fraction, NaN where absent.
    stock : (n,) whether the security is a stock.
    share : share of the stocks in each tail.

    Examples
    --------
    >>> extreme(np.array([0.2, 0.1, -0.1, np.nan]), np.ones(4, dtype=bool), 0.34)
    array([ 1.,  0., -1., nan])
    """
    eligible = stock & ~np.isnan(change)
    values = change[eligible]
    tail = int(share * len(values) + 1e-9)
    out = np.full(len(change), np.nan)
    if not tail:
        return out
    ordered = np.sort(values)
    highest, lowest = ordered[-tail], ordered[tail - 1]
    side = np.where((values >= highest) & (values > 0), 1.0, 0.0)
    side[(values <= lowest) & (values < 0)] = -1.0
    out[eligible] = side
    return out


def consecutive(today: Floats, yesterday: Floats, unknown: Mask) -> Floats:
    """Return the side where it equals the previous day's, else 0 (n,); NaN where one of them is not known.

    Parameters
    ----------
    today, yesterday : (n,) sides, NaN where absent: a stock without a side on the day before was not eligible then.
    unknown : (n,) whether an absent side of the day before is unknown instead.
    """
    out = np.where((today == yesterday) & (today != 0), today, 0.0)
    out[np.isnan(today) | (np.isnan(yesterday) & unknown & (today != 0))] = np.nan
    return out
