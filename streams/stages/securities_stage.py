"""The securities stage: rows by security code in, features, charts and partial sums of its partition out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from processors.daily_store import DailyStore
from processors.outputs import ChartFrame, FeatureFrame, Partial
from processors.securities import Securities
from streams.stages.stage import RowState, Stage, StageState, count_applied
from streams.tables import Output
from streams.topics import SECURITIES_INPUTS, Topic


class SecuritiesStage(Stage):
    """By code, N partitions: margin and price rows in, feature frames, charts and session sums out."""

    name, inputs, outputs = "securities", SECURITIES_INPUTS, (Topic.FEATURES, Topic.CHARTS)

    @property
    def barrier_origins(self) -> frozenset[str]:
        return frozenset(self.inputs)

    def open(self, partition: int) -> StageState:
        return _SecuritiesState(self, partition)


class _SecuritiesState(RowState):
    def __init__(self, stage: SecuritiesStage, partition: int) -> None:
        self.processor = Securities(partition, stage.settings.parameters, stage.settings.exchanges, stage.calendar)
        super().__init__(stage, partition, self.processor.tables)

    @property
    def stores(self) -> Mapping[str, DailyStore]:
        return self.processor.stores

    def _encoded(self, feature: FeatureFrame | ChartFrame | Partial) -> Output:
        return self.stage.encode(Topic.CHARTS if isinstance(feature, ChartFrame) else Topic.FEATURES, feature)

    def _outputs(self, facts: list[Any]) -> list[Output]:
        out = [self._encoded(feature) for feature in self.processor.fold(facts)]
        count_applied(self.stage.name, self.processor)
        return out
