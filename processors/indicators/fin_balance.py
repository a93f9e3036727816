"""fin_balance 融资余额: level, day change, streak and 250-day highs and lows of the whole market.

The balance is the sum of the exchanges' published totals; the sum of the details is about 1% lower, because
securities that left the eligible list stay in the totals.
"""

from __future__ import annotations

import numpy as np

from processors.market_view import MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

_INPUTS = ("margin.market",)

SIGNALS = (
    Signal(
        "fin_balance",
        Level.MARKET,
        "Margin balance",
        "融资余额",
        "CNY",
        _INPUTS,
        "B_t = Σ fin_balance over the exchanges",
        "[DG22]",
    ),
    Signal(
        "fin_balance_change",
        Level.MARKET,
        "Day change of the margin balance",
        "融资余额日变动",
        "CNY",
        _INPUTS,
        "B_t − B_{t−1}",
        "[DG22]",
        window_days=2,
    ),
    Signal(
        "streak",
        Level.MARKET,
        "Consecutive rises (+) or falls (−) of the balance",
        "融资余额连续增减天数",
        "days",
        _INPUTS,
        "signed count of consecutive days with B_t − B_{t−1} of one sign; a zero change ends it",
        "[GF25]",
        window_days=2,
    ),
    Signal(
        "new_high_low",
        Level.MARKET,
        "New high (+1) or low (−1) of the balance",
        "融资余额新高/新低",
        "side",
        _INPUTS,
        "+1 if B_t > all of the N−1 days before, −1 if below all of them, else 0; N = high_low_days (250)",
        "[GF25], N ours",
        window_days=250,
        parameters=("high_low_days",),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the four signals of the day; absent ones with their reason."""
    out: dict[str, Reading | Absent] = {}
    try:
        today = view.total("fin_balance")
    except Missing as missing:
        return {signal.id: missing.absent() for signal in SIGNALS}
    out["fin_balance"] = Reading(today)
    try:
        change = today - view.total("fin_balance", 1)
    except Missing as missing:
        out["fin_balance_change"] = out["streak"] = missing.absent()
    else:
        out["fin_balance_change"] = Reading(change)
        out["streak"] = Reading(_advance(view.yesterday("streak"), change))
    try:
        out["new_high_low"] = Reading(_high_low(today, view))
    except Missing as missing:
        out["new_high_low"] = missing.absent()
    return out


def _advance(before: object, change: float) -> int:
    streak = before if isinstance(before, int) else 0
    if change > 0:
        return max(streak, 0) + 1
    if change < 0:
        return min(streak, 0) - 1
    return 0


def _high_low(today: float, view: MarketView) -> int:
    days = view.parameters.high_low_days
    view.total("fin_balance", days - 1)  # names what is missing
    window = view.total_window("fin_balance", days)[:-1]
    if np.isnan(window).any():
        raise Missing(f"{days} days of the margin balance are needed, {int((~np.isnan(window)).sum()) + 1} are known")
    if today > window.max():
        return 1
    return -1 if today < window.min() else 0
