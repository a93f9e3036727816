"""Rules on history: the fold of the stream and the desk of the alerts, without a broker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from alerts.desk import AlertDesk
from alerts.model import Alert, Input
from alerts.rules.base import Rule
from feeds.folder import read
from processors.history import History
from streams.calendars import xshg
from streams.settings import Settings


def rehearse(
    rules: tuple[Rule, ...],
    data: Path,
    settings: Settings,
    start: date | None,
    end: date | None,
    advance: Callable[[int, int], None],
) -> list[Alert]:
    """Return every alert that the rules would have raised, in its last state, by date.

    Parameters
    ----------
    start : alerts from this day on; what lies before it fills windows and records.
    advance : hears of (days done, days in all).
    """
    calendar = xshg(settings.calendar_file)
    folder = read(data, calendar, None, end)
    days = len(folder.days())
    history, desk = History(settings.parameters, settings.exchanges, calendar), AlertDesk(rules, calendar)
    now, origin = datetime.now(UTC), Input("rehearsal", 0, 0, 0)
    last: dict[str, Alert] = {}
    for done, (_, feeds) in enumerate(folder.by_day(), 1):
        for made in history.fold(feeds):
            for change in desk.fold(made, origin, now):
                last[change.alert.id] = change.alert
        last |= {change.alert.id: change.alert for change in desk.settle(origin, now)}
        desk.changed_rows()
        advance(done, days)
    return sorted(
        (a for a in last.values() if start is None or a.trade_date >= start), key=lambda a: (a.trade_date, a.rule, a.id)
    )
