"""The exchanges with margin trading by day: Beijing's joined those of Shanghai and Shenzhen on 2023-02-13.

Its margin figures of an earlier day are known without any row: there were none. So they add 0 to a sum over exchanges,
its turnover belongs to no ratio of that day, and no day waits for them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from processors.arrays import Floats
from processors.days import TradingCalendar, to_day

#: Exchange that joined others → its first day of margin trading.
_JOINED = {"BSE": to_day(date(2023, 2, 13))}


def on_day(exchanges: Iterable[str], day: int) -> tuple[str, ...]:
    """Return those of some exchanges that had margin trading on a day.

    Examples
    --------
    >>> on_day(("SSE", "BSE"), to_day(date(2023, 2, 10))), on_day(("SSE", "BSE"), to_day(date(2023, 2, 13)))
    (('SSE',), ('SSE', 'BSE'))
    """
    return tuple(one for one in exchanges if day >= _JOINED.get(one, day))


def with_zeros_before(series: Floats, exchange: str, calendar: TradingCalendar) -> Floats:
    """Return a series of an exchange, by position in the calendar, with 0 before its first day of margin trading."""
    if exchange not in _JOINED:
        return series
    out = series.copy()
    out[: calendar.count_before(_JOINED[exchange])] = 0.0
    return out
