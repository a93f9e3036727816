"""The exchange's trading calendar: exchange_calendars' XSHG, as the weekdays on which it is closed.

The library takes a second to import, most of it pandas; a worker that restarts should not wait for it. So its sessions
are kept in `streams.xshg_closures`, which ``python -m streams.calendars`` writes; a test holds the two together.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from pathlib import Path

from processors.days import TradingCalendar
from streams import xshg_closures

_SATURDAY = 5


@cache
def xshg() -> TradingCalendar:
    """Return the sessions of the Shanghai exchange; Shenzhen and Beijing trade on the same days."""
    return TradingCalendar(sessions())


def sessions() -> list[date]:
    """Every weekday from the first session to the last one known, but for those on which the exchange is closed."""
    first, last = date.fromisoformat(xshg_closures.FIRST), date.fromisoformat(xshg_closures.LAST)
    closed = {date.fromisoformat(text) for text in xshg_closures.CLOSED.split()}
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return [day for day in days if day.weekday() < _SATURDAY and day not in closed]


def library_sessions() -> list[date]:
    """Return every session that the library knows, whatever today is."""
    from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar

    calendar = XSHGExchangeCalendar(start=XSHGExchangeCalendar.bound_min(), end=XSHGExchangeCalendar.bound_max())
    return [stamp.date() for stamp in calendar.sessions]


def generated() -> str:
    """Return the source of `streams.xshg_closures`, made of the library's calendar."""
    found = library_sessions()
    known = set(found)
    weekdays = (found[0] + timedelta(days=n) for n in range((found[-1] - found[0]).days + 1))
    closed = [day for day in weekdays if day.weekday() < _SATURDAY and day not in known]
    years: dict[int, list[str]] = {}
    for day in closed:
        years.setdefault(day.year, []).append(day.isoformat())
    lines = [" ".join(days[i : i + 10]) for days in years.values() for i in range(0, len(days), 10)]
    return (
        '"""Weekdays on which the Shanghai exchange is closed; written by `python -m streams.calendars`."""\n\n'
        f'FIRST, LAST = "{found[0]}", "{found[-1]}"\nCLOSED = """\n' + "\n".join(lines) + '\n"""\n'
    )


if __name__ == "__main__":
    Path(xshg_closures.__file__).write_text(generated(), "utf-8")
