"""From evaluations to alerts: one alert per fact, which its condition, its invalidation or its horizon ends.

The state of an alert is a function of the evaluations of its subject and of the newest trade date alone, so a
correction of any day gives the same states as if it had come in time. An alert begins on the day of a fact, or on the
first day of a condition. It ends with the first later "fire" or "end", and at the latest on the session that its rule's
horizon names. A condition with a minimum of days is pending until they are reached, and a subject raises no alert
within the cooldown after its last. `Alert.ended_at` of a superseded alert depends on when a correction was public, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from sys import intern

import msgspec

from alerts.model import Alert, EndedBy, Input, Member, State, alert_id, timeless_alert
from alerts.rules.base import Condition, Evaluation, Message, Rule, by_message, read_as
from alerts.states import AlertStates, Status
from alerts.subject import SUBJECT_ROW, DayEvaluation, Progress, Subject
from processors.days import TradingCalendar, moment, shanghai_moment, to_date, to_day
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from processors.table import TEXT, Processor, Table, TableSet, ValueCodec
from processors.trading_hours import HALVES


def _with_shared_texts(alert: Alert) -> Alert:
    """Let the members of all alerts share their texts: a decoder creates each again, 130 bytes a member."""
    members = [Member(intern(m.code), m.value, intern(m.note), intern(m.rule)) for m in alert.members]
    return msgspec.structs.replace(alert, members=members) if members else alert


#: How an alert is stored.
ALERT_ROW = ValueCodec[Alert](Alert, version=5, from_plain=_with_shared_texts)
#: A kind of signals that there are no more of keeps so many evaluations, twenty years.
_MOST_KEPT = 5_000


class AlertLifecycle(Processor):
    """The evaluations of the last days, the alerts that they raised, and the newest trade date.

    Parameters
    ----------
    keep_days : evaluations kept per subject. A correction of an older day is refused and counted in ``refused``; what
        the removed evaluations have led to is kept, so the states of later days stay exact. In a backfill one topic
        may be read far ahead of another: days that the slowest of them has not reached are kept until it has, so
        what is kept at the end depends on no order of the topics.
    """

    def __init__(self, rules: Sequence[Rule], calendar: TradingCalendar, keep_days: int = 130) -> None:
        self._rules = {rule.name: rule for rule in rules}  # those of one name have the same minimum and cooldown
        self._readers = by_message(rules)
        self._calendar = calendar
        self._states = AlertStates(calendar)
        self._keep = keep_days
        self.refused = 0
        #: Rules whose first evaluation is on another day than before; whoever reads the set clears it.
        self.moved_rules: set[str] = set()
        self._subjects: Table[str, Subject] = Table("verdicts", TEXT, SUBJECT_ROW)
        # "<rule>/<subject>/<date>" → an alert that is not raised (yet)
        self._drafts: Table[str, Alert] = Table("draft", TEXT, ALERT_ROW)
        self._clock: Table[str, date] = Table("clock", TEXT, ValueCodec(date, version=2))  # kind → newest trade date
        self.alerts: Table[str, Alert] = Table("alert", TEXT, ALERT_ROW)
        self._heads: dict[str, tuple[date, Progress]] = {}  # of each subject: newest evaluation, what it led to
        self._running: dict[str, date] = {}  # id of each alert that can expire → the session on which it does
        self._crowded: set[str] = set()  # subjects with more than `keep_days`
        self.newest = self.read_through = date.min  # of final signals: the newest of any kind, and of every kind
        self.tables = TableSet(self.alerts, self._subjects, self._drafts, self._clock, on_load=self._loaded)

    def fold(self, message: Message, origin: Input, now: datetime) -> list[Alert]:
        """Evaluate a message; return every alert that is new or whose state changed."""
        out = []
        today, kind = _final_date(message) or date.min, _kind_of(message)
        later, read_through = today > self.newest, self.read_through
        if today > self._clock.get(kind, date.min):
            self._advance(kind, today)
        for rule in self._readers.get(read_as(message), ()):
            for evaluation in rule.evaluate(message):
                out += self.apply(rule, evaluation, origin, now)
        out += self._expire() if later else []
        if self.read_through > read_through:  # else what is kept at the end would depend on the order of the topics
            for name in sorted(self._crowded):
                if (rule_of := self._rules.get(name.partition("/")[0])) is not None:
                    self._trim(rule_of, name, self._subjects[name])
        return out

    def put(self, alert: Alert) -> None:
        """Store a version of an alert with new evidence, acknowledgement or silence."""
        self.alerts[alert.id] = alert
        if alert.expires_on is not None and alert.state.is_running:
            self._running[alert.id] = alert.expires_on
        else:
            self._running.pop(alert.id, None)

    def first(self, rule: str, subject: str) -> date | None:
        """Return the day of the first evaluation of a rule and subject whose figure is not absent."""
        found = self._subjects.get(f"{rule}/{subject}")
        return None if found is None else found.first

    def subjects(self, rule: str) -> list[str]:
        """Return the subjects of a rule that have been evaluated."""
        return sorted(name.removeprefix(f"{rule}/") for name in self._subjects if name.startswith(f"{rule}/"))

    def evaluated(self, rule: str, subject: str) -> Mapping[date, DayEvaluation]:
        """Return the stored evaluations of a rule about a subject by day."""
        found = self._subjects.get(f"{rule}/{subject}")
        return {} if found is None else found.days

    def removed_to(self, rule: str, subject: str) -> date:
        """Return the newest day of which no evaluation of a rule about a subject is accepted any more."""
        found = self._subjects.get(f"{rule}/{subject}")
        return date.min if found is None else found.removed_to

    def _advance(self, kind: str, day: date) -> None:
        """Set the newest trade date of a kind of final signals."""
        before = self._clock.get(kind, date.min)
        self._clock[kind] = day
        self.newest = max(self.newest, day)
        if before <= self.read_through:  # else another kind is further behind
            self.read_through = min(self._clock.values())

    def _expire(self) -> list[Alert]:
        """End the alerts whose horizon the newest trade date has reached."""
        ended = sorted(identity for identity, day in self._running.items() if day <= self.newest)
        for identity in ended:
            alert = self.alerts[identity]
            assert alert.expires_on is not None
            changes = {"state": State.RESOLVED, "resolved_on": alert.expires_on, "ended_by": EndedBy.HORIZON}
            self.put(msgspec.structs.replace(alert, **changes, ended_at=_opening(alert.expires_on)))
        return [self.alerts[identity] for identity in ended]

    # -- one evaluation ----------------------------------------------------------------------------------------

    def apply(self, rule: Rule, evaluation: Evaluation, origin: Input, now: datetime) -> list[Alert]:
        """Apply one evaluation; return every alert that is new or whose state changed."""
        name, day = f"{rule.name}/{evaluation.subject}", evaluation.trade_date
        subject = self._subjects.setdefault(name, Subject())
        if day <= subject.removed_to:
            if subject.removed.add(to_day(day), evaluation.revision, self._calendar):
                self.refused += 1
                self._subjects.touch(name)
            return []
        old = subject.days.get(day)
        if old is not None and evaluation.revision <= old.revision:
            return []
        self._subjects.touch(name)
        if old is not None and old.leads_to_the_same(evaluation.condition, evaluation.ended_by):
            old.revision = evaluation.revision
            return []
        first = subject.first
        subject.add(day, DayEvaluation(evaluation.revision, evaluation.condition, evaluation.ended_by))
        if first is not None and day <= first and subject.first != first:
            self.moved_rules.add(rule.name)
        known_at = evaluation.available_at
        out = [self._replace(rule, old.alert, evaluation)] if old is not None and old.alert else []
        draft = (
            self._alert(rule, evaluation, origin, now)
            if evaluation.condition in (Condition.FIRE, Condition.ON)
            else None
        )
        if draft is not None and out and rule.updates:
            draft = msgspec.structs.replace(draft, raised_at=out[0].raised_at)
        self._set_draft(name, day, draft)
        out += self._update_alerts(rule, name, subject, day, known_at)
        self._trim(rule, name, subject)
        # Of several changes of one alert only the last is published.
        return list({alert.id: self.alerts.get(alert.id, alert) for alert in out}.values())

    def _update_alerts(self, rule: Rule, name: str, subject: Subject, changed: date, known_at: datetime) -> list[Alert]:
        """Recompute the alerts of a subject after a day's evaluation changed; return those that are new or changed."""
        known = self._heads.get(name)
        if known is None:
            head, statuses = self._states.all(rule, subject, self.newest)
        elif changed > known[0]:
            head, statuses = self._states.after(rule, known[1], subject, changed, self.newest)
        else:
            head, statuses = self._states.around(rule, known[1], subject, changed, self.newest)
        self._heads[name] = subject.newest, head
        changes = (
            self._set_status(rule, name, subject, day, status, known_at)
            for day, status in sorted(statuses.items(), reverse=True)
        )
        return [alert for alert in changes if alert is not None]

    def _set_status(
        self, rule: Rule, name: str, subject: Subject, day: date, status: Status | None, known_at: datetime
    ) -> Alert | None:
        """Give the alert of a day its status, None for no alert; return it if that changes it."""
        entry = subject.days.get(day)  # None where the alert began before the kept evaluations
        identity = entry.alert if entry is not None else subject.alert
        if status is None:  # its condition now begins earlier, or is within a cooldown
            assert entry is not None
            draft = msgspec.structs.replace(
                self.alerts[identity], evidence=[], acknowledged=None, silence=None, ended_at=None
            )
            self._set_draft(name, day, draft)
            entry.alert = ""
            return self._supersede(identity, known_at)
        alert = self.alerts[identity] if identity else self._drafts[f"{name}/{day.isoformat()}"]
        expires_on = self._states.expiry(rule, day)  # the settings may name another horizon since the alert was raised
        if identity and status.of(alert) and (status.ends is not None or alert.expires_on == expires_on):
            return None
        if entry is not None and not identity:
            self._set_draft(name, day, None)
            entry.alert = alert.id
        ended_at = None
        if status.ends is not None:
            horizon = status.ended_by is EndedBy.HORIZON
            ended_at = _opening(status.ends) if horizon else self.public_by(status.ends)
        changes = {
            "state": status.state,
            "fired_on": status.fired_on,
            "expires_on": expires_on,
            "resolved_on": status.ends,
            "ended_by": status.ended_by,
            "evidence": alert.evidence if alert.fired_on == status.fired_on else [],
            "ended_at": ended_at,
        }
        self.put(msgspec.structs.replace(alert, **changes))
        return self.alerts[alert.id]

    def _replace(self, rule: Rule, identity: str, evaluation: Evaluation) -> Alert:
        """End the alert of a day that is evaluated again: a correction supersedes it, a later moment resolves it."""
        if not rule.within_day:
            return self._supersede(identity, evaluation.available_at)
        ended_by = EndedBy.NEXT_FACT if evaluation.condition is Condition.FIRE else evaluation.ended_by
        return self._end(identity, evaluation.available_at, State.RESOLVED, evaluation.trade_date, ended_by)

    def _supersede(self, identity: str, known_at: datetime) -> Alert:
        return self._end(identity, known_at, State.SUPERSEDED)

    def _end(
        self, identity: str, known_at: datetime, state: State, day: date | None = None, ended_by: EndedBy | None = None
    ) -> Alert:
        """End an alert for good, and no longer keep it."""
        alert = self.alerts[identity]
        changes = {"state": state, "resolved_on": day, "ended_by": ended_by}
        alert = msgspec.structs.replace(alert, **changes, ended_at=_ended_at(alert, alert.expires_on, known_at))
        self._evict(identity)
        return alert

    def public_by(self, day: date) -> datetime:
        """Return when all figures of a day are public: by the next opening, whichever of them a worker reads first."""
        after = self._calendar.after(to_day(day), 1)
        return _opening(day if after is None else to_date(after))

    def _evict(self, identity: str) -> None:
        del self.alerts[identity]
        self._running.pop(identity, None)

    def _set_draft(self, name: str, day: date, alert: Alert | None) -> None:
        key = f"{name}/{day.isoformat()}"
        if alert is not None:
            self._drafts[key] = alert
        else:
            self._drafts.pop(key, None)

    def _trim(self, rule: Rule, name: str, subject: Subject) -> None:
        """Remove the oldest evaluations, and the alerts that ended with them for good."""
        while len(subject.days) > self._keep:
            behind = next(islice(subject.days, self._keep, None))  # the first day that is left, if one is removed
            if behind > self.read_through and len(subject.days) <= _MOST_KEPT:
                break
            day = next(iter(subject.days))
            entry = subject.days.pop(day)
            self._set_draft(name, day, None)
            before, subject.base = subject.base, self._states.step(rule, subject.base, day, entry, {})
            subject.removed.add(to_day(day), entry.revision, self._calendar)
            if subject.removed_from is None and entry.condition is not Condition.ABSENT:
                subject.removed_from = day
            if subject.alert and (subject.base.begun != before.begun or subject.base.expired):
                self._evict(subject.alert)
                subject.alert = ""
            if subject.base.begun == day:
                subject.alert = entry.alert
            self._subjects.touch(name)
        (self._crowded.add if len(subject.days) > self._keep else self._crowded.discard)(name)

    def _alert(self, rule: Rule, evaluation: Evaluation, origin: Input, now: datetime) -> Alert:
        # Of a frame's revision, the fact has the part that its rule reads.
        origin = msgspec.structs.replace(origin, revision=min(origin.revision, evaluation.revision))
        return Alert(
            id=alert_id(
                rule.name, evaluation.subject, evaluation.trade_date, 0 if rule.updates else evaluation.revision
            ),
            rule=rule.name,
            severity=rule.severity,
            subject=evaluation.subject,
            trade_date=evaluation.trade_date,
            revision=evaluation.revision,
            state=State.FIRING,
            available_at=evaluation.available_at,
            raised_at=now,
            changed_at=now,
            expires_on=self._states.expiry(rule, evaluation.trade_date),
            figures=evaluation.figures,
            thresholds=evaluation.thresholds,
            text=evaluation.text,
            invalidation=evaluation.invalidation,
            provenance=evaluation.provenance or [origin],
            members=evaluation.members,
            sections=evaluation.sections,
            is_section=rule.is_section,
            rule_version=rule.version,
            source=rule.source,
        )

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        running = (alert for alert in self.alerts.values() if alert.state.is_running)
        self._running = {alert.id: alert.expires_on for alert in running if alert.expires_on is not None}
        self._crowded = {name for name, subject in self._subjects.items() if len(subject.days) > self._keep}
        days = self._clock.values()
        self.newest, self.read_through = max(days, default=date.min), min(days, default=date.min)


def _opening(session: date) -> datetime:
    """Return the opening of a session: the calendar alone says that a horizon ends on it."""
    return moment(shanghai_moment(to_day(session), HALVES[0][0]))


def _ended_at(alert: Alert, expires_on: date | None, known_at: datetime) -> datetime:
    """Return from when it was known that an alert is over that is not kept: its end, or its horizon, may be earlier."""
    moments = (alert.ended_at, known_at, None if expires_on is None else _opening(expires_on))
    return min(at for at in moments if at is not None)


def _final_date(message: Message) -> date | None:
    """Return the trade date of a final signal; None for anything else, whose date may be that of a clock."""
    if isinstance(message, MarketSignal):
        return None if message.provisional else message.trade_date
    if isinstance(message, (SecuritySignals, IndustrySignals)):
        return message.status.trade_date
    return None


def _kind_of(message: Message) -> str:
    """Return the name of a kind of messages, which are published in the order of their days."""
    return (
        f"{type(message).__name__} {message.family}" if isinstance(message, SecuritySignals) else type(message).__name__
    )


def timeless(name: str, data: bytes) -> bytes:
    """Return a stored row without what a replay can't reproduce: times of changes and input offsets."""
    if not name.startswith(("alert/", "draft/")):
        return data
    return ALERT_ROW.encode(timeless_alert(ALERT_ROW.decode(data)))
