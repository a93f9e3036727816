"""price_level 复权价格水平: the chained returns of a stock, from which a subscriber measures forward returns."""

from __future__ import annotations

from processors.block import Block
from processors.needs import DETAIL, price, security
from processors.pack import Array
from processors.signal import Level, Signal

LEVEL = price("level")

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
)


def compute(block: Block) -> dict[str, Array]:
    """Return the level over the rows of the margin detail (n,)."""
    return {"price_level": block.on(block.section(DETAIL), LEVEL)}
