"""fin_buy_ratio 融资买入额占比: the share of turnover that is bought on margin, a measure of the market's heat."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.needs import total, turnover
from processors.signal import Column, Level, Signal
from processors.statistics import rolling_sums

BUY, TURNOVER = total("fin_buy"), turnover()
BUYS, TURNOVERS = total("fin_buy", days="ratio_window_days"), turnover(days="ratio_window_days")

SIGNALS = (
    Signal(
        "fin_buy_ratio",
        Level.MARKET,
        "Financing-buy ratio, daily",
        "融资买入额占两市成交额比例",
        "ratio",
        (BUY, TURNOVER),
        "Σ fin_buy / Σ turnover over the same exchanges",
        "[DG22]",
    ),
    Signal(
        "fin_buy_ratio_5d",
        Level.MARKET,
        "Financing-buy ratio, trailing <ratio_window_days> days",
        "融资买入额占比（<ratio_window_days>日）",
        "ratio",
        (BUYS, TURNOVERS),
        "Σ fin_buy / Σ turnover over 5 trading days",
        "[DG22], 5-day sum/sum ours",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the daily and the trailing ratio; the details contain numerator and denominator in CNY."""
    return {
        "fin_buy_ratio": _column(block[BUY], block[TURNOVER]),
        "fin_buy_ratio_5d": _column(*_sums(block[BUYS], block[TURNOVERS])),
    }


def daily_ratio(buys: Floats, turnovers: Floats) -> Floats:
    """Return buys over turnover, a fraction of their shape; NaN where turnover is zero."""
    return np.asarray(buys / np.where(turnovers > 0, turnovers, np.nan))


def trailing_ratio(buys: Floats, turnovers: Floats) -> Floats:
    """Return the ratio of the sums over each window: (k, days) → (k,); a window of one day is (k,)."""
    return daily_ratio(*_sums(buys, turnovers))


def _sums(buys: Floats, turnovers: Floats) -> tuple[Floats, Floats]:
    # A window of one day has no axis of its own.
    buys, turnovers = (values.reshape(len(values), -1) for values in (buys, turnovers))
    days = buys.shape[1]
    return rolling_sums(buys, days)[:, 0], rolling_sums(turnovers, days)[:, 0]


def _column(buys: Floats, turnovers: Floats) -> Column:
    details = {"fin_buy_cny": buys, "turnover_cny": turnovers}
    return Column(daily_ratio(buys, turnovers), details, "turnover is zero")
