"""What the stages have in common: bytes of a partition in, rows and messages out.

A worker has one `Stage` of each kind, and a `StageState` for each partition that it owns. They contain everything that
a pure processor must not know: topics, headers, barriers, dead letters. None of it does I/O.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import structlog

from alerts.market_clock import MarketClock
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar
from processors.events import INPUT_ROWS, Barrier, RowBatch
from processors.market import Market
from processors.securities import Securities
from processors.table import TEXT, Processor, StateTable, Table, TableSet, ValueCodec
from streams import metrics
from streams.codecs.registry import Codecs
from streams.dead_letters import encode_letter
from streams.records import BARRIER_TYPE, CE_TYPE, DeadLetter, Record
from streams.settings import Settings
from streams.tables import DIGESTS, Output
from streams.topics import Topic, Topics, dead_letters

log = structlog.get_logger()

_BARRIERS_KEPT = 50
#: Barriers under way: those of messages that never arrive everywhere must not accumulate.
_BARRIERS_WAITING = 1_000
#: The table with the moment of a replay that has not ended, its only row, and how it is stored.
_REPLAYED, _AT = "replayed", "at"
CLOCK_FIELD, CLOCK_CODEC = f"{_REPLAYED}/{_AT}", ValueCodec[datetime](datetime)
_BARRIER_HEADERS = [(CE_TYPE, BARRIER_TYPE)]


def moment_of_replay(stored: bytes | None) -> datetime | None:
    """Return the moment up to which a replay has published, of the field `CLOCK_FIELD`; None if no replay runs."""
    return None if stored is None else CLOCK_CODEC.decode(stored)


@dataclass(frozen=True, slots=True)
class Overview:
    """What metrics show of a partition's state.

    Attributes
    ----------
    closed : daily topic → its newest closed day, where there is one.
    firing : rule and severity of every alert that fires.
    """

    closed: Mapping[str, int] = field(default_factory=dict)
    firing: Sequence[tuple[str, str]] = ()


class StageState(Processor, ABC):
    """One partition of a stage: its processor, the barriers on their way through it, and the clock that they set.

    Attributes
    ----------
    reached : topic → the trade date of the last message that was folded of it, days since 1970-01-01. Of several topics
        with waiting polls, the one that is furthest behind is folded first.
    """

    def __init__(self, stage: Stage, partition: int, *parts: StateTable | TableSet) -> None:
        self.stage = stage
        self.partition = partition
        self.reached: dict[str, int] = {}
        self._barriers: Table[str, list[str]] = Table(  # origins so far
            "barrier", TEXT, ValueCodec(list[str]), keep=_BARRIERS_WAITING
        )
        self._passed: Table[str, bool] = Table("passed", TEXT, ValueCodec(bool), keep=_BARRIERS_KEPT)
        self._replayed: Table[str, datetime] = Table(_REPLAYED, TEXT, CLOCK_CODEC)
        self.clock = MarketClock()
        self.tables = TableSet(*parts, self._barriers, self._passed, self._replayed, on_load=self._restore_clock)

    @property
    def schema(self) -> str:
        """What the stored rows depend on beside the messages; rows of another schema cannot be read."""
        return f"{self.tables.schema}/{DIGESTS}"

    @property
    def stores(self) -> Mapping[str, DailyStore]:
        """The daily stores by the topic that fills them."""
        return {}

    @property
    def live(self) -> Mapping[str, int]:
        """The moment of the newest row of each live feed that this stage knows of, µs since the epoch."""
        return {}

    def overview(self) -> Overview:
        """Return what metrics show of the state."""
        closed = {topic: store.newest_closed() for topic, store in self.stores.items()}
        return Overview({topic: day for topic, day in closed.items() if day is not None})

    @abstractmethod
    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        """Fold the records of one poll of one topic; return what must be published. It may run in a thread."""

    def barrier(self, punctuation: Barrier, origin: str) -> list[Output]:
        """Record a barrier; once it has arrived from every origin, return it for the topics of the outputs."""
        identity = punctuation.barrier
        if identity in self._passed:
            return []
        seen = {*self._barriers.get(identity, ()), origin}
        if not self.stage.barrier_origins <= seen:
            self._barriers[identity] = sorted(seen & self.stage.barrier_origins)
            self._barriers.trim()
            return []
        self._barriers.pop(identity, None)
        self._passed[identity] = True
        self._passed.trim()
        self._set_clock(punctuation.at)
        value = msgspec.json.encode(punctuation)
        headers = [*_BARRIER_HEADERS, ("origin", f"{self.stage.name}:{self.partition}".encode())]
        return [
            Output(self.stage.topics.name(topic), 0, f"barrier/{identity}".encode(), value, headers)
            for topic in self.stage.outputs
        ]

    def _set_clock(self, at: datetime | None) -> None:
        self.clock.set(at)
        if at is not None:
            self._replayed[_AT] = at
        else:
            self._replayed.pop(_AT, None)

    def _restore_clock(self) -> None:
        self.clock.set(self._replayed.get(_AT))


class RowState(StageState):
    """One partition of a stage that folds rows: facts between two barriers are folded together."""

    @property
    def schema(self) -> str:
        return f"{super().schema}/{self.stage.codecs.features_version}"

    @abstractmethod
    def _outputs(self, facts: list[Any]) -> list[Output]:
        """Fold rows, punctuation and features; return what must be published."""

    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        items, dead = self.stage.decoders[topic].decode(records)
        if absent := self.stage.decoders[topic].take_absent():
            metrics.IMPOSSIBLE.labels(topic).inc(len(absent))
            log.warning("impossible figures are absent", topic=topic, count=len(absent), first=absent[0])
        out = self.stage.dead_letters(dead, topic) + self._fold_items((item, topic) for item in items)
        newest = next((item for item in reversed(items) if isinstance(item, RowBatch) and len(item)), None)
        if newest is not None:
            self.reached[topic] = int(newest.days[-1])
        metrics.ROWS.labels(topic).inc(sum(len(item) for item in items if isinstance(item, RowBatch)))
        return out

    def _fold_items(self, items: Iterable[tuple[Any, str]]) -> list[Output]:
        """Fold items in their order; a barrier arrives from the origin beside it."""
        out: list[Output] = []
        facts: list[Any] = []
        for item, origin in items:
            if isinstance(item, Barrier):
                out += self._outputs(facts) + self.barrier(item, origin)
                facts = []
            else:
                facts.append(item)
        return out + self._outputs(facts)


class Stage(ABC):
    """A stage of the stream: which topics it reads and writes, and the state of a partition of it."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    #: Messages that are folded together in a thread, for a stage whose fold takes long; 0 for a stage that folds polls.
    messages_at_once = 0
    #: CPU of all its partitions over the real history, relative to the securities stage: workers share the stages by it
    #: (`streams.kafka.assignment`).
    work = 1.0

    def __init__(self, settings: Settings, topics: Topics, calendar: TradingCalendar) -> None:
        self.settings = settings
        self.topics = topics
        self.output_names = frozenset(topics.name(topic) for topic in self.outputs)
        self.calendar = calendar
        self.codecs = Codecs(settings, calendar)
        self.decoders = self.codecs.row_decoders(topic for topic in self.inputs if topic in INPUT_ROWS)
        metrics.declare(self.name, self.inputs)

    @property
    @abstractmethod
    def barrier_origins(self) -> frozenset[str]:
        """Every origin that a barrier must have arrived from."""

    @property
    def compacted(self) -> bool:
        """Whether the stage writes compacted topics: these have one partition, and no other stage writes them."""
        return any(self.topics.all[topic].compacted for topic in self.outputs)

    @abstractmethod
    def open(self, partition: int) -> StageState:
        """Return the empty state of a partition."""

    def encode(self, topic: str, content: Any) -> Output:
        """Return a content as a message of one of the stage's output topics."""
        return self.codecs.encode(topic, content, self.topics.all[topic].name)

    def dead_letters(self, dead: Iterable[DeadLetter], topic: str) -> list[Output]:
        """Return refused messages as they go to the dead-letter topic."""
        out = []
        for letter in dead:
            metrics.DEAD.labels(topic).inc()
            value, headers = encode_letter(letter)
            out.append(Output(self.topics.name(dead_letters(topic)), 0, letter.record.key or b"", value, headers))
        return out

    def quarantine(self, record: Record, topic: str, error: Exception, *, skipped: bool = False) -> list[Output]:
        """Return a message whose fold failed as a dead letter with the traceback; without it if a person skips it.

        A dead letter whose fold failed is where it belongs already: nothing is published.
        """
        metrics.QUARANTINED.labels(topic).inc()
        if Topic(topic).is_dead_letters:
            return []
        text = "" if skipped else "".join(traceback.format_exception(error))
        return self.dead_letters([DeadLetter(record, str(error), type(error).__name__, text)], topic)


def count_applied(stage: str, processor: Securities | Market) -> None:
    """Count the rows that were repeated, in conflict or too old since the last call."""
    applied, processor.applied = processor.applied, ApplyResult()
    counts = {"duplicate": applied.duplicates, "conflict": applied.conflicts, "too_old": applied.too_old}
    for reason, count in counts.items():
        if count:
            metrics.REPEATS.labels(stage, reason).inc(count)
