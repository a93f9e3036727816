"""From verdicts to alerts: one alert per fact, resolved when its condition ends, superseded by corrections.

An alert's state follows from the verdicts on its subject alone: it fires on its day and is resolved on the first later
day whose verdict is "end" or "fire". So a correction of any day gives the same states as if it had come in time.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

import msgspec

from alerts.model import Alert, Input, State, alert_id
from alerts.rules.base import Kind, Message, Rule, Verdict
from processors.errors import StateError

_VERSION = 1


class _Entry(msgspec.Struct, array_like=True):
    """The newest verdict on one day: revision, kind, and the alert that it raised."""

    revision: int
    kind: Kind
    alert: str = ""


class AlertBook:
    """All verdicts of the last days and the alerts they raised.

    Parameters
    ----------
    keep_days : verdicts of a subject that are kept; corrections of older days are not expected.
    """

    def __init__(self, rules: Iterable[Rule], keep_days: int = 130) -> None:
        self._rules = tuple(rules)
        self._keep = keep_days
        self._subjects: dict[str, dict[date, _Entry]] = {}
        self.alerts: dict[str, Alert] = {}
        self._dirty_subjects: set[str] = set()
        self._dirty_alerts: set[str] = set()
        self._gone: set[str] = set()

    def fold(self, message: Message, origin: Input, now: datetime) -> list[Alert]:
        """Judge a message; return every alert that is new or whose state changed."""
        out: list[Alert] = []
        for rule in self._rules:
            for verdict in rule.judge(message):
                out += self._take(rule, verdict, origin, now)
        return out

    def _take(self, rule: Rule, verdict: Verdict, origin: Input, now: datetime) -> list[Alert]:
        name = f"{rule.name}/{verdict.subject}"
        history = self._subjects.setdefault(name, {})
        old = history.get(verdict.trade_date)
        if old is not None and verdict.revision <= old.revision:
            return []
        if old is None and len(history) >= self._keep and verdict.trade_date < sorted(history)[-self._keep]:
            return []  # forgotten long ago: a replay tells it again
        out: list[Alert] = []
        entry = history[verdict.trade_date] = _Entry(verdict.revision, verdict.kind)
        self._dirty_subjects.add(name)
        if old is not None and old.alert:
            out.append(msgspec.structs.replace(self.alerts[old.alert], state=State.SUPERSEDED, resolved_on=None))
            self._forget(old.alert)
        if verdict.kind is Kind.FIRE:
            entry.alert = alert_id(rule.name, verdict.subject, verdict.trade_date, verdict.revision)
            self.alerts[entry.alert] = Alert(
                id=entry.alert,
                rule=rule.name,
                severity=rule.severity,
                subject=verdict.subject,
                trade_date=verdict.trade_date,
                revision=verdict.revision,
                state=State.FIRING,
                available_at=verdict.available_at,
                raised_at=now,
                figures=verdict.figures,
                thresholds=verdict.thresholds,
                text=verdict.text,
                invalidation=verdict.invalidation,
                provenance=[origin],
                members=verdict.members,
            )
            self._dirty_alerts.add(entry.alert)
            out.append(self.alerts[entry.alert])
        out += self._settle(history)
        self._trim(history)
        # Of several changes of one alert only the last counts.
        return list({alert.id: self.alerts.get(alert.id, alert) for alert in out}.values())

    def _settle(self, history: dict[date, _Entry]) -> list[Alert]:
        """Bring the state of every alert of a subject in line with the verdicts behind it."""
        out: list[Alert] = []
        ends: date | None = None
        for day in sorted(history, reverse=True):
            entry = history[day]
            if entry.alert:
                alert = self.alerts[entry.alert]
                state = State.FIRING if ends is None else State.RESOLVED
                if (alert.state, alert.resolved_on) != (state, ends):
                    out.append(self._change(entry.alert, state, ends))
            if entry.kind is not Kind.HOLD:
                ends = day
        return out

    def _change(self, identity: str, state: State, resolved_on: date | None) -> Alert:
        self.alerts[identity] = msgspec.structs.replace(self.alerts[identity], state=state, resolved_on=resolved_on)
        self._dirty_alerts.add(identity)
        return self.alerts[identity]

    def _trim(self, history: dict[date, _Entry]) -> None:
        """Forget the oldest verdicts, but never one whose alert still fires."""
        for day in sorted(history)[: max(0, len(history) - self._keep)]:
            identity = history[day].alert
            if identity and self.alerts[identity].state is State.FIRING:
                continue
            del history[day]
            if identity:
                self._forget(identity)

    def _forget(self, identity: str) -> None:
        del self.alerts[identity]
        self._dirty_alerts.discard(identity)
        self._gone.add(identity)

    # -- state as bytes --------------------------------------------------------------------------------------

    def take_dirty(self) -> dict[str, bytes | None]:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: dict[str, bytes | None] = {f"alert/{identity}": None for identity in sorted(self._gone)}
        rows |= {
            f"verdicts/{name}": _encode((_VERSION, sorted(self._subjects[name].items())))
            for name in sorted(self._dirty_subjects)
        }
        rows |= {
            f"alert/{identity}": _encode((_VERSION, self.alerts[identity]))
            for identity in sorted(self._dirty_alerts)
            if identity in self.alerts
        }
        self._dirty_subjects.clear()
        self._dirty_alerts.clear()
        self._gone.clear()
        return rows

    def load(self, rows: dict[str, bytes]) -> None:
        """Take back the rows of `take_dirty`; others are ignored."""
        for name, data in rows.items():
            kind, _, rest = name.partition("/")
            if kind == "verdicts":
                self._subjects[rest] = dict(_decode_entries(data))
            elif kind == "alert":
                self.alerts[rest] = _decode_alert(data)


def timeless(name: str, data: bytes) -> bytes:
    """Return a stored row without what a replay can't know: when an alert was raised, and the offsets it quotes."""
    if not name.startswith("alert/"):
        return data
    alert = _decode_alert(data)
    return _encode((_VERSION, timeless_alert(alert)))


def timeless_alert(alert: Alert) -> Alert:
    """Return an alert without its time of raising and the offsets of its inputs."""
    provenance = [msgspec.structs.replace(origin, offset=0) for origin in alert.provenance]
    return msgspec.structs.replace(alert, raised_at=alert.available_at, provenance=provenance)


_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def _decode_entries(data: bytes) -> list[tuple[date, _Entry]]:
    version, entries = msgspec.msgpack.decode(data, type=tuple[int, list[tuple[date, _Entry]]])
    _check(version)
    return entries


def _decode_alert(data: bytes) -> Alert:
    version, alert = msgspec.msgpack.decode(data, type=tuple[int, Alert])
    _check(version)
    return alert


def _check(version: int) -> None:
    if version != _VERSION:
        raise StateError(f"stored alert has schema version {version}, this release reads {_VERSION}")
