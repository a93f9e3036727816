"""The alert: a fact with its figures, its provenance and its state."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from enum import StrEnum

import msgspec

from processors.signal import Value


class Severity(StrEnum):
    """How soon a person must look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class State(StrEnum):
    """The state of an alert by its rule. Acknowledgement and silence are separate fields."""

    PENDING = "pending"  # the condition is true, but not yet on the rule's minimum of days
    FIRING = "firing"
    RESOLVED = "resolved"  # the condition ended on a later day
    SUPERSEDED = "superseded"  # a correction replaced or removed the fact


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


class Member(msgspec.Struct, frozen=True):
    """One security inside a digest."""

    code: str
    value: float
    note: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """The returns after earlier cases over one horizon: how many are known, median and worst (fractions)."""

    cases: int
    median: float
    worst: float


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a rule before an alert's day: it contains nothing of that day or later.

    ``cases`` counts the earlier cases whose 20 days are over, ``hits`` those of them that fulfil ``definition``;
    ``low`` and ``high`` bound the hit rate (95%, Wilson). ``drawdown`` is the worst fall within 60 days after a case (a
    fraction). Returns are the SSE Composite's, or the mean excess of the alert's securities over the equal-weight mean
    of all stocks.
    """

    definition: Text
    cases: int = 0
    hits: int = 0
    low: float | None = None
    high: float | None = None
    outcomes: dict[str, Outcome] = {}  # by horizon in trading days
    drawdown: float | None = None

    @property
    def rate(self) -> float | None:
        """Share of hits; None without a case."""
        return self.hits / self.cases if self.cases else None


class Acknowledgement(msgspec.Struct, frozen=True):
    """Who has acknowledged an alert, and when."""

    by: str
    at: datetime
    note: str = ""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Suppresses the notifications of matching alerts until a time; empty matchers match everything."""

    id: str
    until: datetime
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

    Of several messages about one id the one with the latest ``changed_at`` is valid: a worker that lost its partition
    and has not noticed it yet may repeat an older one.
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
    resolved_on: date | None = None
    figures: dict[str, Value]
    thresholds: dict[str, Value]
    text: Text
    invalidation: Text
    provenance: list[Input]
    members: list[Member] = []
    fired: bool = False  # a pending alert may end without ever having fired
    rule_version: int = 1
    source: str = ""
    evidence: Evidence | None = None
    acknowledged: Acknowledgement | None = None
    silence: Silence | None = None

    def replaces(self, other: Alert | None) -> bool:
        """Whether this version is as new as another of the same id, or there is none yet (None)."""
        return other is None or self.changed_at >= other.changed_at


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
