"""Statistics over windows that several indicators share; NaN is a missing value, never zero.

Every function takes windows (…, days) and reduces along the last axis, so that a result depends on its own window
alone.
"""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats

#: Two values whose difference is a smaller share of them differ by rounding alone.
_ROUNDING = 1e-12


def percentiles(windows: Floats, min_periods: int = 1) -> Floats:
    """Return the share of each window's known values that are not above its last one (…,).

    NaN where the last one is unknown, or where fewer than ``min_periods`` are known. Values that differ by rounding
    alone are equal: sums of the same figures in another order, which two decimals make frequent, differ in their last
    bits.

    Examples
    --------
    >>> percentiles(np.array([[4.0, 1.0, 3.0, 2.0], [np.nan, 5.0, 6.0, 7.0]]))
    array([0.5, 1. ])
    >>> percentiles(np.array([[np.nan, 5.0, 6.0, 7.0]]), min_periods=4)
    array([nan])
    """
    last = windows[..., -1:]
    known = ~np.isnan(windows)
    count = known.sum(axis=-1)
    below = (windows <= last + np.abs(last) * _ROUNDING).sum(axis=-1)
    return np.where((count >= min_periods) & ~np.isnan(last[..., 0]), below / np.maximum(count, 1), np.nan)


def drawdowns(closes: Floats) -> Floats:
    """Return the last value of each window over its highest, less 1 (…,): 0 at a high, negative below it.

    Examples
    --------
    >>> drawdowns(np.array([8.0, 10.0, 9.0])).round(6).item()
    -0.1
    """
    return np.asarray(closes[..., -1] / np.fmax.reduce(closes, axis=-1) - 1)


def distances(closes: Floats) -> Floats:
    """Return the last value of each window over its mean, less 1 (…,)."""
    return np.asarray(closes[..., -1] / means(closes) - 1)


def means(windows: Floats) -> Floats:
    """Return the mean of each window's known values (…,); NaN where there are none.

    Its bits do not depend on the windows beside it.
    """
    windows = np.ascontiguousarray(windows)
    known = ~np.isnan(windows)
    if windows.size and known.all():
        return np.asarray(windows.sum(axis=-1) / windows.shape[-1])
    count = known.sum(axis=-1)
    total = np.where(known, windows, 0.0).sum(axis=-1)
    return np.asarray(total / np.where(count > 0, count, np.nan))


def deviations(windows: Floats) -> Floats:
    """Return the sample standard deviation of each window's known values (…,); NaN for fewer than two."""
    known = ~np.isnan(windows)
    count = known.sum(axis=-1)
    apart = np.where(known, windows - means(windows)[..., None], 0.0)
    return np.asarray(np.sqrt((apart * apart).sum(axis=-1) / np.where(count > 1, count - 1, np.nan)))


def rolling_sums(windows: Floats, days: int) -> Floats:
    """Return the sums of ``days`` consecutive values, added from the oldest: (…, n) → (…, n − days + 1).

    Examples
    --------
    >>> rolling_sums(np.array([1.0, 2.0, 3.0, 4.0]), 2)
    array([3., 5., 7.])
    """
    width = windows.shape[-1] - days + 1
    out = windows[..., :width]
    for shift in range(1, days):
        out = out + windows[..., shift : shift + width]
    return out


def rsi(closes: Floats, days: int) -> Floats:
    """Return the relative strength index 0–100 (…,) with Wilder's smoothing (weight 1/days) over the window's changes.

    The weights are those of an infinite past, normalised over the window. For RSI(14) over 250 days, the truncated
    weight is 10⁻⁸.

    Parameters
    ----------
    closes : (…, window)
    days : smoothing period.

    Examples
    --------
    >>> rsi(np.array([1.0, 2.0, 3.0]), 14).item(), rsi(np.array([1.0, 1.0]), 14).item()
    (100.0, 50.0)
    """
    changes = np.diff(closes)
    weights = (1 - 1 / days) ** np.arange(changes.shape[-1] - 1, -1, -1)
    up, moved = (np.maximum(changes, 0) * weights).sum(axis=-1), (np.abs(changes) * weights).sum(axis=-1)
    return np.asarray(np.where(moved == 0, 50.0, 100 * up / np.where(moved == 0, 1.0, moved)))
