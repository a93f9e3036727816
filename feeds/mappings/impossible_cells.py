"""Cells of a column whose figures can't be: negative amounts, ratios out of range, required ones that are absent."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

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
