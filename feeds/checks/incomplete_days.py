"""Incomplete days: an exchange has no row, although it had rows on the day before, or its margin figures are needed.

The rows of the other exchanges are published; the day is not closed before the missing ones arrive. A margin day waits
for them by itself, because its end-of-day punctuation counts the rows of each exchange. Of other topics, the newest day
is published without punctuation. The next day's rows or the deadline close a day that stays incomplete.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import counts
from processors.margin_exchanges import on_day

_MARGIN = ("margin.daily", "margin.market")
_OTHERS = ("prices.daily", "valuations.daily", "etf.daily")
CHECK = "exchange"
#: Topic and day.
IncompleteDay = tuple[str, int]


def incomplete_days(day: ComparedDay, exchanges: Collection[str]) -> Iterator[Finding]:
    """Find exchanges without a row, in what was read and in what was published of the day.

    Parameters
    ----------
    exchanges : those whose margin figures make up the market.
    """
    for topic, batch in day.rows.items():
        if topic not in (*_MARGIN, *_OTHERS):
            continue
        needed = on_day(exchanges, int(batch.days[0])) if topic in _MARGIN else ()
        here = counts(topic, day.whole[topic].keys)
        before = counts(topic, day.before[topic].keys) if topic in day.before else {}
        for name in dict.fromkeys((*needed, *before)):
            if name in here:
                continue
            known = f", {before[name]:,} the day before" if name in before else ""
            # A day of margin figures waits for the exchanges of the market alone.
            waits = topic not in _MARGIN or name in needed
            text = f"no row of {name}{known}: "
            text += "the day stays open until its rows, the next day's rows or the deadline; " if waits else ""
            text += "without them, figures of the whole market are absent"
            yield Finding(Severity.WARNING, CHECK, topic, int(batch.days[0]), text, name)


def unclosed(findings: Iterable[Finding], newest: dict[str, int]) -> set[IncompleteDay]:
    """Return the days that are published without punctuation.

    Parameters
    ----------
    newest : topic → the newest day that is published of it.
    """
    found = {(one.topic, one.day) for one in findings if one.check == CHECK and one.day is not None}
    return {(topic, day) for topic, day in found if topic in _OTHERS and newest.get(topic) == day}
