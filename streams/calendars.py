"""The exchange's trading calendar: exchange_calendars' XSHG, as the weekdays on which it is closed, and a file of ours.

The library takes a second to import, most of it pandas; a worker that restarts should not wait for it. So its sessions
are kept in ``resources/xshg.json``, which ``python -m streams.calendars`` writes; a test compares the two.

The exchanges announce a year's holidays in the December before, the library learns them later, if it is updated. Until
then the file that the setting ``calendar_file`` names contains them (see `Override`). Without either, sessions are
*predicted* from the statutory holidays for two more years, so that nothing stops on the first of January.
"""

from __future__ import annotations

import time
import tomllib
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache
from pathlib import Path

import msgspec

from processors.days import TradingCalendar, shanghai_day
from processors.trading_hours import TradingHours
from streams.errors import CalendarError

_SATURDAY = 5
#: Years behind the library's end whose sessions are predicted.
_PREDICTED_YEARS = 2
PATH = Path(__file__).parent / "resources" / "xshg.json"


class Library(msgspec.Struct, frozen=True):
    """The sessions of exchange_calendars' XSHG: the weekdays from the first to the last, but for the closed ones.

    Behind the last one, weekdays but for the ``predicted`` closures are expected to be sessions.
    """

    first: date
    last: date
    closed: tuple[date, ...]
    predicted_until: date
    predicted: tuple[date, ...]


class Override(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of a calendar file.

    Parameters
    ----------
    weekdays_until : every weekday behind the library's end up to this date is a session, but for the holidays.
    sessions : days that are sessions, also where the library has none.
    holidays : days that are none.
    half_days : sessions that end at 11:30 (XSHG has had none; for a session cut short).
    """

    weekdays_until: date | None = None
    sessions: tuple[date, ...] = ()
    holidays: tuple[date, ...] = ()
    half_days: tuple[date, ...] = ()


@cache
def xshg(calendar_file: Path | None = None) -> TradingCalendar:
    """Return the sessions of the Shanghai exchange; Shenzhen and Beijing trade on the same days.

    Parameters
    ----------
    calendar_file : adds to them and takes from them; every worker and feed of a system must use the same.

    Raises
    ------
    CalendarError : if that file is not readable, or contradicts itself.
    """
    override = Override() if calendar_file is None else load(calendar_file)
    official = merged(override)
    return TradingCalendar([*official, *_predicted(official[-1], override)], official[-1], override.half_days)


@cache
def trading_hours(calendar_file: Path | None = None) -> TradingHours:
    """Return when the exchanges trade; parameters and errors as of `xshg`."""
    return TradingHours(xshg(calendar_file))


def load(path: Path) -> Override:
    """Read a calendar file; raises `CalendarError` naming the file and what is wrong."""
    try:
        found = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Override)
    except OSError as error:
        raise CalendarError(f"calendar file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CalendarError(f"calendar file {path} is no TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise CalendarError(
            f"calendar file {path}: {error}; expected are `holidays = [2027-01-01, …]`, `sessions = […]`, `half_days = "
            "[…]` and `weekdays_until = 2027-12-31`"
        ) from error
    both = sorted(set(found.sessions) & set(found.holidays))
    if both:
        raise CalendarError(f"calendar file {path}: {_listed(both)} are listed as sessions and as holidays")
    return found


def merged(override: Override) -> list[date]:
    """Return the library's sessions as a file changes them."""
    known = set(sessions())
    if override.weekdays_until is not None:
        known.update(weekdays(max(known) + timedelta(days=1), override.weekdays_until))
    return sorted((known | set(override.sessions)) - set(override.holidays))


def _predicted(after: date, override: Override) -> list[date]:
    """Return the predicted sessions behind the last official one."""
    known = library()
    closed = {*known.predicted, *override.holidays}
    return [day for day in weekdays(after + timedelta(days=1), known.predicted_until) if day not in closed]


def changes(override: Override) -> tuple[list[date], list[date]]:
    """Return the sessions that a file adds to the library's, and those that it takes away."""
    ours, theirs = set(merged(override)), set(sessions())
    return sorted(ours - theirs), sorted(theirs - ours)


def problems(override: Override) -> list[str]:
    """What is wrong with a file that can be read; an empty list is good."""
    out = []
    merged_days = merged(override)
    known = set(merged_days)
    weekend = sorted(day for day in override.sessions if day.weekday() >= _SATURDAY)
    if weekend:
        out.append(f"sessions on a weekend: {_listed(weekend)}; A shares do not trade on working Saturdays and Sundays")
    closed = sorted(set(override.half_days) - known)
    if closed:
        out.append(f"half days that are no sessions: {_listed(closed)}")
    library_end = library().last
    listed = known | set(override.holidays)
    gaps = [day for day in weekdays(library_end + timedelta(days=1), merged_days[-1]) if day not in listed]
    if gaps:
        out.append(
            f"weekdays behind the library's end that are listed neither as sessions nor as holidays: {_listed(gaps)}; "
            "they count as closed. weekdays_until makes them sessions"
        )
    idle = sorted(set(override.sessions) & set(sessions()))
    if idle:
        out.append(f"sessions that the library knows already: {_listed(idle)}")
    idle = sorted(day for day in override.holidays if day <= library_end and day not in set(sessions()))
    if idle:
        out.append(f"holidays on which the library has no session anyway: {_listed(idle)}")
    return out


def today() -> int:
    """Return the day in Shanghai now, counted from 1970-01-01; from midnight to 08:00 there UTC has the day before."""
    return shanghai_day(time.time_ns() // 1000)


def weekdays(first: date, last: date) -> Iterator[date]:
    """Yield the weekdays from a date to another, both included."""
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    return (day for day in days if day.weekday() < _SATURDAY)


def _listed(days: list[date]) -> str:
    more = f" … and {len(days) - 5} more" if len(days) > 5 else ""
    return ", ".join(map(str, days[:5])) + more


@cache
def library() -> Library:
    """Return the library's sessions as they are kept."""
    return msgspec.json.decode(PATH.read_bytes(), type=Library)


def sessions() -> list[date]:
    """Every weekday from the first session to the last one known, but for those on which the exchange is closed."""
    known = library()
    closed = set(known.closed)
    return [day for day in weekdays(known.first, known.last) if day not in closed]


def library_sessions() -> list[date]:
    """Return every session that the library knows, whatever today is."""
    from exchange_calendars.exchange_calendar_xshg import XSHGExchangeCalendar

    calendar = XSHGExchangeCalendar(start=XSHGExchangeCalendar.bound_min(), end=XSHGExchangeCalendar.bound_max())
    return [stamp.date() for stamp in calendar.sessions]


def generated() -> Library:
    """Return what ``resources/xshg.json`` must contain, from the library's calendar and the custom behind it."""
    from streams.predicted_closures import predicted

    found = library_sessions()
    first, last, known = found[0], found[-1], set(found)
    until = last.year + _PREDICTED_YEARS
    expected = {day for year in range(last.year + 1, until + 2) for day in predicted(year)}
    return Library(
        first,
        last,
        tuple(day for day in weekdays(first, last) if day not in known),
        date(until, 12, 31),
        tuple(sorted(day for day in expected if last.year < day.year <= until)),
    )


if __name__ == "__main__":
    PATH.write_bytes(msgspec.json.format(msgspec.json.encode(generated()), indent=1) + b"\n")
