"""coverage 两融标的覆盖率: how much of the market can be bought on margin at all."""

from __future__ import annotations

from processors.codes import BOARDS, among, board_of
from processors.market_view import DETAIL, MarketView
from processors.reference import TOPIC as REFERENCE
from processors.securities import VALUATIONS
from processors.signal import Absent, Level, Reading, Signal, Value

SIGNALS = (
    Signal(
        "coverage",
        Level.MARKET,
        "Share of stocks in the margin list",
        "两融标的覆盖率",
        "ratio",
        (DETAIL, REFERENCE),
        "stocks with a margin row / stocks of the reference, by count; details: the same by board, and by float cap where "
        "valuations.daily has it: Σ float cap of those with a margin row / Σ over all stocks with one (2014-11: 35% by "
        "count, 70% by float cap)",
        "[SW14]",
        optional=(VALUATIONS,),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return the share by count; by float cap and by board in the details."""
    stocks = view.members.stocks
    if not len(stocks):
        return {"coverage": Absent(f"{REFERENCE} names no stock")}
    listed = among(stocks, view.detail.keys)
    board = board_of(stocks)
    details: dict[str, Value] = {"stocks": len(stocks), "eligible": int(listed.sum())}
    for number, name in enumerate(BOARDS):
        here = board == number
        if here.any():
            details[name] = float(listed[here].mean())
    caps = view.valued("float_cap", stocks)
    capped = caps > 0
    if capped.any():
        details["by_float_cap"] = float(caps[capped & listed].sum() / caps[capped].sum())
        details["float_cap_known"] = int(capped.sum())
    return {"coverage": Reading(float(listed.mean()), details)}
