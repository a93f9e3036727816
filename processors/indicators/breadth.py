"""breadth_200 and ytd_distribution 市场宽度: the share of stocks that take part in a move of the market."""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.cross_sections import reasons
from processors.kinds import is_stock
from processors.needs import LAST_YEAR, PRICES, price
from processors.signal import Column, Level, Signal, Value

_ROUNDING = 1e-12
_EDGES = (-0.30, -0.10, 0.10, 0.30, 0.50, np.nextafter(1.0, 2.0))  # a gain of 100% is not above it
BINS = ("< −30%", "−30…−10%", "−10…10%", "10…30%", "30…50%", "50…100%", "> 100%")
LEVEL = price("level")
MEAN = price("level", days="breadth_days", mean=True, min_periods="breadth_least")
LAST_YEAR_LEVEL = price("level", back=LAST_YEAR)
ACTION = price("corporate_action")

SIGNALS = (
    Signal(
        "breadth_200",
        Level.MARKET,
        "Share of stocks above their own <breadth_days>-day mean",
        "站上<breadth_days>日均线个股占比",
        "ratio",
        (LEVEL, MEAN),
        "stocks whose adjusted level is above its mean of the last 200 trading days / stocks with a price and at least 160 of them",
        "[GF25], least days ours",
    ),
    Signal(
        "ytd_distribution",
        Level.MARKET,
        "Median return of the stocks since the year began; shares of seven classes in the details",
        "年初至今涨跌幅分布",
        "ratio",
        (LEVEL, LAST_YEAR_LEVEL, ACTION),
        "share of stocks by adjusted return since the last session of the year before: < −30, −30…−10, −10…10, 10…30, 30…50, 50…100, > 100%; "
        "corporate_actions: stocks whose level leaves out a move beyond the board's limit on the day (no prev_close, or days that never arrived)",
        "[GF25]",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return breadth and median return; the details contain the number of stocks and the shares of the classes."""
    section, p = block.section(PRICES), block.parameters
    level, mean, year, action = (block.on(section, need) for need in (LEVEL, MEAN, LAST_YEAR_LEVEL, ACTION))
    stocks = is_stock(section.keys)
    # A chain of returns has rounding: a level that equals its mean but for that is not above it.
    above = np.where(np.isnan(level - mean), np.nan, level - mean > _ROUNDING * mean)
    gains = level / year - 1
    days: list[dict[str, Any]] = []
    absent = reasons(block.gaps(PRICES))
    for i in range(len(block)):
        rows = section.rows(i)
        up, gain = above[rows][stocks[rows]], gains[rows][stocks[rows]]
        up, gain = up[~np.isnan(up)], gain[~np.isnan(gain)]
        days.append(
            {
                "above": float(up.mean()) if len(up) else None,
                "counted": len(up),
                "median": float(np.median(gain)) if len(gain) else None,
                "shares": _shares(gain) if len(gain) else {},
                "corporate_actions": int((action[rows][stocks[rows]] == 1.0).sum()),
            }
        )
    return {
        "breadth_200": Column(
            [day["above"] for day in days],
            {"stocks": [day["counted"] for day in days]},
            f"{PRICES}: no stock has {p.breadth_least} prices in {p.breadth_days} trading days",
            absent,
        ),
        "ytd_distribution": Column(
            [day["median"] for day in days],
            {name: [day["shares"].get(name) for day in days] for name in ("stocks", *BINS)}
            | {"corporate_actions": [day["corporate_actions"] for day in days]},
            f"{PRICES}: no stock has a price of the year before",
            absent,
        ),
    }


def _shares(gains: Floats) -> dict[str, Value]:
    # Chained returns have rounding errors: without rounding, a gain of exactly 30% could fall into the lower class.
    counts = np.bincount(np.searchsorted(_EDGES, gains.round(12), side="right"), minlength=len(BINS))
    return {"stocks": len(gains)} | dict(zip(BINS, (counts / len(gains)).tolist(), strict=True))
