"""Trade dates as files write them: 2024-06-11, 20240611, 2024/6/11, 2024年6月11日, 2024.06.11, moments of any zone.

A date with the day or the month first (03/04/2024) is ambiguous and is refused. A moment with a zone is a moment in
Shanghai: the same instant has the same trade date, whatever zone writes it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime

import numpy as np
import pandas as pd

from feeds.distinct_cells import read_distinct
from feeds.errors import InputError
from processors.days import SHANGHAI, Days, to_day

#: In place of a day: the cell contains none.
NO_DAY = np.iinfo(np.int32).min
_DATE = re.compile(
    r"(?P<y>\d{4})(?:(?P<m2>\d{2})(?P<d2>\d{2})|(?P<sep>[-/.])(?P<m>\d{1,2})(?P=sep)(?P<d>\d{1,2})"
    r"|年(?P<mc>\d{1,2})月(?P<dc>\d{1,2})日?)"
)
_TIME = re.compile(r"[T\s]*(\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?\s*(Z|UTC|[+-]\d{2}:?\d{2})?")
_WITHIN = re.compile(r"(?<!\d)(20\d{2})[-/._年](1[0-2]|0?[1-9])[-/._月]([12]\d|3[01]|0?[1-9])(?!\d)")
_COMPACT = re.compile(
    r"(?<!\d)(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=(?:\d{4}|\d{6})?(?!\d))"
)  # a time may follow
_FULL_WIDTH = str.maketrans("０１２３４５６７８９：／．－　", "0123456789:/.- ")


#: In place of the last day of a spell that lasts.
_LASTS = {
    "", "-", "--", "nan", "nat", "none", "null", "<na>", "0", "0000-00-00", "00000000", "至今", "现在", "present",
}  # fmt: skip


def parse_day(cell: object) -> int | None:
    """Return the trade date of a cell, days since 1970-01-01; None for an empty cell.

    Raises
    ------
    InputError : for an ambiguous date, and for what is no date.

    Examples
    --------
    >>> parse_day("2024-06-11") == parse_day(20240611.0) == parse_day("2024-06-10T16:00:00Z")
    True
    """
    if cell is None or cell is pd.NaT or cell != cell:
        return None
    if isinstance(cell, datetime):
        return to_day((cell if cell.tzinfo is None else cell.astimezone(SHANGHAI)).date())
    if isinstance(cell, date):
        return to_day(cell)
    text = str(cell).translate(_FULL_WIDTH).strip().lstrip("'").removeprefix("=").strip('"').strip()
    if text.lower() in ("", "-", "--", "nat", "nan", "none"):
        return None
    text = re.sub(r"(?<=^\d{8})\.0+$", "", text)
    found = _DATE.match(text)
    time = _TIME.fullmatch(text[found.end() :]) if found else None
    if found is None or time is None:
        raise InputError(
            f"date {text!r} is ambiguous or unknown: write it as 2024-06-11, or give its format in a mapping"
        )
    year, month, number = (
        int(part) for part in found.group("y", "m2", "d2") + found.group("m", "d", "mc", "dc") if part
    )
    try:
        if time[4] is None:
            return to_day(date(year, month, number))
        stamp = f"{year:04d}-{month:02d}-{number:02d}T{time[1] or '00:00'}{time[4].replace('UTC', 'Z')}"
        return to_day(datetime.fromisoformat(stamp).astimezone(SHANGHAI).date())
    except ValueError as error:
        raise InputError(f"date {text!r} does not exist ({error}): correct the cell") from error


def parse_days(column: pd.Series) -> tuple[Days, dict[int, str]]:
    """Return the trade dates of a column (n,), `NO_DAY` where there is none, and the reason by place."""
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        column = column.dt.tz_convert(SHANGHAI).dt.tz_localize(None)
    if pd.api.types.is_datetime64_any_dtype(column):
        days = np.where(column.isna(), NO_DAY, column.to_numpy("datetime64[D]").astype(np.int64))
        return days.astype(np.int32), dict.fromkeys(np.flatnonzero(column.isna()).tolist(), "there is no date")
    return read_distinct(column, _stated_day, NO_DAY)


def _stated_day(cell: object) -> int:
    day = parse_day(cell)
    if day is None:
        raise InputError("there is no date")
    return day


def is_open_end(cell: object) -> bool:
    """Whether a cell in place of the last day of a spell means that the spell lasts."""
    return cell is None or cell != cell or str(cell).strip().lower() in _LASTS


def days_in(text: str) -> Iterator[int]:
    """Yield the dates within a text, such as the name of a file (rzrqjygk20240611.xls)."""
    for pattern in (_WITHIN, _COMPACT):
        for year, month, number in pattern.findall(text.translate(_FULL_WIDTH)):
            try:
                yield to_day(date(int(year), int(month), int(number)))
            except ValueError:
                continue
