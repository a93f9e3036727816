"""index_close 指数收盘: the closes from which a subscriber measures forward returns without a feed of prices."""

from __future__ import annotations

from processors.block import Block
from processors.needs import index
from processors.signal import Column, Level, Signal

CLOSE = index("close", each="timing_indices")

SIGNALS = (
    Signal(
        "index_close",
        Level.MARKET,
        "Close of an index",
        "指数收盘",
        "points",
        (CLOSE,),
        "the index's close",
        "indices.daily",
        subjects=True,
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return one column per index."""
    return {f"index_close/{code}": Column(block.get(CLOSE, code)) for code in block.parameters.timing_indices}
