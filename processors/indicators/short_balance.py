"""short_balance 融券余额: the value of lent securities of the whole market; it follows the index and is no bottom signal."""

from __future__ import annotations

from processors.block import Block
from processors.needs import total
from processors.signal import Column, Level, Signal

BALANCE = total("short_balance")
BALANCE_BEFORE = total("short_balance", back=1)

SIGNALS = (
    Signal(
        "short_balance",
        Level.MARKET,
        "Short balance (follows the index, no bottom signal)",
        "融券余额",
        "CNY",
        (BALANCE,),
        "Σ short_balance over the exchanges",
        "[DG22]",
    ),
    Signal(
        "short_balance_change",
        Level.MARKET,
        "Day change of the short balance",
        "融券余额日变动",
        "CNY",
        (BALANCE, BALANCE_BEFORE),
        "S_t − S_{t−1}",
        "[DG22]",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return level and day change."""
    balance = block[BALANCE]
    return {"short_balance": Column(balance), "short_balance_change": Column(balance - block[BALANCE_BEFORE])}
