"""price_level 复权价格水平, open_to_close 日内收益: from these a subscriber measures forward returns of a stock."""

from __future__ import annotations

from processors.arrays import Array
from processors.block import Block
from processors.needs import DETAIL, price, security
from processors.signal import Level, Signal

LEVEL, OPEN_TO_CLOSE = price("level"), price("open_to_close")

SIGNALS = (
    Signal(
        "price_level",
        Level.SECURITY,
        "Adjusted price level, 1 on the first day with a price",
        "复权价格水平",
        "level",
        (security("fin_balance"), LEVEL),
        "level_t = level_{t−1} × close_t / prev_close_t (ex-right adjusted); absent without a price of the day",
        "prices.daily",
    ),
    Signal(
        "open_to_close",
        Level.SECURITY,
        "Return from the open to the close",
        "日内收益",
        "ratio",
        (security("fin_balance"), OPEN_TO_CLOSE),
        "close_t / open_t − 1; level_t / (1 + open_to_close_t) is the adjusted level at the open; absent without an open",
        "prices.daily",
    ),
)


def compute(block: Block) -> dict[str, Array]:
    """Return both over the rows of the margin detail (n,)."""
    detail = block.section(DETAIL)
    return {"price_level": block.on(detail, LEVEL), "open_to_close": block.on(detail, OPEN_TO_CLOSE)}
