"""fin_change_5d 融资余额5日变动: how much margin money came into the market, or left it, over a week of trading."""

from __future__ import annotations

from processors.block import Block
from processors.needs import total
from processors.signal import Column, Level, Signal

_DAYS = 5
BALANCE, BALANCE_BEFORE = total("fin_balance"), total("fin_balance", back=_DAYS)

SIGNALS = (
    Signal(
        "fin_change_5d",
        Level.MARKET,
        "Change of the margin balance over 5 days",
        "融资余额5日变动",
        "CNY",
        (BALANCE, BALANCE_BEFORE),
        "B_t − B_{t−5}: the sum of 5 day changes; details: the balance and the growth B_t / B_{t−5} − 1 (published for "
        "2025-07-21…25: +36.9 bn)",
        "[GF25]",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the change in CNY; the details contain the balance and its growth."""
    balance, before = block[BALANCE], block[BALANCE_BEFORE]
    change = balance - before
    growth = change / before
    return {"fin_change_5d": Column(change, {"fin_balance_cny": balance, "growth": growth})}
