"""What the SSE Composite did after each day, from the entry on: highest and lowest close, and which came first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors.arrays import Floats
from processors.studies.panel import SSE, Panel
from processors.studies.result import Mode

#: A case is a top or high-level range if no close of so many days is further above its entry than this (ours).
TOP, TOP_DAYS = 0.05, 60
HORIZONS = (5, 20, 60)


@dataclass(frozen=True, slots=True)
class Paths:
    """Outcomes by day (days,), NaN where they are not known.

    Parameters
    ----------
    after : horizon → return to the close of that many days after the day.
    lowest, highest : return to the lowest and the highest close of `TOP_DAYS` days; the lowest as far as it is known.
    topped : 1 if no close is more than `TOP` above the entry, else 0.
    fell_first : 1 if a close is `TOP` below the entry before one is `TOP` above it, else 0.
    """

    after: dict[int, Floats]
    lowest: Floats
    highest: Floats
    topped: Floats
    fell_first: Floats


def paths(panel: Panel, mode: Mode) -> Paths:
    """Return the outcomes after every day in one mode."""
    entry, close = panel.entry(mode, at_open=True), panel.closes[SSE]
    price = close if mode is Mode.AS_SOURCE else panel.opens[SSE]
    lowest, highest, topped, fell = (np.full(len(close), np.nan) for _ in range(4))
    for day, start in enumerate(entry.tolist()):
        end = day + TOP_DAYS + 1
        if start == len(close):
            continue  # nobody could act on it in the data in hand
        path = close[start:end] / price[start] - 1
        if not np.isnan(path).all():
            lowest[day] = np.nanmin(path)
        if end <= len(close):
            later = close[day + 1 : end] / price[start] - 1
            if np.isnan(later).any():
                continue  # a close that is not known may have been the highest
            highest[day] = later.max()
            topped[day] = later.max() <= TOP
            down, up = later <= -TOP, later >= TOP
            fell[day] = down.any() and (not up.any() or int(down.argmax()) < int(up.argmax()))
    after = {h: panel.index_forward(SSE, entry, h, mode) for h in HORIZONS}
    return Paths(after, lowest, highest, topped, fell)
