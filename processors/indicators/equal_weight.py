"""equal_weight_return 等权平均收益: the mean daily return of the stocks in the margin list."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.needs import DETAIL, PRICES, price, security
from processors.signal import Column, Level, Signal

RETURN = price("return_1")

EQUAL_WEIGHT = Signal(
    "equal_weight_return",
    Level.MARKET,
    "Equal-weight mean return of the stocks in the margin list",
    "融资标的等权平均收益",
    "ratio",
    (security("fin_balance"), RETURN),
    "mean of close / prev_close − 1 over the stocks with a margin row and a return of the day",
    "[SW14]",
)
SIGNALS = (EQUAL_WEIGHT,)


def compute(block: Block) -> dict[str, Column]:
    """Return the mean; the details contain the number of stocks."""
    section = block.section(DETAIL)
    returns = np.where(block.stocks, block.on(section, RETURN), np.nan)
    means, counts = np.full(len(block), np.nan), np.zeros(len(block), dtype=int)
    for i in range(len(block)):
        of_day = returns[section.rows(i)]
        known = of_day[~np.isnan(of_day)]
        counts[i] = len(known)
        if len(known):
            means[i] = known.mean()
    return {"equal_weight_return": Column(means, {"stocks": counts}, f"{PRICES}: no stock of {DETAIL} has a return")}
