"""short_balance 融券余额: securities lent, of the whole market. It follows the index and is no bottom signal."""

from __future__ import annotations

from processors.market_view import MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

SIGNALS = (
    Signal(
        "short_balance",
        Level.MARKET,
        "Short balance (follows the index, no bottom signal)",
        "融券余额",
        "CNY",
        ("margin.market",),
        "Σ short_balance over the exchanges",
        "[DG22]",
    ),
    Signal(
        "short_balance_change",
        Level.MARKET,
        "Day change of the short balance",
        "融券余额日变动",
        "CNY",
        ("margin.market",),
        "S_t − S_{t−1}",
        "[DG22]",
        window_days=2,
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return level and day change."""
    try:
        today = view.total("short_balance")
    except Missing as missing:
        return {signal.id: missing.absent() for signal in SIGNALS}
    out: dict[str, Reading | Absent] = {"short_balance": Reading(today)}
    try:
        out["short_balance_change"] = Reading(today - view.total("short_balance", 1))
    except Missing as missing:
        out["short_balance_change"] = missing.absent()
    return out
