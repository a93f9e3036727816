"""The step of a stage: what is stored and published in which order, and what happens when a part of it fails.

The stage adds up numbers, Redis is a dictionary that can fail, and a publisher collects; waits are counted, not slept.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest
import structlog
from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError, TopicAuthorizationFailedError
from faust.types import TP
from prometheus_client import REGISTRY
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from alerts.commands import LiveFeedState
from processors.daily_store import DailyStore
from processors.days import SHANGHAI, to_day
from processors.errors import RowError, StateError
from processors.events import Barrier, EndOfDay
from processors.table import TEXT, Table, ValueCodec
from streams import metrics
from streams.calendars import xshg
from streams.dead_letters import read_letter
from streams.errors import FencedError, InputLostError, RevokedError
from streams.health import Health
from streams.kafka.transport import Poll
from streams.records import BARRIER_TYPE, CE_TYPE, CLOSE_TYPE, barrier_of, mark_of, sequence_of
from streams.script_queue import ScriptQueue
from streams.settings import Settings
from streams.stages import partition_runner
from streams.stages.feed_watch import FeedWatch
from streams.stages.input_check import Positions
from streams.stages.market_stage import MarketStage
from streams.stages.output_log import Numbering
from streams.stages.partition_runner import PartitionRunner
from streams.stages.registry import STAGES
from streams.stages.stage import Stage, StageState
from streams.tables import Encoded, Loaded, Output, TablePartition
from streams.topics import BY_CODE, Topic, Topics
from tests.building import DAYS, batch

TOPIC = "prices.daily"
NAME = "t.prices.daily.v1"
MOST_WAITS = 50  # more than any test needs
OUTPUT_TOPIC = f"t.{Topic.FEATURES}.v1"


@dataclass
class Row:
    """A record of a consumer; its value is a number."""

    offset: int
    value: bytes | None = b"1"
    headers: Sequence[tuple[str, bytes]] = ()
    partition: int = 0
    topic: str = NAME
    timestamp: int = 0
    key: bytes | None = None


def poll(*rows: Row) -> Poll:
    return Poll(rows)


class SumState(StageState):
    """Adds up the values of its records, and publishes each sum."""

    def __init__(self, stage: Stage, partition: int) -> None:
        self.sums: Table[str, int] = Table("sum", TEXT, ValueCodec(int))
        super().__init__(stage, partition, self.sums)
        self.store = DailyStore(TOPIC, (), late_days=5, history_days=2)
        self.newest_live: dict[str, int] = {}

    @property
    def stores(self) -> dict[str, DailyStore]:
        return {TOPIC: self.store}

    @property
    def live(self) -> dict[str, int]:
        return self.newest_live

    @property
    def total(self) -> int:
        return self.sums.get("total", 0)

    def fold(self, topic: str, records: Sequence[Any]) -> list[Output]:
        out = []
        for record in records:
            self.sums["total"] = self.total + int(record.value)  # a value that is no number fails half-way
            if self.total % 2 == 0:
                out.append(Output(OUTPUT_TOPIC, 0, b"k", str(self.total).encode(), []))
        return out


class SumStage(Stage):
    name, inputs, outputs = "sums", (TOPIC,), (Topic.FEATURES,)
    barrier_origins = frozenset({TOPIC})

    def open(self, partition: int) -> StageState:
        return SumState(self, partition)


class MarketSums(SumStage):
    name = MarketStage.name


class LoneSums(SumStage):
    compacted = True  # type: ignore[assignment]


class SlowState(SumState):
    """Notes how many records it folds at once, and in which thread; takes the partition away in the fold of a value."""

    folds: ClassVar[list[tuple[int, bool]]] = []
    on_fold: ClassVar[Callable[[], None]] = staticmethod(lambda: None)

    def fold(self, topic: str, records: Sequence[Any]) -> list[Output]:
        self.folds.append((len(records), threading.current_thread() is threading.main_thread()))
        self.on_fold()
        return super().fold(topic, records)


class SlowStage(SumStage):
    messages_at_once = 2

    def open(self, partition: int) -> StageState:
        return SlowState(self, partition)


@dataclass
class Recorder:
    """What happened, in order; and which failures are still to come."""

    events: list[tuple[Any, ...]] = field(default_factory=list)
    failures: dict[str, list[Exception]] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)
    rows: dict[tuple[str, int], Loaded] = field(default_factory=dict)
    on_sleep: Callable[[], None] = lambda: None

    def happens(self, what: str, *details: Any) -> None:
        if self.failures.get(what):
            raise self.failures[what].pop(0)
        self.events.append((what, *details))

    def of(self, what: str) -> list[tuple[Any, ...]]:
        return [event[1:] for event in self.events if event[0] == what]


class FakeRedis:
    """Its connections, which may lead to a server that is no master any more."""

    def __init__(self, recorder: Recorder, skips: set[str]) -> None:
        self.connection_pool = self
        self._recorder = recorder
        self._skips = skips

    async def sismember(self, key: str, place: str) -> bool:
        assert key == "mw:skip"
        return place in self._skips

    async def disconnect(self) -> None:
        self._recorder.happens("disconnect")


class World:
    """A runner, its Redis and its Kafka."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stage: type[SumStage] = SumStage, **changes: Any) -> None:
        self.recorder = recorder = Recorder()
        self.ours = True

        class FakeTable:
            def __init__(self, redis: object, namespace: str, table: str, partition: int, scripts: ScriptQueue) -> None:
                self.table, self.partition, self.offsets = table, partition, dict[str, int]()
                self.key = table, partition

            async def claim(self, schema: str) -> Loaded:
                recorder.happens("claim", self.table, self.partition)
                loaded = recorder.rows.setdefault(self.key, Loaded({}, {}, []))
                self.offsets = dict(loaded.offsets)
                return loaded

            async def commit(self, step: Encoded, offsets: Any, marks: Any) -> None:
                recorder.happens("commit", dict(step.rows), dict(offsets), [o.value for o in step.outputs])
                held = recorder.rows[self.key]
                held.rows.update({k: v for k, v in step.rows.items() if v is not None})
                held.offsets.update(offsets)
                held.marks.update(marks)
                held.outbox, held.sequence = list(step.outputs), step.sequence or held.sequence
                self.offsets.update(offsets)

        async def sleep(seconds: float) -> None:
            recorder.slept.append(seconds)
            if len(recorder.slept) > MOST_WAITS:
                pytest.fail("the runner repeats a step that can't succeed any more")
            recorder.on_sleep()

        monkeypatch.setattr(partition_runner, "TablePartition", FakeTable)
        real = asyncio.sleep
        monkeypatch.setattr(partition_runner.asyncio, "sleep", lambda s: sleep(s) if s else real(0))
        self.settings = Settings(topic_prefix="t.", **changes)
        self.topics, self.health, self.calendar = Topics(self.settings), Health(), xshg()
        self.health.clear("starting")
        self.latest: list[list[bytes]] = []
        self.skips: set[str] = set()
        self.sent: list[list[Output]] = []
        self.claimed: list[str] = []
        self.opened: list[str] = []
        self.broker_away = 0
        self.finished: list[asyncio.Task[None]] = []
        self.runner = PartitionRunner(
            stages=[stage(self.settings, self.topics, self.calendar)], topics=self.topics,
            redis=FakeRedis(self.recorder, self.skips),  # type: ignore[arg-type]
            settings=self.settings, publish=self.publish,
            inputs=self, output_log=self,  # type: ignore[arg-type]
            health=self.health,
            on_claimed=lambda table: self.claimed.append(table.table),
            open_outputs=self.open_outputs,
            on_outputs=lambda outputs: self.latest.append([o.value for o in outputs]),
            on_finished=self.finished.append,
        )  # fmt: skip
        self.feeds = FeedWatch(self.runner.owned, self.topics, self.settings, self.calendar, self.publish)
        self.lost: dict[tuple[str, int], str] = {}
        self.next_offset = 0
        self.published_sequence = 0

    async def punctuation(self, now: int) -> list[Output]:
        """Return the markers that are published at a time."""
        return await self._published_by(self.feeds.close_overdue(now))

    async def reports(self, now: int) -> list[Output]:
        """Return the reports on the live feed that are published at a time."""
        return await self._published_by(self.feeds.report(now))

    async def _published_by(self, work: Awaitable[None]) -> list[Output]:
        before = len(self.sent)
        await work
        return [output for outputs in self.sent[before:] for output in outputs]

    async def publish(self, outputs: Sequence[Output]) -> None:
        if self.broker_away:
            self.broker_away -= 1
            raise KafkaError
        self.recorder.happens("publish", [o.value for o in outputs])
        self.sent.append(list(outputs))

    async def open_outputs(self, table: TablePartition) -> None:
        self.opened.append(table.table)
        if self.broker_away:
            self.broker_away -= 1
            raise KafkaError

    async def find_lost(self, positions: Positions) -> dict[tuple[str, int], str]:
        self.recorder.happens("check", dict(positions))
        return {at: lost for at, lost in self.lost.items() if at in positions}

    async def first_offset(self, topic: str, partition: int, offset: int) -> int:
        self.recorder.happens("gap", topic, partition, offset)
        return self.next_offset

    async def numbering(self, stored: int, topics: frozenset[str]) -> Numbering:
        assert topics == {OUTPUT_TOPIC}
        return Numbering(max(stored, self.published_sequence), self.published_sequence > stored)

    def still_ours(self) -> bool:
        return self.ours

    async def done(self) -> None:
        self.recorder.happens("done")

    async def claim(self, *partitions: int) -> None:
        await self.runner.claim({TP(NAME, p) for p in partitions or (0,)}, self.still_ours)

    async def step(self, *rows: Row, settle: bool = True) -> None:
        await self.runner.step(poll(*rows), self.still_ours, self.done)
        if settle:
            await self.runner.settle()

    def state(self, partition: int = 0) -> SumState:
        state = self.runner.owned[self.stage_name, partition].state
        assert isinstance(state, SumState)
        return state

    @property
    def stage_name(self) -> str:
        return next(iter(self.runner._stages.values())).name


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """The lines of the log; no renderer draws the locals of every traceback."""
    with structlog.testing.capture_logs() as lines:
        yield lines


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


@pytest.fixture
def strict(monkeypatch: pytest.MonkeyPatch) -> World:
    """A runner that quarantines nothing."""
    return World(monkeypatch, quarantine_limit=0)


def run(coroutine: Awaitable[None]) -> None:
    asyncio.run(coroutine)  # type: ignore[arg-type]


def total_of(data: bytes) -> int:
    return ValueCodec[int](int).decode(data)


# -- a stage that takes long -------------------------------------------------------------------------------------


def test_a_slow_stage_folds_a_few_messages_at_a_time_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, SlowStage)
    monkeypatch.setattr(SlowState, "folds", [])
    beats: list[int] = []

    async def go() -> None:
        await world.claim()
        loop, beat = asyncio.get_running_loop(), asyncio.Event()
        # Every fold waits until the loop has run something else.
        monkeypatch.setattr(
            SlowState,
            "on_fold",
            staticmethod(lambda: asyncio.run_coroutine_threadsafe(noted(beat), loop).result(timeout=30)),
        )
        await world.step(*(Row(n, b"2") for n in range(5)))

    async def noted(beat: asyncio.Event) -> None:
        beats.append(1)

    run(go())
    assert SlowState.folds == [(2, False), (2, False), (1, False)]
    assert len(beats) == 3
    assert world.state().total == 10
    assert [event[0] for event in world.recorder.events].count("done") == 1  # of the whole poll


def test_a_slow_fold_whose_partition_is_taken_away_stores_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, SlowStage)
    monkeypatch.setattr(SlowState, "on_fold", staticmethod(lambda: setattr(world, "ours", False)))

    async def go() -> None:
        await world.claim()
        with pytest.raises(RevokedError):
            await world.step(Row(0, b"2"))
        assert world.runner.owned["sums", 0].state is None  # what is in memory is not stored

    run(go())
    assert world.recorder.of("commit") == world.recorder.of("publish") == []


class SlowPolls(SumStage):
    """A stage that folds polls as they come."""

    def open(self, partition: int) -> StageState:
        return SlowState(self, partition)


def large(offset: int, value: bytes, **changes: Any) -> Row:
    """A record so large that its poll is folded in a thread."""
    return Row(offset, value.rjust(partition_runner._LARGE_BYTES), **changes)


def test_a_large_poll_is_folded_in_a_thread_and_a_small_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, SlowPolls)
    monkeypatch.setattr(SlowState, "folds", [])

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"2"), Row(1, b"2"))
        await world.step(large(2, b"2"), Row(3, b"2"))

    run(go())
    assert SlowState.folds == [(2, True), (2, False)]
    assert world.state().total == 8
    assert [offsets for _, offsets, _ in world.recorder.of("commit")] == [{NAME: 2}, {NAME: 4}]


def test_while_a_thread_folds_nobody_reads_the_state(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, SlowPolls, deadline_quiet_s=60.0)
    seen: list[object] = []

    async def go() -> None:
        await world.claim(0, 1)
        owned, loop = world.runner.owned, asyncio.get_running_loop()
        for partition in (0, 1):
            store = world.state(partition).store
            store.apply(batch(TOPIC, DAYS[0], {"600000.SH": {"close": 1.0}}))
            store.apply(batch(TOPIC, DAYS[1], {"600000.SH": {"close": 1.0}}))
        closed = to_day(DAYS[0])
        world.state(0).store.close(EndOfDay(feed=TOPIC, trade_date=DAYS[0], expected={}, source="test"))
        world.state(0).newest_live = {"prices.intraday": at(DAYS[1], 10)}

        async def look() -> None:
            clock[0] += 60
            await world.step(Row(0, b"2", partition=1))  # another partition goes on
            seen.append(world.state(1).total)
            seen.append((owned["sums", 0].folding, owned["sums", 0].overview().closed))
            clock[0] += 60
            seen.append([o.partition for o in await world.punctuation(at(DAYS[2], 19))])
            seen.append(await world.reports(at(DAYS[1], 10)))

        def in_thread() -> None:
            if threading.current_thread() is not threading.main_thread():
                world.state(0).store.close(EndOfDay(feed=TOPIC, trade_date=DAYS[1], expected={}, source="test"))
                world.state(0).store.apply(batch(TOPIC, DAYS[2], {"600000.SH": {"close": 1.0}}))
                asyncio.run_coroutine_threadsafe(look(), loop).result(timeout=30)

        monkeypatch.setattr(SlowState, "on_fold", staticmethod(in_thread))
        await world.step(large(0, b"2"))
        assert seen == [2, (True, {TOPIC: closed}), [1], []]
        assert (owned["sums", 0].folding, owned["sums", 0].overview().closed) == (False, {TOPIC: to_day(DAYS[1])})
        assert len(await world.reports(at(DAYS[1], 10))) == 1

    run(go())


def test_a_step_that_is_cancelled_in_its_thread_leaves_no_state_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, SlowPolls)
    begun, go_on = threading.Event(), threading.Event()

    async def go() -> None:
        await world.claim()
        monkeypatch.setattr(SlowState, "on_fold", staticmethod(lambda: begun.set() or go_on.wait(30)))
        step = asyncio.ensure_future(world.step(large(0, b"2")))
        await asyncio.to_thread(begun.wait, 30)
        step.cancel()
        with pytest.raises(asyncio.CancelledError):
            await step
        assert world.runner.owned["sums", 0].state is None
        go_on.set()
        await world.step(Row(0, b"2"))  # as it is stored: the cancelled fold has left nothing
        assert world.state().total == 2

    run(go())


# -- the order of a step -----------------------------------------------------------------------------------------


def test_a_step_is_stored_then_acknowledged_then_published(world: World) -> None:
    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"3"), Row(1, b"5"))
        await world.step(Row(2, b"4"))

    run(go())
    kinds = [event[0] for event in world.recorder.events]
    assert kinds == ["claim", "commit", "done", "publish", "commit", "done", "publish"]
    (first, second) = world.recorder.of("commit")
    assert total_of(first[0]["sum/total"]) == 8
    assert first[1:] == ({NAME: 2}, [b"8"])
    assert (total_of(second[0]["sum/total"]), *second[1:]) == (12, {NAME: 3}, [b"12"])
    assert world.recorder.of("publish") == [([b"8"],), ([b"12"],)]
    assert world.runner.start_offset(NAME, 0) == 3
    assert world.latest == []  # only the market stage has latest values


def test_every_output_has_the_next_sequence_also_behind_a_new_claim(world: World) -> None:
    async def go() -> None:
        world.published_sequence = 7
        await world.claim()
        await world.step(Row(0, b"2"), Row(1, b"2"))
        await world.step(Row(2, b"2"))
        world.published_sequence = 0
        await world.claim()

    run(go())
    first, second, again = world.sent
    assert [sequence_of(o) for o in first + second] == [8, 9, 10]
    assert again == second  # the outbox, byte for byte
    assert world.runner.owned["sums", 0].sequence == 10
    assert world.claimed == ["sums", "sums"]


def test_a_partition_can_publish_once_it_is_owned(world: World) -> None:
    """Else its first output would wait for a new cluster's transactional ids."""

    async def go() -> None:
        world.broker_away = 2
        await world.claim()
        assert world.opened == ["sums"] * 3
        assert world.runner.owned["sums", 0].state is not None

    run(go())


@pytest.mark.parametrize("stage", [LoneSums, SumStage])
def test_an_outbox_is_published_again_unless_its_topics_prove_that_it_was(
    monkeypatch: pytest.MonkeyPatch, stage: type[SumStage]
) -> None:
    """Redis is set back; where other partitions write the topics, their sequences prove nothing."""
    world = World(monkeypatch, stage)

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"2"))
        world.published_sequence = 50
        await world.claim()
        await world.claim()
        await world.step(Row(1, b"2"))

    run(go())
    sent = [sequence_of(o) for outputs in world.sent for o in outputs]
    assert sent == ([1, 51] if stage is LoneSums else [1, 1, 1, 51])


def test_the_newest_values_contain_an_outbox_that_is_not_published_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis was set back: the newest values that it contains may be older than its state."""
    monkeypatch.setattr(MarketSums, "compacted", True)
    world = World(monkeypatch, MarketSums)

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"2"))
        world.latest.clear()
        world.published_sequence = 50
        await world.claim()

    run(go())
    assert world.latest == [[b"2"]]
    assert len([o for outputs in world.sent for o in outputs]) == 1


def test_a_stage_that_writes_compacted_topics_writes_them_alone() -> None:
    settings = Settings()
    stages = [stage(settings, Topics(settings), xshg()) for stage in STAGES]
    writers = Counter(topic for stage in stages for topic in stage.outputs)
    lone = {stage.name for stage in stages if stage.compacted}
    assert lone == {"market", "alerts"}
    for stage in stages:
        if stage.compacted:
            assert {settings.partitions if topic in BY_CODE else 1 for topic in stage.inputs} == {1}
            assert {writers[topic] for topic in stage.outputs} == {1}


def test_a_fold_that_fails_uses_up_no_sequence(world: World) -> None:
    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"2"), Row(1, b"poison"), Row(2, b"2"))

    run(go())
    numbers = {o.topic: sequence_of(o) for sent in world.sent for o in sent if o.topic != OUTPUT_TOPIC}
    assert list(numbers.values()) == [0]  # a dead letter has none
    sums = {(sequence_of(o), o.value) for sent in world.sent for o in sent if o.topic == OUTPUT_TOPIC}
    assert sums == {(1, b"2"), (2, b"4")}


def test_the_age_of_an_event_counts_from_its_kafka_timestamp_to_the_acknowledgement(world: World) -> None:
    before = metrics.AGE.labels("sums")._sum.get()

    async def go() -> None:
        await world.claim()
        times = [int((time.time() - age) * 1000) for age in (900, 60)]
        await world.step(*(Row(n, b"2", timestamp=stamp) for n, stamp in enumerate(times)))

    run(go())
    assert 60 <= metrics.AGE.labels("sums")._sum.get() - before < 120


def test_an_event_of_a_clock_that_is_ahead_has_no_negative_age(world: World) -> None:
    before = metrics.AGE.labels("sums")._sum.get()

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"2", timestamp=int((time.time() + 60) * 1000)))

    run(go())
    assert metrics.AGE.labels("sums")._sum.get() == before


def sample(name: str, **labels: str) -> float:
    """The value of a metric."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_every_step_is_timed_under_its_stage_and_its_messages_are_counted_by_topic(world: World) -> None:
    def counts() -> np.ndarray:
        seconds = [sample(f"marginwatch_batch_seconds_{part}", stage="sums") for part in ("count", "sum")]
        return np.array([*seconds, sample("marginwatch_messages_total", topic=TOPIC)])

    before, started = counts(), time.perf_counter()

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"1"), Row(1, b"1"))
        await world.step(Row(2, b"1"))

    run(go())
    steps, seconds, messages = counts() - before
    assert (steps, messages) == (2, 3)
    assert 0 < seconds <= time.perf_counter() - started


def test_a_step_without_outputs_publishes_nothing(world: World) -> None:
    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"3"))

    run(go())
    assert [event[0] for event in world.recorder.events] == ["claim", "commit", "done"]


def test_the_next_step_is_folded_but_not_stored_before_the_last_one_is_published(world: World) -> None:
    blocked = asyncio.Event()

    async def slow(outputs: Sequence[Output]) -> None:
        await blocked.wait()
        await world.publish(outputs)

    async def go() -> None:
        world.runner._publish = slow
        await world.claim()
        await world.step(Row(0, b"2"), settle=False)
        second = asyncio.create_task(world.step(Row(1, b"2"), settle=False))
        for _ in range(10):
            await asyncio.sleep(0)
        assert world.state().total == 4
        assert len(world.recorder.of("commit")) == 1
        assert not second.done()
        blocked.set()
        await second
        await world.runner.settle()

    run(go())
    assert [e[0] for e in world.recorder.events] == ["claim", "commit", "done", "publish", "commit", "done", "publish"]


def test_latest_values_are_those_of_the_market_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, MarketSums)

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"2"))
        await world.step(Row(1, b"1"))

    run(go())
    assert world.latest == [[b"2"]]


def test_records_that_are_in_the_state_already_are_dropped(world: World) -> None:
    async def go() -> None:
        world.recorder.rows["sums", 0] = Loaded({"sum/total": ValueCodec[int](int).encode(10)}, {NAME: 5}, [])
        await world.claim()
        assert world.runner.start_offset(NAME, 0) == 5
        await world.step(Row(3), Row(4))
        assert [e[0] for e in world.recorder.events] == ["claim", "check", "done"]  # acknowledged, not stored again
        await world.step(Row(4, b"100"), Row(5, b"1"))
        assert world.state().total == 11
        await world.step(Row(4, b"100"), Row(5, b"100"))
        assert world.state().total == 11

    run(go())
    assert [commit[1] for commit in world.recorder.of("commit")] == [{NAME: 6}]


LOST = "prices.daily.v1[0] ends at offset 3, but the state contains messages up to 5"


def test_a_partition_whose_topic_has_lost_messages_computes_nothing(world: World) -> None:
    stalls = []

    async def go() -> None:
        stored = {"sum/total": ValueCodec[int](int).encode(10)}
        world.recorder.rows |= {("sums", p): Loaded(dict(stored), {NAME: 5}, [], marks={NAME: "m"}) for p in (0, 1)}
        world.lost[NAME, 0] = LOST
        await world.claim(0, 1)
        assert world.recorder.of("check")[0] == ({(NAME, 0): (5, "m")},)
        assert "rebuild --reset --table sums" in world.health.problems()["sums:0"]["reason"]
        assert LOST in world.health.problems()["sums:0"]["reason"]
        await world.step(Row(5, partition=1))  # the others go on
        assert world.state(1).total == 11

        def repaired() -> None:
            stalls.append(dict(world.health.problems()))
            if len(stalls) == 3:
                world.lost.clear()

        world.recorder.on_sleep = repaired
        await world.step(Row(5))
        assert world.state().total == 11

    run(go())
    assert [list(found) for found in stalls] == [["sums:0"]] * 3
    assert world.health.ready


def test_the_inputs_are_checked_again_while_a_partition_is_owned(world: World) -> None:
    async def go() -> None:
        await world.claim()
        await world.step(Row(0), Row(1))
        (mark,) = {position[1] for position in world.runner.owned["sums", 0].marks.items()}
        await world.runner.check_inputs(world.still_ours)
        assert world.recorder.of("check")[-1] == ({(NAME, 0): (2, mark)},)
        assert world.health.ready
        world.lost[NAME, 0] = LOST
        await world.runner.check_inputs(world.still_ours)
        assert LOST in world.health.problems()["sums:0"]["reason"]
        world.recorder.on_sleep = world.lost.clear
        await world.step(Row(2))
        assert world.state().total == 3

    run(go())


def test_a_loss_that_is_found_after_the_partition_was_revoked_is_reported_by_its_new_owner(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def revoked_meanwhile(positions: Positions) -> dict[tuple[str, int], str]:
        world.ours = False
        await world.runner.claim(set(), lambda: True)
        return {(NAME, 0): LOST}

    async def go() -> None:
        await world.claim()
        await world.step(Row(0))
        monkeypatch.setattr(world.runner._inputs, "find_lost", revoked_meanwhile)
        with pytest.raises(RevokedError):
            await world.runner.check_inputs(world.still_ours)

    run(go())
    assert world.health.ready


def test_after_a_claim_the_inputs_are_checked_by_the_stored_marks_whatever_stalls_beside(
    world: World, logged: list[Any]
) -> None:
    async def go() -> None:
        stored = {"sum/total": ValueCodec[int](int).encode(10)}
        world.recorder.rows |= {
            ("sums", 0): Loaded({"sum/total": b"\xff"}, {NAME: 4}, []),
            ("sums", 1): Loaded(dict(stored), {NAME: 5}, [], marks={NAME: "m"}),
        }
        await world.claim(0, 1)
        world.lost[NAME, 1] = LOST
        await world.runner.check_inputs(world.still_ours)

    run(go())
    assert world.recorder.of("check")[-1] == ({(NAME, 1): (5, "m")},)
    assert sorted(world.health.problems()) == ["sums:0", "sums:1"]
    assert LOST in world.health.problems()["sums:1"]["reason"]
    assert world.runner.owned["sums", 1].state is None
    assert metrics.STALLED.labels("sums", "1")._value.get() == 1
    line = lines(logged, "a partition is stalled")[-1]
    assert (line["log_level"], line["partition"]) == ("critical", 1)
    assert isinstance(line["exc_info"], InputLostError)


@pytest.mark.parametrize("question", ["check", "gap"])
def test_a_question_about_topics_is_asked_until_kafka_answers(world: World, question: str) -> None:
    problems = []

    async def go() -> None:
        world.next_offset = 9
        world.recorder.rows["sums", 0] = Loaded({}, {NAME: 5}, [])
        if question == "gap":
            await world.claim()
        world.recorder.failures[question] = [KafkaError("a"), OSError("b"), *[KafkaError("c")] * 5]
        world.recorder.on_sleep = lambda: problems.append(dict(world.health.problems()))
        await world.claim()
        await world.step(Row(9))
        assert world.state().total == 1

    run(go())
    assert world.recorder.slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert all(list(found) == ["kafka"] for found in problems)
    assert "topics can't be checked: Kafka does not answer: KafkaError" in problems[0]["kafka"]["reason"]
    assert world.health.ready


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (TopicAuthorizationFailedError(), "check the ACLs"),
        (MessageSizeTooLargeError(), "because it is larger than max.message.bytes of its topic"),
        (InvalidTimestampError(), "because the clock of this machine is ahead"),
    ],
)
def test_what_kafka_refuses_is_tried_again_and_names_what_to_check(world: World, error: KafkaError, says: str) -> None:
    problems = []

    async def go() -> None:
        await world.claim()
        world.recorder.failures["publish"] = [error]
        world.recorder.on_sleep = lambda: problems.append(world.health.problems()["kafka"]["reason"])
        await world.step(Row(0, b"2"))

    run(go())
    assert problems[0].startswith(f"the outputs are not acknowledged: Kafka refuses it, {says}")
    assert type(error).__name__ in problems[0]
    assert world.health.ready


def test_a_worker_asks_kafka_nothing_more_about_a_partition_that_is_taken_away(world: World) -> None:
    world.recorder.rows["sums", 0] = Loaded({}, {NAME: 5}, [])
    world.recorder.failures["check"] = [KafkaError("gone")] * 9
    world.recorder.on_sleep = lambda: setattr(world, "ours", len(world.recorder.slept) < 3)
    with pytest.raises(RevokedError):
        run(world.claim())
    assert len(world.recorder.slept) == 3


def test_a_poll_that_begins_behind_messages_that_were_not_read_ends_the_worker(world: World) -> None:
    """Such a poll was fetched before the partition was claimed and read from its stored offset."""

    async def go() -> None:
        await world.claim()
        await world.step(Row(0))
        world.next_offset = 1
        with pytest.raises(FencedError, match=r"read from offset 3, but 1 is next"):
            await world.step(Row(3))
        assert world.state().total == 1

    run(go())
    assert world.recorder.of("gap") == [(NAME, 0, 1)]


def test_a_gap_that_the_topic_itself_has_is_none(world: World) -> None:
    """Offsets of transactions, messages that compaction has removed, and the beginning that retention has deleted."""

    async def go() -> None:
        await world.claim()
        world.next_offset = 7
        await world.step(Row(7))
        await world.step(Row(8))
        assert world.state().total == 2

    run(go())
    assert world.recorder.of("gap") == [(NAME, 0, 0)]


def test_the_mark_of_a_message_depends_on_its_time_and_its_value() -> None:
    rows = [Row(1), Row(2), Row(1, b"2"), Row(1, timestamp=1), Row(1, None)]
    first, second, *others = [mark_of(row) for row in rows]
    assert first == second
    assert len({first, *others}) == 4


def test_a_finished_step_is_handed_to_who_watches_it(world: World) -> None:
    async def go() -> None:
        await world.claim()
        before = world.runner.last_step
        await world.step(Row(0))
        assert world.runner.last_step > before

    run(go())
    assert [task.exception() for task in world.finished] == [None]


# -- claiming ----------------------------------------------------------------------------------------------------


def test_a_claim_publishes_what_the_last_owner_may_have_left_unacknowledged(world: World) -> None:
    async def go() -> None:
        left = [Output(OUTPUT_TOPIC, 0, b"k", b"left", [])]
        world.recorder.rows["sums", 1] = Loaded({}, {NAME: 9}, left)
        await world.claim(0, 1)

    run(go())
    assert [event for event in world.recorder.events if event[0] != "publish"] == [
        ("claim", "sums", 0), ("claim", "sums", 1), ("check", {(NAME, 1): (9, "")})
    ]  # fmt: skip
    assert world.recorder.of("publish") == [([b"left"],)]
    assert [world.runner.start_offset(NAME, p) for p in (0, 1, 2)] == [None, 9, None]
    assert metrics.OWNED.labels("sums")._value.get() == 2


def test_a_claim_gives_up_the_steps_under_way_and_starts_from_what_is_stored(world: World) -> None:
    async def go() -> None:
        await world.claim(0, 1)
        never = asyncio.Event()

        async def stuck(outputs: Sequence[Output]) -> None:
            await never.wait()

        world.runner._publish = stuck
        await world.step(Row(0, b"2"), settle=False)
        for _ in range(5):
            await asyncio.sleep(0)
        world.recorder.rows["sums", 0].outbox = []
        await world.claim(0)
        for _ in range(5):
            await asyncio.sleep(0)
        assert world.finished[0].cancelled()
        assert list(world.runner.owned) == [("sums", 0)]
        assert world.state().total == 2

    run(go())


def test_a_claim_ends_once_its_partitions_are_revoked(world: World) -> None:
    """A later claim of a slow worker would end the healthy one that has the partition by now."""

    async def open_outputs(_: TablePartition) -> None:
        world.ours = False

    async def go() -> None:
        world.runner._open_outputs = open_outputs
        with pytest.raises(RevokedError):
            await world.claim(0, 1)

    run(go())
    assert world.recorder.of("claim") == [("sums", 0)]


def test_state_that_cant_be_read_stalls_its_partition_alone_and_names_the_remedy(world: World) -> None:
    async def go() -> None:
        world.recorder.rows["sums", 0] = Loaded({"sum/total": b"\xff"}, {NAME: 9}, [])
        await world.claim(0, 1)
        assert world.runner.owned["sums", 0].state is None
        (reason,) = [p["reason"] for p in world.health.problems().values()]
        assert reason.startswith("stalled: StateError: the rows of sums:0 in Redis can't be read")
        assert "marginwatch rebuild --table sums" in reason
        assert metrics.STALLED.labels("sums", "0")._value.get() == 1
        await world.step(Row(0, b"2", partition=1))
        assert world.state(1).total == 2
        # Once the rows can be read again, the next poll loads them.
        world.recorder.rows["sums", 0] = Loaded({"sum/total": ValueCodec[int](int).encode(7)}, {NAME: 9}, [])
        await world.step(Row(9, b"1"))
        assert world.state().total == 8
        assert world.health.ready
        assert metrics.STALLED.labels("sums", "0")._value.get() == 0

    run(go())


def lines(logged: list[Any], event: str) -> list[dict[str, Any]]:
    return [{k: v for k, v in line.items() if k != "event"} for line in logged if line["event"] == event]


def test_the_log_names_the_partitions_that_were_claimed(world: World, logged: list[Any]) -> None:
    started = time.monotonic()
    run(world.claim(2, 0))
    (line,) = lines(logged, "partitions claimed")
    assert (line["count"], line["partitions"]) == (2, ["sums:0", "sums:2"])
    assert 0 <= line["seconds"] <= time.monotonic() - started + 0.001  # rounded


@pytest.mark.parametrize(
    ("discarded", "whole", "reasons"),
    [
        (None, True, []),
        ("0", True, ["schema"]),
        ("", True, ["schema"]),
        (None, False, ["incomplete"]),
        ("0", False, ["schema", "incomplete"]),
    ],
)
def test_state_that_a_claim_has_deleted_is_counted_by_its_reason_and_logged_with_its_partition(
    world: World, logged: list[Any], discarded: str | None, whole: bool, reasons: list[str]
) -> None:
    def counts() -> list[float]:
        return [sample("marginwatch_state_discarded_total", stage="sums", reason=r) for r in ("schema", "incomplete")]

    before = counts()
    world.recorder.rows["sums", 3] = Loaded({}, {}, [], discarded=discarded, whole=whole)
    run(world.claim(3))
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [
        float(reason in reasons) for reason in ("schema", "incomplete")
    ]
    found = [line for line in logged if "discarded" in line["event"]]
    assert [line["log_level"] for line in found] == [
        {"schema": "warning", "incomplete": "critical"}[r] for r in reasons
    ]
    assert all((line["stage"], line["partition"]) == ("sums", 3) for line in found)
    if "schema" in reasons:
        schema = world.state(3).schema
        assert (found[0]["stored"], found[0]["schema"]) == (discarded or "no schema", schema)


def test_a_partition_that_stalled_and_went_to_another_worker_is_no_problem_of_ours(world: World) -> None:
    async def go() -> None:
        world.recorder.rows["sums", 0] = Loaded({"sum/total": b"\xff"}, {}, [])
        await world.claim(0)
        assert not world.health.ready
        await world.claim(1)
        assert world.health.ready
        assert metrics.STALLED.labels("sums", "0")._value.get() == 0

    run(go())


def test_a_claim_ends_when_the_partition_is_taken_away_while_redis_is_gone(world: World) -> None:
    world.recorder.failures["claim"] = [RedisConnectionError("gone")] * 9
    world.recorder.on_sleep = lambda: setattr(world, "ours", len(world.recorder.slept) < 3)
    with pytest.raises(RevokedError):
        run(world.claim())
    assert len(world.recorder.slept) == 3


# -- Redis and Kafka gone ----------------------------------------------------------------------------------------

AWAY = [RedisConnectionError("a"), RedisTimeoutError("b"), BusyLoadingError("c"), ReadOnlyError("d"), OSError("e")]


def test_a_step_waits_for_redis_longer_and_longer(world: World) -> None:
    problems = []

    async def go() -> None:
        await world.claim()
        world.recorder.failures["commit"] = [*AWAY, *AWAY]
        world.recorder.on_sleep = lambda: problems.append(dict(world.health.problems()))
        await world.step(Row(0, b"2"))

    retries = metrics.REDIS_RETRIES._value.get()
    run(go())
    assert world.recorder.slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert all(list(found) == ["redis"] for found in problems)
    assert problems[0]["redis"]["reason"].startswith("the step is not stored: Redis does not answer: ")
    assert world.health.ready
    assert metrics.REDIS_RETRIES._value.get() - retries == 10
    reconnected = [e[0] for e in world.recorder.events].count("disconnect")
    assert reconnected == sum(isinstance(error, ReadOnlyError) for error in [*AWAY, *AWAY])  # to find the new master
    assert [e[0] for e in world.recorder.events if e[0] != "disconnect"] == ["claim", "commit", "done", "publish"]


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
        ResponseError(
            "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk."
        ),
        ResponseError("Command # 1 (EVALSHA) of pipeline caused error: ('NOREPLICAS Not enough good replicas.',)"),
        NoPermissionError("this user has no permissions to run the 'evalsha' command"),
        AuthenticationError("invalid username-password pair"),
        ReadOnlyError("You can't write against a read only replica."),
    ],
)
@pytest.mark.parametrize("step", ["claim", "commit"])
def test_a_redis_that_refuses_until_somebody_mends_it_is_waited_for_and_named(
    world: World, error: RedisError, step: str
) -> None:
    """The partition itself is in order: it is not stalled, and a claim that waits keeps where it has to read."""
    problems = []

    async def go() -> None:
        world.recorder.failures[step] = [error] * 3
        world.recorder.on_sleep = lambda: problems.append(dict(world.health.problems()))
        await world.claim()
        await world.step(Row(0, b"2"))

    run(go())
    assert world.recorder.slept == [0.05, 0.1, 0.2]
    assert all(list(found) == ["redis"] for found in problems)
    reason = problems[0]["redis"]["reason"]
    assert str(error).removesuffix(".") in reason and "check its memory and disk, and the user" in reason
    assert "does not answer" not in reason
    assert world.health.ready
    assert world.recorder.of("publish") == [([b"2"],)]


def test_a_refusal_that_stays_is_the_stall_of_its_partition(world: World) -> None:
    world.recorder.failures["claim"] = [ResponseError("WRONGTYPE Operation against a key holding the wrong kind")]
    run(world.claim())
    assert [name for name, _ in world.health.problems().items()] == ["sums:0"]


def test_a_redis_without_an_answer_is_named_with_the_message_of_the_error(world: World) -> None:
    reasons = []

    async def go() -> None:
        await world.claim()
        world.recorder.failures["commit"] = [RedisConnectionError("Error 111 connecting to 127.0.0.1:6379.")]
        world.recorder.on_sleep = lambda: reasons.append(world.health.problems()["redis"]["reason"])
        await world.step(Row(0, b"2"))

    run(go())
    assert reasons == ["the step is not stored: Redis does not answer: Error 111 connecting to 127.0.0.1:6379."]


def test_a_step_waits_for_kafka_longer_and_longer(world: World) -> None:
    problems = []

    async def go() -> None:
        await world.claim()
        world.recorder.failures["publish"] = [KafkaError("a"), OSError("b"), *[KafkaError("c")] * 5]
        world.recorder.on_sleep = lambda: problems.append(dict(world.health.problems()))
        await world.step(Row(0, b"2"))

    retries = metrics.KAFKA_RETRIES._value.get()
    published = metrics.OUTPUTS.labels(Topic.FEATURES)._value.get()
    run(go())
    assert world.recorder.slept == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    assert all(list(found) == ["kafka"] for found in problems)
    assert problems[0]["kafka"]["reason"].startswith(
        "the outputs are not acknowledged: Kafka does not answer: KafkaError"
    )
    assert world.health.ready
    assert metrics.KAFKA_RETRIES._value.get() - retries == 7
    assert metrics.OUTPUTS.labels(Topic.FEATURES)._value.get() - published == 1
    assert world.recorder.of("publish") == [([b"2"],)]


def test_a_publication_that_waits_for_redis_names_redis(world: World) -> None:
    problems = []

    async def go() -> None:
        await world.claim()
        world.recorder.failures["publish"] = [RedisTimeoutError("latest"), KafkaError("a")]
        world.recorder.on_sleep = lambda: problems.append(sorted(world.health.problems()))
        await world.step(Row(0, b"2"))

    run(go())
    assert problems == [["redis"], ["kafka", "redis"]]
    assert world.health.ready


@pytest.mark.parametrize("what", ["commit", "publish"])
def test_a_step_that_waits_is_given_up_when_its_partition_is_taken_away(world: World, what: str) -> None:
    async def go() -> None:
        await world.claim()
        world.recorder.failures[what] = [OSError("gone")] * 9
        world.recorder.on_sleep = lambda: setattr(world, "ours", False)
        await world.step(Row(0, b"2"))

    run(go())  # `settle` waits for it, and doesn't mind that it was given up
    assert isinstance(world.finished[0].exception(), RevokedError)
    assert world.recorder.slept == [0.05]
    assert ("done",) in world.recorder.events  # nobody waits for the poll: its next owner reads it again
    assert world.recorder.of("publish") == []


# -- errors ------------------------------------------------------------------------------------------------------


def test_a_fold_that_fails_stalls_its_partition_and_starts_again_from_what_is_stored(strict: World) -> None:
    world = strict
    bad = Row(1, b"no number")
    stalls = []

    async def go() -> None:
        await world.claim(0, 1)
        await world.step(Row(0, b"3"))

        def mend() -> None:
            stalls.append((dict(world.health.problems()), metrics.STALLED.labels("sums", "0")._value.get()))
            assert world.runner.owned["sums", 0].state is None  # half a fold may be in it
            if len(world.recorder.slept) == 7:
                bad.value = b"4"

        world.recorder.on_sleep = mend
        await world.step(bad)
        assert world.state().total == 7

    run(go())
    assert world.recorder.slept == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert [value for _, value in stalls] == [1] * 7
    assert list(stalls[0][0]) == ["sums:0"]
    assert stalls[0][0]["sums:0"]["reason"].startswith("stalled: ValueError: invalid literal")
    assert world.health.ready
    assert metrics.STALLED.labels("sums", "0")._value.get() == 0
    assert [total_of(c[0]["sum/total"]) for c in world.recorder.of("commit")] == [3, 7]


@pytest.mark.parametrize("ours", [False, True])
def test_a_stalled_poll_is_given_up_as_soon_as_its_partition_is_revoked_or_the_worker_ends(
    strict: World, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, bad = strict, Row(0, b"no number")

    async def go() -> None:
        await world.claim()
        waits = asyncio.Event()

        async def half_a_minute(_seconds: float) -> None:
            waits.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(partition_runner.asyncio, "sleep", half_a_minute)
        step = asyncio.ensure_future(world.step(bad))
        await waits.wait()
        world.ours, bad.value = ours, b"4"
        world.runner.pauses.wake()
        if ours:  # another partition is revoked: this one tries again
            await asyncio.wait_for(step, 5)
            assert world.state().total == 4
        else:
            with pytest.raises(RevokedError):
                await asyncio.wait_for(step, 5)

    run(go())


def test_an_attempt_that_fails_behind_the_revocation_of_its_partition_is_not_repeated(strict: World) -> None:
    """The end of the worker has woken up the pauses before: one that begins later would last half a minute."""

    class Revoked(Row):
        @property
        def value(self) -> bytes:
            strict.ours = False
            strict.runner.pauses.wake()
            return b"no number"

        @value.setter
        def value(self, _: bytes) -> None: ...

    async def go() -> None:
        await strict.claim()
        with pytest.raises(RevokedError):
            await strict.step(Row(0, b"no number"), Revoked(1))

    run(go())
    assert strict.recorder.slept == []


def test_a_stalled_poll_is_logged_with_its_place_once_with_the_traceback(strict: World, logged: list[Any]) -> None:
    world = strict
    rows = [Row(3, b"2", partition=1), Row(4, b"no number", partition=1)]

    async def go() -> None:
        world.next_offset = 3
        world.recorder.on_sleep = lambda: setattr(rows[1], "value", b"4") if len(world.recorder.slept) == 3 else None
        await world.claim(1)
        await world.step(*rows)

    run(go())
    first, *others = lines(logged, "a partition is stalled")
    error = first.pop("exc_info")
    assert isinstance(error, ValueError)
    place = {"stage": "sums", "partition": 1, "topic": NAME, "offsets": "4-4"}
    assert first == place | {"log_level": "critical"}
    assert others == [place | {"log_level": "error", "exc_info": None}] * 2
    assert lines(logged, "the partition goes on") == [{"log_level": "info", "stage": "sums", "partition": 1}]


def test_a_claim_that_stalls_is_logged_with_its_traceback_and_no_place(world: World, logged: list[Any]) -> None:
    world.recorder.rows["sums", 0] = Loaded({"sum/total": b"\xff"}, {}, [])
    run(world.claim(0))
    (line,) = lines(logged, "a partition is stalled")
    assert isinstance(line.pop("exc_info"), StateError)
    assert line == {"log_level": "critical", "stage": "sums", "partition": 0}


def test_half_a_fold_is_not_folded_twice(strict: World) -> None:
    world = strict
    rows = [Row(0, b"10"), Row(1, b"no number")]

    async def go() -> None:
        await world.claim()
        world.recorder.on_sleep = lambda: setattr(rows[1], "value", b"1")
        await world.step(*rows)
        assert world.state().total == 11

    run(go())
    assert len(world.recorder.slept) == 1


# -- quarantine --------------------------------------------------------------------------------------------------

LETTERS = "t.prices.daily.v1.dlq"


def letters(world: World) -> list[tuple[str, bytes]]:
    """Places and original bytes of the dead letters that were published; loading the state again repeats the last."""
    sent = [one for outputs in world.sent for one in outputs if one.topic == LETTERS]
    found = [read_letter(Row(0, one.value, one.headers)) for one in sent]
    return list(dict.fromkeys((str(letter.place), letter.value) for letter in found))


@pytest.mark.parametrize("poison", [{0}, {6}, {3}, {2, 5}, {0, 1}, {5, 6}, {0, 3, 6}, set(range(7))])
def test_only_the_messages_that_fail_are_quarantined(world: World, poison: set[int]) -> None:
    rows = [Row(n, b"poison" if n in poison else b"%d" % 10**n) for n in range(7)]

    async def go() -> None:
        await world.claim()
        await world.step(*rows)
        await world.step(Row(7, b"70000000"))

    run(go())
    assert world.state().total == 70_000_000 + sum(10**n for n in range(7) if n not in poison)
    assert letters(world) == [(f"{NAME}[0]@{n}", b"poison") for n in sorted(poison)]
    assert world.recorder.slept == []
    assert world.health.ready
    assert len(world.recorder.of("done")) == 2  # a poll is acknowledged as a whole
    assert world.runner.start_offset(NAME, 0) == 8
    stored = world.recorder.rows["sums", 0]
    assert total_of(stored.rows["sum/total"]) == world.state().total
    assert stored.offsets == {NAME: 8}


def test_a_quarantined_message_keeps_its_bytes_and_has_the_traceback_of_its_fold(world: World) -> None:
    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"\xff\x00", headers=[("h", b"v"), ("nothing", None)], key=b"600519.SH", timestamp=5))  # type: ignore[list-item]

    run(go())
    ((letter,),) = world.sent
    found = read_letter(Row(0, letter.value, letter.headers))
    assert (letter.topic, letter.key, letter.value) == (LETTERS, b"600519.SH", b"\xff\x00")
    assert found.headers == [("h", b"v"), ("nothing", b"")]
    assert found.error == "ValueError"
    assert "invalid literal" in found.reason
    assert "tests/test_partition_runner.py" in found.traceback


def test_a_message_whose_rows_cannot_be_stored_is_quarantined(world: World) -> None:
    rows = [Row(0, b"1"), Row(1, b"1" + b"0" * 40), Row(2, b"2")]  # a number beyond 64 bits

    async def go() -> None:
        await world.claim()
        await world.step(*rows)
        assert world.state().total == 3

    run(go())
    assert [place for place, _ in letters(world)] == [f"{NAME}[0]@1"]


def test_state_in_memory_that_is_damaged_costs_no_message(world: World) -> None:
    """The fold is tried once more on the state as it is stored."""

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"3"))
        world.state().sums = None  # type: ignore[assignment]
        await world.step(Row(1, b"4"))
        assert world.state().total == 7

    run(go())
    assert letters(world) == []


def test_a_partition_stalls_when_too_many_messages_fail_in_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, quarantine_limit=2)
    rows = [Row(n, b"1" if n == 2 else b"poison") for n in range(7)]

    def mend() -> None:
        (problem,) = world.health.problems().values()
        assert "ValueError" in problem["reason"]
        rows[5].value = b"1"

    async def go() -> None:
        world.recorder.on_sleep = mend
        await world.claim()
        await world.step(*rows)

    run(go())
    assert letters(world) == [(f"{NAME}[0]@{n}", b"poison") for n in (0, 1, 3, 4, 6)]
    assert world.recorder.slept == [1.0]


def test_failing_messages_in_a_row_are_counted_by_partition(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, quarantine_limit=1)
    rows = [Row(1, b"poison"), Row(0, b"poison", partition=1)]

    def mend() -> None:
        rows[0].value = b"1"

    async def go() -> None:
        world.recorder.on_sleep = mend
        await world.claim(0, 1)
        await world.step(Row(0, b"poison"))
        await world.step(rows[1])  # the first one of its partition
        await world.step(Row(1, b"1", partition=1))
        assert world.recorder.slept == []
        await world.step(rows[0])  # what partition 1 has folded is no success of partition 0
        await world.step(Row(2, b"poison"))  # but its own success is

    run(go())
    assert world.recorder.slept == [1.0]
    assert [place for place, _ in letters(world)] == [f"{NAME}[0]@0", f"{NAME}[1]@0", f"{NAME}[0]@2"]


def test_a_message_that_a_person_has_named_is_skipped(strict: World) -> None:
    world = strict
    rows = [Row(n, b"poison" if n == 1 else b"1") for n in range(3)]

    async def go() -> None:
        world.recorder.on_sleep = lambda: world.skips.add(f"{NAME}[0]@1")
        await world.claim()
        await world.step(*rows)
        assert world.state().total == 2

    run(go())
    assert letters(world) == [(f"{NAME}[0]@1", b"poison")]
    (letter,) = next(outputs for outputs in world.sent if outputs[0].topic == LETTERS)
    assert read_letter(Row(0, letter.value, letter.headers)).traceback == ""  # nobody needs an alert
    assert world.recorder.slept == [1.0]


def test_a_lack_of_memory_is_no_fault_of_a_message(world: World) -> None:
    async def go() -> None:
        await world.claim()
        failures = [MemoryError(), MemoryError()]

        def fold(self: SumState, topic: str, records: Sequence[Any]) -> list[Output]:
            if failures:
                raise failures.pop()
            return real(self, topic, records)

        real, SumState.fold = SumState.fold, fold  # type: ignore[method-assign]
        try:
            await world.step(Row(0, b"3"), Row(1, b"1"))
        finally:
            SumState.fold = real  # type: ignore[method-assign]

    run(go())
    assert letters(world) == []
    assert world.state().total == 4
    assert len(world.recorder.slept) == 2


def test_a_worker_ends_when_redis_was_emptied_while_its_partition_stalled(strict: World) -> None:
    """Reading on behind an empty state would lose every earlier message; a fresh start reads from the beginning."""
    world = strict
    bad = Row(1, b"no number")

    async def go() -> None:
        await world.claim()
        await world.step(Row(0, b"3"))

        def empty_redis() -> None:
            world.recorder.rows.clear()
            bad.value = b"4"

        world.recorder.on_sleep = empty_redis
        with pytest.raises(FencedError, match="emptied or set back"):
            await world.step(bad)

    run(go())
    assert len(world.recorder.of("commit")) == 1


def test_an_error_in_storing_stalls_and_stores_the_same_again(world: World, logged: list[Any]) -> None:
    async def go() -> None:
        await world.claim()
        world.recorder.failures["commit"] = [RuntimeError("script"), RuntimeError("script")]
        await world.step(Row(0, b"1"), Row(1, b"1"))
        assert world.state().total == 2

    run(go())
    assert world.recorder.slept == [1.0, 2.0]
    assert [e[0] for e in world.recorder.events] == ["claim", "commit", "done", "publish"]
    assert world.health.ready
    assert [line["offsets"] for line in lines(logged, "a partition is stalled")] == ["0-1"] * 2


def test_a_stalled_partition_is_given_up_when_it_is_taken_away(strict: World) -> None:
    world = strict

    async def go() -> None:
        await world.claim()
        world.recorder.on_sleep = lambda: setattr(world, "ours", False)
        with pytest.raises(RevokedError) as found:
            await world.step(Row(0, b"no number"))
        assert isinstance(found.value.__cause__, ValueError)

    run(go())
    assert world.recorder.slept == [1.0]


def test_a_zombie_stops_without_publishing(world: World) -> None:
    async def go() -> None:
        await world.claim()
        world.recorder.failures["commit"] = [FencedError("claimed by another")]
        await world.step(Row(0, b"2"))  # folded; `settle` leaves the error to who watches the finished steps

    run(go())
    assert isinstance(world.finished[0].exception(), FencedError)
    assert world.recorder.slept == []
    assert [e[0] for e in world.recorder.events] == ["claim", "done"]


def test_a_poll_of_a_partition_that_is_not_ours_is_given_up(world: World) -> None:
    async def go() -> None:
        await world.claim(0)
        with pytest.raises(RevokedError):
            await world.step(Row(0, partition=1))

    run(go())
    assert world.recorder.slept == []


# -- deadlines and the live feed ---------------------------------------------------------------------------------


def at(day: date, hour: int, minute: int = 0) -> int:
    return int(datetime(day.year, day.month, day.day, hour - 8, minute, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that the runner reads; the last one stays."""
    now = [1_000.0]
    monkeypatch.setattr(partition_runner.time, "monotonic", lambda: now[0])
    return now


def test_a_silent_feed_is_closed_by_its_deadline_once(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, deadline_quiet_s=60.0)

    async def go() -> None:
        await world.claim(0, 1)
        rows = batch(TOPIC, DAYS[0], {"600000.SH": {"close": 1.0}})
        for partition in (0, 1):
            world.state(partition).store.apply(rows)
        evening = at(DAYS[0], 19)
        clock[0] += 59.9
        assert await world.punctuation(evening) == []
        await world.step(Row(0, partition=1))  # partition 1 has sent something
        clock[0] += 0.1
        assert await world.punctuation(at(DAYS[0], 18)) == []  # its time has not passed
        closes = metrics.DEADLINES.labels(TOPIC)._value.get()
        world.broker_away = 1
        with pytest.raises(KafkaError):
            await world.punctuation(evening)
        (found,) = await world.punctuation(evening)
        assert (found.topic, found.partition, found.key, found.headers) == (NAME, 0, b"", [(CE_TYPE, CLOSE_TYPE)])
        marker = msgspec.json.decode(found.value, type=EndOfDay)
        assert (marker.feed, marker.trade_date, marker.deadline) == (TOPIC, DAYS[0], True)
        assert metrics.DEADLINES.labels(TOPIC)._value.get() - closes == 1
        assert await world.punctuation(evening) == []  # not again before this one was read
        clock[0] += 60
        assert sorted(o.partition for o in await world.punctuation(evening)) == [0, 1]

    run(go())


def test_a_barrier_is_no_sign_of_life(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch, deadline_quiet_s=60.0)

    async def go() -> None:
        await world.claim()
        world.state().store.apply(batch(TOPIC, DAYS[0], {"600000.SH": {"close": 1.0}}))
        clock[0] += 60
        await world.step(Row(0, headers=[(CE_TYPE, BARRIER_TYPE)]))
        assert len(await world.punctuation(at(DAYS[0], 19))) == 1
        clock[0] += 60
        await world.step(Row(1, headers=[(CE_TYPE, BARRIER_TYPE)]), Row(2))
        assert await world.punctuation(at(DAYS[0], 19)) == []

    run(go())


def test_a_partition_without_state_has_no_deadline(world: World) -> None:
    async def go() -> None:
        world.recorder.rows["sums", 0] = Loaded({"sum/total": b"\xff"}, {}, [])
        await world.claim()
        assert await world.punctuation(at(DAYS[0], 19)) == []
        assert await world.reports(at(DAYS[0], 10)) == []

    run(go())


def said(outputs: list[Output]) -> list[tuple[date, bool]]:
    states = [msgspec.json.decode(o.value, type=LiveFeedState) for o in outputs]
    assert {(output.topic, state.feed) for output, state in zip(outputs, states, strict=True)} == {
        (f"t.{Topic.ALERT_COMMANDS}.v1", "prices.intraday")
    }
    return [(s.trade_date, s.silent_since is not None) for s in states]


def test_the_state_of_the_live_feed_is_reported_once_a_day_and_once_when_it_falls_silent(world: World) -> None:
    async def go() -> None:
        await world.claim()
        live = world.state()
        assert await world.reports(at(DAYS[0], 10)) == []  # no live feed at all
        live.newest_live = {"prices.intraday": at(DAYS[0], 10)}
        assert said(await world.reports(at(DAYS[0], 10, 1))) == [(DAYS[0], False)]
        assert await world.reports(at(DAYS[0], 10, 2)) == []
        assert await world.reports(at(DAYS[0], 10, 3)) == []  # 180 seconds: not for longer than that yet
        world.broker_away = 1
        with pytest.raises(KafkaError):
            await world.reports(at(DAYS[0], 10, 4))
        (silent,) = await world.reports(at(DAYS[0], 10, 4))  # nobody has it yet
        assert msgspec.json.decode(silent.value, type=LiveFeedState).silent_since == datetime(
            2020, 1, 2, 2, 0, tzinfo=UTC
        )
        assert await world.reports(at(DAYS[0], 10, 5)) == []
        # On the next day before its first row: nothing to report until it is late.
        assert await world.reports(at(DAYS[1], 9, 31)) == []
        assert said(await world.reports(at(DAYS[1], 9, 40))) == [(DAYS[1], True)]
        # A day that it was silent throughout, and it is a live feed no more.
        assert await world.reports(at(DAYS[2], 10)) == []
        saturday = date(2020, 1, 4)
        live.newest_live = {"prices.intraday": at(DAYS[1], 14)}
        assert await world.reports(at(saturday, 10)) == []

    run(go())


def test_each_stop_of_the_live_feed_is_reported_and_each_resumption_of_it(world: World) -> None:
    async def go() -> None:
        await world.claim()
        live = world.state()

        async def report(row: tuple[int, int], now: tuple[int, int]) -> list[tuple[int, int] | None]:
            """Return since when the feed is reported to be silent; None for a feed that runs."""
            live.newest_live = {"prices.intraday": at(DAYS[0], *row)}
            found = [msgspec.json.decode(o.value, type=LiveFeedState) for o in await world.reports(at(DAYS[0], *now))]
            clocks = (None if s.silent_since is None else s.silent_since.astimezone(SHANGHAI) for s in found)
            return [None if clock is None else (clock.hour, clock.minute) for clock in clocks]

        assert await report((10, 15), (10, 16)) == [None]
        assert await report((10, 15), (10, 20)) == [(10, 15)]
        assert await report((10, 15), (11, 40)) == []  # a feed that is silent at lunch does not run again
        assert await report((10, 15), (13, 1)) == []  # the stop of the morning
        assert await report((13, 2), (13, 3)) == [None]
        assert await report((14, 0), (14, 1)) == []
        assert await report((14, 5), (14, 10)) == [(14, 5)]
        await world.claim()
        live = world.state()
        assert await report((14, 5), (14, 10)) == [(14, 5)]  # once more, by whoever takes over
        assert await report((14, 12), (15, 1)) == [None]

    run(go())


def test_a_feed_whose_rows_are_always_late_is_reported_once(world: World) -> None:
    """Quotes with a delay of 15 minutes, or a machine whose clock is ahead."""

    async def go() -> None:
        await world.claim()
        live, found = world.state(), list[Output]()
        for minute in range(20):
            live.newest_live = {"prices.intraday": at(DAYS[0], 10, minute)}
            found += await world.reports(at(DAYS[0], 10, minute + 15))
        assert said(found) == [(DAYS[0], True)]
        live.newest_live = {"prices.intraday": at(DAYS[0], 10, 36)}
        assert said(await world.reports(at(DAYS[0], 10, 37))) == [(DAYS[0], False)]

    run(go())


def test_the_stop_of_a_live_feed_is_reported_while_another_one_runs(world: World) -> None:
    async def go() -> None:
        await world.claim()
        live = world.state()
        live.newest_live = {feed: at(DAYS[0], 10, 17) for feed in ("prices.intraday", "indices.intraday")}
        assert len(await world.reports(at(DAYS[0], 10, 18))) == 2
        live.newest_live["prices.intraday"] = at(DAYS[0], 10, 30)
        (stop,) = await world.reports(at(DAYS[0], 10, 31))
        found = msgspec.json.decode(stop.value, type=LiveFeedState)
        assert (found.feed, found.silent_since) == ("indices.intraday", datetime(2020, 1, 2, 2, 17, tzinfo=UTC))
        assert await world.reports(at(DAYS[0], 10, 31)) == []
        live.newest_live["indices.intraday"] = at(DAYS[0], 10, 32)
        (again,) = await world.reports(at(DAYS[0], 10, 32))
        assert msgspec.json.decode(again.value, type=LiveFeedState).feed == "indices.intraday"

    run(go())


def test_a_barrier_with_a_moment_sets_the_clock_of_the_partition_until_one_without_ends_the_replay(
    world: World,
) -> None:
    silent = datetime(2020, 1, 2, 2, 4, tzinfo=UTC)  # 10:04 in Shanghai

    async def go() -> None:
        await world.claim()
        live = world.state()
        live.newest_live = {"prices.intraday": at(DAYS[0], 10)}
        machine = time.time_ns() // 1000
        assert await world.reports(machine) == []  # a session of the past is no live feed
        outputs = live.barrier(Barrier(barrier="replay", at=silent), TOPIC)
        assert [barrier_of(output).at for output in outputs] == [silent]  # the next stages learn of it
        assert said(await world.reports(machine)) == [(DAYS[0], True)]
        restarted = SumStage(world.settings, world.topics, world.calendar).open(0)
        restarted.load_rows({name: data for name, data in live.changed_rows().items() if data is not None})
        assert timedelta() <= restarted.clock.now() - silent < timedelta(minutes=1)
        live.barrier(Barrier(barrier="end"), TOPIC)
        assert abs(live.clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
        assert live.changed_rows()["replayed/at"] is None

    run(go())


def test_a_day_is_closed_by_its_deadline_at_the_time_of_the_replay(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(monkeypatch, deadline_quiet_s=60.0)

    async def go() -> None:
        await world.claim()
        live = world.state()
        live.store.apply(batch(TOPIC, DAYS[0], {"600000.SH": {"close": 1.0}}))
        clock[0] += 60
        machine = time.time_ns() // 1000
        live.barrier(Barrier(barrier="noon", at=datetime(2020, 1, 2, 4, tzinfo=UTC)), TOPIC)
        assert await world.punctuation(machine) == []  # due at 18:00 of that day, years ago by the machine's clock
        live.barrier(Barrier(barrier="evening", at=datetime(2020, 1, 2, 11, tzinfo=UTC)), TOPIC)
        assert len(await world.punctuation(machine + 1_000_000)) == 1

    run(go())


def test_a_barrier_of_another_millennium_is_refused() -> None:
    value = b'{"barrier":"b","at":"9999-12-31T23:59:59Z"}'
    with pytest.raises(RowError, match="1970 and 2199"):
        barrier_of(Row(0, value=value))
