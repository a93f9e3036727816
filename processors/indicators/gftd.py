"""gftd: GF's TD-style timing: a setup of closes in one direction, then a count of closes that turn against it.

A setup of n2 closes each below (above) the close n1 earlier announces the end of a fall (rise). From then on a day
counts towards a buy (sell) when its close is not below (above) the high (low) two days before, its high above (low
below) the one of the day before, and its close beyond that of the day counted before. n3 counts are the signal; a new
setup of the same direction begins its count anew. Buys and sells are counted side by side: a rise that counts towards
a buy is soon a setup of a sell, and doesn't end it.
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
        "of two days before, high > high of the day before, close > close of the day counted before (sell: mirrored); both "
        "are counted side by side",
        "[GF25], conditions of the count ours",
        window_days=9,
        subjects=True,
        parameters=("timing_indices", "gftd_lag", "gftd_setup", "gftd_count"),
    ),
)

_NO_SETUP = -1.0
_BEGINNING = {"setup": 0.0, "buy": _NO_SETUP, "buy_last": 0.0, "sell": _NO_SETUP, "sell_last": 0.0, "position": 0.0}


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
    state = dict(view.carried(f"gftd/{code}") or _BEGINNING)
    close = float(closes[-1])
    direction = int(np.sign(close - closes[0]))
    state["setup"] = (state["setup"] if state["setup"] * direction > 0 else 0) + direction
    signal = 0
    for side, name, edges in ((1, "buy", highs), (-1, "sell", lows)):
        if state["setup"] == -side * p.gftd_setup:
            state |= {name: 0.0, f"{name}_last": -side * np.inf}  # a completed fall is counted towards a buy
        elif state[name] >= 0:
            turned = side * (close - edges[0]) >= 0 and side * (edges[2] - edges[1]) > 0
            if turned and side * (close - state[f"{name}_last"]) > 0:
                state |= {name: state[name] + 1, f"{name}_last": close}
            if state[name] == p.gftd_count:
                signal = side
                state |= {name: _NO_SETUP, "position": float(side)}
    view.carry(f"gftd/{code}", {name: float(value) for name, value in state.items()})
    return Reading(signal, {name: int(state[name]) for name in ("setup", "buy", "sell", "position")})
