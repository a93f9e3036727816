"""The charts stage: charts of a partition in, scored charts out.

It is a stage of its own because a network takes a second for thousands of charts. It folds in a thread, a few messages
at a time, so that the worker's other partitions go on meanwhile: their figures do not wait for the scores.
"""

from __future__ import annotations

from collections.abc import Sequence

from processors.chart_scores import Scorer, scored
from processors.days import TradingCalendar
from processors.errors import RowError
from processors.events import Barrier
from processors.outputs import ChartFrame
from streams.charts.model import load
from streams.codecs.total import total
from streams.records import DeadLetter, Record, barrier_of, is_barrier
from streams.settings import Settings
from streams.stages.securities_stage import SecuritiesStage
from streams.stages.stage import Stage, StageState
from streams.tables import Output
from streams.topics import Topic, Topics


class ChartsStage(Stage):
    """One partition: charts in, scores out; the model is that of the settings."""

    name, inputs, outputs = "charts", (Topic.CHARTS,), (Topic.FEATURES,)
    messages_at_once = 4

    def __init__(self, settings: Settings, topics: Topics, calendar: TradingCalendar) -> None:
        super().__init__(settings, topics, calendar)
        self.model: Scorer | str = load(settings.chart_model)
        if isinstance(self.model, str):
            self.work = 0.0

    @property
    def barrier_origins(self) -> frozenset[str]:
        return frozenset(f"{SecuritiesStage.name}:{p}" for p in range(self.settings.partitions))

    def open(self, partition: int) -> StageState:
        return _ChartsState(self, partition)


class _ChartsState(StageState):
    """Barriers alone: a score depends on its chart and the model."""

    stage: ChartsStage

    @property
    def schema(self) -> str:
        """Another model, or other charts, scores all weeks again."""
        model = self.stage.model
        used = "none" if isinstance(model, str) else f"{model.digest}.{model.revision}"
        return f"{super().schema}/{self.stage.codecs.features_version}/{used}"

    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        out: list[Output] = []
        for record in records:
            try:
                found = self._charts(record)
            except RowError as error:
                out += self.stage.dead_letters([DeadLetter(record, str(error))], topic)
                continue
            if isinstance(found, Barrier):
                out += self.barrier(found, dict(record.headers)["origin"].decode())
            elif found is not None:
                out.append(self.stage.encode(Topic.FEATURES, scored(found, self.stage.model)))
        return out

    @total
    def _charts(self, record: Record) -> ChartFrame | Barrier | None:
        """Return a message of the securities stage; None for charts of another release."""
        if is_barrier(record):
            dict(record.headers)["origin"].decode()  # a barrier without its origin is refused
            return barrier_of(record)
        found: ChartFrame | None = self.stage.codecs.decode(Topic.CHARTS, record)
        return found
