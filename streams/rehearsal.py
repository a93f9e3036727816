"""Evaluate rules on a folder of market files: the fold of the stream and the alert desk, without a broker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from alerts.desk import AlertDesk
from alerts.model import Alert, Input
from alerts.rules.base import Rule
from feeds.folder import read
from processors.history import History, blocks
from streams.calendars import xshg
from streams.settings import Settings


def rehearse(
    rules: tuple[Rule, ...],
    data: Path,
    settings: Settings,
    start: date | None,
    end: date | None,
    advance: Callable[[int, int], None],
    note: Callable[[str], None] = lambda _note: None,
) -> list[Alert]:
    """Return every alert that the rules would have raised, in its last state, by date.

    Parameters
    ----------
    data : a folder of market files, as for `feeds.folder.read`.
    start : first trade date of the returned alerts; earlier days fill windows and records.
    end : last trade date that is read.
    advance : called with (days done, days in total) after each block of days.
    note : called with each remark on the files, such as a row that was refused.

    Raises
    ------
    InputError : if the files can't be read, contradict each other, or have no row between the dates.
    """
    calendar = xshg(settings.calendar_file)
    folder = read(data, calendar, None, end, wanted_from=start)
    for remark in folder.notes:
        note(remark)
    days = len(folder.days())
    history, desk = History(settings.parameters, settings.exchanges, calendar), AlertDesk(rules, calendar)
    now, origin = datetime.now(UTC), Input("rehearsal", 0, 0, 0)
    last: dict[str, Alert] = {}
    done = 0
    for block in blocks(feeds for _, feeds in folder.by_day()):
        for output in history.fold_block(block):
            for change in desk.fold(output, origin, now):
                last[change.alert.id] = change.alert
        last |= {change.alert.id: change.alert for change in desk.update_evidence(origin, now)}
        desk.changed_rows()
        done += len(block)
        advance(done, days)
    return sorted(
        (a for a in last.values() if start is None or a.trade_date >= start), key=lambda a: (a.trade_date, a.rule, a.id)
    )
