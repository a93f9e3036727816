"""Sessions of which a history has no row, between sessions of which it has: nothing closes such a day of a topic.

No signal of the day is published then, not even an absent one, so the report of the feed is the only place that can
name it. An exchange that is missing on a day with other rows is the subject of `feeds.checks.incomplete_days`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import numpy as np

from feeds.checks.validate import Finding, Severity
from feeds.daily.published_figures import DaysBefore
from feeds.files.dataset import Dataset
from processors.days import Days, TradingCalendar, to_date
from processors.events import INPUT_ROWS, DailyRow
from processors.needs import REFERENCE


def skipped_days(dataset: Dataset, calendar: TradingCalendar, earlier: DaysBefore) -> Iterator[Finding]:
    """Find runs of sessions without a row, in topics that have rows of most sessions; published days are none.

    Parameters
    ----------
    earlier : what is published. It keeps the newest days: of a day before them it is not known whether it is.
    """
    for topic in dict.fromkeys(topic for year in dataset.years for topic in year):
        if topic == REFERENCE or not issubclass(INPUT_ROWS[topic], DailyRow):
            continue
        days = np.unique(np.concatenate([year[topic].days for year in dataset.years if topic in year]))
        sessions = calendar.between(int(days[0]), int(days[-1]))
        without = np.flatnonzero(~np.isin(sessions, days)).tolist()
        if len(without) > len(days):  # single days, such as corrections
            continue
        for first, last in _runs(without, sessions):
            if earlier.on(topic, first) is None and not earlier.is_published_after(topic, first):
                yield Finding(Severity.WARNING, "skipped", topic, first, _text(first, last, calendar))


def _runs(places: list[int], sessions: Days) -> Iterator[tuple[int, int]]:
    """Yield the first and the last day of each run of neighbouring places."""
    for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        inside = [place for _, place in run]
        yield int(sessions[inside[0]]), int(sessions[inside[-1]])


def _text(first: int, last: int, calendar: TradingCalendar) -> str:
    count = len(calendar.between(first, last))
    named = "this session" if count == 1 else f"{count} sessions to {to_date(last)}"
    return (
        f"no row of {named}, and rows before and after: publish them too; without them the signals of such a day are "
        "not published, and windows over it lack it"
    )
