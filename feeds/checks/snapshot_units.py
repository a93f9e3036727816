"""Snapshots of the session whose columns are in a wrong unit, or of another column: no day before shows it in time.

The median stock trades at about its last price, and no session moves the median price by a third. No exchange has had a
turnover of a fifth of the most in `feeds.checks.magnitudes`; what has been traded so far has no least value. Where last
prices and previous closes are swapped, or prices are off with their turnovers, a snapshot agrees with itself: it is
compared with the one before. The first one of a command has none.
"""

from __future__ import annotations

import numpy as np

from feeds.checks.magnitudes import TURNOVER
from feeds.checks.row_groups import figure_of
from processors.arrays import Floats
from processors.block import TURNOVER_INDEX
from processors.codes import to_code
from processors.events import RowBatch
from processors.kinds import is_stock

#: So many stocks, or indices, are judged by their median.
_STOCKS, _INDICES = 20, 3
#: Turnover over volume × last price, and the last price over the previous close; each as a ratio either way.
_RATIO, _MOVE = 2.0, 1.3
#: More previous closes than these, and than this share, do not change within a session; a part of a price is rounding.
#: Nor do so many change by this factor from one session to the next.
_FEW, _CHANGED, _SAME, _UNIT = 3, 0.05, 1e-4, 1.5


def contradiction(batch: RowBatch) -> str:
    """Return why a snapshot (rows of ``prices.intraday`` or ``indices.intraday``) can't be one; empty if it can."""
    stocks = batch.topic == "prices.intraday"
    rows = batch.take(is_stock(batch.keys)) if stocks else batch
    figures, least = rows.figures, _STOCKS if stocks else _INDICES
    moved = _median(figures["last"], figures["prev_close"], least)
    if not 1 / _MOVE < moved < _MOVE:
        return f"last is {moved:,.3g} times prev_close (median of {len(rows):,}): check their units and columns"
    if stocks:
        ratio = _median(figures["turnover"], figures["volume"] * figures["last"], least)
        if not 1 / _RATIO < ratio < _RATIO:
            return f"turnover is {ratio:,.3g} times volume × last (median of {len(rows):,}): check the units of both"
        return ""
    of_exchanges = np.isin(rows.keys, list(TURNOVER_INDEX.values())) & (figures["turnover"] > TURNOVER[1])
    if not of_exchanges.any():
        return ""
    place = int(np.argmax(of_exchanges))
    where = f"turnover of {to_code(int(rows.keys[place]))} is {figures['turnover'][place]:,.4g} CNY"
    return f"{where}, expected {TURNOVER[1]:,.4g} at most: check its unit"


def other_closes(batch: RowBatch, before: RowBatch) -> str:
    """Return why a snapshot does not follow on one of the same day; empty if it does.

    A previous close is the same all day. The last price, where both columns are swapped, is not.
    """
    then, now = figure_of(before, "prev_close", batch.keys), batch.figures["prev_close"]
    known = (now > 0) & (then > 0) & (batch.days == before.days.max())
    other = known & (np.abs(now - then) > _SAME * then)
    if not other.sum() > max(_FEW, _CHANGED * known.sum()):
        return ""
    first = to_code(int(batch.keys[np.argmax(other)]))
    return (
        f"{other.sum():,} of {known.sum():,} previous closes, such as that of {first}, are not those of the snapshot "
        "before: check that last and prev_close are not swapped, and their units"
    )


def other_unit(batch: RowBatch, before: RowBatch) -> str:
    """Return why the prices of a snapshot are in another unit than those of the one before, of any day; else empty."""
    then, now = figure_of(before, "prev_close", batch.keys), batch.figures["prev_close"]
    known = (now > 0) & (then > 0)
    ratios = now[known] / then[known]
    far = np.fmax(ratios, 1 / ratios) > _UNIT
    if not far.sum() > max(_FEW, _CHANGED * len(ratios)):
        return ""
    return (
        f"{far.sum():,} of {len(ratios):,} previous closes are {float(np.median(ratios[far])):,.3g} times those of the "
        "snapshot before (median): check the unit of the prices"
    )


def _median(over: Floats, under: Floats, least: int) -> float:
    """Return the median ratio of two figures; 1 if fewer than ``least`` are positive."""
    known = (over > 0) & (under > 0)
    return float(np.median(over[known] / under[known])) if known.sum() >= least else 1.0
