"""The securities stage: rows by security code in, features and partial sums of its partition out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar
from processors.events import Barrier, EndOfDay, RowBatch
from processors.securities import Securities
from streams import metrics
from streams.records import Record
from streams.settings import Settings
from streams.stage import Stage, StageState, count_applied
from streams.tables import Output
from streams.topics import SECURITIES_INPUTS, Topic, Topics


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
    def stores(self) -> Mapping[str, DailyStore]:
        return {
            store.topic: store
            for store in (self.processor.margin, self.processor.prices.store, self.processor.valuations)
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
        count_applied(self.stage.name, self.processor.applied)
        self.processor.applied = ApplyResult()
        return out
