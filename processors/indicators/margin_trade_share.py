"""margin_trade_share 两融交易占比: margin buys and short sales over turnover.

Exchanges publish short sales in shares. Their value is taken at the average price of what is lent (short_balance /
short_volume of the same exchange), which is ours; buys are more than 90% of the sum.
"""

from __future__ import annotations

import numpy as np

from processors.events import Floats
from processors.market_view import INDICES, TOTALS, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal
from processors.statistics import percentile_of

_INPUTS = (TOTALS, INDICES)

SIGNALS = (
    Signal(
        "margin_trade_share",
        Level.MARKET,
        "Margin trades over turnover",
        "两融交易占成交额比例",
        "ratio",
        _INPUTS,
        "(Σ fin_buy + Σ short_sell × short_balance / short_volume) / Σ turnover over the same exchanges",
        "[DG24], value of short sales ours",
        parameters=("percentile_days", "percentile_least"),
    ),
    Signal(
        "margin_trade_share_percentile",
        Level.MARKET,
        "Its percentile over five years",
        "两融交易占比分位",
        "ratio",
        _INPUTS,
        "share of the last 1250 trading days' known values that are not above today's; at least 250 of them",
        "[DG24], window ours",
        window_days=250,
        parameters=("percentile_days", "percentile_least"),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the share and its percentile; details carry the parts in CNY."""
    p = view.parameters
    try:
        buys, turnover = view.total("fin_buy"), view.turnover()
        for name in ("short_sell", "short_balance", "short_volume"):
            view.total(name)
    except Missing as missing:
        return {signal.id: missing.absent() for signal in SIGNALS}
    sold = short_sales(view, 1)[-1]
    if turnover <= 0 or np.isnan(sold):
        return {signal.id: Absent("turnover or the lent shares are zero") for signal in SIGNALS}
    days = p.percentile_days
    window = (view.total_window("fin_buy", days) + short_sales(view, days)) / view.turnover_window(days)
    rank = percentile_of(window, p.percentile_least)
    share = (buys + float(sold)) / turnover
    details = {"fin_buy_cny": buys, "short_sale_cny": float(sold), "turnover_cny": turnover}
    return {
        "margin_trade_share": Reading(share, details),
        "margin_trade_share_percentile": Absent(f"fewer than {p.percentile_least} days are known")
        if rank is None
        else Reading(rank, {"share": share}),
    }


def short_sales(view: MarketView, days: int) -> Floats:
    """Value of the short sales of the last days, CNY: shares × the average price of what is lent, by exchange."""
    out = np.zeros(days)
    for exchange in view.exchanges:
        sold, balance, volume = (
            view.exchange_window(exchange, name, days) for name in ("short_sell", "short_balance", "short_volume")
        )
        out += sold * balance / np.where(volume > 0, volume, np.nan)
    return out
