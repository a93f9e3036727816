"""What an alert is: a fact with its figures, where it came from, and its state."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from enum import StrEnum

import msgspec

from processors.signal import Value


class Severity(StrEnum):
    """How soon somebody must look."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class State(StrEnum):
    """Where an alert stands."""

    FIRING = "firing"
    RESOLVED = "resolved"  # the condition ended on a later day
    SUPERSEDED = "superseded"  # a correction replaced or removed the fact


class Input(msgspec.Struct, frozen=True):
    """A message that an alert was computed from."""

    topic: str
    partition: int
    offset: int
    revision: int


class Text(msgspec.Struct, frozen=True):
    """The same words in English and Chinese."""

    en: str
    zh: str


class Member(msgspec.Struct, frozen=True):
    """One security inside a digest."""

    code: str
    value: float
    note: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One fact, as published to ``alerts.v1`` (keyed by id)."""

    id: str
    rule: str
    severity: Severity
    subject: str
    trade_date: date
    revision: int
    state: State
    available_at: datetime
    raised_at: datetime
    resolved_on: date | None = None
    figures: dict[str, Value]
    thresholds: dict[str, Value]
    text: Text
    invalidation: Text
    provenance: list[Input]
    members: list[Member] = []


def alert_id(rule: str, subject: str, trade_date: date, revision: int) -> str:
    """Return the id: the same fact always has the same one."""
    fact = f"{rule}|{subject}|{trade_date.isoformat()}|{revision}"
    return hashlib.blake2b(fact.encode(), digest_size=12).hexdigest()
