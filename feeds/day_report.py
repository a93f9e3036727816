"""The report of one day before it is published: its rows by exchange, and the verdicts of the checks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from feeds.cut_lists import WHOLE_MARKET
from feeds.feed_report import DayReport, ExchangeRows, Verdict
from feeds.published_figures import DaysBefore
from feeds.row_groups import group_names, groups_of, overlaid
from feeds.validate import Finding, Rows, Severity, session_before
from processors.days import TradingCalendar, to_date
from processors.events import RowBatch

#: The checks of the figures, by what they need: nothing else, a day before, the session before.
_ALONE, _COMPARED, _SESSIONS = ("figure", "duplicate"), ("unit",), ("jump", "missing")


_TOTALS = "margin.market"
_SEVERITY = [Verdict.NOT_COMPARED, Verdict.PASSED, Verdict.WARNING, Verdict.ERROR]


def day_reports(
    day: int, rows: Rows, findings: Iterable[Finding], calendar: TradingCalendar, earlier: DaysBefore
) -> Iterator[DayReport]:
    """Yield the report of each topic of a day before it is published.

    Parameters
    ----------
    findings : those of the checks of this day.
    """
    by_topic: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        by_topic[one.topic].append(one)
    for topic, batch in sorted(rows.items()):
        if not len(batch):
            continue
        before, known = earlier.before(topic, day), earlier.on(topic, day)
        last = None if before is None else session_before(batch, before, calendar)
        whole = overlaid(batch, known)
        absent = None if last is None else last.take(~np.isin(last.keys, whole.keys))
        read, gone = _by_exchange(batch), {} if absent is None else _by_exchange(absent)
        exchanges = {name: ExchangeRows(read=count, absent=gone.get(name, 0)) for name, count in read.items()}
        has_last = last is not None and len(last) > 0
        yield DayReport(
            trade_date=to_date(day),
            topic=topic,
            exchanges=exchanges,
            checks=_verdicts(topic, by_topic[topic], before=before is not None, last=has_last, totals=_TOTALS in rows),
        )


def _verdicts(topic: str, findings: Iterable[Finding], *, before: bool, last: bool, totals: bool) -> dict[str, Verdict]:
    """Return the verdict of each check of a topic and day."""
    needs = dict.fromkeys(_ALONE, True) | dict.fromkeys(_COMPARED, before) | dict.fromkeys(_SESSIONS, last)
    if topic.startswith("margin."):
        needs |= {"placeholder": True, "identity": last}
    if topic == "margin.daily":
        needs["sum"] = totals
    if topic in WHOLE_MARKET:
        needs["cut"] = before
    out = {check: Verdict.PASSED if met else Verdict.NOT_COMPARED for check, met in needs.items()}
    for one in findings:
        verdict = Verdict.WARNING if one.severity is Severity.WARNING else Verdict.ERROR
        out[one.check] = max(out.get(one.check, verdict), verdict, key=_SEVERITY.index)
    return out


def _by_exchange(batch: RowBatch) -> dict[str, int]:
    counts = np.bincount(groups_of(batch.topic, batch.keys)).tolist()
    return {group_names(batch.topic)[group]: count for group, count in enumerate(counts) if count}
