"""Bars of weeks or months in place of those of days, of a single security, too.

A security that does not trade lacks sessions, and a file of corrections has single ones; but neither has one row of
each week, always that of its last session. `feeds.checks.slipped_days` finds such bars of a market where its day before
is published.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from feeds.checks.findings import Finding, Severity, key_text
from feeds.files.dataset import Dataset
from processors.arrays import Days, Ints
from processors.days import TradingCalendar
from processors.needs import INDICES, PRICES

#: Rows of a key, of which the newest may be that of a running week; and how many keys a finding names.
_ROWS, _NAMED = 6, 5
#: Calendar days between the rows of a key, on average: fewer are no weeks.
_APART = 3
#: One of these figures makes a row a bar: an index may have a PE of each week alone.
_BARS = ("volume", "turnover", "high", "low")
#: 1970-01-01 was a Thursday. A month has a session at each of its ends within so many calendar days.
_FROM_MONDAY, _MONTH = 3, 45


def bars_of_weeks(dataset: Dataset, calendar: TradingCalendar) -> Iterator[Finding]:
    """Find securities and indices all of whose rows are the last, or the first, sessions of their weeks or months."""
    for topic in (PRICES, INDICES):
        bars = [pd.DataFrame({"key": [], "day": []}, dtype=np.int32)]
        for rows in (year[topic] for year in dataset.years if topic in year):
            one = np.logical_or.reduce([~np.isnan(rows.figures[name]) for name in _BARS])
            bars.append(pd.DataFrame({"key": rows.keys[one], "day": rows.days[one]}))
        days_of = pd.concat(bars, ignore_index=True).sort_values(["key", "day"]).groupby("key")["day"]
        gaps = days_of.max() - days_of.min()
        few = gaps.index[(days_of.size() >= _ROWS) & (gaps >= _APART * days_of.size())]
        found = [key for key in few.tolist() if _are_periods(days_of.get_group(key).to_numpy(np.int32), calendar)]
        if found:
            named = ", ".join(key_text(topic, key) for key in found[:_NAMED]) + (" …" if len(found) > _NAMED else "")
            text = (
                f"every row of {named} is that of the last, or of the first, session of a week or a month: bars of "
                "weeks or months; give those of days"
            )
            yield Finding(Severity.ERROR, "day", topic, int(days_of.min()[found].min()), text)


def _are_periods(days: Days, calendar: TradingCalendar) -> bool:
    """Whether days, ascending, are one of each week, or of each month: always its last session, or its first."""
    sessions = calendar.between(int(days[0]) - _MONTH, int(days[-1]) + _MONTH)
    at = np.searchsorted(sessions, days)
    for periods in (_weeks(sessions), _months(sessions)):
        if len(np.unique(periods[at])) < len(days):
            continue
        for begins in (np.diff(periods, prepend=-1) != 0, np.diff(periods, append=-1) != 0):
            if begins[at[:-1]].all():
                return True
    return False


def _weeks(days: Days) -> Ints:
    return np.asarray((days.astype(np.int64) + _FROM_MONDAY) // 7)


def _months(days: Days) -> Ints:
    return np.asarray(days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64))
