"""Days of a file that have a handful or a part of the rows of a market's list beside them: dates that are mistyped.

A file may have a list and corrected rows of earlier days, whose securities the list has, too. What the list lacks is
what was given another date: then it does not matter whether that other day is published. A day of any topic that lies
far from every other one, with keys that these lack, is one, too (2019 for 2020, month and day exchanged).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.cut_lists import WHOLE_MARKET
from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import groups_of
from feeds.daily.published_figures import DaysBefore
from feeds.files.dataset import Dataset
from processors.arrays import Days, Ids
from processors.days import to_date
from processors.events import INPUT_ROWS, DailyRow, RowBatch
from processors.kinds import is_fund
from processors.needs import REFERENCE

#: Fewer rows than this share of the list of the day beside them in the file are none of a day of their own.
_SHARE, _LIST = 0.05, 100
#: A part of a list may have another date, too; of a long history the days that have far fewer rows are looked at.
_PART, _FEW_DAYS = 0.9, 20
#: Most rows of a list's own securities are corrections of an earlier day.
_LACKED = 0.5
#: Calendar days; no holiday of the exchanges is longer than half of them.
_FAR = 30


def stray_days(dataset: Dataset, earlier: DaysBefore) -> Iterator[Finding]:
    """Find days with a handful of rows that are none of their own."""
    for topic in dict.fromkeys(topic for year in dataset.years for topic in year):
        if topic == REFERENCE or not issubclass(INPUT_ROWS[topic], DailyRow):
            continue
        rows = [year[topic] for year in dataset.years if topic in year]
        days, counts = np.unique(np.concatenate([one.days for one in rows]), return_counts=True)

        def keys_on(day: int, rows: list[RowBatch] = rows) -> Ids:
            return np.concatenate([one.keys[one.days == day] for one in rows])

        for place, near in _candidates(topic, days, counts.astype(np.int32)):
            day, beside = int(days[place]), int(days[near])
            own, others = keys_on(day), keys_on(beside)
            is_list = counts[near] >= _LIST and topic in WHOLE_MARKET
            handful = not is_list or counts[place] < _SHARE * counts[near]
            if not handful:  # another exchange may have other days, and so may funds
                own = own[np.isin(_kinds(topic, own), _kinds(topic, others))]
            lacked = len(np.setdiff1d(own, others))
            unknown = (
                handful and is_list and earlier.on(topic, day) is None and not earlier.is_published_after(topic, day)
            )
            if unknown or lacked > _LACKED * len(own):
                text = (
                    f"{counts[place]} rows, and {counts[near]:,} on the day beside it ({to_date(beside)})"
                    f"{f', which lacks {lacked} of their keys' if lacked else ''}: correct their date, or give "
                    f"the whole list of {to_date(day)}"
                )
                yield Finding(Severity.ERROR, "date", topic, day, text)


def _kinds(topic: str, keys: Ids) -> Ids:
    """Return the number of the exchange and kind of each key (n,)."""
    return groups_of(topic, keys) * 2 + is_fund(keys)


def _candidates(topic: str, days: Days, counts: Ids) -> Iterator[tuple[int, int]]:
    """Yield the places of days with a handful of rows, and of the largest of the days beside each."""
    lists = np.flatnonzero(counts >= _LIST) if topic in WHOLE_MARKET else np.zeros(0, dtype=np.int64)
    for place in range(len(days)):
        if len(lists):
            at = int(np.searchsorted(lists, place))
            near = [int(one) for one in lists[max(at - 1, 0) : at + 2] if one != place]
            few = 1.0 if len(days) <= _FEW_DAYS else _PART
        else:
            near = [one for one in (place - 1, place + 1) if 0 <= one < len(days)]
            if any(abs(int(days[one]) - int(days[place])) < _FAR for one in near):
                continue
            few = 1.0
        largest = max(near, key=lambda one: counts[one], default=None)
        if largest is not None and counts[place] < few * counts[largest]:
            yield place, largest
