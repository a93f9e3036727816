"""The report of one day before it is published: its rows by exchange, and the verdicts of the checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.cut_lists import WHOLE_MARKET
from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import counts, group_names
from feeds.feed_report import DayReport, ExchangeRows, Verdict
from processors.days import to_date
from processors.needs import DETAIL, TOTALS

#: The checks of the figures, by what they need: nothing else, a day before, the session before.
_ALONE, _COMPARED, _SESSIONS = ("figure", "duplicate"), ("unit",), ("jump", "missing")
_SEVERITY = [Verdict.NOT_COMPARED, Verdict.PASSED, Verdict.WARNING, Verdict.ERROR]


def day_reports(day: ComparedDay, findings: Iterable[Finding]) -> Iterator[DayReport]:
    """Yield the report of each topic of a day before it is published.

    Parameters
    ----------
    findings : those of the checks of this day.
    """
    by_topic: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        by_topic[one.topic].append(one)
    for topic, batch in sorted(day.rows.items()):
        last = None if topic == "reference" else day.last.get(topic)  # only what changes has a row
        absent = {} if last is None else counts(topic, last.keys[~np.isin(last.keys, day.listed(topic).keys)])
        read = counts(topic, batch.keys)
        yield DayReport(
            trade_date=to_date(int(batch.days[0])),
            topic=topic,
            exchanges={
                name: ExchangeRows(read=read.get(name, 0), absent=absent.get(name, 0))
                for name in group_names(topic)
                if name in read or name in absent
            },
            checks=_verdicts(topic, by_topic[topic], day),
        )


def _verdicts(topic: str, findings: Iterable[Finding], day: ComparedDay) -> dict[str, Verdict]:
    """Return the verdict of each check of a topic and day."""
    before, last = topic in day.before, topic in day.last
    needs = dict.fromkeys(_ALONE, True) | dict.fromkeys(_COMPARED, before) | dict.fromkeys(_SESSIONS, last)
    if topic.startswith("margin."):
        needs["placeholder"] = True
    if topic in (DETAIL, TOTALS):
        needs["identity"] = last
    if topic == "margin.daily":
        needs["sum"] = TOTALS in day.whole
    if topic in WHOLE_MARKET:
        needs["cut"] = before
    out = {check: Verdict.PASSED if met else Verdict.NOT_COMPARED for check, met in needs.items()}
    for one in findings:
        verdict = Verdict.WARNING if one.severity is Severity.WARNING else Verdict.ERROR
        out[one.check] = max(out.get(one.check, verdict), verdict, key=_SEVERITY.index)
    return out
