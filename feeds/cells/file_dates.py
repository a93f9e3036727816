"""The trade date of a sheet without a column of dates: in its title or below its rows, in its name, or in the file's.

The moment at which a file was exported or printed is no trade date. Where title and name contain different days, the
day is not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time

from feeds.cells.dates import days_in
from feeds.errors import InputError
from processors.days import to_date, to_day

_EXPORTED = re.compile(
    r"导出|下载|打印|生成|制表|更新|查询|创建|保存|发布|采集|抓取|export|print|download|creat|generat|updat|saved|query|\d:\d\d",
    re.IGNORECASE,
)
_LABELLED = re.compile(r"(信用交易|交易|数据|业务|统计)?(日期|交易日)\s*[:：]")


def stated_days(above: Iterable[object], below: Iterable[object], sheet: str = "") -> set[int]:
    """Return the dates that a sheet states: above its header, in a labelled cell below its rows, in its name."""
    found = {day for cell in above for day in _days_of(cell)}
    found |= {day for cell in below if _LABELLED.match(str(cell).strip()) for day in _days_of(cell)}
    return found or set(days_in(sheet))


def file_day(stated: set[int], name: str, given: date | None, where: str) -> int:
    """Return the trade date of a sheet.

    Parameters
    ----------
    stated : the dates that the sheet or its file states.
    name : the name of the file.
    given : the day that the operator names.

    Raises
    ------
    InputError : without a date, with several, or with another one than the operator's.
    """
    named = set(days_in(name))
    known = stated | named
    if given is not None:
        if known and to_day(given) not in known:
            raise InputError(
                f"{where} is of {_text(known)}, not of {given}: leave --date out, or give the file of that day"
            )
        return to_day(given)
    if not known:
        raise InputError(f"{where} contains no date: give --date, or a name with the trade date such as 2024-06-11")
    if len(known) > 1 and not (len(stated) == 1 and stated <= named):
        raise InputError(f"{where} contains several dates ({_text(known)}): give --date, or rename the file")
    return next(iter(stated or named))


def later_than_named(day: int, name: str) -> bool:
    """Whether the one day of a file is later than every date in its name: no file is older than its rows.

    Examples
    --------
    >>> day = to_day(date(2024, 6, 12))
    >>> [later_than_named(day, one) for one in ("rzrq_20240611.csv", "2024-06-12.csv", "20240613.csv", "rzrq.csv")]
    [True, False, False, False]
    """
    named = set(days_in(name))
    return bool(named) and max(named) < day


def _days_of(cell: object) -> Iterable[int]:
    if isinstance(cell, datetime):
        return [to_day(cell.date())] if cell.time() == time(0) else []
    return () if _EXPORTED.search(str(cell)) else days_in(str(cell))


def _text(days: set[int]) -> str:
    return ", ".join(to_date(day).isoformat() for day in sorted(days))
