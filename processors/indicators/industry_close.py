"""Closes and opens of the industries' indices 行业指数, from which the forward returns of an industry are measured."""

from __future__ import annotations

from processors.block import Block
from processors.indicators.industry_balance import IndustryColumns
from processors.needs import Need, industry_index
from processors.signal import Level, Signal

CLOSE, OPEN = industry_index("close"), industry_index("open")


def _signal(name: str, title: str, title_zh: str, need: Need, formula: str) -> Signal:
    return Signal(name, Level.INDUSTRY, title, title_zh, "points", (need,), formula, "indices.daily")


SIGNALS = (
    _signal("index_close", "Close of the industry's index", "行业指数收盘", CLOSE, "the close of the industry's index"),
    _signal(
        "index_open", "Open of the industry's index", "行业指数开盘", OPEN,
        "the open of the industry's index, the first price at which a signal of the day before can be traded",
    ),
)  # fmt: skip


def compute(block: Block) -> IndustryColumns:
    """Return the columns; a price is absent where the index has none."""
    return {"index_close": block[CLOSE], "index_open": block[OPEN]}, [{} for _ in range(len(block))]
