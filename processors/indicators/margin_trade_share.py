"""margin_trade_share 两融交易占比: margin buys and short sales over turnover.

Exchanges publish short sales in shares. Their value uses the average price of the lent shares (short_balance /
short_volume of the same exchange), which is ours. Buys are more than 90% of the sum.
"""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.needs import Need, total, turnover
from processors.ratio_percentiles import EXPANDING, TRAILING, percentile_columns, percentile_signals
from processors.signal import Column, Level, Signal

_SHORT = ("short_sell", "short_balance", "short_volume")
BUY, TURNOVER = total("fin_buy"), turnover()
SHORT = tuple(total(name) for name in _SHORT)
WINDOWS = tuple(
    (total("fin_buy", **window), turnover(**window), *(total(name, **window) for name in _SHORT))
    for window in (TRAILING, EXPANDING)
)

RATIO = Signal(
    "margin_trade_share",
    Level.MARKET,
    "Margin trades over turnover",
    "两融交易占成交额比例",
    "ratio",
    (BUY, TURNOVER, *SHORT),
    "(Σ fin_buy + Σ short_sell × short_balance / short_volume) / Σ turnover over the same exchanges; published deciles: "
    "7.06 7.40 7.68 8.01 8.36 8.75 9.10 9.43 10.05%",
    "[DG24], value of short sales ours",
)
SIGNALS = (RATIO, *percentile_signals(RATIO, *WINDOWS))


def compute(block: Block) -> dict[str, Column]:
    """Return the share and its percentiles; the details contain the summands in CNY."""
    buys, turnovers, sold = block[BUY], block[TURNOVER], short_sales(block, SHORT)
    share = (buys + sold) / np.where(turnovers > 0, turnovers, np.nan)
    trailing, expanding = (
        (block[buy] + short_sales(block, tuple(short))) / block[traded] for buy, traded, *short in WINDOWS
    )
    details = {"fin_buy_cny": buys, "short_sale_cny": sold, "turnover_cny": turnovers}
    return {
        RATIO.id: Column(share, details, "turnover or the lent shares are zero"),
        **percentile_columns(RATIO, share, trailing, expanding, block.parameters),
    }


def short_sales(block: Block, needs: tuple[Need, ...]) -> Floats:
    """Return the value of the short sales, CNY: Σ over the exchanges of shares × average price of the lent shares.

    An exchange that has nothing lent and nothing sold adds 0.
    """
    out: Floats | float = 0.0
    for sold, balance, volume in zip(*(block.by_exchange(need) for need in needs), strict=True):
        nothing = (sold == 0) & (volume == 0)
        out = out + np.where(nothing, 0.0, sold * balance / np.where(volume > 0, volume, np.nan))
    return np.asarray(out)
