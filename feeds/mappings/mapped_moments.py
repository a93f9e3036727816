"""The moments of the rows of a running session: dates with times, or times of a day that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feeds.cells.row_kinds import is_blank
from feeds.errors import InputError
from feeds.mappings.mapping import DateColumn
from processors.days import DAY_US, SHANGHAI_OFFSET_US
from processors.events import Ints

_DATE_PARTS = ("%d", "%j", "%x", "%c")


def moments_of(column: pd.Series, when: DateColumn, today: int | None, where: str) -> Ints:
    """Return the moments of a column, µs since the epoch; raises `InputError` for a cell that can't be read."""
    if pd.api.types.is_datetime64_any_dtype(column):
        stamps = column
    elif when.format is None:
        first = column.iloc[0] if len(column) else ""
        raise InputError(
            f"{where}: column {when.column!r} contains no moments but {first!r}: give its `format`, such as %H:%M:%S"
        )
    else:
        cells = column.astype(str).str.removesuffix(".0")
        # A column may have several zones.
        stamps = pd.to_datetime(cells, format=when.format, utc="%z" in when.format, errors="coerce")
    if stamps.isna().any():
        place = int(np.argmax(stamps.isna()))
        here, cell = f"{where}: row {stamps.index[place]}", column.iloc[place]
        if is_blank(cell) or when.format is None:
            raise InputError(f"{here} has no date in column {when.column!r}: fill in the cell")
        text = f"{cell!r} is not written as {when.format}: correct the cell, or the `format`"
        raise InputError(f"{here}, column {when.column!r}: {text}")
    zoned = stamps.dt.tz is not None
    if zoned:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    moments: Ints = stamps.to_numpy("datetime64[us]").astype(np.int64)
    if zoned:
        return moments
    if when.format is not None and not any(part in when.format for part in _DATE_PARTS):
        if today is None:
            raise InputError(f"{where}: column {when.column!r} has times without a date: add the date to the column")
        moments = moments % DAY_US + today * DAY_US
    return moments - SHANGHAI_OFFSET_US
