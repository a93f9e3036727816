"""From evaluations to alerts: one alert per fact, resolved when its condition ends, superseded by corrections.

The state of an alert is a function of the evaluations of its subject alone: it fires on its day and is resolved on the
first later day whose evaluation is "end" or "fire". A condition with a minimum of days is pending until they are
reached, and a subject raises no alert within the cooldown after its last. So a correction of any day gives the same
states as if it had come in time.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

import msgspec

from alerts.model import Alert, Input, State, alert_id
from alerts.rules.base import Evaluation, Kind, Message, Rule
from processors.table import TEXT, Processor, Table, TableSet, ValueCodec


class _Entry(msgspec.Struct, array_like=True):
    """The newest evaluation of one day: revision, kind, and the id of the alert that it raised."""

    revision: int
    kind: Kind
    alert: str = ""


_VERDICTS = ValueCodec[dict[date, _Entry]](
    list[tuple[date, _Entry]], to_plain=lambda v: sorted(v.items()), from_plain=dict
)
#: How an alert is stored.
ALERT_ROW = ValueCodec[Alert](Alert)


@dataclass(frozen=True, slots=True)
class _Status:
    """The state of an alert, the day that ended it, and the day on which it began to fire."""

    state: State
    ends: date | None = None
    fired_on: date | None = None


class AlertLifecycle(Processor):
    """The evaluations of the last days and the alerts that they raised.

    Parameters
    ----------
    keep_days : evaluations kept per subject. Corrections change the newer half of them only; conditions and cooldowns
        are shorter than the older half, so the beginning of an alert is always computed from a complete past.
    """

    def __init__(self, rules: Iterable[Rule], keep_days: int = 130) -> None:
        self._rules = tuple(rules)
        self._keep = keep_days
        self._correctable = keep_days // 2
        self._subjects: Table[str, dict[date, _Entry]] = Table("verdicts", TEXT, _VERDICTS)
        # "<rule>/<subject>/<date>" → an alert that is not raised (yet)
        self._drafts: Table[str, Alert] = Table("draft", TEXT, ALERT_ROW)
        self.alerts: Table[str, Alert] = Table("alert", TEXT, ALERT_ROW)
        self.tables = TableSet(self.alerts, self._subjects, self._drafts)

    def fold(self, message: Message, origin: Input, now: datetime) -> list[Alert]:
        """Evaluate a message; return every alert that is new or whose state changed."""
        out: list[Alert] = []
        for rule in self._rules:
            for evaluation in rule.evaluate(message):
                out += self._apply(rule, evaluation, origin, now)
        return out

    def put(self, alert: Alert) -> None:
        """Store a version of an alert with new evidence, acknowledgement or silence."""
        self.alerts[alert.id] = alert

    def _apply(self, rule: Rule, evaluation: Evaluation, origin: Input, now: datetime) -> list[Alert]:
        name = f"{rule.name}/{evaluation.subject}"
        history = self._subjects.setdefault(name, {})
        old = history.get(evaluation.trade_date)
        if old is not None and evaluation.revision <= old.revision:
            return []
        if old is None and len(history) >= self._keep and evaluation.trade_date < sorted(history)[-self._keep]:
            return []  # older than the kept evaluations: a replay reads it again
        out: list[Alert] = []
        history[evaluation.trade_date] = _Entry(evaluation.revision, evaluation.kind)
        self._subjects.touch(name)
        if old is not None and old.alert:
            out.append(self._supersede(old.alert))
        self._set_draft(name, evaluation.trade_date, None)
        if evaluation.kind in (Kind.FIRE, Kind.ON):
            self._set_draft(name, evaluation.trade_date, _alert(rule, evaluation, origin, now))
        out += self._update_alerts(rule, name, history, evaluation.trade_date)
        self._trim(name, history)
        # Of several changes of one alert only the last is published.
        return list({alert.id: self.alerts.get(alert.id, alert) for alert in out}.values())

    def _update_alerts(self, rule: Rule, name: str, history: dict[date, _Entry], changed: date) -> list[Alert]:
        """Recompute the alerts of a subject after a day's evaluation changed: the one before the day and all later."""
        out: list[Alert] = []
        days = sorted(history)
        first = bisect_left(days, changed)
        while first and not history[days[first]].alert:
            first -= 1
        oldest_correctable = max(0, len(days) - self._correctable)
        statuses = _statuses(rule, history, days[_anchor(rule, history, days, first) :])
        for at in range(len(days) - 1, first - 1, -1):
            day, entry = days[at], history[days[at]]
            if at < oldest_correctable and (not entry.alert or day not in statuses):
                continue  # the evaluations before it may be removed already, and no correction changes so old a day
            if day not in statuses:
                if entry.alert:  # its condition now begins earlier, or is within a cooldown
                    draft = msgspec.structs.replace(self.alerts[entry.alert], evidence=[])
                    self._set_draft(name, day, draft)
                    out.append(self._supersede(entry.alert))
                    entry.alert = ""
                continue
            alert = self.alerts[entry.alert] if entry.alert else self._drafts[f"{name}/{day.isoformat()}"]
            status = statuses[day]
            if not entry.alert or (alert.state, alert.resolved_on) != (status.state, status.ends):
                self._set_draft(name, day, None)
                entry.alert = alert.id
                self.put(
                    msgspec.structs.replace(
                        alert, state=status.state, resolved_on=status.ends, fired_on=status.fired_on
                    )
                )
                out.append(self.alerts[alert.id])
        return out

    def _supersede(self, identity: str) -> Alert:
        alert = msgspec.structs.replace(self.alerts[identity], state=State.SUPERSEDED, resolved_on=None)
        del self.alerts[identity]
        return alert

    def _set_draft(self, name: str, day: date, alert: Alert | None) -> None:
        key = f"{name}/{day.isoformat()}"
        if alert is not None:
            self._drafts[key] = alert
        else:
            self._drafts.pop(key, None)

    def _trim(self, name: str, history: dict[date, _Entry]) -> None:
        """Remove the oldest evaluations, except those whose alert still fires."""
        for day in sorted(history)[: max(0, len(history) - self._keep)]:
            identity = history[day].alert
            if identity and self.alerts[identity].state is State.FIRING:
                continue
            del history[day]
            self._set_draft(name, day, None)
            if identity:
                del self.alerts[identity]


def _anchor(rule: Rule, history: dict[date, _Entry], days: list[date], first: int) -> int:
    """Return the index of a day before ``first`` from which on the states can be computed alone.

    It is the last "fire" or "end"; with a cooldown the first day of all, because a cooldown may extend over such a day.
    """
    at = 0 if rule.cooldown_days else first - 1
    while at > 0 and history[days[at]].kind not in (Kind.FIRE, Kind.END):
        at -= 1
    return max(0, at)


def _statuses(rule: Rule, history: dict[date, _Entry], days: list[date]) -> dict[date, _Status]:
    """Return the status of every alert that the evaluations of ascending days give, by the day on which it begins."""
    statuses: dict[date, _Status] = {}
    active: date | None = None
    begun: date | None = None  # first day of a condition that is true
    fired_on: date | None = None
    true_days = 0
    cooldown_until = 0  # index of an evaluation: there is one per trading day
    for at, day in enumerate(days):
        kind = history[day].kind
        if kind is Kind.ON and active is None:
            if begun is None and at < cooldown_until:
                continue
            begun, true_days = begun or day, true_days + 1
            statuses[begun] = _Status(State.PENDING)
            if true_days >= rule.minimum_days:
                active, fired_on = begun, day
                statuses[begun] = _Status(State.FIRING, fired_on=day)
        elif kind is Kind.FIRE or kind is Kind.END:
            if begun is not None or active is not None:
                statuses[active or begun or day] = _Status(State.RESOLVED, day, fired_on=fired_on if active else None)
                cooldown_until = at + rule.cooldown_days + 1 if kind is Kind.END else cooldown_until
            active = begun = None
            true_days = 0
            if kind is Kind.FIRE and at >= cooldown_until:
                active = fired_on = day
                statuses[day] = _Status(State.FIRING, fired_on=day)
    return statuses


def _alert(rule: Rule, evaluation: Evaluation, origin: Input, now: datetime) -> Alert:
    return Alert(
        id=alert_id(rule.name, evaluation.subject, evaluation.trade_date, evaluation.revision),
        rule=rule.name,
        severity=rule.severity,
        subject=evaluation.subject,
        trade_date=evaluation.trade_date,
        revision=evaluation.revision,
        state=State.FIRING,
        available_at=evaluation.available_at,
        raised_at=now,
        changed_at=now,
        figures=evaluation.figures,
        thresholds=evaluation.thresholds,
        text=evaluation.text,
        invalidation=evaluation.invalidation,
        provenance=[origin],
        members=evaluation.members,
        rule_version=rule.version,
        source=rule.source,
    )


def timeless(name: str, data: bytes) -> bytes:
    """Return a stored row without what a replay can't reproduce: times of changes and input offsets."""
    if not name.startswith(("alert/", "draft/")):
        return data
    return ALERT_ROW.encode(timeless_alert(ALERT_ROW.decode(data)))


def timeless_alert(alert: Alert) -> Alert:
    """Return an alert without the times of its changes and its input offsets, which may differ between two runs."""
    provenance = [msgspec.structs.replace(origin, offset=0) for origin in alert.provenance]
    when = alert.available_at
    return msgspec.structs.replace(alert, raised_at=when, changed_at=when, provenance=provenance)
