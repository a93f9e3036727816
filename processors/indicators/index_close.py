"""index_close 指数收盘: the closes and opens from which a subscriber measures forward returns without a feed of prices."""

from __future__ import annotations

from processors.block import Block
from processors.needs import index
from processors.signal import Column, Level, Signal

CLOSE = index("close", each="timing_indices")
OPEN = index("open", each="timing_indices", optional=True)

SIGNALS = (
    Signal(
        "index_close",
        Level.MARKET,
        "Close of an index",
        "指数收盘",
        "points",
        (CLOSE, OPEN),
        "the index's close; details: its open, the first price at which a signal of the day before can be traded",
        "indices.daily",
        subjects=True,
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return one column per index; the details contain the open."""
    return {
        f"index_close/{code}": Column(block.get(CLOSE, code), {"open": block.get(OPEN, code)})
        for code in block.parameters.timing_indices
    }
