"""The alert: a fact with its figures, its provenance and its state."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from enum import StrEnum

import msgspec

from processors.events import Moment
from processors.signal import Value


class Severity(StrEnum):
    """How soon a person must look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Its place in their order, the highest for the most urgent one."""
        return list(Severity).index(self)


class State(StrEnum):
    """The state of an alert by its rule. Acknowledgement and silence are separate fields."""

    PENDING = "pending"  # the condition is true, but not yet on the rule's minimum of days
    FIRING = "firing"
    RESOLVED = "resolved"  # the condition ended on a later day
    SUPERSEDED = "superseded"  # a correction replaced or removed the fact

    @property
    def is_running(self) -> bool:
        """Whether the alert has not ended."""
        return self in (State.PENDING, State.FIRING)


class EndedBy(StrEnum):
    """Why an alert ended."""

    CONDITION = "condition"  # what it reports is no longer the case
    VOID = "void"  # its invalidation: the market did what the alert excludes
    PLAYED_OUT = "played out"  # what it warns of has happened
    HORIZON = "horizon"  # its rule's horizon of sessions has passed
    NEXT_FACT = "next fact"  # a newer fact of the same subject replaced it


class Basis(StrEnum):
    """Whose returns score an alert."""

    INDEX = "index"  # the SSE Composite
    MEMBERS = "members"  # the alert's securities, over the equal-weight mean of all stocks
    INDUSTRIES = "industries"  # the alert's industries, over the equal-weight mean of all of them

    @property
    def is_pooled(self) -> bool:
        """Whether a rule has one record of all its subjects: a single industry has few cases."""
        return self is Basis.INDUSTRIES

    def subject(self, subject: str) -> str:
        """Return the subject of the record that an alert about a subject belongs to."""
        return ALL_INDUSTRIES if self.is_pooled else subject


#: The subject of records about industries.
ALL_INDUSTRIES = "industries"


class RecordFinding(StrEnum):
    """What a record says beside its base rate, at 95%."""

    BETTER = "better than any day"
    NO_BETTER = "no better than any day"
    TOO_FEW = "too few cases to say"


class Input(msgspec.Struct, frozen=True):
    """The coordinates of a message that an alert was computed from."""

    topic: str
    partition: int
    offset: int
    revision: int


class Text(msgspec.Struct, frozen=True):
    """The same text in English and Chinese."""

    en: str
    zh: str


class Member(msgspec.Struct, frozen=True, gc=False):
    """One security of an alert; ``rule`` names the section in the day's digest."""

    code: str
    value: float
    note: str = ""
    rule: str = ""


class HorizonOutcome(msgspec.Struct, frozen=True):
    """The returns after earlier alerts over one horizon: how many are known, median and worst (fractions)."""

    cases: int
    median: float
    worst: float


class PublishedClaim(msgspec.Struct, frozen=True):
    """What a publication says about a rule, with the period of its data (``2018-01…2022-11``)."""

    text: Text
    source: str
    period: str


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a rule as it was known before an alert's day: it contains nothing of that day or later.

    A case of the index is an earlier alert; a case of members is one security, or one industry, of an earlier alert. A
    rule about industries has one record of all of them. The entry is the open of the session after the alert's day.
    Returns are the SSE Composite's, or that of a security or an industry's index less the equal-weight mean of all.

    Attributes
    ----------
    name : the record's name, where a rule has more than one.
    since : the first day that cases and base are taken from: the first one on which the rule was evaluated and whose
        outcome is known; the first one of these two where no outcome is known yet. None of an early release.
    definition, horizon_days : what counts as a hit, and the trading days after which a case is scored.
    cases, hits : the scored cases, and those that fulfil the definition.
    unscored : cases whose horizon is over, but whose entry or returns are not known; those before ``since``, too.
    episodes : the same cases counted once per horizon: days at least one horizon apart.
    base_cases, base_hits : the same condition over all days of the rule's history (members: all stocks, or industries).
    low, high : 95% interval of ``difference``; None where there are too few episodes.
    finding : the plain reading of the interval.
    outcomes : by horizon in trading days (5, 20, 60), one return per alert.
    drawdown : the worst fall of a close below an entry within 60 days (a fraction); of the index only.
    claim : what a publication says, beside ours.
    """

    name: str = ""
    since: date | None = None
    definition: Text
    basis: Basis = Basis.INDEX
    horizon_days: int = 20
    cases: int = 0
    hits: int = 0
    unscored: int = 0
    episodes: int = 0
    base_cases: int = 0
    base_hits: int = 0
    low: float | None = None
    high: float | None = None
    finding: RecordFinding = RecordFinding.TOO_FEW
    outcomes: dict[str, HorizonOutcome] = {}
    drawdown: float | None = None
    claim: PublishedClaim | None = None

    @property
    def rate(self) -> float | None:
        """Share of hits; None without a case."""
        return self.hits / self.cases if self.cases else None

    @property
    def base_rate(self) -> float | None:
        """Share of all days that fulfil the definition; None where none is known."""
        return self.base_hits / self.base_cases if self.base_cases else None

    @property
    def difference(self) -> float | None:
        """Share of hits less the base rate."""
        rate, base = self.rate, self.base_rate
        return None if rate is None or base is None else rate - base


class DigestSection(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of flags in the day's digest: what one rule found, with the records of that rule.

    The securities are the digest's members with this rule, the strongest first.
    """

    rule: str
    subject: str
    alert: str  # the id of the fact
    figures: dict[str, Value]
    thresholds: dict[str, Value]
    text: Text
    source: str = ""
    evidence: list[Evidence] = []

    @property
    def best(self) -> float | None:
        """The largest difference to its base rate of a record that is better than any day; None if none is."""
        better = (r.difference for r in self.evidence if r.finding is RecordFinding.BETTER)
        return max((d for d in better if d is not None), default=None)


class Acknowledgement(msgspec.Struct, frozen=True):
    """Who has acknowledged an alert, and when."""

    by: str
    at: Moment
    note: str = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Suppresses the notifications of matching alerts until a time; empty matchers match everything."""

    id: str
    until: Moment
    by: str
    note: str = ""
    rule: str = ""
    subject: str = ""
    severity: Severity | None = None
    alert: str = ""

    def matches(self, alert: Alert) -> bool:
        """Whether the silence applies to an alert."""
        return (
            self.rule in ("", alert.rule)
            and self.subject in ("", alert.subject)
            and self.severity in (None, alert.severity)
            and self.alert in ("", alert.id)
        )


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One fact, as published to ``alerts.v1`` (keyed by id).

    Of several messages about one id the one with the highest sequence is valid (the header ``ce_sequence``).
    ``changed_at`` is the time of a version by its worker's clock; it orders nothing.
    """

    id: str
    rule: str
    severity: Severity
    subject: str
    trade_date: date
    revision: int
    state: State
    available_at: datetime
    raised_at: datetime
    changed_at: datetime
    fired_on: date | None = None  # when it began to fire; None while it is pending, or if it never fired
    expires_on: date | None = None  # the session on which its horizon ends it
    resolved_on: date | None = None
    ended_at: datetime | None = None  # from when it was known that it is resolved or superseded
    ended_by: EndedBy | None = None
    figures: dict[str, Value]
    thresholds: dict[str, Value]
    text: Text
    invalidation: Text
    provenance: list[Input]
    members: list[Member] = []
    sections: list[DigestSection] = []  # of the day's digest: those whose record beats the base rate first
    is_section: bool = False  # a fact inside the day's digest; it is stored, and never published by itself
    rule_version: int = 1
    source: str = ""
    evidence: list[Evidence] = []  # one per record of the rule that the alert belongs to
    acknowledged: Acknowledgement | None = None
    silence: Silence | None = None


class AlertEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One change of one alert, as published to ``alerts.log.v1``: the history that ``alerts.v1`` forgets."""

    alert: str
    rule: str
    subject: str
    trade_date: date
    at: datetime
    what: str  # the new state, or acknowledged, unacknowledged, silenced, unsilenced, evidence
    by: str = ""
    note: str = ""
    provenance: list[Input] = []


def alert_id(rule: str, subject: str, trade_date: date, revision: int) -> str:
    """Return the id of a fact; the same fact always has the same id."""
    fact = f"{rule}|{subject}|{trade_date.isoformat()}|{revision}"
    return hashlib.blake2b(fact.encode(), digest_size=12).hexdigest()


def timeless_alert(alert: Alert) -> Alert:
    """Return an alert without the times of its changes and its input offsets, which may differ between two runs."""
    provenance = [msgspec.structs.replace(origin, offset=0) for origin in alert.provenance]
    when = alert.available_at
    return msgspec.structs.replace(alert, raised_at=when, changed_at=when, provenance=provenance)
