"""fin_balance 融资余额: level, day change, streak and 250-day highs and lows of the whole market.

The balance is the sum of the exchanges' published totals. The sum of the margin detail is about 1% lower, because the
totals still contain securities that left the eligible list.
"""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.needs import TOTALS, total
from processors.signal import Column, Level, Signal

BALANCE = total("fin_balance")
BALANCE_BEFORE = total("fin_balance", back=1)
BALANCES = total("fin_balance", days="high_low_days")

STREAK = Signal(
    "streak",
    Level.MARKET,
    "Consecutive rises (+) or falls (−) of the balance",
    "融资余额连续增减天数",
    "days",
    (BALANCE, BALANCE_BEFORE),
    "signed count of consecutive days with B_t − B_{t−1} of one sign; a zero change ends it; absent behind a day without a "
    "balance until it ends; the first one begins with the history",
    "[GF25]",
)

SIGNALS = (
    Signal(
        "fin_balance",
        Level.MARKET,
        "Margin balance",
        "融资余额",
        "CNY",
        (BALANCE,),
        "B_t = Σ fin_balance over the exchanges",
        "[DG22]",
    ),
    Signal(
        "fin_balance_change",
        Level.MARKET,
        "Day change of the margin balance",
        "融资余额日变动",
        "CNY",
        (BALANCE, BALANCE_BEFORE),
        "B_t − B_{t−1}",
        "[DG22]",
    ),
    STREAK,
    Signal(
        "new_high_low",
        Level.MARKET,
        "New high (+1) or low (−1) of the balance",
        "融资余额新高/新低",
        "side",
        (BALANCES,),
        "+1 if B_t > all of the N−1 days before, −1 if below all of them, else 0; N = high_low_days (<high_low_days>); the details contain B_t and "
        "the high and low of the days before",
        "[GF25], N ours",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the four signals."""
    balance = block[BALANCE]
    change = balance - block[BALANCE_BEFORE]
    today, earlier = block[BALANCES][:, -1], block[BALANCES][:, :-1]

    def step(before: int | None, i: int) -> int | None:
        if before is not None:
            return advance(before, change[i])
        return begun_in(block.history(BALANCE)[: block.positions[i] + 1])

    side = np.where(today > earlier.max(axis=1), 1, np.where(today < earlier.min(axis=1), -1, 0))
    return {
        "fin_balance": Column(balance),
        "fin_balance_change": Column(change),
        "streak": Column(
            block.scan(STREAK, step), undefined=f"{TOTALS}: the streak began before a day that is not known"
        ),
        "new_high_low": Column(
            side, {"balance": today, "previous_high": earlier.max(axis=1), "previous_low": earlier.min(axis=1)}
        ),
    }


def begun_in(balances: Floats) -> int | None:
    """Return the streak of the last day of a history, None where it began before a day without a balance.

    Parameters
    ----------
    balances : (n,) balances, oldest first, NaN where unknown; the first one begins the history.

    Examples
    --------
    >>> begun_in(np.array([np.nan, 5.0, 6.0, 7.0])), begun_in(np.array([5.0, np.nan, 6.0, 7.0]))
    (2, None)
    >>> begun_in(np.array([5.0, np.nan, 6.0, 7.0, 6.0, 5.0]))
    -2
    """
    signs = np.sign(np.diff(balances))
    last = signs[-1]
    others = np.flatnonzero(signs != last)
    if last == 0:
        return 0
    begin = int(others[-1]) + 1 if len(others) else 0
    if begin and np.isnan(signs[begin - 1]) and not np.isnan(balances[:begin]).all():
        return None
    return int(last * (len(signs) - begin))


def advance(before: int, change: float) -> int:
    """Return the streak after a day's change, positive for rises.

    Examples
    --------
    >>> advance(3, 1e8), advance(3, -1e8), advance(3, 0.0)
    (4, -1, 0)
    """
    if change > 0:
        return max(before, 0) + 1
    if change < 0:
        return min(before, 0) - 1
    return 0
