"""The alerts stage: signals, dead letters and commands of the desk in, alerts and their history out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from alerts.desk import AlertDesk, Change
from alerts.model import Alert, Input, State
from alerts.rules.base import DeadLetters, Message
from processors.days import TradingCalendar
from processors.events import INPUT_ROWS
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from processors.table import TEXT, Table, ValueCodec
from streams import metrics
from streams.alert_rules import rules_of
from streams.records import DeadLetter, Record, barrier_of, is_barrier
from streams.settings import Settings
from streams.stage import Stage, StageState
from streams.tables import Output
from streams.topics import SIGNALS, Topic, Topics, dead_letters, refused_in


class AlertsStage(Stage):
    """One partition: signals, dead letters and commands of the desk in; alerts and their history out."""

    name = "alerts"
    inputs = (*SIGNALS, Topic.ALERT_COMMANDS, *(dead_letters(t) for t in INPUT_ROWS))
    outputs = (Topic.ALERTS, Topic.ALERTS_LOG)

    def __init__(self, settings: Settings, topics: Topics, calendar: TradingCalendar) -> None:
        super().__init__(settings, topics, calendar)
        metrics.declare_rules(rules_of(settings))

    @property
    def barrier_origins(self) -> frozenset[str]:
        return frozenset(SIGNALS)

    def open(self, partition: int) -> StageState:
        return AlertsState(self, partition)


class AlertsState(StageState):
    """The alerts stage's only partition."""

    stage: AlertsStage

    def __init__(self, stage: AlertsStage, partition: int) -> None:
        self.desk = AlertDesk(rules_of(stage.settings), stage.calendar)
        self.refused: Table[str, tuple[int, int]] = Table(  # topic → hour since the epoch, count
            "refused", TEXT, ValueCodec(tuple[int, int])
        )
        super().__init__(stage, partition, self.desk.tables, self.refused)

    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        now, refused = datetime.fromtimestamp(time.time(), UTC), self.desk.refused
        changes: list[Change] = []
        out: list[Output] = []
        for record in records:
            headers = dict(record.headers)
            origin = Input(record.topic, record.partition, record.offset, 0)
            if is_barrier(record):
                out += self._outputs(changes + self.desk.update_evidence(origin, now))
                changes = []
                out += self.barrier(barrier_of(record), topic)
            elif topic == Topic.ALERT_COMMANDS:
                try:
                    changes += self.desk.command(self.stage.codecs.decode(topic, record), origin, now)
                except msgspec.DecodeError as error:
                    out += self.stage.dead_letters([DeadLetter(record, str(error))], topic)
            else:
                message, revision = self._message(topic, record, headers)
                changes += self.desk.fold(message, msgspec.structs.replace(origin, revision=revision), now)
        if records:
            last = records[-1]
            changes += self.desk.update_evidence(Input(last.topic, last.partition, last.offset, 0), now)
        metrics.ALERTS_REFUSED.inc(self.desk.refused - refused)
        return out + self._outputs(changes)

    def _message(self, topic: str, record: Record, headers: Mapping[str, bytes]) -> tuple[Message, int]:
        if topic not in SIGNALS:
            return self._refused(topic, record, headers), 0
        signals: MarketSignal | SecuritySignals | IndustrySignals = self.stage.codecs.decode(topic, record)
        return signals, signals.revision if isinstance(signals, MarketSignal) else signals.status.revision

    def _refused(self, topic: str, record: Record, headers: Mapping[str, bytes]) -> DeadLetters:
        """Count a dead letter into its hour (by Kafka's timestamp, so that a replay counts the same)."""
        hour = record.timestamp // 3_600_000
        before, count = self.refused.get(topic, (hour, 0))
        count = count + 1 if before == hour else 1
        self.refused[topic] = (hour, count)
        when = datetime.fromtimestamp(hour * 3600, UTC)
        return DeadLetters(
            topic=refused_in(topic),
            hour=when,
            count=count,
            trade_date=when.date(),
            threshold=self.stage.settings.dead_letters_per_hour,
            reason=headers.get("dlq_reason", b"").decode("utf-8", "replace"),
        )

    def _outputs(self, changes: Iterable[Change]) -> list[Output]:
        out = []
        for change in changes:
            metrics.observe_alert(change.alert, change.event.what)
            out += [self.stage.encode(Topic.ALERTS, change), self.stage.encode(Topic.ALERTS_LOG, change)]
        return out

    @property
    def firing(self) -> list[Alert]:
        """Alerts that fire now."""
        return [a for a in self.desk.lifecycle.alerts.values() if a.state is State.FIRING and not a.is_section]
