"""The moments of the rows of a running session: dates with times, or times of a day that is known."""

from __future__ import annotations

import numpy as np
import pandas as pd

from feeds.cells.row_kinds import is_blank
from feeds.errors import InputError
from feeds.mappings.mapped_keys import column_of
from feeds.mappings.mapping import DateColumn
from processors.arrays import Ints
from processors.days import DAY_US, SHANGHAI_OFFSET_US

#: In place of a moment: the cell contains none.
NO_MOMENT = 0
_DATE_PARTS = ("%d", "%j", "%x", "%c")


def moments_of(raw: pd.DataFrame, when: DateColumn, today: int | None, where: str) -> tuple[Ints, dict[int, str]]:
    """Return the moments of rows, µs since the epoch (n,), `NO_MOMENT` where there is none, and the reason by place.

    Raises
    ------
    InputError : if the column is missing, its format is not known, or its times lack their date.
    """
    column = column_of(raw, when.column, where)
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
    absent = stamps.isna().to_numpy()
    reasons = {
        place: "there is no moment: fill in the cell"
        if is_blank(cell := column.iloc[place]) or when.format is None
        else f"{cell!r} is not written as {when.format}: correct the cell, or the `format`"
        for place in np.flatnonzero(absent).tolist()
    }
    reasons = {place: f"column {when.column!r}: {reason}" for place, reason in reasons.items()}
    zoned = stamps.dt.tz is not None
    if zoned:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    moments: Ints = stamps.to_numpy("datetime64[us]").astype(np.int64)
    if zoned:
        return np.where(absent, NO_MOMENT, moments), reasons
    if when.format is not None and not any(part in when.format for part in _DATE_PARTS):
        if today is None:
            raise InputError(f"{where}: column {when.column!r} has times without a date: add the date to the column")
        moments = moments % DAY_US + today * DAY_US
    return np.where(absent, NO_MOMENT, moments - SHANGHAI_OFFSET_US), reasons
