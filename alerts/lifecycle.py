"""From verdicts to alerts: one alert per fact, resolved when its condition ends, superseded by corrections.

An alert's state follows from the verdicts on its subject alone: it fires on its day and is resolved on the first later
day whose verdict is "end" or "fire". A condition that must hold for some days is pending until it has, and a subject
that has just calmed down rests. So a correction of any day gives the same states as if it had come in time.
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
    """The newest verdict on one day: revision, kind, and the alert that it raised."""

    revision: int
    kind: Kind
    alert: str = ""


_VERDICTS = ValueCodec[dict[date, _Entry]](
    list[tuple[date, _Entry]], to_plain=lambda v: sorted(v.items()), from_plain=dict
)
#: How an alert is stored.
ALERT_ROW = ValueCodec[Alert](Alert)


@dataclass(frozen=True, slots=True)
class _Stand:
    """How an alert stands: its state, the day that ended it, and whether it has ever fired."""

    state: State
    ends: date | None = None
    fired: bool = False


class AlertBook(Processor):
    """All verdicts of the last days and the alerts they raised.

    Parameters
    ----------
    keep_days : verdicts of a subject that are kept. Corrections reach into the newer half of them; conditions and rests
        are shorter than that, so whether an alert began is never judged without what came before it.
    """

    def __init__(self, rules: Iterable[Rule], keep_days: int = 130) -> None:
        self._rules = tuple(rules)
        self._keep = keep_days
        self._open = keep_days // 2
        self._subjects: Table[str, dict[date, _Entry]] = Table("verdicts", TEXT, _VERDICTS)
        # "<rule>/<subject>/<date>" → what it would raise, if it has not
        self._drafts: Table[str, Alert] = Table("draft", TEXT, ALERT_ROW)
        self.alerts: Table[str, Alert] = Table("alert", TEXT, ALERT_ROW)
        self.tables = TableSet(self.alerts, self._subjects, self._drafts)

    def fold(self, message: Message, origin: Input, now: datetime) -> list[Alert]:
        """Judge a message; return every alert that is new or whose state changed."""
        out: list[Alert] = []
        for rule in self._rules:
            for verdict in rule.evaluate(message):
                out += self._take(rule, verdict, origin, now)
        return out

    def put(self, alert: Alert) -> None:
        """Replace an alert by the same with other words beside its state (evidence, acknowledgement, silence)."""
        self.alerts[alert.id] = alert

    def _take(self, rule: Rule, verdict: Evaluation, origin: Input, now: datetime) -> list[Alert]:
        name = f"{rule.name}/{verdict.subject}"
        history = self._subjects.setdefault(name, {})
        old = history.get(verdict.trade_date)
        if old is not None and verdict.revision <= old.revision:
            return []
        if old is None and len(history) >= self._keep and verdict.trade_date < sorted(history)[-self._keep]:
            return []  # forgotten long ago: a replay tells it again
        out: list[Alert] = []
        history[verdict.trade_date] = _Entry(verdict.revision, verdict.kind)
        self._subjects.touch(name)
        if old is not None and old.alert:
            out.append(self._supersede(old.alert))
        self._draft(name, verdict.trade_date, None)
        if verdict.kind in (Kind.FIRE, Kind.ON):
            self._draft(name, verdict.trade_date, _alert(rule, verdict, origin, now))
        out += self._settle(rule, name, history, verdict.trade_date)
        self._trim(name, history)
        # Of several changes of one alert only the last counts.
        return list({alert.id: self.alerts.get(alert.id, alert) for alert in out}.values())

    def _settle(self, rule: Rule, name: str, history: dict[date, _Entry], changed: date) -> list[Alert]:
        """Bring the alerts of a subject in line with a new verdict on a day: the one before it and all behind."""
        out: list[Alert] = []
        days = sorted(history)
        first = bisect_left(days, changed)
        while first and not history[days[first]].alert:
            first -= 1
        oldest_open = max(0, len(days) - self._open)
        wanted = _wanted(rule, history, days[_anchor(rule, history, days, first) :])
        for at in range(len(days) - 1, first - 1, -1):
            day, entry = days[at], history[days[at]]
            if at < oldest_open and (not entry.alert or day not in wanted):
                continue  # what made it so may be forgotten; no correction reaches so far back
            if day not in wanted:
                if entry.alert:  # what was before it changed: its condition began earlier, or rests
                    again = msgspec.structs.replace(self.alerts[entry.alert], evidence=None)
                    self._draft(name, day, again)
                    out.append(self._supersede(entry.alert))
                    entry.alert = ""
                continue
            alert = self.alerts[entry.alert] if entry.alert else self._drafts[f"{name}/{day.isoformat()}"]
            stand = wanted[day]
            if not entry.alert or (alert.state, alert.resolved_on) != (stand.state, stand.ends):
                self._draft(name, day, None)
                entry.alert = alert.id
                self.put(msgspec.structs.replace(alert, state=stand.state, resolved_on=stand.ends, fired=stand.fired))
                out.append(self.alerts[alert.id])
        return out

    def _supersede(self, identity: str) -> Alert:
        alert = msgspec.structs.replace(self.alerts[identity], state=State.SUPERSEDED, resolved_on=None)
        del self.alerts[identity]
        return alert

    def _draft(self, name: str, day: date, alert: Alert | None) -> None:
        key = f"{name}/{day.isoformat()}"
        if alert is not None:
            self._drafts[key] = alert
        else:
            self._drafts.pop(key, None)

    def _trim(self, name: str, history: dict[date, _Entry]) -> None:
        """Forget the oldest verdicts, but never one whose alert still fires."""
        for day in sorted(history)[: max(0, len(history) - self._keep)]:
            identity = history[day].alert
            if identity and self.alerts[identity].state is State.FIRING:
                continue
            del history[day]
            self._draft(name, day, None)
            if identity:
                del self.alerts[identity]


def _anchor(rule: Rule, history: dict[date, _Entry], days: list[date], first: int) -> int:
    """A day before ``first`` that begins or ends everything: what came before it changes nothing behind it.

    Of a rule that rests it is the first day of all, for a rest may reach over it.
    """
    at = 0 if rule.cooldown_days else first - 1
    while at > 0 and history[days[at]].kind not in (Kind.FIRE, Kind.END):
        at -= 1
    return max(0, at)


def _wanted(rule: Rule, history: dict[date, _Entry], days: list[date]) -> dict[date, _Stand]:
    """Return every alert that the verdicts on ascending days stand for, by the day on which it begins."""
    wanted: dict[date, _Stand] = {}
    active: date | None = None
    begun: date | None = None  # first day of a condition that holds
    held = 0
    rests_until = 0  # in verdicts: there is one per trading day
    for at, day in enumerate(days):
        kind = history[day].kind
        if kind is Kind.ON and active is None:
            if begun is None and at < rests_until:
                continue
            begun, held = begun or day, held + 1
            wanted[begun] = _Stand(State.PENDING)
            if held >= rule.minimum_days:
                active = begun
                wanted[begun] = _Stand(State.FIRING, fired=True)
        elif kind is Kind.FIRE or kind is Kind.END:
            if begun is not None or active is not None:
                wanted[active or begun or day] = _Stand(State.RESOLVED, day, fired=active is not None)
                rests_until = at + rule.cooldown_days + 1 if kind is Kind.END else rests_until
            active = begun = None
            held = 0
            if kind is Kind.FIRE and at >= rests_until:
                active = day
                wanted[day] = _Stand(State.FIRING, fired=True)
    return wanted


def _alert(rule: Rule, verdict: Evaluation, origin: Input, now: datetime) -> Alert:
    return Alert(
        id=alert_id(rule.name, verdict.subject, verdict.trade_date, verdict.revision),
        rule=rule.name,
        severity=rule.severity,
        subject=verdict.subject,
        trade_date=verdict.trade_date,
        revision=verdict.revision,
        state=State.FIRING,
        available_at=verdict.available_at,
        raised_at=now,
        changed_at=now,
        figures=verdict.figures,
        thresholds=verdict.thresholds,
        text=verdict.text,
        invalidation=verdict.invalidation,
        provenance=[origin],
        members=verdict.members,
        rule_version=rule.version,
        source=rule.source,
    )


def timeless(name: str, data: bytes) -> bytes:
    """Return a stored row without what a replay can't know: when an alert was raised, and the offsets it quotes."""
    if not name.startswith(("alert/", "draft/")):
        return data
    return ALERT_ROW.encode(timeless_alert(ALERT_ROW.decode(data)))


def timeless_alert(alert: Alert) -> Alert:
    """Return an alert without the times of its changes and the offsets of its inputs: what two runs may differ in."""
    provenance = [msgspec.structs.replace(origin, offset=0) for origin in alert.provenance]
    when = alert.available_at
    return msgspec.structs.replace(alert, raised_at=when, changed_at=when, provenance=provenance)
