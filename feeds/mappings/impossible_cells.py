"""Cells of a column whose figures can't be: negative amounts, ratios out of range, required ones that are absent.

Spells without a value, too: each ends the one before. (A few have none: an industry that was split.)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from feeds.checks.validate import TOO_MANY_ROWS, TOO_MANY_SHARE
from processors.arrays import Floats
from processors.events import Column, Sign
from processors.row_rules import impossible


def impossible_cells(column: Column, numbers: Floats, *, must: bool) -> dict[int, str]:
    """Return which figures can't be, or are empty though they ``must`` not be, with the reason; make them absent."""
    if column.labels:
        return {}
    zero = (numbers == 0) & (column.sign is Sign.POSITIVE)  # of a security that does not trade
    wrong = impossible(replace(column, optional=True), numbers) & ~(zero & (not must))
    reasons = {int(place): f"{numbers[place]:,.15g} can't be: correct the cell" for place in np.flatnonzero(wrong)}
    if must:
        empty = np.flatnonzero(np.isnan(numbers)).tolist()
        reasons |= dict.fromkeys(empty, "the cell is empty: fill it in, or export the file again")
    numbers[wrong | zero] = np.nan
    return reasons


def valueless_spells(name: str, values: Floats) -> str:
    """Return a text on a column of spells of which many have no value, empty if few have none.

    Examples
    --------
    >>> valueless_spells("industry", np.full(9, np.nan))
    '9 of 9 spells have no industry, and end the ones before: fill in the column'
    """
    absent = int(np.isnan(values).sum())
    many = absent > max(TOO_MANY_ROWS, TOO_MANY_SHARE * len(values))
    text = f"{absent:,} of {len(values):,} spells have no {name}, and end the ones before: fill in the column"
    return text if many else ""
