"""Sessions of which a history has no row, between sessions of which it has: their deadline has passed without a row.

No row closes such a day. So the feed names it, and publishes the punctuation that the deadline of a running day would:
the signals of the day are absent, with the reason. An exchange that is missing on a day with other rows is the subject
of `feeds.checks.incomplete_days`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from operator import itemgetter

import numpy as np

from feeds.checks.findings import Finding, Severity
from feeds.daily.published_figures import DaysBefore
from feeds.files.dataset import Dataset
from processors.arrays import Days
from processors.days import TradingCalendar, to_date
from processors.events import INPUT_ROWS, DailyRow
from processors.needs import REFERENCE


def skipped_days(dataset: Dataset, calendar: TradingCalendar, earlier: DaysBefore) -> dict[str, Days]:
    """Return the sessions without a row by topic, ascending, of topics that have rows of most sessions.

    Parameters
    ----------
    earlier : what is published, which is not skipped. It keeps the newest days: of one before them it is not known
        whether it is.
    """
    out = {}
    for topic in dict.fromkeys(topic for year in dataset.years for topic in year):
        if topic == REFERENCE or not issubclass(INPUT_ROWS[topic], DailyRow):
            continue
        days = np.unique(np.concatenate([year[topic].days for year in dataset.years if topic in year]))
        sessions = calendar.between(int(days[0]), int(days[-1]))
        without = np.setdiff1d(sessions, days)
        if len(without) > len(days):  # single days, such as corrections
            continue
        skipped = [
            day
            for day in without.tolist()
            if earlier.on(topic, day) is None and not earlier.is_published_after(topic, day)
        ]
        if skipped:
            out[topic] = np.array(skipped, dtype=np.int32)
    return out


def skipped_runs(skipped: Mapping[str, Days], calendar: TradingCalendar) -> Iterator[Finding]:
    """Yield a finding for each run of neighbouring sessions that are skipped."""
    for topic, days in skipped.items():
        places = [(calendar.position(day) - at, day) for at, day in enumerate(days.tolist())]
        for _, run in groupby(places, key=itemgetter(0)):
            inside = [day for _, day in run]
            yield Finding(Severity.WARNING, "skipped", topic, inside[0], _text(inside[0], inside[-1], calendar))


def _text(first: int, last: int, calendar: TradingCalendar) -> str:
    count = len(calendar.between(first, last))
    named = "this session" if count == 1 else f"{count} sessions to {to_date(last)}"
    return (
        f"no row of {named}, and rows before and after: publish them too; without them the signals of such a day are "
        "absent, and windows over it lack it"
    )
