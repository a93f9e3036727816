"""price_level 复权价格水平: the chain of a stock's returns, so that forward returns can be measured from signals."""

from __future__ import annotations

from processors.indicators.excess_score import INPUTS
from processors.market_view import MarketView
from processors.pack import Array
from processors.signal import Level, Signal

SIGNALS = (
    Signal(
        "price_level",
        Level.SECURITY,
        "Adjusted price level, 1 on the first day with a price",
        "复权价格水平",
        "level",
        INPUTS,
        "level_t = level_{t−1} × close_t / prev_close_t (ex-right adjusted); absent without a price of the day",
        "prices.daily",
    ),
)


def compute(view: MarketView) -> dict[str, Array]:
    """Return the column over the day's margin detail."""
    return {"price_level": view.priced("level", view.detail.keys)}
