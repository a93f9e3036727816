"""What a rule is: it looks at one message and says fire, end or hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import msgspec

from alerts.model import Member, Severity, Text
from processors.outputs import MarketSignal, SecuritySignals
from processors.signal import Value


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages of a topic were refused in one hour."""

    topic: str
    hour: datetime
    count: int
    threshold: int
    trade_date: date
    reason: str  # of the newest


Message = MarketSignal | SecuritySignals | DeadLetters


class Kind(StrEnum):
    """What a message says about a rule's condition on its day."""

    FIRE = "fire"  # the condition begins
    HOLD = "hold"  # nothing changes
    END = "end"  # a condition that began before is over


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's word on one message; figures, thresholds and texts only where it fires."""

    subject: str
    trade_date: date
    available_at: datetime
    revision: int
    kind: Kind
    figures: dict[str, Value] = field(default_factory=dict)
    thresholds: dict[str, Value] = field(default_factory=dict)
    text: Text = Text("", "")
    invalidation: Text = Text("", "")
    members: list[Member] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule: ``judge`` yields at most one verdict per subject for a message."""

    name: str
    severity: Severity
    judge: Callable[[Message], Iterable[Verdict]]


def percent(ratio: float) -> str:
    """Show a fraction as people write it: 0.103 → 10.30%."""
    return f"{ratio * 100:.2f}%"


def number(details: dict[str, Value], name: str) -> float:
    """A figure of a signal's details."""
    return float(details[name])
