"""gftd: GF's TD-style timing: a setup of closes in one direction, then a count of closes that turn against it.

A setup of n2 closes each below (above) the close n1 earlier announces the end of a fall (rise). From then on a day
counts towards a buy (sell) when its close is not below (above) the high (low) two days before, its high above (low
below) the one of the day before, and its close beyond that of the day counted before. n3 counts are the signal; a new
setup begins the count anew.
"""

from __future__ import annotations

import numpy as np

from processors.codes import to_id
from processors.market_view import INDICES, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

SIGNALS = (
    Signal(
        "gftd",
        Level.MARKET,
        "TD-style timing: +1 buy, −1 sell on the day of the signal, else 0",
        "GFTD择时",
        "side",
        (INDICES,),
        "setup: n2 = 4 closes each below (above) the close n1 = 4 earlier; then a count to n3 = 4 of days with close ≥ high "
        "of two days before, high > high of the day before, close > close of the day counted before (sell: mirrored)",
        "[GF25], conditions of the count ours",
        window_days=9,
        subjects=True,
        parameters=("timing_indices", "gftd_lag", "gftd_setup", "gftd_count"),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return one reading per index; details carry setup, count and the position held since the last signal."""
    return {f"gftd/{code}": _index(view, code) for code in view.parameters.timing_indices}


def _index(view: MarketView, code: str) -> Reading | Absent:
    p, index = view.parameters, to_id(code)
    try:
        closes = view.full_window(INDICES, index, "close", p.gftd_lag + 1)
        highs, lows = (view.full_window(INDICES, index, name, 3) for name in ("high", "low"))
    except Missing as missing:
        return missing.absent()
    held = view.carried(f"gftd/{code}") or {"setup": 0.0, "side": 0.0, "count": 0.0, "last": 0.0, "position": 0.0}
    setup, side, count, last, position = (held[n] for n in ("setup", "side", "count", "last", "position"))
    close = float(closes[-1])
    direction = int(np.sign(close - closes[0]))
    setup = (setup if setup * direction > 0 else 0) + direction
    signal = 0
    if direction and abs(setup) == p.gftd_setup:
        side, count, last = -direction, 0, 0.0  # a completed fall is counted towards a buy
    elif side:
        edges, extremes = (highs, highs) if side > 0 else (lows, lows)
        turned = side * (close - edges[0]) >= 0 and side * (extremes[2] - extremes[1]) > 0
        if turned and (count == 0 or side * (close - last) > 0):
            count, last = count + 1, close
        if count == p.gftd_count:
            signal, position, side, count, last = int(side), side, 0, 0, 0.0
    state = {"setup": setup, "side": side, "count": count, "last": last, "position": position}
    view.carry(f"gftd/{code}", {name: float(value) for name, value in state.items()})
    return Reading(signal, {"setup": int(setup), "side": int(side), "count": int(count), "position": int(position)})
