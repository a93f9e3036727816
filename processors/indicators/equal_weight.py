"""equal_weight_return 等权平均收益: the mean daily return of the stocks in the margin list."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.cross_sections import merged, reasons
from processors.needs import DETAIL, PRICES, price, security
from processors.signal import Column, Level, Signal

LEVEL, RETURN, ACTION = price("level"), price("return_1"), price("corporate_action")

EQUAL_WEIGHT = Signal(
    "equal_weight_return",
    Level.MARKET,
    "Equal-weight mean return of the stocks in the margin list",
    "融资标的等权平均收益",
    "ratio",
    (security("fin_balance"), LEVEL, RETURN, ACTION),
    "mean of close / prev_close − 1 over the stocks with a margin row and a return of the day; without prev_close, a move "
    "beyond the board's daily limit is a corporate action and no return (their number: corporate_actions); the first day "
    "of a new stock counts, from its issue price",
    "[SW14]",
)
SIGNALS = (EQUAL_WEIGHT,)


def compute(block: Block) -> dict[str, Column]:
    """Return the mean; the details contain the number of stocks, and of those with a corporate action."""
    section = block.section(DETAIL)
    returns = np.where(block.stocks, block.on(section, RETURN), np.nan)
    actions = block.stocks & (block.on(section, ACTION) == 1.0) & np.isnan(returns)
    known_returns = np.isnan(block.on(section, LEVEL)) | ~np.isnan(returns) | actions | ~block.stocks
    gaps = merged(block.gaps(DETAIL), block.with_differences(PRICES, section, known_returns))
    rows, days = section.split(~np.isnan(returns))
    known = returns[rows]
    counts = np.array([day.stop - day.start for day in days])
    means = np.array([known[day].mean() if day.stop > day.start else np.nan for day in days])
    acted = section.counts(np.zeros(len(actions), dtype=int), 1, actions)[:, 0]
    return {
        "equal_weight_return": Column(
            means,
            {"stocks": counts, "corporate_actions": acted},
            f"{PRICES}: no stock of {DETAIL} has a return",
            reasons(gaps),
        )
    }
