"""equal_weight_return 等权平均收益: the mean day of the stocks that can be bought on margin."""

from __future__ import annotations

import numpy as np

from processors.market_view import DETAIL, MarketView
from processors.pricing import PRICES
from processors.signal import Absent, Level, Reading, Signal

SIGNALS = (
    Signal(
        "equal_weight_return",
        Level.MARKET,
        "Equal-weight mean return of the stocks in the margin list",
        "融资标的等权平均收益",
        "ratio",
        (DETAIL, PRICES),
        "mean of close / prev_close − 1 over the stocks with a margin row and a return of the day",
        "[SW14]",
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the mean; details carry how many stocks it is of."""
    keys = view.detail.keys[view.stock]
    returns = view.priced("return_1", keys)
    known = returns[~np.isnan(returns)]
    if not len(known):
        return {"equal_weight_return": Absent(f"{PRICES}: no stock of {DETAIL} has a return")}
    return {"equal_weight_return": Reading(float(known.mean()), {"stocks": len(known)})}
