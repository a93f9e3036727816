"""The market stage: totals, indices and the features of all securities in, signals out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from processors.daily_store import DailyStore
from processors.days import to_date
from processors.deadlines import DEADLINES
from processors.errors import RowError
from processors.events import Barrier
from processors.market import Market
from processors.needs import DETAIL, TOTALS
from processors.outputs import FeatureFrame, IndustrySignals, MarketSignal, Partial
from processors.registry import published_digest, signals_with
from streams import metrics
from streams.codecs.total import total
from streams.records import DeadLetter, Record, barrier_of, is_barrier
from streams.stages.charts_stage import ChartsStage
from streams.stages.securities_stage import SecuritiesStage
from streams.stages.stage import RowState, Stage, StageState, count_applied
from streams.tables import Output
from streams.topics import MARKET_INPUTS, SIGNALS, Topic

log = structlog.get_logger()


class MarketStage(Stage):
    """One partition: totals, indices and feature frames in, signals out."""

    name, inputs, outputs = "market", MARKET_INPUTS, SIGNALS
    work = 1.2

    @property
    def barrier_origins(self) -> frozenset[str]:
        return frozenset(
            {
                *(t for t in self.inputs if t != Topic.FEATURES),
                *(f"{SecuritiesStage.name}:{p}" for p in range(self.settings.partitions)),
                f"{ChartsStage.name}:0",
            }
        )

    def open(self, partition: int) -> StageState:
        return MarketState(self, partition)


class MarketState(RowState):
    """The market stage's only partition."""

    def __init__(self, stage: MarketStage, partition: int) -> None:
        settings = stage.settings
        self._given_up: dict[str, int] = {}  # topic → days that the log has named
        self.processor = Market(settings.partitions, settings.parameters, settings.exchanges, stage.calendar)
        super().__init__(stage, partition, self.processor.tables)

    @property
    def schema(self) -> str:
        """Other figures to publish give all days again."""
        return f"{super().schema}/{published_digest()}"

    @property
    def stores(self) -> Mapping[str, DailyStore]:
        return {topic: store for topic, store in self.processor.stores.items() if topic in DEADLINES}

    @property
    def live(self) -> Mapping[str, int]:
        return self.processor.session.live_prices()

    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        if topic != Topic.FEATURES:
            return super().fold(topic, records)
        items, dead = [], []
        for record in records:
            try:
                items.append(self._feature(record))
            except RowError as error:
                dead.append(DeadLetter(record, str(error)))
        known = [item for item in items if item[0] is not None]
        newest = next((item for item, _ in reversed(known) if isinstance(item, FeatureFrame | Partial)), None)
        if newest is not None:
            self.reached[topic] = newest.day
        return self.stage.dead_letters(dead, topic) + self._fold_items(known)

    def _outputs(self, facts: list[Any]) -> list[Output]:
        if not facts:
            return []
        out = []
        signals: dict[tuple[str, bool], MarketSignal] = {}  # the newest of each, for the metrics
        industries: IndustrySignals | None = None
        for output in self.processor.fold(facts):
            if isinstance(output, MarketSignal):
                held = signals.get(key := (output.name, output.provisional))
                if held is None or held.trade_date <= output.trade_date:
                    signals[key] = output
                if TOTALS in output.input_revisions:
                    metrics.observe_identity(TOTALS, output.trade_date, len(output.identity_gaps))
                out.append(self.stage.encode(Topic.SIGNALS_MARKET, output))
            elif isinstance(output, IndustrySignals):
                if industries is None or industries.status.trade_date <= output.status.trade_date:
                    industries = output
                out.append(self.stage.encode(Topic.SIGNALS_INDUSTRY, output))
            else:
                out.append(self.stage.encode(Topic.SIGNALS_SECURITY, output))
                metrics.observe_identity(DETAIL, output.status.trade_date, output.status.identity.broken)
        for signal in signals.values():
            metrics.observe_signal(signal)
        if industries is not None:
            metrics.observe_industries(industries)
        for name, join in self.processor.joins.items():
            if len(join.given_up) > self._given_up.get(name, 0):
                first, last = map(to_date, (min(join.given_up), max(join.given_up)))
                log.warning(
                    "days were given up: the frames of another feed are years away, or had been deleted", topic=name,
                    days=len(join.given_up), first=f"{first}", last=f"{last}", signals=signals_with(name),
                )  # fmt: skip
            self._given_up[name] = len(join.given_up)
            metrics.OVERFLOWED.labels(name).set(len(join.given_up))
        count_applied(self.stage.name, self.processor)
        return out

    @total
    def _feature(self, record: Record) -> tuple[FeatureFrame | Partial | Barrier | None, str]:
        """Return a message of the securities stage, a barrier with the partition that sent it."""
        if is_barrier(record):
            return barrier_of(record), dict(record.headers)["origin"].decode()
        return self.stage.codecs.decode(Topic.FEATURES, record), ""
