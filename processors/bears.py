"""Bear markets 熊市 of a price: a fall of at least 20% from a peak, ended by a rise of at least 20% from its trough."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.events import Floats


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


def falls_by_window(windows: Floats, ends: npt.NDArray[np.intp], depth: float) -> list[Floats]:
    """Return the falls of the bear markets that have ended in each window of one series, oldest first.

    A window that begins before the first peak has the bear markets of the series: so the series is searched again only
    from windows on that begin behind the first peak.

    Parameters
    ----------
    windows : (k, days) closes, NaN where unknown.
    ends : (k,) ascending position of each window's last day.
    depth : as in `bear_markets`.
    """
    later = (ends - ends[0]).tolist()
    if later[-1] >= windows.shape[1]:
        return [np.array([bear.fall for bear in bear_markets(window, depth)]) for window in windows]
    series = np.concatenate([windows[0, : later[-1]], windows[-1]])
    start, bears, out = 0, bear_markets(series, depth), list[Floats]()
    for begin in later:
        if bears and start + bears[0].peak < begin:
            start, bears = begin, bear_markets(series[begin:], depth)
        out.append(np.array([bear.fall for bear in bears if start + bear.end < begin + windows.shape[1]]))
    return out
