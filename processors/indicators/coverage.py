"""coverage 两融标的覆盖率: the share of the market that is eligible for margin trading."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats, Mask
from processors.block import Block
from processors.cross_sections import Section, merged, reasons
from processors.kinds import BOARDS, board_of
from processors.needs import DETAIL, REFERENCE, VALUATIONS, members, security, valuation
from processors.signal import Column, Level, Signal, Values

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
    detail = block.section(DETAIL)
    counts = block.by_members(lambda members: np.bincount(board_of(members.stocks), minlength=len(BOARDS)))
    eligible = detail.counts(board_of(detail.keys), len(BOARDS), block.listed_stocks(DETAIL))
    details: dict[str, Values] = {"stocks": counts.sum(axis=1), "eligible": eligible.sum(axis=1)}
    share = details["eligible"] / counts.sum(axis=1)
    details |= dict(zip(BOARDS, (eligible / counts).T, strict=True)) | _by_float_cap(block)
    absent = reasons(merged(block.gaps(DETAIL), block.unnamed))
    return {"coverage": Column(share, details, f"{REFERENCE} names no stock", absent)}


def _by_float_cap(block: Block) -> dict[str, Values]:
    """Return the shares by float cap (k,); None on days on which no float cap is known, or not those of an exchange."""
    section = block.section(VALUATIONS)
    caps, board = block.on(section, FLOAT_CAP), board_of(section.keys)
    whole = np.array([not gap for gap in block.gaps(VALUATIONS)])
    known = block.listed_stocks(VALUATIONS) & (caps > 0) & whole[section.day_of_row]
    listed = known & (block.places(section, DETAIL) >= 0)
    counts = section.counts(np.zeros(len(board), dtype=int), 1, known)[:, 0]
    out: dict[str, Values] = {
        "by_float_cap": _shares(section, caps, known, listed),
        "float_cap_known": [int(count) if count else None for count in counts],
    }
    for number, name in enumerate(BOARDS):
        here = board == number
        out[f"{name} by_float_cap"] = _shares(section, caps, known & here, listed & here)
    return out


def _shares(section: Section, caps: Floats, known: Mask, listed: Mask) -> list[float | None]:
    """Return the float cap of the listed rows over that of the known ones by day (k,); None where there are none."""
    every, of_every = section.split(known)
    some, of_some = section.split(listed)
    every_cap, some_cap = caps[every], caps[some]
    return [
        float(some_cap[part].sum() / every_cap[whole].sum()) if whole.stop > whole.start else None
        for part, whole in zip(of_some, of_every, strict=True)
    ]
