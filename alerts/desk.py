"""The whole of an alert: its state by the rules, the record of its rule, and what people have said about it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from alerts.commands import Acknowledge, Command, FeedState
from alerts.evidence import EvidenceBook
from alerts.lifecycle import AlertBook
from alerts.model import Acknowledgement, Alert, AlertEvent, Input, Silence, State
from alerts.rules.base import Message, Rule
from processors.days import TradingCalendar
from processors.table import TEXT, Processor, Table, TableSet, ValueCodec


@dataclass(frozen=True, slots=True)
class Change:
    """An alert as it is now, and what has just happened to it."""

    alert: Alert
    event: AlertEvent


class AlertDesk(Processor):
    """Verdicts, evidence, acknowledgements and silences of all rules."""

    def __init__(self, rules: Iterable[Rule], calendar: TradingCalendar) -> None:
        rules = tuple(rules)
        self.book = AlertBook(rules)
        self.evidence = EvidenceBook(calendar)
        self.silences: Table[str, Silence] = Table("silence", TEXT, ValueCodec(Silence))
        self.tables = TableSet(self.book.tables, self.evidence.tables, self.silences, on_load=self._loaded)
        self._expected = {rule.name: rule.expectation for rule in rules if rule.expectation is not None}
        self._late: dict[str, date] = {}  # basis or rule → the day behind which records may be others
        self._newest = date.min  # trade date of the newest alert that has a record
        self._stamped = datetime.min.replace(tzinfo=UTC)

    def fold(self, message: Message, origin: Input, now: datetime) -> list[Change]:
        """Judge a message; return what is new or has another state. Behind the last one comes `settle`."""
        seen = self.evidence.observe(message)
        if seen is not None:
            self._unsettle(*seen)
        return [self._judged(alert, origin, now) for alert in self.book.fold(message, origin, now)]

    def settle(self, origin: Input, now: datetime) -> list[Change]:
        """Bring the records of alerts in line with what was read behind them; most often there are none."""
        out = []
        late, self._late = self._late, {}
        since = min(late.values(), default=date.max)
        if since >= self._newest:
            return []
        for alert in sorted(self.book.alerts.values(), key=lambda a: (a.trade_date, a.id)):
            expectation = self._expected.get(alert.rule)
            if expectation is None or alert.evidence is None:
                continue
            if alert.trade_date > min(late.get(expectation.basis, date.max), late.get(alert.rule, date.max)):
                record = self.evidence.record(alert, expectation)
                if record != alert.evidence:
                    out.append(self._put(alert, "evidence", origin, now, evidence=record))
        return out

    def _unsettle(self, what: str, since: date) -> None:
        """Note that the records of a rule, or of all rules of a basis, may be others behind a day."""
        self._late[what] = min(since, self._late.get(what, date.max))

    def command(self, command: Command, origin: Input, now: datetime) -> list[Change]:
        """Take what somebody says; an alert that is not known any more is left alone."""
        if isinstance(command, FeedState):
            return self.fold(command, origin, now)
        if isinstance(command, Acknowledge):
            alert = self.book.alerts.get(command.alert)
            if alert is None:
                return []
            said = None if command.withdraw else Acknowledgement(command.by, command.at, command.note)
            what = "unacknowledged" if command.withdraw else "acknowledged"
            return [self._put(alert, what, origin, now, command.by, command.note, acknowledged=said)]
        silence = command.silence
        ended = silence.until <= command.at
        if ended:
            self.silences.pop(silence.id, None)
        else:
            self.silences[silence.id] = silence
        out = []
        for alert in sorted(self.book.alerts.values(), key=lambda a: (a.trade_date, a.id)):
            if alert.state not in (State.FIRING, State.PENDING):
                continue
            wanted = self._silence_of(alert)
            if wanted != alert.silence:
                what = "silenced" if wanted is not None else "unsilenced"
                out.append(self._put(alert, what, origin, now, silence.by, silence.note, silence=wanted))
        return out

    def _judged(self, alert: Alert, origin: Input, now: datetime) -> Change:
        """Complete an alert whose state has changed."""
        expectation = self._expected.get(alert.rule)
        alert = msgspec.structs.replace(alert, changed_at=self._stamp(now))
        if alert.id not in self.book.alerts:  # superseded
            if expectation is not None:
                self.evidence.remove(alert, expectation)
                self._unsettle(alert.rule, alert.trade_date)
            return Change(alert, _event(alert, alert.state.value, origin, now))
        if expectation is not None and alert.fired and alert.evidence is None:
            self.evidence.add(alert, expectation)
            self._newest = max(self._newest, alert.trade_date)
            alert = msgspec.structs.replace(alert, evidence=self.evidence.record(alert, expectation))
            self._unsettle(alert.rule, alert.trade_date)
        if alert.state in (State.FIRING, State.PENDING) and alert.silence is None:
            alert = msgspec.structs.replace(alert, silence=self._silence_of(alert))
        self.book.put(alert)
        return Change(alert, _event(alert, alert.state.value, origin, now))

    def _put(
        self, alert: Alert, what: str, origin: Input, now: datetime, by: str = "", note: str = "", **changes: object
    ) -> Change:
        alert = msgspec.structs.replace(alert, changed_at=self._stamp(now), **changes)
        self.book.put(alert)
        return Change(alert, _event(alert, what, origin, now, by, note))

    def _stamp(self, now: datetime) -> datetime:
        """A time that no other change has: of two changes of an alert it tells the later one."""
        self._stamped = max(now, self._stamped + timedelta(microseconds=1))
        return self._stamped

    def _silence_of(self, alert: Alert) -> Silence | None:
        """The silence that lasts longest among those that match."""
        found = [s for s in self.silences.values() if s.matches(alert)]
        return max(found, key=lambda s: (s.until, s.id), default=None)

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        judged = (a.trade_date for a in self.book.alerts.values() if a.evidence is not None)
        self._newest = max(judged, default=date.min)


def _event(alert: Alert, what: str, origin: Input, now: datetime, by: str = "", note: str = "") -> AlertEvent:
    return AlertEvent(
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
