"""What a rule is: a named function that evaluates one message to fire, on, hold or end."""

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

#: Longest minimum duration and longest cooldown of a rule, trading days.
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
    """The state of a rule's condition on the day of a message."""

    FIRE = "fire"  # a fact of its own: it begins an alert and ends the one before
    ON = "on"  # the condition is true; the first of several such days begins the alert
    HOLD = "hold"  # nothing changes
    END = "end"  # the condition is false: an alert that began before ends


_NO_TEXT = Text("", "")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What a rule returns for one subject of a message; figures, thresholds and texts only where it fires."""

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
    def of(
        cls,
        about: MarketSignal | DayStatus,
        subject: str,
        kind: Kind,
        figures: Mapping[str, Value] | None = None,
        thresholds: Mapping[str, Value] | None = None,
        text: Text = _NO_TEXT,
        invalidation: Text = _NO_TEXT,
        members: list[Member] | None = None,
    ) -> Evaluation:
        """Return the evaluation of the day and revision of a signal or a frame."""
        return cls(
            subject, about.trade_date, about.available_at, about.revision, kind,
            dict(figures or {}), dict(thresholds or {}), text, invalidation, members or [],
        )  # fmt: skip


class Basis(StrEnum):
    """Whose returns score an alert."""

    INDEX = "index"  # the SSE Composite
    MEMBERS = "members"  # the alert's securities, over the equal-weight mean of all stocks


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a rule predicts, so that every firing can be scored.

    Parameters
    ----------
    definition : what counts as a hit, in words.
    hit : whether a return over 20 trading days (a fraction) is a hit.
    members : the securities of an alert that the prediction is about.
    side : names the record where a rule has more than one (a rise and a fall).
    """

    definition: Text
    hit: Callable[[float], bool]
    basis: Basis = Basis.INDEX
    members: Callable[[Alert], list[str]] = lambda alert: [m.code for m in alert.members]
    side: Callable[[Alert], str] = lambda alert: ""  # noqa: ARG005


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule.

    Parameters
    ----------
    evaluate : yields at most one evaluation per subject of a message.
    version : raised whenever the rule's meaning changes.
    source : where it comes from, e.g. "[DG22]".
    minimum_days : trading days on which a condition (`Kind.ON`) must be true before it fires; until then it is pending.
    cooldown_days : trading days after an alert's end on which its subject raises no new alert (against flapping). Both
        are at most `MOST_DAYS`.
    """

    name: str
    severity: Severity
    evaluate: Callable[[Message], Iterable[Evaluation]]
    version: int = 1
    source: str = ""
    minimum_days: int = 1
    cooldown_days: int = 0
    expectation: Expectation | None = None


#: The expectation of rules on the market after which the index rose.
INDEX_HIGHER = Expectation(
    Text("SSE Composite higher 20 days later", "20个交易日后上证指数上涨"), lambda after: after > 0
)


def final_signal(message: Message) -> MarketSignal | None:
    """Return a message that is a final market signal with a value; None for any other."""
    if isinstance(message, MarketSignal) and not message.provisional and message.value is not None:
        return message
    return None


def percent(ratio: float) -> str:
    """Format a fraction as percent with two decimals: 0.103 → 10.30%."""
    return f"{ratio * 100:.2f}%"


def short_percent(ratio: float) -> str:
    """Format a fraction as percent with as many decimals as it has: 0.05 → 5%, 0.025 → 2.5%."""
    return f"{ratio * 100:g}%"


def number(details: dict[str, Value], name: str) -> float:
    """Return a figure of a signal's details."""
    return float(details[name])
