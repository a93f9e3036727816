"""Trade dates as files write them: 2024-06-11, 20240611, 2024/6/11, 2024年6月11日, 2024.06.11, moments of any zone.

A date with the day or the month first (03/04/2024) is ambiguous and is refused. A moment with a zone is a moment in
Shanghai: the same instant has the same trade date, whatever zone writes it. A moment without a zone is one of Shanghai,
too, except exactly 16:00: Shanghai's midnight in UTC, which has lost its zone and is of the next day, looks like that.
In a column with other times of the day, 16:00 is one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from functools import partial

import numpy as np
import pandas as pd

from feeds.cells.distinct_cells import read_distinct
from feeds.errors import InputError
from processors.arrays import Days
from processors.days import DAY_US, SHANGHAI, shanghai_date, to_day

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


#: Seconds of the day at which the clock in UTC shows Shanghai's midnight.
_MIDNIGHT_UTC = 16 * 3600
_SECOND_US = 1_000_000
_AMBIGUOUS = "is ambiguous: 16:00 without a zone"

#: In place of the last day of a spell that lasts.
_LASTS = {
    "", "-", "--", "nan", "nat", "none", "null", "<na>", "0", "0000-00-00", "00000000", "至今", "现在", "present",
}  # fmt: skip


def parse_day(cell: object, *, timed: bool = False) -> int | None:
    """Return the trade date of a cell, days since 1970-01-01; None for an empty cell.

    Parameters
    ----------
    timed : whether the cell is one of a column with times of the day.

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
        if cell.tzinfo is None and _second(cell.time()) == _MIDNIGHT_UTC and not timed:
            raise _ambiguous(cell)
        return to_day((cell if cell.tzinfo is None else cell.astimezone(SHANGHAI)).date())
    if isinstance(cell, date):
        return to_day(cell)
    text = str(cell).translate(_FULL_WIDTH).strip().lstrip("'").removeprefix("=").strip('"').strip()
    if text.lower() in ("", "-", "--", "nat", "nan", "none"):
        return None
    text = re.sub(r"(?<=^\d{8})\.0+$", "", text)
    found = _DATE.match(text)
    clock = _TIME.fullmatch(text[found.end() :]) if found else None
    if found is None or clock is None:
        raise InputError(
            f"date {text!r} is ambiguous or unknown: write it as 2024-06-11, or give its format in a mapping"
        )
    if clock[4] is None and _second(clock[1]) == _MIDNIGHT_UTC and not timed:
        raise _ambiguous(text)
    year, month, number = (
        int(part) for part in found.group("y", "m2", "d2") + found.group("m", "d", "mc", "dc") if part
    )
    try:
        if clock[4] is None:
            return to_day(date(year, month, number))
        stamp = f"{year:04d}-{month:02d}-{number:02d}T{clock[1] or '00:00'}{clock[4].replace('UTC', 'Z')}"
        return to_day(shanghai_date(datetime.fromisoformat(stamp)))
    except ValueError as error:
        raise InputError(f"date {text!r} does not exist ({error}): correct the cell") from error


def parse_days(column: pd.Series, written: str | None = None) -> tuple[Days, dict[int, str]]:
    """Return the trade dates of a column (n,), `NO_DAY` where there is none, and the reason by place.

    Parameters
    ----------
    written : the format of texts, such as %d.%m.%Y; None for those of `parse_day`.
    """
    if written is not None and not pd.api.types.is_datetime64_any_dtype(column):
        texts = column.astype(str).str.strip().str.removesuffix(".0")
        stamps = pd.to_datetime(texts, format=written, errors="coerce", utc="%z" in written)
        read, reasons = parse_days(stamps)
        unread = np.flatnonzero(stamps.isna()).tolist()
        return read, reasons | {p: f"{column.iloc[p]!r} is not written as {written}: correct the cell" for p in unread}
    zoned = isinstance(column.dtype, pd.DatetimeTZDtype)
    if zoned:
        column = column.dt.tz_convert(SHANGHAI).dt.tz_localize(None)
    if not pd.api.types.is_datetime64_any_dtype(column):
        days, reasons = read_distinct(column, _stated_day, NO_DAY)
        if any(_AMBIGUOUS in reason for reason in reasons.values()) and any(map(_has_time, column.unique())):
            return read_distinct(column, partial(_stated_day, timed=True), NO_DAY)
        return days, reasons
    absent = column.isna().to_numpy()
    moments = column.to_numpy("datetime64[us]").astype(np.int64)
    seconds = moments % DAY_US // _SECOND_US
    timed = bool((~absent & ~np.isin(seconds, (0, _MIDNIGHT_UTC))).any())
    ambiguous = ~absent & (seconds == _MIDNIGHT_UTC) & (not zoned and not timed)
    days = np.where(absent | ambiguous, NO_DAY, moments // DAY_US).astype(np.int32)
    reasons = dict.fromkeys(np.flatnonzero(absent).tolist(), "there is no date: fill in the cell")
    return days, reasons | {p: str(_ambiguous(column.iloc[p])) for p in np.flatnonzero(ambiguous).tolist()}


class _AmbiguousError(InputError):
    """A moment without a zone that may be of either of two trade dates."""


def _ambiguous(cell: object) -> _AmbiguousError:
    return _AmbiguousError(
        f"date '{cell}' {_AMBIGUOUS} is a time of that day, or, in UTC, the midnight that begins "
        "the next day in Shanghai: write the date alone, or the moment with its zone"
    )


def _has_time(cell: object) -> bool:
    """Whether a cell has a time without a zone that is neither midnight nor that of UTC."""
    if isinstance(cell, datetime):
        return cell.tzinfo is None and _second(cell.time()) not in (0, _MIDNIGHT_UTC)
    text = str(cell).strip()
    found = _DATE.match(text)
    clock = _TIME.fullmatch(text[found.end() :]) if found else None
    return clock is not None and clock[4] is None and _second(clock[1]) not in (0, _MIDNIGHT_UTC)


def _second(clock: time | str | None) -> int:
    """Return the second of the day of a time, or of a text such as 9:30 or 16:00:00.000; 0 for none."""
    if isinstance(clock, time):
        return clock.hour * 3600 + clock.minute * 60 + clock.second
    return sum(int(float(part)) * unit for part, unit in zip((clock or "0").split(":"), (3600, 60, 1), strict=False))


def _stated_day(cell: object, *, timed: bool = False) -> int:
    day = parse_day(cell, timed=timed)
    if day is None:
        raise InputError("there is no date: fill in the cell")
    return day


def is_date(cell: object) -> bool:
    """Whether a cell contains a date or a moment, also one whose trade date is ambiguous."""
    try:
        return parse_day(cell) is not None
    except _AmbiguousError:
        return True
    except InputError:
        return False


def begins_date(text: str) -> bool:
    """Whether a text is a date that is cut off behind its year or its month.

    Examples
    --------
    >>> begins_date("2024-"), begins_date("2024年06月"), begins_date("共 3 条")
    (True, True, False)
    """
    return re.fullmatch(r"\d{4}[-/.年](\d{1,2}[-/.月]?)?", text) is not None


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
