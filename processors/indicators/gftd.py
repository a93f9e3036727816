"""gftd: GF's TD-style timing, a setup of closes in one direction and a count of closes in the other.

A setup is n2 closes that are each below (above) the close n1 days earlier. After it, a day counts towards a buy (sell) if
its close is not below (above) the high (low) two days before, its high is above (its low below) that of the day before,
and its close is beyond the close of the day counted last. n3 counts give the signal. A new setup of the same direction
restarts the count. Buys and sells are counted independently, because a rise that counts towards a buy soon completes the
setup of a sell.
"""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.needs import index
from processors.parameters import Parameters
from processors.signal import Column, Level, Signal

CLOSES = index("close", each="timing_indices", days="gftd_lag", plus=1)
HIGHS, LOWS = index("high", each="timing_indices", days=3), index("low", each="timing_indices", days=3)

GFTD = Signal(
    "gftd",
    Level.MARKET,
    "TD-style timing: +1 buy, −1 sell on the day of the signal, else 0",
    "GFTD择时",
    "side",
    (CLOSES, HIGHS, LOWS),
    "setup: n2 = <gftd_setup> closes each below (above) the close n1 = <gftd_lag> earlier; then a count to n3 = <gftd_count> of days with close ≥ high "
    "of two days before, high > high of the day before, close > close of the day counted before (sell: mirrored); both "
    "are counted side by side; absent behind a day without prices until both counts have begun again",
    "[GF25], conditions of the count ours",
    subjects=True,
    parameters=("gftd_setup", "gftd_count"),
)
SIGNALS = (GFTD,)

State = dict[str, float]
_NO_SETUP = -1.0
_KNOWN = ("setup_known", "buy_known", "sell_known", "position_known")
_BEGIN: State = {"setup": 0.0, "buy": _NO_SETUP, "buy_last": 0.0, "sell": _NO_SETUP, "sell_last": 0.0, "position": 0.0,
                 "signal": 0.0, **dict.fromkeys(_KNOWN, 1.0)}  # fmt: skip
#: The state behind a gap, in which anything may have happened.
_AFTER_GAP: State = _BEGIN | dict.fromkeys(_KNOWN, 0.0)
_DETAILS = ("setup", "buy", "sell", "position")


def compute(block: Block) -> dict[str, Column]:
    """Return one column per index; the details contain setup, counts and the position since the last signal."""
    return {f"gftd/{code}": _index(block, code) for code in block.parameters.timing_indices}


def advance(before: State, closes: list[float], highs: list[float], lows: list[float], p: Parameters) -> State:
    """Return the state after a day.

    Parameters
    ----------
    before : state of the previous day.
    closes : closes of the day and of the ``gftd_lag`` days before it, oldest first.
    highs, lows : highs and lows of the last three days, oldest first.
    """
    state = _BEGIN | before | {"signal": 0.0}
    close = closes[-1]
    direction = int(np.sign(close - closes[0]))
    if not direction or state["setup"] * direction < 0:
        state["setup_known"] = 1.0  # it begins, or is none
    state["setup"] = (state["setup"] if state["setup"] * direction > 0 else 0.0) + direction
    for side, name, edges in ((1, "buy", highs), (-1, "sell", lows)):
        if state["setup"] == -side * p.gftd_setup:
            # The setup of a fall starts the count of a buy.
            state |= {name: 0.0, f"{name}_last": -side * np.inf}
            state[f"{name}_known"] = max(state[f"{name}_known"], state["setup_known"])
        elif state[name] >= 0:
            turned = side * (close - edges[0]) >= 0 and side * (edges[2] - edges[1]) > 0
            if turned and side * (close - state[f"{name}_last"]) > 0:
                state |= {name: state[name] + 1, f"{name}_last": close}
            if state[name] == p.gftd_count:
                state |= {name: _NO_SETUP, "position": float(side), "signal": float(side)}
                state["position_known"] = max(state["position_known"], state["buy_known"] * state["sell_known"])
    return state


def _index(block: Block, code: str) -> Column:
    closes, highs, lows = (block.get(need, code).tolist() for need in (CLOSES, HIGHS, LOWS))

    def step(before: State | None, i: int) -> State:
        if before is None:
            earlier = block.history(CLOSES, code)[: block.positions[i] - block.parameters.gftd_lag]
            before = _BEGIN if np.isnan(earlier).all() else _AFTER_GAP
        return advance(before, closes[i], highs[i], lows[i], block.parameters)

    states = block.scan(GFTD, step, code=code)

    def column(name: str, *known: str) -> list[int | None]:
        return [None if state is None or not all(state[one] for one in known) else int(state[name]) for state in states]

    details = {name: column(name, f"{name}_known") for name in _DETAILS}
    reason = f"a count of {code} began before a day that is not known"
    return Column(column("signal", "buy_known", "sell_known"), details, reason)
