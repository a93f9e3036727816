"""The three stages as the stream sees them: bytes of a partition in, rows and messages out.

A worker has one `Stage` of each kind, and a `StageState` for each partition that it owns. They contain everything that
a pure processor must not know: topics, headers, barriers, dead letters. None of it does I/O.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from alerts.desk import AlertDesk, Change
from alerts.model import Alert, Input, State
from alerts.rules.base import DeadLetters, Message
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar
from processors.deadlines import DEADLINES
from processors.events import INPUT_ROWS, Barrier, EndOfDay, RowBatch
from processors.market import Market
from processors.needs import DETAIL, TOTALS
from processors.outputs import FeatureFrame, IndustrySignals, MarketSignal, Partial, SecuritySignals
from processors.securities import Securities
from processors.table import TEXT, Processor, StateTable, Table, TableSet, ValueCodec
from streams import metrics
from streams.alert_rules import rules_of
from streams.codecs import Codecs
from streams.records import BARRIER_TYPE, CE_TYPE, DeadLetter, Record, barrier_of, is_barrier
from streams.settings import Settings
from streams.tables import Output
from streams.topics import MARKET_INPUTS, SECURITIES_INPUTS, SIGNALS, Topic, Topics, dead_letters, refused_in

_BARRIERS_KEPT = 50
_LOCAL_HEADERS_BARRIER = [(CE_TYPE, BARRIER_TYPE)]


class StageState(Processor, ABC):
    """One partition of a stage: its processor, and the barriers on their way through it."""

    def __init__(self, stage: Stage, partition: int, *parts: StateTable | TableSet) -> None:
        self.stage = stage
        self.partition = partition
        self._barriers: Table[str, list[str]] = Table("barrier", TEXT, ValueCodec(list[str]))  # origins so far
        self._passed: Table[str, bool] = Table("passed", TEXT, ValueCodec(bool), keep=_BARRIERS_KEPT)
        self.tables = TableSet(*parts, self._barriers, self._passed)

    @property
    def schema(self) -> str:
        """What the stored rows depend on beside the messages; rows of another schema cannot be read."""
        return self.tables.schema

    @property
    def books(self) -> Mapping[str, DailyStore]:
        """The daily stores by the topic that fills them."""
        return {}

    @property
    def live(self) -> tuple[int, int] | None:
        """Day and moment (µs since the epoch) of the newest live row, if this stage knows of any."""
        return None

    @abstractmethod
    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        """Fold the records of one poll of one topic; return what must be published."""

    def barrier(self, marker: Barrier, origin: str) -> list[Output]:
        """Note a barrier; once it has come from every origin, hand it on."""
        identity = marker.barrier
        if identity in self._passed:
            return []
        seen = {*self._barriers.get(identity, ()), origin}
        if not self.stage.barrier_origins <= seen:
            self._barriers[identity] = sorted(seen)
            return []
        self._barriers.pop(identity, None)
        self._passed[identity] = True
        self._passed.trim()
        value = msgspec.json.encode(marker)
        headers = [*_LOCAL_HEADERS_BARRIER, ("origin", f"{self.stage.name}:{self.partition}".encode())]
        return [
            Output(self.stage.topics.name(topic), 0, f"barrier/{identity}".encode(), value, headers)
            for topic in self.stage.outputs
        ]


class Stage(ABC):
    """A stage of the stream: which topics it reads and writes, and how a partition of it is made."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    def __init__(self, settings: Settings, topics: Topics, calendar: TradingCalendar) -> None:
        self.settings = settings
        self.topics = topics
        self.calendar = calendar
        #: Version of the feature frames: how they are computed, and the columns that the registered signals need.
        self.codecs = Codecs(settings, calendar)
        metrics.declare(self.name, self.inputs)

    @property
    @abstractmethod
    def barrier_origins(self) -> frozenset[str]:
        """Every origin that a barrier must have come from."""

    @abstractmethod
    def open(self, partition: int) -> StageState:
        """Make the empty state of a partition."""

    def encode(self, topic: str, content: Any) -> Output:
        """Return a content as a message of one of the stage's output topics."""
        return self.codecs.encode(topic, content, self.topics.name(topic))

    def dead_letters(self, dead: Iterable[DeadLetter], topic: str) -> list[Output]:
        """Return refused messages as they go to the dead-letter topic: original bytes, reason and origin in headers.

        The original headers are kept under another name: a refused marker must not be taken for one again.
        """
        out = []
        for letter in dead:
            record = letter.record
            metrics.DEAD.labels(topic).inc()
            value = record.value or b""
            headers = [
                *((f"original_{k}", v) for k, v in record.headers),
                ("dlq_reason", letter.reason.encode()[:4096]),
                ("dlq_topic", record.topic.encode()),
                ("dlq_partition", str(record.partition).encode()),
                ("dlq_offset", str(record.offset).encode()),
            ]
            out.append(Output(self.topics.name(dead_letters(topic)), 0, record.key or b"", value, headers))
        return out


def _count(stage: str, applied: ApplyResult) -> None:
    for reason, count in (
        ("duplicate", applied.duplicates),
        ("conflict", applied.conflicts),
        ("too_old", applied.too_old),
    ):
        if count:
            metrics.REPEATS.labels(stage, reason).inc(count)


class SecuritiesStage(Stage):
    """By code, N partitions: margin and price rows in, feature frames and session sums out."""

    name, inputs, outputs = "securities", SECURITIES_INPUTS, (Topic.FEATURES,)

    def __init__(self, settings: Settings, topics: Topics, calendar: TradingCalendar) -> None:
        super().__init__(settings, topics, calendar)
        self.decoders = self.codecs.row_decoders(self.inputs)

    @property
    def barrier_origins(self) -> frozenset[str]:
        return frozenset(self.inputs)

    def open(self, partition: int) -> StageState:
        return _SecuritiesState(self, partition)


class _SecuritiesState(StageState):
    stage: SecuritiesStage

    def __init__(self, stage: SecuritiesStage, partition: int) -> None:
        self.processor = Securities(partition, stage.settings.parameters, stage.settings.exchanges, stage.calendar)
        super().__init__(stage, partition, self.processor.tables)

    @property
    def schema(self) -> str:
        return f"{super().schema}/{self.stage.codecs.features_version}"

    @property
    def books(self) -> Mapping[str, DailyStore]:
        return {
            book.topic: book for book in (self.processor.margin, self.processor.pricing.book, self.processor.valuations)
        }

    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        items, dead = self.stage.decoders[topic].decode(records)
        out = self.stage.dead_letters(dead, topic)
        facts: list[RowBatch | EndOfDay] = []
        for item in items:
            if isinstance(item, Barrier):
                out += self._outputs(facts)
                facts = []
                out += self.barrier(item, topic)
            else:
                facts.append(item)
        out += self._outputs(facts)
        metrics.ROWS.labels(topic).inc(sum(len(i) for i in items if isinstance(i, RowBatch)))
        return out

    def _outputs(self, facts: list[RowBatch | EndOfDay]) -> list[Output]:
        out = [self.stage.encode(Topic.FEATURES, feature) for feature in self.processor.fold(facts)]
        _count(self.stage.name, self.processor.applied)
        self.processor.applied = ApplyResult()
        return out


class MarketStage(Stage):
    """One partition: totals, indices and feature frames in, signals out."""

    name, inputs, outputs = "market", MARKET_INPUTS, SIGNALS

    def __init__(self, settings: Settings, topics: Topics, calendar: TradingCalendar) -> None:
        super().__init__(settings, topics, calendar)
        self.decoders = self.codecs.row_decoders(t for t in self.inputs if t != Topic.FEATURES)

    @property
    def barrier_origins(self) -> frozenset[str]:
        return frozenset(
            {
                *(t for t in self.inputs if t != Topic.FEATURES),
                *(f"{SecuritiesStage.name}:{p}" for p in range(self.settings.partitions)),
            }
        )

    def open(self, partition: int) -> StageState:
        return MarketState(self, partition)


class MarketState(StageState):
    """The market stage's only partition; also remembers the newest signals for readers."""

    stage: MarketStage

    def __init__(self, stage: MarketStage, partition: int) -> None:
        settings = stage.settings
        self.processor = Market(settings.partitions, settings.parameters, settings.exchanges, stage.calendar)
        super().__init__(stage, partition, self.processor.tables)

    @property
    def schema(self) -> str:
        return f"{super().schema}/{self.stage.codecs.features_version}"

    @property
    def books(self) -> Mapping[str, DailyStore]:
        return {topic: book for topic, book in self.processor.stores.items() if topic in DEADLINES}

    @property
    def live(self) -> tuple[int, int] | None:
        return (self.processor.session.day, self.processor.session.ts) if self.processor.session.day else None

    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        out: list[Output] = []
        items: list[Any]
        if topic == Topic.FEATURES:
            items = [(item, origin) for item, origin in map(self._feature, records) if item is not None]
        else:
            items, dead = self.stage.decoders[topic].decode(records)
            out += self.stage.dead_letters(dead, topic)
            metrics.ROWS.labels(topic).inc(sum(len(i) for i in items if isinstance(i, RowBatch)))
            items = [(item, topic) for item in items]
        facts: list[Any] = []
        for item, origin in items:
            if isinstance(item, Barrier):
                out += self._outputs(facts)
                facts = []
                out += self.barrier(item, origin)
            else:
                facts.append(item)
        return out + self._outputs(facts)

    def _outputs(self, facts: list[Any]) -> list[Output]:
        if not facts:
            return []
        out = []
        signals: dict[tuple[str, bool], MarketSignal] = {}  # the newest of each: a backlog has years of them
        industries: IndustrySignals | None = None
        gaps: int | None = None
        for made in self.processor.fold(facts):
            if isinstance(made, MarketSignal):
                signals[made.name, made.provisional] = made
                gaps = len(made.identity_gaps) if TOTALS in made.input_revisions else gaps
                out.append(self.stage.encode(Topic.SIGNALS_MARKET, made))
            elif isinstance(made, IndustrySignals):
                industries = made
                out.append(self.stage.encode(Topic.SIGNALS_INDUSTRY, made))
            else:
                out.append(self.stage.encode(Topic.SIGNALS_SECURITY, made))
                metrics.IDENTITY.labels(DETAIL).set(made.status.identity.broken)
        for signal in signals.values():
            metrics.observe_signal(signal)
        if gaps is not None:
            metrics.IDENTITY.labels(TOTALS).set(gaps)
        if industries is not None:
            metrics.observe_industries(industries)
        _count(self.stage.name, self.processor.applied)
        self.processor.applied = ApplyResult()
        return out

    def _feature(self, record: Record) -> tuple[FeatureFrame | Partial | Barrier | None, str]:
        """Return a message of the securities stage, a barrier with the partition that it came from."""
        if is_barrier(record):
            return barrier_of(record), dict(record.headers)["origin"].decode()
        return self.stage.codecs.decode(Topic.FEATURES, record), ""


class AlertsStage(Stage):
    """One partition: signals, dead letters and what people say about alerts in; alerts and their history out."""

    name = "alerts"
    inputs = (
        *SIGNALS,
        Topic.ALERT_COMMANDS,
        *(dead_letters(t) for t in INPUT_ROWS),
    )
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
        now = datetime.fromtimestamp(time.time(), UTC)
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
        return [a for a in self.desk.lifecycle.alerts.values() if a.state is State.FIRING]


STAGES: tuple[type[Stage], ...] = (SecuritiesStage, MarketStage, AlertsStage)
