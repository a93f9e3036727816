"""`marginwatch calendar`: the range of the trading calendar, and the changes by the calendar file."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import groupby
from typing import Annotated

import typer

from processors.days import to_date, to_day
from streams import calendars
from streams.cli.terminal import out
from streams.settings import Settings

calendar_app = typer.Typer(no_args_is_help=True, help="Check the trading calendar.")


@calendar_app.callback()
def calendar() -> None:
    """Check the trading calendar: its range, and the changes by MARGINWATCH_CALENDAR_FILE."""


@calendar_app.command("check")
def calendar_check(
    year: Annotated[int | None, typer.Option(min=1, max=9999, help="show the sessions and holidays of a year")] = None,
) -> None:
    """Show the range of the trading calendar and what MARGINWATCH_CALENDAR_FILE changes.

    Exit code 1 if the file is wrong, if fewer than 20 announced sessions are left, or if the year has no sessions.

    Sessions behind the last announced one are predicted; --year shows them, and the weekdays that are closed. When the
    exchanges announce a year (November or December), a file replaces the prediction. It must list EVERY closed weekday
    of the year, as any other weekday is a session then:

        weekdays_until = 2027-12-31
        holidays = [2027-01-01, 2027-02-05, 2027-02-08, …, 2027-10-07]

    `sessions = […]` adds single days, and `half_days = […]` names sessions that end at 11:30. Every worker and feed of
    a system must use the same file; workers read it when they start.
    """
    path = Settings().calendar_file
    found = calendars.xshg(path)
    left = found.left_after(calendars.today())
    official = found.between(found.first, found.official_until)
    out.print(
        f"{to_date(found.first)} to {to_date(found.official_until)}, {len(official):,} sessions; {left} after today"
    )
    if found.official_until < found.last:
        out.print(
            f"predicted from the statutory holidays until {to_date(found.last)}: the exchanges have not announced them"
        )
    wrong = []
    if path is not None:
        override = calendars.load(path)
        added, removed = calendars.changes(override)
        out.print(f"{path}: adds {_days(added)}; takes away {_days(removed)}")
        wrong = calendars.problems(override)
    if left < 20:
        wrong.append(
            f"only {left} announced sessions are left, later ones are predicted: name a file with the next year's by "
            "MARGINWATCH_CALENDAR_FILE"
        )
    if year is not None:
        days = [to_date(int(d)) for d in found.between(to_day(date(year, 1, 1)), to_day(date(year, 12, 31)))]
        if days:
            _show_year(year, days, predicted=days[-1] > to_date(found.official_until))
        else:
            wrong.append(
                f"{year} has no sessions: the calendar does not reach it; MARGINWATCH_CALENDAR_FILE extends it"
            )
    for problem in wrong:
        out.print(f"WRONG {problem}")
    if wrong:
        raise typer.Exit(1)


def _show_year(year: int, sessions: list[date], *, predicted: bool) -> None:
    months = Counter(day.month for day in sessions)
    counts = " ".join(f"{month:02d}:{months[month]}" for month in range(1, 13))
    kind = "predicted sessions" if predicted else "sessions"
    out.print(f"{year}: {len(sessions)} {kind}, by month {counts}")
    known = set(sessions)
    closed = [day for day in calendars.weekdays(date(year, 1, 1), date(year, 12, 31)) if day not in known]
    out.print(f"  closed weekdays: {_days(closed)}")


def _days(days: list[date]) -> str:
    """Return dates with adjacent ones as spans: ``3 (2027-01-01, 2027-02-08 to 2027-02-09)``."""
    runs = [
        [day for _, day in run] for _, run in groupby(enumerate(days), lambda found: found[1].toordinal() - found[0])
    ]
    spans = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}" for run in runs[:12])
    more = f", … and {len(runs) - 12} more spans" if len(runs) > 12 else ""
    return f"{len(days)} ({spans}{more})" if days else "none"
