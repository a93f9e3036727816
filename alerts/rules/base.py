"""What a rule is: a named function that evaluates one message to fire, on, hold or end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

import msgspec
import numpy as np

from alerts.commands import FeedRun, LiveFeedState
from alerts.model import Alert, Basis, DigestSection, EndedBy, Input, Member, PublishedClaim, Severity, Text
from alerts.percents import with_sign
from processors.arrays import Floats, Mask
from processors.needs import CHARTS
from processors.outputs import DayStatus, IndustrySignals, MarketSignal, SecuritySignals
from processors.signal import Value

#: Longest minimum duration and longest cooldown of a rule, trading days.
MOST_DAYS = 60


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages of a topic were refused in one hour, and what was quarantined last.

    Attributes
    ----------
    reason : of the newest message.
    quarantined : the place of a message whose fold failed; empty for one that was refused.
    resolved : whether a message that was set aside has been published again or skipped.
    """

    topic: str
    hour: datetime
    count: int
    threshold: int
    trade_date: date
    reason: str
    quarantined: str = ""
    resolved: bool = False


Message = MarketSignal | SecuritySignals | IndustrySignals | DeadLetters | LiveFeedState | FeedRun


class Condition(StrEnum):
    """The state of a rule's condition on the day of a message."""

    FIRE = "fire"  # a fact of its own: it begins an alert and ends the one before
    ON = "on"  # the condition is true; the first of several such days begins the alert
    HOLD = "hold"  # nothing changes
    ABSENT = "absent"  # the figure is absent: nothing changes, and the day is no part of the rule's history
    END = "end"  # the condition is false: an alert that began before ends


class Scope(StrEnum):
    """What the alerts of a rule are about: a label by which Alertmanager routes."""

    MARKET = "market"
    SECURITY = "security"
    INDUSTRY = "industry"
    DATA = "data"


_NO_TEXT = Text("", "")


class Evaluation(msgspec.Struct, frozen=True):
    """What a rule returns for one subject of a message; figures, thresholds and texts only where it fires."""

    subject: str
    trade_date: date
    available_at: datetime
    revision: int
    condition: Condition
    figures: dict[str, Value] = {}
    thresholds: dict[str, Value] = {}
    text: Text = _NO_TEXT
    invalidation: Text = _NO_TEXT
    members: list[Member] = []
    ended_by: EndedBy = EndedBy.CONDITION  # why, where the condition is END
    sections: list[DigestSection] = []
    provenance: list[Input] = []  # of a digest: that of its sections

    @classmethod
    def of(
        cls,
        about: MarketSignal | DayStatus,
        subject: str,
        condition: Condition,
        figures: Mapping[str, Value] | None = None,
        thresholds: Mapping[str, Value] | None = None,
        text: Text = _NO_TEXT,
        invalidation: Text = _NO_TEXT,
        members: list[Member] | None = None,
        ended_by: EndedBy = EndedBy.CONDITION,
        *,
        charted: bool = False,
    ) -> Evaluation:
        """Return the evaluation of the day and revision of a signal or a frame.

        Parameters
        ----------
        charted : whether the rule reads charts. Their scores arrive behind the other figures of a frame and raise its
            revision; they correct no fact that does not read them.
        """
        read = about if charted or isinstance(about, MarketSignal) else about.without(CHARTS)
        return cls(
            subject, about.trade_date, about.available_at, read.revision, condition,
            dict(figures or {}), dict(thresholds or {}), text, invalidation, members or [], ended_by,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expectation:
    """What a rule predicts, so that every firing can be scored. A rule has one per record.

    Parameters
    ----------
    definition : what counts as a hit, in words.
    hit : which paths are hits: (n, k) returns after the entry (fractions) → (n,) booleans. The entry is the open of T+1.
        Of the index, k is ``horizon_days`` and column i is the close of T+1+i; of members, the only column is the
        excess return of a security or an industry at the close of T+``horizon_days``.
    horizon_days : trading days after which a case is scored; of members one of 5, 20 and 60.
    name : names the record where a rule has more than one ("up", "down").
    applies : whether an alert belongs to the record.
    members : the codes of the securities, or of the industries' indices, that an alert's prediction is about; an alert
        without any is no case.
    figure : the figure of an alert that a table of its cases shows.
    claim : what a publication says about it.
    regime : only cases, and days of the base rate, of this market regime count (``RANGE``); all days if empty.
    """

    definition: Text
    hit: Callable[[Floats], Mask]
    horizon_days: int = 20
    basis: Basis = Basis.INDEX
    name: str = ""
    applies: Callable[[Alert], bool] = lambda alert: True  # noqa: ARG005
    members: Callable[[Alert], list[str]] = lambda alert: [m.code for m in alert.members]
    figure: str = ""
    claim: PublishedClaim | None = None
    regime: str = ""

    @property
    def has_members(self) -> bool:
        """Whether it is about securities or industries, not about the index."""
        return self.basis is not Basis.INDEX

    def covers(self, alert: Alert) -> bool:
        """Whether an alert is a case of the record."""
        return self.applies(alert) and (not self.has_members or bool(self.members(alert)))


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule.

    Parameters
    ----------
    evaluate : yields at most one evaluation per subject of a message.
    reads : the messages that it evaluates; it is given no others: final market signals by their ids, and other messages
        by their types.
    version : raised whenever the rule's meaning changes.
    source : where it comes from, e.g. "[DG22]".
    minimum_days : trading days on which a condition (`Condition.ON`) must be true before it fires; until then it is pending.
    cooldown_days : trading days after an alert's end on which its subject raises no new alert (against flapping). Both
        are at most `MOST_DAYS`.
    horizon_days : sessions after its trade date on which an alert ends, if nothing else has ended it. A condition that is
        still true then raises no new alert before it has ended.
    expectations : what the rule predicts; empty where it states a fact.
    about, scope : what its alerts are about, for listings and for Alertmanager.
    covers_day : whether an alert is about its day only, so that a list of active alerts shows the newest one.
    study : the study that checks what the rule claims; empty for none.
    digest : the subjects that the rule evaluates on every day, where an info of it is a section of the day's digest.
    units : units of its figures and thresholds by name ("ratio", "CNY"), where they are neither signals nor plain numbers.
    member_signal : the signal of securities whose values its members have.
    updates : whether a correction that leaves a fact updates its alert, which keeps its id, instead of superseding it.
    within_day : whether a later evaluation of a day reports a later moment of it, and corrects nothing: it resolves the
        day's alert instead of superseding it.
    """

    name: str
    severity: Severity
    evaluate: Callable[[Message], Iterable[Evaluation]]
    reads: tuple[str | type[Message], ...]
    version: int = 1
    source: str = ""
    minimum_days: int = 1
    cooldown_days: int = 0
    horizon_days: int = 20
    expectations: tuple[Expectation, ...] = ()
    about: str = "market"
    scope: Scope = Scope.MARKET
    covers_day: bool = False
    study: str = ""
    digest: tuple[str, ...] = ()
    updates: bool = False
    within_day: bool = False
    units: Mapping[str, str] = field(default_factory=dict)
    member_signal: str = ""

    @property
    def is_section(self) -> bool:
        """Whether its alerts are sections of the day's digest; a desk that raises its severity gets them as messages."""
        return bool(self.digest) and self.severity is Severity.INFO


def read_as(message: Message) -> str | type[Message]:
    """Return how `Rule.reads` names a message; no rule reads a provisional signal."""
    if isinstance(message, MarketSignal):
        return "" if message.provisional else message.signal
    return type(message)


def by_message(rules: Iterable[Rule]) -> dict[str | type[Message], list[Rule]]:
    """Return the rules that read each message, in their order; the keys are those of `read_as`."""
    out: dict[str | type[Message], list[Rule]] = {}
    for rule in rules:
        for read in rule.reads:
            out.setdefault(read, []).append(rule)
    return out


def ends_higher(path: Floats) -> Mask:
    """Return which returns are positive at the horizon's end."""
    return np.asarray(path[:, -1] > 0)


def ends_lower(path: Floats) -> Mask:
    """Return which returns are negative at the horizon's end."""
    return np.asarray(path[:, -1] < 0)


#: The expectation of rules on the market after which the index rose.
INDEX_HIGHER = Expectation(Text("SSE Composite higher 20 days later", "20个交易日后上证指数上涨"), ends_higher)


def final_signal(message: Message, name: str) -> MarketSignal | None:
    """Return a message that is a final market signal of a name, absent values included; None for any other."""
    if isinstance(message, MarketSignal) and message.signal == name and not message.provisional:
        return message
    return None


def security_frame(message: Message, family: str) -> SecuritySignals | None:
    """Return a message that is a day's frame of a family of security signals; None for any other."""
    return message if isinstance(message, SecuritySignals) and message.family == family else None


def percent(ratio: float) -> str:
    """Format a fraction as percent with two decimals: 0.103 → 10.30%."""
    return with_sign(f"{ratio * 100:.2f}%")


def money(cny: float) -> Text:
    """Format CNY in billions and in 亿元: 2041234567890 → 2,041.23 bn CNY, 20,412.3亿元."""
    return Text(with_sign(f"{cny / 1e9:,.6g} bn CNY"), with_sign(f"{cny / 1e8:,.6g}亿元"))


def short_percent(ratio: float) -> str:
    """Format a fraction as percent with as many decimals as it has: 0.05 → 5%, 0.025 → 2.5%."""
    return with_sign(f"{ratio * 100:g}%")


def number(details: dict[str, Value], name: str) -> float:
    """Return a figure of a signal's details."""
    return float(details[name])
