"""coverage 两融标的覆盖率: the share of the market that is eligible for margin trading."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.block import Block
from processors.cross_sections import Flags, merged, reasons
from processors.events import Floats
from processors.kinds import BOARDS, board_of
from processors.needs import DETAIL, REFERENCE, VALUATIONS, members, security, valuation
from processors.signal import Column, Level, Signal, Value, Values

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
    stocks = block.section(REFERENCE)
    listed, board = block.places(stocks, DETAIL) >= 0, board_of(stocks.keys)
    counts, eligible = (stocks.counts(board, len(BOARDS), rows) for rows in (np.ones_like(listed), listed))
    details: dict[str, Values] = {"stocks": counts.sum(axis=1), "eligible": eligible.sum(axis=1)}
    share = details["eligible"] / counts.sum(axis=1)
    details |= dict(zip(BOARDS, (eligible / counts).T, strict=True))
    by_cap = [_by_float_cap(block, i, listed, board) for i in range(len(block))]
    for name in ("by_float_cap", "float_cap_known", *map(_of_board, BOARDS)):
        details[name] = [day.get(name) for day in by_cap]
    absent = reasons(merged(block.gaps(DETAIL), block.unnamed))
    return {"coverage": Column(share, details, f"{REFERENCE} names no stock", absent)}


def _by_float_cap(block: Block, i: int, listed: Flags, board: npt.NDArray[np.intp]) -> dict[str, Value]:
    """Return the shares of a day by float cap; none where no float cap is known, or not those of an exchange."""
    stocks = block.section(REFERENCE)
    rows = stocks.rows(i)
    caps, listed, board = block.on(stocks, FLOAT_CAP)[rows], listed[rows], board[rows]
    capped = caps > 0
    if block.gaps(VALUATIONS)[i] or not capped.any():
        return {}
    out: dict[str, Value] = {"by_float_cap": _share(caps, capped, listed), "float_cap_known": int(capped.sum())}
    for number, name in enumerate(BOARDS):
        here = (board == number) & capped
        if here.any():
            out[_of_board(name)] = _share(caps, here, listed)
    return out


def _of_board(board: str) -> str:
    return f"{board} by_float_cap"


def _share(caps: Floats, capped: Flags, listed: Flags) -> float:
    """Return the float cap of the eligible stocks over that of all, of those that ``capped`` selects."""
    return float(caps[capped & listed].sum() / caps[capped].sum())
