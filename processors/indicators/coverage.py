"""coverage 两融标的覆盖率: the share of the market that is eligible for margin trading."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.codes import isin_sorted
from processors.cross_sections import merged, reasons
from processors.kinds import BOARDS, board_of
from processors.needs import DETAIL, REFERENCE, VALUATIONS, members, security, valuation
from processors.signal import Column, Level, Signal, Value

FLOAT_CAP = valuation("float_cap")

SIGNALS = (
    Signal(
        "coverage",
        Level.MARKET,
        "Share of stocks in the margin list",
        "两融标的覆盖率",
        "ratio",
        (security("fin_balance"), members(), FLOAT_CAP),
        "stocks with a margin row / listed stocks of the reference, by count; details: the same by board, and of the market and of each board "
        "by float cap where valuations.daily has it: Σ float cap of those with a margin row / Σ over all stocks with one "
        "(2014-11: 35% by count, 70% by float cap, main board 80%)",
        "[SW14]",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the share by count; the details contain the shares by float cap and by board."""
    detail, stocks = block.section(DETAIL), block.section(REFERENCE)
    caps, uncapped = block.on(stocks, FLOAT_CAP), block.gaps(VALUATIONS)
    days = [
        _day(
            stocks.keys[stocks.rows(i)],
            detail.keys[detail.rows(i)],
            np.where(bool(uncapped[i]), np.nan, caps[stocks.rows(i)]),
        )
        for i in range(len(block))
    ]
    names = ("stocks", "eligible", *BOARDS, "by_float_cap", "float_cap_known", *map(_by_float_cap, BOARDS))
    return {
        "coverage": Column(
            [day.get("coverage") for day in days],
            {name: [day.get(name) for day in days] for name in names},
            f"{REFERENCE} names no stock",
            reasons(merged(block.gaps(DETAIL), block.unnamed)),
        )
    }


def _day(stocks: np.ndarray, listed_keys: np.ndarray, caps: np.ndarray) -> dict[str, Value]:
    if not len(stocks):
        return {}
    listed, board = isin_sorted(stocks, listed_keys), board_of(stocks)
    capped = caps > 0
    out: dict[str, Value] = {"coverage": float(listed.mean()), "stocks": len(stocks), "eligible": int(listed.sum())}
    if capped.any():
        out |= {"by_float_cap": _share(caps, capped, listed), "float_cap_known": int(capped.sum())}
    for number, name in enumerate(BOARDS):
        here = board == number
        if here.any():
            out[name] = float(listed[here].mean())
        if (here & capped).any():
            out[_by_float_cap(name)] = _share(caps, here & capped, listed)
    return out


def _by_float_cap(board: str) -> str:
    return f"{board} by_float_cap"


def _share(caps: np.ndarray, capped: np.ndarray, listed: np.ndarray) -> float:
    """Return the float cap of the eligible stocks over that of all, of those that ``capped`` selects."""
    return float(caps[capped & listed].sum() / caps[capped].sum())
