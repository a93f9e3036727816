"""turnover_mean_5d 5日日均成交额: how much the market trades a day, over a week of trading."""

from __future__ import annotations

from processors.block import Block
from processors.needs import turnover
from processors.signal import Column, Level, Signal
from processors.statistics import rolling_sums

_DAYS = 5
TURNOVERS = turnover(days=_DAYS)

SIGNALS = (
    Signal(
        "turnover_mean_5d",
        Level.MARKET,
        "Mean turnover of 5 days",
        "5日日均成交额",
        "CNY",
        (TURNOVERS,),
        "Σ turnover of the exchanges over 5 trading days / 5; details: turnover of the day (published for 2025-07-21…25: "
        "more than 1.8 tn)",
        "[GF25]",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the mean in CNY a day; the details contain the day's turnover."""
    turnovers = block[TURNOVERS]
    mean = rolling_sums(turnovers, _DAYS)[:, 0] / _DAYS
    return {"turnover_mean_5d": Column(mean, {"turnover_cny": turnovers[:, -1]})}
