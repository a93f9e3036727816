"""The step of every stage: fold, store, publish; and who owns which partition.

A step ends when it is stored. Its outputs are published while the next polls are folded, and a partition's next step is
not stored before they are acknowledged: so the outbox in Redis always holds all that may not have arrived yet, outputs
keep their order, and the waiting for Kafka costs no time. Whatever fails here is waited for (Redis, Kafka) or ends the
worker (anything else): a poll is never skipped.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

import structlog
from aiokafka.errors import KafkaError
from faust.exceptions import ProducerSendError
from faust.types import TP
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from alerts import metrics
from streams.health import Health
from streams.stages import MarketStage, Stage, StageState
from streams.tables import Output, TablePartition
from streams.topics import Topics
from streams.transport import Poll

log = structlog.get_logger()
_T = TypeVar("_T")
_REDIS_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0

Publish = Callable[[Output], Awaitable[Awaitable[Any]]]


class RevokedError(Exception):
    """The partition was taken away while a step waited: the step is given up, its next owner repeats it."""


class Owned:
    """A partition that this worker owns: its table, its state, where it reads."""

    def __init__(self, table: TablePartition, state: StageState) -> None:
        self.table = table
        self.state = state
        self.publishing: asyncio.Task[None] | None = None

    async def published(self) -> None:
        """Wait until the outputs of the last step are acknowledged."""
        if self.publishing is not None:
            await self.publishing
            self.publishing = None


class Runner:
    """All partitions that this worker owns.

    Parameters
    ----------
    publish : sends one output and returns the awaitable of its acknowledgement.
    on_outputs : told what the market stage has published (latest values).
    on_published : told of every finished publication, so that a failed one can end the worker.
    """

    def __init__(
        self,
        *,
        stages: Iterable[Stage],
        topics: Topics,
        redis: Redis,
        namespace: str,
        publish: Publish,
        health: Health,
        on_outputs: Callable[[list[Output]], None],
        on_published: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._stages = {topic: stage for stage in stages for topic in stage.inputs}
        self._topics = topics
        self._redis = redis
        self._namespace = namespace
        self._publish = publish
        self._health = health
        self._on_outputs = on_outputs
        self._on_published = on_published
        self.owned: dict[tuple[str, int], Owned] = {}

    # -- ownership -------------------------------------------------------------------------------------------

    async def claim(self, assigned: set[TP], still_ours: Callable[[], bool]) -> None:
        """Load every assigned partition from Redis and publish again what its last step left unacknowledged."""
        for owned in self.owned.values():
            if owned.publishing is not None:
                owned.publishing.cancel()  # the outbox has them: whoever claims the partition publishes them
        self.owned.clear()
        wanted = {(self._stage(tp).name, tp.partition): self._stage(tp) for tp in assigned}
        started = time.monotonic()
        for (name, partition), stage in sorted(wanted.items(), key=lambda item: item[0]):
            table = TablePartition(self._redis, self._namespace, name, partition)
            loaded = await self._persist(table.claim, still_ours)
            state = stage.open(partition)
            state.load(loaded.rows)
            await self._send(loaded.outbox, still_ours)
            self.owned[name, partition] = Owned(table, state)
            metrics.TABLE_ROWS.labels(name, str(partition)).set(table.rows)
        for stage in {*self._stages.values()}:
            metrics.OWNED.labels(stage.name).set(sum(name == stage.name for name, _ in self.owned))
        log.info(
            "partitions claimed",
            count=len(self.owned),
            seconds=round(time.monotonic() - started, 3),
            partitions=[f"{name}:{p}" for name, p in sorted(self.owned)],
        )

    def start_offset(self, topic: str, partition: int) -> int:
        """Where to read a partition from: the offset stored with its state."""
        owned = self.owned.get((self._stages[self._topics.short(topic)].name, partition))
        return owned.table.offsets.get(topic, 0) if owned is not None else 0

    def _stage(self, tp: TP) -> Stage:
        return self._stages[self._topics.short(tp.topic)]

    # -- a step ----------------------------------------------------------------------------------------------

    async def step(self, poll: Poll, still_ours: Callable[[], bool]) -> None:
        """Process one poll to its end.

        Raises
        ------
        RevokedError : if the partition was taken away meanwhile; nothing was lost.
        FencedError : if another worker owns it (this one is a zombie); nothing was published.
        """
        short = self._topics.short(poll.topic)
        stage = self._stages[short]
        owned = self.owned.get((stage.name, poll.partition))
        if owned is None:
            raise RevokedError
        started = time.perf_counter()
        records = self._unread(owned.table, poll)
        if not records:
            return
        outputs = owned.state.fold(short, records)
        rows = owned.state.take_dirty()
        offsets = {poll.topic: poll.offset + 1}
        await owned.published()
        await self._persist(lambda: owned.table.commit(rows, offsets, outputs), still_ours)
        metrics.MESSAGES.labels(short).inc(len(records))
        metrics.BATCH.labels(stage.name).observe(time.perf_counter() - started)
        if outputs:
            newest = records[-1].timestamp / 1000
            owned.publishing = asyncio.create_task(self._publish_step(stage, outputs, newest, still_ours))
            owned.publishing.add_done_callback(self._on_published)

    async def _publish_step(
        self, stage: Stage, outputs: list[Output], newest: float, still_ours: Callable[[], bool]
    ) -> None:
        await self._send(outputs, still_ours)
        metrics.AGE.labels(stage.name).observe(max(0.0, time.time() - newest))
        if stage.name == MarketStage.name:
            self._on_outputs(outputs)

    async def settle(self) -> None:
        """Wait until every output of this worker is acknowledged (before it lets its partitions go)."""
        for owned in self.owned.values():
            with contextlib.suppress(RevokedError):
                await owned.published()

    def _unread(self, table: TablePartition, poll: Poll) -> Sequence[Any]:
        """Drop what is already in the state (a poll fetched before a seek took effect)."""
        start = table.offsets.get(poll.topic, 0)
        if poll.records[0].offset >= start:
            return poll.records
        return [record for record in poll.records if record.offset >= start]

    async def _send(self, outputs: Sequence[Output], still_ours: Callable[[], bool]) -> None:
        """Publish and await every acknowledgement; repeat until Kafka has them."""
        left, wait = list(outputs), _FIRST_WAIT_S
        while left:
            try:
                pending = [await self._publish(output) for output in left]
                for acknowledged in pending:
                    await acknowledged
            except (KafkaError, ProducerSendError, OSError) as error:
                metrics.PUBLISH_RETRIES.inc()
                self._health.raise_("kafka", f"outputs are not acknowledged: {error!r}")
                log.warning("publishing again", messages=len(left), error=repr(error))
                wait = await self._wait(wait, still_ours)
            else:
                self._health.clear("kafka")
                for output in left:
                    metrics.OUTPUTS.labels(output.topic).inc()
                left = []

    async def _persist(self, step: Callable[[], Awaitable[_T]], still_ours: Callable[[], bool]) -> _T:
        """Run a Redis step until Redis answers; it is idempotent, so an answer lost on the way does no harm."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                result = await step()
            except _REDIS_AWAY as error:
                metrics.REDIS_RETRIES.inc()
                self._health.raise_("redis", f"Redis does not answer: {error}")
                log.warning("waiting for Redis", error=str(error))
                wait = await self._wait(wait, still_ours)
            else:
                self._health.clear("redis")
                return result

    async def _wait(self, seconds: float, still_ours: Callable[[], bool]) -> float:
        await asyncio.sleep(seconds)
        if not still_ours():
            raise RevokedError
        return min(seconds * 2, _LONGEST_WAIT_S)
