"""What a reader of files left out, as an error, and the findings of consecutive days: for tests of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from feeds.checks.day_checks import check_day
from feeds.checks.findings import Finding, Severity
from feeds.daily.daily_checks import compared_day
from feeds.daily.published_figures import DaysBefore
from feeds.errors import InputError
from feeds.files.dataset import DayRows, SourceTables
from processors.days import TradingCalendar


def whole(found: SourceTables) -> SourceTables:
    """Return what was read; raises `InputError` with the first finding that is more than a warning."""
    for one in found.findings:
        if one.severity is not Severity.WARNING:
            raise InputError(one.text)
    return found


def check_days(days: Iterable[DayRows], calendar: TradingCalendar) -> Iterator[Finding]:
    """Check every day against the last earlier day of each topic and exchange."""
    earlier = DaysBefore(None)
    for day, rows in days:
        yield from check_day(compared_day(day, rows, calendar, earlier))
        earlier.learn(rows)
