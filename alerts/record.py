"""The record card of a rule: every past case with what followed, the base rate and the published claim."""

from __future__ import annotations

from datetime import date

import msgspec

from alerts.model import Evidence


class CaseRow(msgspec.Struct, frozen=True, kw_only=True):
    """One past alert and what followed its entry, the open of the session after its day.

    Attributes
    ----------
    alert, trade_date : its id and day.
    figure : the figure that the rule shows of a case, None where the rule names none.
    entry_date, entry : the session of the entry and the index's open, points; None where it is not known.
    returns : by horizon in trading days (5, 20, 60), fractions; None where it is not over or a price is absent.
    drawdown : the worst close of the 60 days after it, against the entry, a fraction; of the index only.
    hit : whether it fulfils the definition; None where that is not known (yet), and of members.
    members, member_hits : the scored securities of the alert, and those that fulfil the definition; 0 of the index.
    """

    alert: str
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
    figure : name of the figure in the rows.
    until : the newest session that it contains.
    evidence : hits, cases, base rate, difference with its interval, finding, published claim.
    rows : every case, oldest first.
    """

    rule: str
    subject: str
    source: str
    figure: str
    until: date | None
    evidence: Evidence
    rows: list[CaseRow]
