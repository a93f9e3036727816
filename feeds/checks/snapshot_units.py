"""Snapshots of the session whose columns are in a wrong unit, or of another column: no day before shows it in time.

The median stock trades at about its last price, and no session moves the median price by a third. No exchange has had a
turnover of a fifth of the most in `feeds.checks.magnitudes`; what has been traded so far has no least value.
"""

from __future__ import annotations

import numpy as np

from feeds.checks.magnitudes import TURNOVER
from processors.arrays import Floats
from processors.block import TURNOVER_INDEX
from processors.codes import to_code
from processors.events import RowBatch
from processors.kinds import is_stock

#: So many stocks, or indices, are judged by their median.
_STOCKS, _INDICES = 20, 3
#: Turnover over volume × last price, and the last price over the previous close; each as a ratio either way.
_RATIO, _MOVE = 2.0, 1.3


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


def _median(over: Floats, under: Floats, least: int) -> float:
    """Return the median ratio of two figures; 1 if fewer than ``least`` are positive."""
    known = (over > 0) & (under > 0)
    return float(np.median(over[known] / under[known])) if known.sum() >= least else 1.0
