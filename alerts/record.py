"""The record card of a rule: every past case with what followed, the base rate and the published claim."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec
import numpy as np

from alerts.desk import AlertDesk
from alerts.evidence import Case, EvidenceStore, expectation_key
from alerts.index_scores import LONGEST
from alerts.member_scores import HORIZONS
from alerts.model import Evidence
from alerts.rules.base import Expectation, Rule
from alerts.units import Units
from processors.days import TradingCalendar, to_date
from processors.signal import number


class CaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One past alert and what followed its entry, the open of the session after its day.

    Attributes
    ----------
    alert, subject, trade_date : its id, what it is about, and the day on which it began to fire.
    figure : the figure that the rule shows of a case, None where the rule names none.
    entry_date, entry : the session of the entry and the index's open, points; None where it is not known.
    returns : by horizon in trading days (5, 20, 60), fractions; None where it is not over or a price is absent.
    drawdown : the worst close of the 60 days after it, against the entry, a fraction; of the index only.
    hit : whether it fulfils the definition; None where that is not known (yet), and of members.
    members, member_hits : the scored securities of the alert, and those that fulfil the definition; 0 of the index.
    """

    alert: str
    subject: str
    trade_date: date
    figure: float | None
    entry_date: date | None
    entry: float | None
    returns: dict[str, float | None]
    drawdown: float | None
    hit: bool | None
    members: int = 0
    member_hits: int = 0


class RecordCard(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a rule as it is known now.

    Attributes
    ----------
    rule, subject, source : which rule, about what, and its publication.
    figure, unit : name of the figure in the rows, and its unit; "" for a plain number.
    until : the day for which a signal was published last.
    evidence : its first day, hits, cases, base rate, difference with its interval, finding, published claim.
    rows : every case, oldest first.
    """

    rule: str
    subject: str
    source: str
    figure: str
    unit: str
    until: date
    evidence: Evidence
    rows: list[CaseRow]


def cards(desk: AlertDesk, rule: Rule, calendar: TradingCalendar) -> list[RecordCard]:
    """Return the records of a rule, one per expectation and subject of records; none where it states facts only."""
    return [
        _card(desk, rule, subject, since, expectation, calendar)
        for expectation in rule.expectations
        for subject in dict.fromkeys(map(expectation.basis.subject, desk.lifecycle.subjects(rule.name)))
        if (since := desk.since(rule.name, subject, expectation)) is not None
    ]


def _card(
    desk: AlertDesk, rule: Rule, subject: str, since: date, expectation: Expectation, calendar: TradingCalendar
) -> RecordCard:
    until, cases = desk.lifecycle.newest, desk.evidence.cases(rule.name, subject, expectation)
    return RecordCard(
        rule=rule.name,
        subject=subject,
        source=rule.source,
        figure=expectation.figure,
        unit=Units([rule]).of_rule(rule.name, expectation.figure),
        until=until,
        evidence=desk.evidence.record(rule.name, subject, expectation, since, until + timedelta(days=1)),
        rows=[_row(desk.evidence, expectation, rule.name, *case, calendar) for case in cases],
    )


def _row(
    store: EvidenceStore, expectation: Expectation, rule: str, day: int, subject: str, case: Case,
    calendar: TradingCalendar,
) -> CaseRow:  # fmt: skip
    entry_day = calendar.shift(day, 1)
    row = CaseRow(
        alert=case.alert,
        subject=subject,
        trade_date=to_date(day),
        figure=case.figure,
        entry_date=None if entry_day is None else to_date(entry_day),
        entry=None,
        returns={str(h): case.outcomes.get(str(h)) for h in HORIZONS},
        drawdown=None,
        hit=None,
        members=case.known,
        member_hits=case.hits,
    )
    if expectation.has_members:
        return row
    at, index = calendar.position(day), store.index
    path = index.paths(np.array([at]), LONGEST)[0]
    hit = number(index.hits(expectation_key(rule, expectation), expectation)[at])
    return msgspec.structs.replace(
        row,
        entry=number(index.entry(at)),
        returns={str(h): number(path[h - 1]) for h in HORIZONS},
        drawdown=number(path.min()),
        hit=None if hit is None else bool(hit),
    )
