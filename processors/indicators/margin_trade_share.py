"""margin_trade_share 两融交易占比: margin buys and short sales over turnover.

Exchanges publish short sales in shares. Their value uses the average price of the lent shares (short_balance /
short_volume of the same exchange), which is ours. Buys are more than 90% of the sum.
"""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.events import Floats
from processors.needs import Need, total, turnover
from processors.signal import Column, Level, Signal
from processors.statistics import percentiles

BUY, TURNOVER = total("fin_buy"), turnover()
SHORT = tuple(total(name) for name in ("short_sell", "short_balance", "short_volume"))
BUYS = total("fin_buy", days="percentile_days", min_periods="percentile_least")
TURNOVERS = turnover(days="percentile_days", min_periods="percentile_least")
SHORTS = tuple(
    total(name, days="percentile_days", min_periods="percentile_least")
    for name in ("short_sell", "short_balance", "short_volume")
)

SIGNALS = (
    Signal(
        "margin_trade_share",
        Level.MARKET,
        "Margin trades over turnover",
        "两融交易占成交额比例",
        "ratio",
        (BUY, TURNOVER, *SHORT),
        "(Σ fin_buy + Σ short_sell × short_balance / short_volume) / Σ turnover over the same exchanges",
        "[DG24], value of short sales ours",
    ),
    Signal(
        "margin_trade_share_percentile",
        Level.MARKET,
        "Its percentile over five years",
        "两融交易占比分位",
        "ratio",
        (BUYS, TURNOVERS, *SHORTS),
        "share of the last 1250 trading days' known values that are not above today's; at least 250 of them",
        "[DG24], window ours",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the share and its percentile; the details contain the summands in CNY."""
    buys, turnovers, sold = block[BUY], block[TURNOVER], short_sales(block, SHORT)
    share = (buys + sold) / np.where(turnovers > 0, turnovers, np.nan)
    window = (block[BUYS] + short_sales(block, SHORTS)) / block[TURNOVERS]
    min_periods = block.parameters.percentile_least
    return {
        "margin_trade_share": Column(
            share,
            {"fin_buy_cny": buys, "short_sale_cny": sold, "turnover_cny": turnovers},
            "turnover or the lent shares are zero",
        ),
        "margin_trade_share_percentile": Column(
            percentiles(window, min_periods), {"share": share}, f"fewer than {min_periods} days are known"
        ),
    }


def short_sales(block: Block, needs: tuple[Need, ...]) -> Floats:
    """Return the value of the short sales, CNY: Σ over the exchanges of shares × average price of the lent shares."""
    out: Floats | float = 0.0
    for sold, balance, volume in zip(*(block.by_exchange(need) for need in needs), strict=True):
        out = out + sold * balance / np.where(volume > 0, volume, np.nan)
    return np.asarray(out)
