"""regime 行情阶段: a rally or a range, told by the CSI 300 itself; [SW14] split its history by hindsight."""

from __future__ import annotations

from processors.codes import to_id
from processors.market_view import INDICES, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

RALLY, RANGE = "RALLY", "RANGE"

SIGNALS = (
    Signal(
        "regime",
        Level.MARKET,
        "Rally or range",
        "行情阶段",
        "state",
        (INDICES,),
        "RALLY when the CSI 300 closes above its 60-day mean and its 60-day return > 10%, else RANGE",
        "[SW14], definition ours",
        window_days=61,
        parameters=("regime_index", "regime_days", "regime_return"),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the regime; details carry close, mean and return."""
    days = view.parameters.regime_days
    try:
        closes = view.full_window(INDICES, to_id(view.parameters.regime_index), "close", days + 1)
    except Missing as missing:
        return {"regime": missing.absent()}
    mean, gain = float(closes[1:].mean()), float(closes[-1] / closes[0] - 1)
    rally = closes[-1] > mean and gain > view.parameters.regime_return
    return {"regime": Reading(RALLY if rally else RANGE, {"close": float(closes[-1]), "mean": mean, "return": gain})}
