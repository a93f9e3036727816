"""What a rule is: it looks at one message and says fire, end or hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import msgspec

from alerts.commands import FeedState
from alerts.model import Alert, Member, Severity, Text
from processors.outputs import DayStatus, IndustrySignals, MarketSignal, SecuritySignals
from processors.signal import Value

#: Longest minimum duration and longest rest of a rule, trading days.
MOST_DAYS = 60


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages of a topic were refused in one hour."""

    topic: str
    hour: datetime
    count: int
    threshold: int
    trade_date: date
    reason: str  # of the newest


Message = MarketSignal | SecuritySignals | IndustrySignals | DeadLetters | FeedState


class Kind(StrEnum):
    """What a message says about a rule's condition on its day."""

    FIRE = "fire"  # a fact of its own: it begins an alert, and ends the one before
    ON = "on"  # the condition holds; the first day of several begins the alert
    HOLD = "hold"  # nothing changes
    END = "end"  # a condition that began before is over


_NO_TEXT = Text("", "")


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
    text: Text = _NO_TEXT
    invalidation: Text = _NO_TEXT
    members: list[Member] = field(default_factory=list)

    @classmethod
    def on(
        cls,
        about: MarketSignal | DayStatus,
        subject: str,
        kind: Kind,
        figures: Mapping[str, Value] | None = None,
        thresholds: Mapping[str, Value] | None = None,
        text: Text = _NO_TEXT,
        invalidation: Text = _NO_TEXT,
        members: list[Member] | None = None,
    ) -> Verdict:
        """Judge the day of a signal or a frame, in its revision."""
        return cls(
            subject,
            about.trade_date,
            about.available_at,
            about.revision,
            kind,
            dict(figures or {}),
            dict(thresholds or {}),
            text,
            invalidation,
            members or [],
        )


class Basis(StrEnum):
    """Whose returns tell whether an alert was right."""

    INDEX = "index"  # the SSE Composite
    MEMBERS = "members"  # the alert's securities, over the equal-weight mean of all stocks


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a rule says will follow, so that every firing can be scored.

    Parameters
    ----------
    definition : of a hit, for people.
    hit : whether a return over 20 trading days is one.
    members : which securities of an alert are meant.
    side : names the record where a rule has more than one (a rise and a fall).
    """

    definition: Text
    hit: Callable[[float], bool]
    basis: Basis = Basis.INDEX
    members: Callable[[Alert], list[str]] = lambda alert: [m.code for m in alert.members]
    side: Callable[[Alert], str] = lambda alert: ""  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule: ``judge`` yields at most one verdict per subject for a message.

    Parameters
    ----------
    version : raised whenever the rule's meaning changes.
    source : where it comes from, e.g. "[DG22]".
    minimum_days : trading days for which a condition (`Kind.ON`) must hold before it fires; until then it is pending.
    cooldown_days : trading days after an alert's end in which its subject raises no new one (against flapping). Both are
        at most `MOST_DAYS`.
    """

    name: str
    severity: Severity
    judge: Callable[[Message], Iterable[Verdict]]
    version: int = 1
    source: str = ""
    minimum_days: int = 1
    cooldown_days: int = 0
    expectation: Expectation | None = None


def percent(ratio: float) -> str:
    """Show a fraction as people write it: 0.103 → 10.30%."""
    return f"{ratio * 100:.2f}%"


def number(details: dict[str, Value], name: str) -> float:
    """A figure of a signal's details."""
    return float(details[name])
