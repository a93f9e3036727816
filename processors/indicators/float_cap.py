"""fin_balance_to_float_cap 融资余额占流通市值: how much of the tradable market is bought with borrowed money."""

from __future__ import annotations

from processors.market_view import INDICES, TOTALS, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal
from processors.statistics import percentile_of

_INPUTS = (TOTALS, INDICES)

SIGNALS = (
    Signal(
        "fin_balance_to_float_cap",
        Level.MARKET,
        "Margin balance over float cap",
        "融资余额占流通市值",
        "ratio",
        _INPUTS,
        "B_t / Σ float cap of the exchanges' A shares (000001.SH and 399106.SZ)",
        "[DG24]",
        parameters=("percentile_days", "percentile_least"),
    ),
    Signal(
        "fin_balance_to_float_cap_percentile",
        Level.MARKET,
        "Its percentile over five years",
        "融资余额占流通市值分位",
        "ratio",
        _INPUTS,
        "share of the last 1250 trading days' known values that are not above today's; at least 250 of them",
        "[DG24], window ours",
        window_days=250,
        parameters=("percentile_days", "percentile_least"),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the share and its percentile."""
    p = view.parameters
    try:
        balance, cap = view.total("fin_balance"), view.float_cap()
    except Missing as missing:
        return {signal.id: missing.absent() for signal in SIGNALS}
    if cap <= 0:
        return {signal.id: Absent("the float cap is zero") for signal in SIGNALS}
    window = view.total_window("fin_balance", p.percentile_days) / view.float_cap_window(p.percentile_days)
    rank = percentile_of(window, p.percentile_least)
    return {
        "fin_balance_to_float_cap": Reading(balance / cap, {"fin_balance_cny": balance, "float_cap_cny": cap}),
        "fin_balance_to_float_cap_percentile": Absent(f"fewer than {p.percentile_least} days are known")
        if rank is None
        else Reading(rank, {"share": balance / cap}),
    }
