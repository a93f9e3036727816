"""Days of a file that have a handful of rows beside a day with the list of a market: dates that are mistyped."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.cut_lists import WHOLE_MARKET
from feeds.checks.validate import Finding, Severity
from feeds.daily.published_figures import DaysBefore
from feeds.files.dataset import Dataset
from processors.days import to_date
from processors.events import INPUT_ROWS, DailyRow

#: Fewer rows than this share of the list of the day beside them in the file are none of a day of their own.
_SHARE, _LIST = 0.05, 100


def stray_days(dataset: Dataset, earlier: DaysBefore) -> Iterator[Finding]:
    """Find days with a handful of rows; those before a published day may be corrected rows."""
    for topic in WHOLE_MARKET:
        years = [year[topic].days for year in dataset.years if topic in year]
        if not years or not issubclass(INPUT_ROWS[topic], DailyRow):
            continue
        days, counts = np.unique(np.concatenate(years), return_counts=True)
        beside = np.maximum(np.append(counts[1:], 0), np.append(0, counts[:-1]))
        for place in np.flatnonzero((beside >= _LIST) & (counts < _SHARE * beside)).tolist():
            day = int(days[place])
            if earlier.on(topic, day) is None and not earlier.is_published_after(topic, day):
                text = (
                    f"{counts[place]} rows, and {beside[place]:,} on the day beside it: correct their date, or give "
                    f"the whole list of {to_date(day)}"
                )
                yield Finding(Severity.ERROR, "date", topic, day, text)
