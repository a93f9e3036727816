"""Small statistics that several indicators share; NaN is a missing value, never zero."""

from __future__ import annotations

import numpy as np

from processors.events import Floats


def percentile_of(window: Floats, least: int) -> float | None:
    """Return the share of a window's known values that are not above its last one; None below ``least`` of them.

    Exact over the window: a slice of a line, so time and memory are those of the window, however long the history.
    """
    known = window[~np.isnan(window)]
    if len(known) < least or np.isnan(window[-1]):
        return None
    return float((known <= window[-1]).mean())


def drawdown(closes: Floats) -> float:
    """Return the last value over the window's highest, less 1: 0 at a high, −0.2 a fifth below it."""
    return float(closes[-1] / np.nanmax(closes) - 1)


def distance(closes: Floats) -> float:
    """Return the last value over the window's mean, less 1."""
    return float(closes[-1] / np.nanmean(closes) - 1)


def rsi(closes: Floats, days: int) -> Floats:
    """Return the relative strength index 0–100: Wilder's smoothing (weight 1/days), over the window's changes.

    The weights are those of an infinite past, normalised over the window: of 250 days and RSI(14) what is cut off
    weighs 10⁻⁸.

    Parameters
    ----------
    closes : (…, window); the result has the shape of what stands before the window.
    """
    changes = np.diff(closes)
    weights = (1 - 1 / days) ** np.arange(changes.shape[-1] - 1, -1, -1)
    up, moved = np.maximum(changes, 0) @ weights, np.abs(changes) @ weights
    return np.asarray(np.where(moved == 0, 50.0, 100 * up / np.where(moved == 0, 1.0, moved)))
