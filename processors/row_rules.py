"""Which figures of a row are impossible: an optional one is absent then, a required one costs its row."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats, Mask
from processors.events import Column, Sign


def impossible(column: Column, values: Floats) -> Mask:
    """Return which values of a column no row can have (n,).

    They are not finite, outside of the valid range, or absent although every row must have one.
    """
    bad = np.isinf(values)
    if column.flag:
        bad |= (values != 0.0) & (values != 1.0) & ~np.isnan(values)
    if column.sign is Sign.POSITIVE:
        bad |= values <= 0
    elif column.sign is Sign.NOT_NEGATIVE:
        bad |= values < 0
    elif column.sign is Sign.ONE_TO_TEN:
        bad |= (values < 1) | (values > 10)
    return bad if column.optional else bad | np.isnan(values)


def expected(column: Column) -> str:
    """Return what a column's numbers must be, for messages."""
    return f"expected a {column.sign.value} number"
