"""fin_buy_ratio 融资买入额占比: how much of the day's turnover is bought on margin, the market's heat."""

from __future__ import annotations

from processors.market_view import MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

_INPUTS = ("margin.market", "indices.daily")

SIGNALS = (
    Signal(
        "fin_buy_ratio",
        Level.MARKET,
        "Financing-buy ratio, daily",
        "融资买入额占两市成交额比例",
        "ratio",
        _INPUTS,
        "Σ fin_buy / Σ turnover over the same exchanges",
        "[DG22]",
        provisional=True,
    ),
    Signal(
        "fin_buy_ratio_5d",
        Level.MARKET,
        "Financing-buy ratio, trailing 5 days",
        "融资买入额占比（5日）",
        "ratio",
        _INPUTS,
        "Σ fin_buy / Σ turnover over 5 trading days",
        "[DG22], 5-day sum/sum ours",
        window_days=5,
        provisional=True,
        parameters=("ratio_window_days",),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the daily and the trailing ratio; details carry numerator and denominator in CNY."""
    return {"fin_buy_ratio": _ratio(view, 1), "fin_buy_ratio_5d": _ratio(view, view.parameters.ratio_window_days)}


def _ratio(view: MarketView, days: int) -> Reading | Absent:
    try:
        buys = sum(view.total("fin_buy", back) for back in range(days - 1, -1, -1))
        turnover = sum(view.turnover(back) for back in range(days - 1, -1, -1))
    except Missing as missing:
        return missing.absent()
    if turnover <= 0:
        return Absent("turnover is zero")
    return Reading(buys / turnover, {"fin_buy_cny": buys, "turnover_cny": turnover})
