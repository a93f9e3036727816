"""regime 行情阶段: rally or range, by a rule on the CSI 300; [SW14] splits its history by hindsight."""

from __future__ import annotations

from processors.block import Block
from processors.needs import index
from processors.signal import Column, Level, Signal

RALLY, RANGE = "RALLY", "RANGE"
CLOSES = index("close", each="regime_index", days="regime_days", plus=1)

REGIME = Signal(
    "regime",
    Level.MARKET,
    "Rally or range",
    "行情阶段",
    "state",
    (CLOSES,),
    "RALLY when <regime_index> closes above its <regime_days>-day mean and its <regime_days>-day return > <regime_return:%>, else RANGE",
    "[SW14], definition ours",
    parameters=("regime_return",),
)
SIGNALS = (REGIME,)


def compute(block: Block) -> dict[str, Column]:
    """Return the regime; the details contain close, mean and return."""
    closes = block[CLOSES]
    close, mean, gain = closes[:, -1], closes[:, 1:].copy().mean(axis=1), closes[:, -1] / closes[:, 0] - 1
    rally = (close > mean) & (gain > block.parameters.regime_return)
    states = [RALLY if up else RANGE for up in rally.tolist()]
    return {"regime": Column(states, {"close": close, "mean": mean, "return": gain})}
