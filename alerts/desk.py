"""The complete alert: its state by the rules, the evidence of its rule, acknowledgements and silences."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from alerts.commands import Acknowledge, Command, FeedRun, LiveFeedState, SetSilence
from alerts.digest import DigestComposer
from alerts.evidence import EvidenceStore
from alerts.lifecycle import AlertLifecycle
from alerts.model import Acknowledgement, Alert, AlertEvent, Basis, Evidence, Input, Silence, State
from alerts.rules.base import Expectation, Message, Rule
from alerts.rules.digest import NAME as DIGEST
from processors.days import TradingCalendar
from processors.table import TEXT, Processor, Table, TableSet, ValueCodec

#: More than people give in years; commands about alerts that never come must not accumulate.
_COMMANDS_KEPT = 10_000
_LONGEST_FOLD = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Change:
    """An alert in its new version, and the event that changed it."""

    alert: Alert
    event: AlertEvent


class AlertDesk(Processor):
    """Evaluations, evidence, acknowledgements and silences of all rules.

    Parameters
    ----------
    keep_days : evaluations kept per subject, see `AlertLifecycle`.
    """

    def __init__(self, rules: Iterable[Rule], calendar: TradingCalendar, keep_days: int = 130) -> None:
        rules = tuple(rules)
        self.lifecycle = AlertLifecycle(rules, calendar, keep_days)
        self.evidence = EvidenceStore(rules, calendar)
        self._digest = next((rule for rule in rules if rule.name == DIGEST), None)
        self._composer = DigestComposer(rules, self.lifecycle)
        self.silences: Table[str, SetSilence] = Table("silence", TEXT, ValueCodec(SetSilence, 3))  # by their ids
        # By alert, also one that is not raised yet: a replay reads the commands before the signals.
        self.acknowledgements: Table[str, tuple[int, Acknowledgement]] = Table(  # with the offset of the command
            "acknowledged", TEXT, ValueCodec(tuple[int, Acknowledgement])
        )
        self.tables = TableSet(
            self.lifecycle.tables, self.evidence.tables, self.silences, self.acknowledgements, on_load=self._loaded
        )
        self._expectations = {rule.name: rule.expectations for rule in rules}
        self._stale_since: dict[str, date] = {}  # basis or rule → the day after which evidence may change
        self._newest = date.min  # day on which the newest alert with evidence began to fire
        self._stamped = datetime.min.replace(tzinfo=UTC)

    def fold(self, message: Message, origin: Input, now: datetime) -> list[Change]:
        """Evaluate a message; return the alerts that are new or changed. Call `update_evidence` after the last one."""
        observed = self.evidence.observe(message)
        if observed is not None:
            self._mark_stale(*observed)
        changed = self.lifecycle.fold(message, origin, now)
        for rule in self.lifecycle.moved_rules:  # the history of its base rate is another
            self._mark_stale(rule, date.min)
        self.lifecycle.moved_rules.clear()
        return _published(self._completed(alert, origin, now) for alert in changed)

    def update_evidence(self, origin: Input, now: datetime, *, wait: bool = False) -> list[Change]:
        """Recompute the evidence that late prices or cases change, and compose digests; return the changed alerts.

        Parameters
        ----------
        wait : leave the alerts of days whose earlier prices are still to come; a later call updates them. In a backfill
            the alerts may be read years ahead of the prices, and each price would change all of them.
        """
        changes = self._update_records(origin, now, wait=wait)
        stale = {change.alert.trade_date for change in changes if change.alert.is_section}
        return _published(changes) + self._update_digests(stale, origin, now)

    def _update_digests(self, stale: set[date], origin: Input, now: datetime) -> list[Change]:
        """Compose the digests that are due; put the new records into those of the days in ``stale``."""
        out: list[Change] = []
        if self._digest is None:
            return out
        for evaluation in self._composer.due(self._digest):
            stale.discard(evaluation.trade_date)
            applied = self.lifecycle.apply(self._digest, evaluation, origin, now)
            out += [self._completed(alert, origin, now) for alert in applied]
        if stale:
            for alert in [a for a in self.lifecycle.alerts.values() if a.sections and a.trade_date in stale]:
                out.append(self._put(alert, "evidence", origin, now, sections=self._composer.refreshed(alert)))
        return out

    def _update_records(self, origin: Input, now: datetime, *, wait: bool) -> list[Change]:
        out: list[Change] = []
        stale_since, self._stale_since = self._stale_since, {}
        earliest = min(stale_since.values(), default=date.max)
        if earliest >= self._newest:
            return out
        settled = self._settled() if wait else {}
        for scope, since in stale_since.items():
            if max(since, settled.get(scope, date.max)) < self._newest:
                self._mark_stale(scope, max(since, settled[scope]))
        later = [
            alert
            for alert in self.lifecycle.alerts.values()
            if alert.fired_on is not None and earliest < alert.fired_on <= settled.get(alert.rule, date.max)
        ]
        for alert in sorted(later, key=lambda a: (a.trade_date, a.id)):
            assert alert.fired_on is not None
            covering = self._covering(alert)
            scopes = {alert.rule, *(one.basis for one in covering)}
            if alert.fired_on > min(stale_since.get(scope, date.max) for scope in scopes):
                records = self._records(alert, covering)
                if records != alert.evidence:
                    out.append(self._put(alert, "evidence", origin, now, evidence=records))
        return out

    def _settled(self) -> dict[str, date]:
        """Return the last day whose earlier prices have all been read, of every basis and every rule with records."""
        by_basis = {basis: self.evidence.settled(basis) for basis in Basis}
        by_rule = {
            name: min(by_basis[one.basis] for one in expectations)
            for name, expectations in self._expectations.items()
            if expectations
        }
        return by_basis | by_rule

    @property
    def refused(self) -> int:
        """Evaluations and price levels that came too late to be applied, since the start."""
        return self.lifecycle.refused + self.evidence.refused

    def _records(self, alert: Alert, covering: list[Expectation]) -> list[Evidence]:
        """Return the records of an alert as they were known before it fired."""
        assert alert.fired_on is not None
        out = []
        for one in covering:
            since = self.since(alert.rule, alert.subject, one)
            assert since is not None
            out.append(self.evidence.record(alert.rule, alert.subject, one, since, alert.fired_on))
        return out

    def since(self, rule: str, subject: str, expectation: Expectation) -> date | None:
        """Return the day on which a record begins, None without one; a pooled one begins with its first subject."""
        if not expectation.basis.is_pooled:
            return self.lifecycle.first(rule, subject)
        found = (self.lifecycle.first(rule, one) for one in self.lifecycle.subjects(rule))
        return min((day for day in found if day is not None), default=None)

    def _covering(self, alert: Alert) -> list[Expectation]:
        """Return the expectations of an alert's rule that it is a case of."""
        return [one for one in self._expectations.get(alert.rule, ()) if one.covers(alert)]

    def _mark_stale(self, scope: str, since: date) -> None:
        """Mark the evidence after a day as possibly stale, of one rule or of all rules of a basis (``scope``)."""
        self._stale_since[scope] = min(since, self._stale_since.get(scope, date.max))

    def command(self, command: Command, origin: Input, now: datetime) -> list[Change]:
        """Apply a command and return the changed alerts; an alert that is raised later is acknowledged then.

        What the commands have led to depends on them alone, not on which alerts there were when they were read.
        """
        if isinstance(command, (LiveFeedState, FeedRun)):
            return self.fold(command, origin, now)
        if isinstance(command, Acknowledge):
            acknowledged = None if command.withdraw else Acknowledgement(command.by, command.at, command.note)
            self._acknowledge(command.alert, acknowledged, origin.offset)
            alert = self.lifecycle.alerts.get(command.alert)
            if alert is None or alert.is_section:
                return []
            what = "unacknowledged" if command.withdraw else "acknowledged"
            return [self._put(alert, what, origin, now, command.by, command.note, acknowledged=acknowledged)]
        return self._set_silence(command, origin, now)

    def _set_silence(self, command: SetSilence, origin: Input, now: datetime) -> list[Change]:
        """Set, replace or end a silence; return the alerts that it concerns with what silences them now."""
        silence = command.silence
        self._drop_silences(command.at)
        before = self.silences.pop(silence.id, None)
        if silence.until > command.at:
            self.silences[silence.id] = command
        if len(self.silences) > _COMMANDS_KEPT:
            del self.silences[min(self.silences, key=lambda one: (self.silences[one].silence.until, one))]
        out = []
        for alert in sorted(self.lifecycle.alerts.values(), key=lambda a: (a.trade_date, a.id)):
            if alert.is_section:
                continue
            active = self._silence_of(alert)
            what = "silenced" if active is not None else "unsilenced"
            if alert.state.is_running:
                if active != alert.silence:
                    out.append(self._put(alert, what, origin, now, silence.by, silence.note, silence=active))
            elif before is not None and before.silence.matches(alert) and before.at <= alert.changed_at:
                # Its end may be held back. It is published again, and nothing is stored.
                alert = msgspec.structs.replace(alert, changed_at=self._stamp(now), silence=active)
                out.append(_change(alert, what, origin, now, silence.by, silence.note))
        return out

    def _drop_silences(self, at: datetime) -> None:
        """Delete the silences that are over at the time of a command: what is stored depends on no clock."""
        for name in [name for name, one in self.silences.items() if one.silence.until <= at]:
            del self.silences[name]
        for alert in [a for a in self.lifecycle.alerts.values() if a.silence is not None and a.silence.until <= at]:
            self.lifecycle.put(msgspec.structs.replace(alert, silence=None))

    def _completed(self, alert: Alert, origin: Input, now: datetime) -> Change:
        """Add evidence and silence to an alert whose state has changed."""
        alert = msgspec.structs.replace(alert, changed_at=self._stamp(now))
        covering = self._covering(alert)
        superseded = alert.state is State.SUPERSEDED
        update = self.evidence.remove if superseded or alert.fired_on is None else self.evidence.add
        changed = [update(alert, expectation) for expectation in covering]
        if any(changed):
            self._mark_stale(alert.rule, alert.trade_date)
        if superseded:
            return _change(alert, alert.state.value, origin, now)
        if alert.fired_on is not None and not alert.evidence:
            self._newest = max(self._newest, alert.fired_on)
            alert = msgspec.structs.replace(alert, evidence=self._records(alert, covering))
        if not alert.is_section:
            _, acknowledged = self.acknowledgements.get(alert.id, (0, None))
            alert = msgspec.structs.replace(alert, acknowledged=acknowledged, silence=self._silence_of(alert))
        if alert.id in self.lifecycle.alerts:  # else it has ended and left the kept evaluations in one step
            silence = alert.silence if alert.state.is_running else None  # it delays the end
            self.lifecycle.put(msgspec.structs.replace(alert, silence=silence))
        return _change(alert, alert.state.value, origin, now)

    def _put(
        self, alert: Alert, what: str, origin: Input, now: datetime, by: str = "", note: str = "", **changes: object
    ) -> Change:
        alert = msgspec.structs.replace(alert, changed_at=self._stamp(now), **changes)
        self.lifecycle.put(alert)
        return _change(alert, what, origin, now, by, note)

    def _stamp(self, now: datetime) -> datetime:
        """Return a time that no other change of this fold has: the id of a message contains it."""
        following = self._stamped + timedelta(microseconds=1)
        self._stamped = following if now < following < now + _LONGEST_FOLD else now  # else a replay set the clock
        return self._stamped

    def _acknowledge(self, alert: str, acknowledged: Acknowledgement | None, offset: int) -> None:
        if acknowledged is None:
            self.acknowledgements.pop(alert, None)
            return
        self.acknowledgements[alert] = offset, acknowledged
        if len(self.acknowledgements) > _COMMANDS_KEPT:
            del self.acknowledgements[min(self.acknowledgements, key=lambda one: self.acknowledgements[one][0])]

    def _silence_of(self, alert: Alert) -> Silence | None:
        """Return the matching silence that lasts longest; it may be over."""
        matching = [one.silence for one in self.silences.values() if one.silence.matches(alert)]
        return max(matching, key=lambda s: (s.until, s.id), default=None)

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        fired = (a.fired_on for a in self.lifecycle.alerts.values() if a.fired_on is not None)
        self._newest = max(fired, default=date.min)
        for basis in Basis:  # what the last step left
            self._mark_stale(basis, self.evidence.settled(basis))


def _published(changes: Iterable[Change]) -> list[Change]:
    """Return the changes of alerts that are published: a section of the day's digest is part of another alert."""
    return [change for change in changes if not change.alert.is_section]


def _change(alert: Alert, what: str, origin: Input, now: datetime, by: str = "", note: str = "") -> Change:
    """Return a version of an alert as it is published: without a silence that is over."""
    if alert.silence is not None and alert.silence.until <= now:
        alert = msgspec.structs.replace(alert, silence=None)
    event = AlertEvent(
        alert=alert.id,
        rule=alert.rule,
        subject=alert.subject,
        trade_date=alert.trade_date,
        at=now,
        what=what,
        by=by,
        note=note,
        provenance=[origin],
    )
    return Change(alert, event)
