"""The alerts stage: signals, dead letters and commands of the desk in, alerts and their history out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from alerts.commands import FeedRun
from alerts.desk import AlertDesk, Change
from alerts.model import Input, State
from alerts.rules.base import DeadLetters, Message
from processors.days import TradingCalendar, microseconds, shanghai_date, shanghai_day
from processors.errors import RowError
from processors.events import Barrier
from processors.outputs import EARLIER_RELEASE, IndustrySignals, MarketSignal, SecuritySignals
from processors.table import TEXT, Table, ValueCodec
from streams import metrics
from streams.alert_rules import rules_of
from streams.dead_letters import Letter, read_letter
from streams.records import DeadLetter, Record, barrier_of, is_barrier
from streams.settings import Settings
from streams.stages.stage import Overview, Stage, StageState
from streams.tables import Output
from streams.topics import DEAD_LETTERS, SIGNALS, Topic, Topics, refused_in


class AlertsStage(Stage):
    """One partition: signals, dead letters and commands of the desk in; alerts and their history out."""

    name = "alerts"
    inputs = (*SIGNALS, Topic.ALERT_COMMANDS, *DEAD_LETTERS)
    outputs = (Topic.ALERTS, Topic.ALERTS_LOG)
    work = 0.8

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
        self.counted: Table[str, tuple[int, int, int]] = Table(  # topic and partition → the last letter that counts
            "counted", TEXT, ValueCodec(tuple[int, int, int])
        )
        super().__init__(stage, partition, self.desk.tables, self.refused, self.counted)

    @property
    def schema(self) -> str:
        """Horizons and records count sessions."""
        return f"{super().schema}/{self.stage.calendar.digest}"

    def fold(self, topic: str, records: Sequence[Record]) -> list[Output]:
        now, refused = self.clock.now(), self.desk.refused
        newest: datetime | None = None
        changes: list[Change] = []
        out: list[Output] = []
        folded = False
        for record in records:
            try:
                content = self._content(topic, record)
            except RowError as error:
                out += self.stage.dead_letters([DeadLetter(record, str(error))], topic)
                continue
            if _of_an_earlier_release(content):  # the market stage publishes the day again, under the same revision
                continue
            origin = Input(record.topic, record.partition, record.offset, _revision(content))
            if isinstance(content, Barrier):
                out += self._outputs(changes + self.desk.update_evidence(origin, now))
                changes = []
                out += self.barrier(content, topic)
                now = self.clock.now()
            elif topic == Topic.ALERT_COMMANDS:
                if isinstance(content, FeedRun):
                    metrics.observe_feed(content)
                changes += self.desk.command(content, origin, now)
            else:
                if (known := _known_at(content)) is not None:
                    newest = known
                    if self.clock.replays:
                        self.clock.advance(known)
                        now = self.clock.now()
                if isinstance(content, MarketSignal) and content.provisional:  # no rule and no record reads it
                    continue
                changes += self.desk.fold(content, origin, now)
            folded = True
        if newest is not None:
            self.reached[topic] = shanghai_day(microseconds(newest))
        if folded:
            last = records[-1]
            origin, wait = Input(last.topic, last.partition, last.offset, 0), topic in SIGNALS
            changes += self.desk.update_evidence(origin, now, wait=wait)
        metrics.ALERTS_REFUSED.inc(self.desk.refused - refused)
        return out + self._outputs(changes)

    def _content(self, topic: str, record: Record) -> Any:
        """Return a barrier, a command, or what rules evaluate; raises `RowError` for anything else."""
        if topic in DEAD_LETTERS:
            return self._letter(topic, read_letter(record))
        if is_barrier(record):
            return barrier_of(record)
        return self.stage.codecs.decode(topic, record)

    def _letter(self, topic: str, letter: Letter) -> DeadLetters:
        """Count a dead letter into its hour (by Kafka's timestamp, so that a replay counts the same)."""
        hour = letter.timestamp // 3_600_000
        before, count = self.refused.get(topic, (hour, 0))
        count = count if before == hour else 0
        if letter.resolution is None and not letter.traceback and self._is_first(topic, letter):
            count += 1
            self.refused[topic] = (hour, count)
        when = datetime.fromtimestamp(hour * 3600, UTC)
        return DeadLetters(
            topic=refused_in(topic),
            hour=when,
            count=count,
            trade_date=shanghai_date(when),
            threshold=self.stage.settings.dead_letters_per_hour,
            reason=letter.reason,
            quarantined=str(letter.place) if letter.traceback or letter.resolution else "",
            resolved=letter.resolution is not None,
        )

    def _is_first(self, topic: str, letter: Letter) -> bool:
        """Whether a message is refused for the first time: state that is computed again refuses it again, years later.

        The letters of a partition come in its order; only where its topic was created again, newer ones begin below.
        """
        place, of, topics = letter.place, refused_in(topic), self.stage.topics
        known = place.topic == topics.name(of) and place.partition in map(str, range(topics.partitions(of)))
        if not known or place.position is None:
            return True
        key = f"{of}[{place.partition}]"
        *last, written = self.counted.get(key, (-1, -1, -1))
        if place.position <= tuple(last) and letter.written <= written:
            return False
        self.counted[key] = (*place.position, letter.written)
        return True

    def _outputs(self, changes: Iterable[Change]) -> list[Output]:
        out = []
        for change in changes:
            metrics.observe_alert(change.alert, change.event.what)
            out += [self.stage.encode(Topic.ALERTS, change), self.stage.encode(Topic.ALERTS_LOG, change)]
        return out

    def overview(self) -> Overview:
        """Return which alerts fire."""
        alerts = self.desk.lifecycle.alerts.values()
        return Overview(
            firing=[(a.rule, a.severity.value) for a in alerts if a.state is State.FIRING and not a.is_section]
        )


def _known_at(content: Message) -> datetime | None:
    """Return the moment at which a signal became known; None for anything else."""
    if isinstance(content, MarketSignal):
        return content.available_at
    return content.status.available_at if isinstance(content, (SecuritySignals, IndustrySignals)) else None


def _of_an_earlier_release(content: Any) -> bool:
    """Whether a frame lacks figures that were added since."""
    return isinstance(content, (SecuritySignals, IndustrySignals)) and EARLIER_RELEASE in content.left_out.values()


def _revision(content: Any) -> int:
    if isinstance(content, MarketSignal):
        return content.revision
    return content.status.revision if isinstance(content, (SecuritySignals, IndustrySignals)) else 0
