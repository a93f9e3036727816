"""The step of every stage (fold, store, publish), and the partitions that this worker owns.

A step is folded, then stored, then its outputs are published. Storing and publishing go on while the next polls are
folded, those of other partitions too, and a partition's next step is not stored before they are done: so the outbox in
Redis always contains everything that may not have arrived yet, outputs keep their order, and waiting for Redis and
Kafka costs no time. The state in memory is at most one step ahead of Redis; a worker that lost it starts from Redis.

A poll is never skipped. While Redis or Kafka is away, the step waits. Anything else that fails (state that can't be
read, an error in a fold) *stalls* its partition: ``/readyz``, ``marginwatch_stalled`` and the log report it, and the
runner loads the state again and retries, while the other partitions go on. Only a zombie, or a Redis that was emptied
or set back, ends the worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP
from msgspec import MsgspecError
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from alerts.commands import FeedState
from processors.days import TradingCalendar, moment, shanghai_day, to_date
from processors.deadlines import overdue, silent_since
from processors.errors import StateError
from streams import metrics
from streams.calendars import trading_hours
from streams.errors import FencedError, RevokedError
from streams.health import Health
from streams.market_stage import MarketStage
from streams.owned_partition import OwnedPartition
from streams.records import CE_TYPE, CLOSE_TYPE, is_barrier
from streams.settings import Settings
from streams.stage import Stage
from streams.tables import Output, TablePartition
from streams.topics import Topic, Topics
from streams.transport import Poll

log = structlog.get_logger()
_T = TypeVar("_T")
_REDIS_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_FIRST_STALL_S, _LONGEST_STALL_S = 1.0, 30.0

Publish = Callable[[Sequence[Output]], Awaitable[None]]
Done = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Step:
    """A folded poll: what is to be stored and published."""

    stage: Stage
    poll: Poll
    records: Sequence[Any]
    outputs: list[Output]
    rows: dict[str, bytes | None]
    started: float  # perf_counter


class PartitionRunner:
    """All partitions that this worker owns.

    Parameters
    ----------
    publish : sends outputs and awaits their acknowledgements.
    on_outputs : called with what the market stage has published (latest values).
    on_finished : called with every finished step, so that a failed one can end the worker.
    """

    def __init__(
        self,
        *,
        stages: Iterable[Stage],
        topics: Topics,
        redis: Redis,
        settings: Settings,
        calendar: TradingCalendar,
        publish: Publish,
        health: Health,
        on_outputs: Callable[[list[Output]], None],
        on_finished: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._stages = {topic: stage for stage in stages for topic in stage.inputs}
        self._topics = topics
        self._redis = redis
        self._settings = settings
        self._namespace = settings.namespace
        self._calendar = calendar
        self._hours = trading_hours(settings.calendar_file)
        self._publish = publish
        self._health = health
        self._on_outputs = on_outputs
        self._on_finished = on_finished
        self.owned: dict[tuple[str, int], OwnedPartition] = {}
        self._reported: set[tuple[int, bool]] = set()  # day and silence of the live feed
        self.last_step = time.monotonic()

    # -- ownership -------------------------------------------------------------------------------------------

    async def claim(self, assigned: set[TP], still_ours: Callable[[], bool]) -> None:
        """Load every assigned partition from Redis and publish again what its last step left unacknowledged."""
        for owned in self.owned.values():
            if owned.finishing is not None:
                owned.finishing.cancel()  # the next owner of the partition goes on from what Redis contains
        wanted = {(self._stage(tp).name, tp.partition): self._stage(tp) for tp in assigned}
        for name, partition in self.owned.keys() - wanted.keys():
            if self._health.clear(f"{name}:{partition}"):  # its new owner reports the problem
                metrics.STALLED.labels(name, str(partition)).set(0)
        self.owned.clear()
        started = time.monotonic()
        for (name, partition), stage in sorted(wanted.items(), key=lambda item: item[0]):
            try:
                await self._open(stage, partition, still_ours)
            except RevokedError:
                raise
            except Exception as error:  # noqa: BLE001 - any error stalls this partition only, and is reported
                table = TablePartition(self._redis, self._namespace, name, partition)
                self.owned[name, partition] = OwnedPartition(table, None)
                self._stalled(name, partition, error, first=True)
        for stage in {*self._stages.values()}:
            metrics.OWNED.labels(stage.name).set(sum(name == stage.name for name, _ in self.owned))
        log.info(
            "partitions claimed",
            count=len(self.owned),
            seconds=round(time.monotonic() - started, 3),
            partitions=[f"{name}:{p}" for name, p in sorted(self.owned)],
        )

    async def _open(self, stage: Stage, partition: int, still_ours: Callable[[], bool]) -> OwnedPartition:
        table = TablePartition(self._redis, self._namespace, stage.name, partition)
        state = stage.open(partition)
        loaded = await self._persist(lambda: table.claim(state.schema), still_ours)
        if loaded.discarded is not None:
            log.warning(
                "state of another release is discarded: the partition is rebuilt from the beginning of its topics",
                stage=stage.name,
                partition=partition,
                stored=loaded.discarded or "no schema",
                schema=state.schema,
            )
        try:
            state.load_rows(loaded.rows)
        except (StateError, MsgspecError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"the rows of {stage.name}:{partition} in Redis can't be read ({type(error).__name__}: {error}); "
                f"`marginwatch rebuild --table {stage.name}` replays them"
            ) from error
        await self._send(loaded.outbox, still_ours)
        owned = self.owned[stage.name, partition] = OwnedPartition(table, state)
        return owned

    def start_offset(self, topic: str, partition: int) -> int:
        """Where to read a partition from: the offset stored with its state."""
        owned = self.owned.get((self._stages[self._topics.short(topic)].name, partition))
        return owned.table.offsets.get(topic, 0) if owned is not None else 0

    def _stage(self, tp: TP) -> Stage:
        return self._stages[self._topics.short(tp.topic)]

    def overdue(self, now: int) -> list[Output]:
        """Return the markers that close days whose deadline has passed, for feeds that have fallen silent.

        Parameters
        ----------
        now : µs since the epoch.
        """
        out = []
        for (_, partition), owned in self.owned.items():
            for topic, store in (owned.state.stores if owned.state is not None else {}).items():
                if owned.idle_s(topic) < self._settings.deadline_quiet_s:
                    continue
                due, gap = self._settings.due(topic), self._settings.deadline_gap_days
                punctuation = overdue(store, now, due, self._calendar, gap)
                if punctuation is not None:
                    owned.mark_active(topic)  # not again before this one has been read
                    metrics.DEADLINES.labels(topic).inc()
                    log.warning(
                        "closing a day by its deadline", feed=topic, partition=partition, day=punctuation.trade_date
                    )
                    value, headers = msgspec.json.encode(punctuation), [(CE_TYPE, CLOSE_TYPE)]
                    out.append(Output(self._topics.name(topic), partition, b"", value, headers))
        return out

    def feed_states(self, now: int) -> list[Output]:
        """Return the reports on the live feed: once a day that it runs, once that it has fallen silent.

        A system that had no live row on this trading day or the one before has no live feed.
        """
        live = next((o.state.live for o in self.owned.values() if o.state is not None and o.state.live), None)
        today = shanghai_day(now)
        if live is None or today not in self._calendar or live[0] < (self._calendar.before(today) or 0):
            return []
        since = silent_since(live[1], now, int(self._settings.stale_after_s * 1e6), self._hours)
        state = today, since is not None
        if state in self._reported or (since is None and live[0] < today):
            return []
        self._reported.add(state)
        report = FeedState(
            feed=Topic.PRICES_INTRADAY,
            trade_date=to_date(today),
            at=moment(now),
            silent_since=None if since is None else moment(since),
        )
        return [Output(self._topics.name(Topic.ALERT_COMMANDS), 0, b"", msgspec.json.encode(report), [])]

    # -- a step ----------------------------------------------------------------------------------------------

    async def step(self, poll: Poll, still_ours: Callable[[], bool], done: Done) -> None:
        """Fold one poll and begin to store it; retry as long as it fails.

        Parameters
        ----------
        done : awaited as soon as the poll is stored, or given up.

        Raises
        ------
        RevokedError : if the partition was revoked meanwhile; nothing was lost.
        FencedError : if another worker owns it (this one is a zombie); nothing was published.
        """
        stage = self._stages[self._topics.short(poll.topic)]

        async def attempt() -> None:
            try:
                await self._step(stage, poll, still_ours, done)
            except (RevokedError, FencedError):
                raise
            except Exception:
                owned = self.owned.get((stage.name, poll.partition))
                if owned is not None:
                    owned.state = None  # half a fold may be in it
                raise

        await self._retry(stage, poll, attempt, still_ours)

    async def _retry(
        self, stage: Stage, poll: Poll, attempt: Callable[[], Awaitable[None]], still_ours: Callable[[], bool]
    ) -> None:
        """Try until it succeeds; meanwhile the poll's partition is stalled, and reported as such."""
        wait, first = _FIRST_STALL_S, True
        while True:
            try:
                await attempt()
            except (RevokedError, FencedError):
                raise
            except Exception as error:
                self._stalled(stage.name, poll.partition, error, first=first, poll=poll)
                await asyncio.sleep(wait)
                if not still_ours():
                    raise RevokedError from error
                wait, first = min(wait * 2, _LONGEST_STALL_S), False
            else:
                break
        self.last_step = time.monotonic()
        if self._health.clear(f"{stage.name}:{poll.partition}"):
            metrics.STALLED.labels(stage.name, str(poll.partition)).set(0)
            log.info("the partition goes on", stage=stage.name, partition=poll.partition)

    def _stalled(self, stage: str, partition: int, error: Exception, *, first: bool, poll: Poll | None = None) -> None:
        self._health.raise_(f"{stage}:{partition}", f"stalled: {type(error).__name__}: {error}")
        metrics.STALLED.labels(stage, str(partition)).set(1)
        where = {} if poll is None else {"topic": poll.topic, "offsets": f"{poll.records[0].offset}-{poll.offset}"}
        report = log.critical if first else log.error
        report("a partition is stalled", stage=stage, partition=partition, **where, exc_info=error if first else None)

    async def _step(self, stage: Stage, poll: Poll, still_ours: Callable[[], bool], done: Done) -> None:
        short = self._topics.short(poll.topic)
        owned = self.owned.get((stage.name, poll.partition))
        if owned is None:
            raise RevokedError
        if owned.state is None:
            with contextlib.suppress(RevokedError):
                await owned.finished()
            stored = owned.table.offsets
            owned = await self._open(stage, poll.partition, still_ours)
            if any(owned.table.offsets.get(topic, 0) < offset for topic, offset in stored.items()):
                raise FencedError(
                    f"{stage.name}:{poll.partition} is not as this worker left it: Redis was emptied or set back, and "
                    "the messages before this poll are not in the state"
                )
        state = owned.state
        if state is None:
            raise RevokedError
        started = time.perf_counter()
        records = owned.unread(poll)
        if not records:
            await done()
            return
        if not all(is_barrier(record) for record in records):
            owned.mark_active(short)
        outputs = state.fold(short, records)
        step = _Step(stage, poll, records, outputs, state.changed_rows(), started)
        owned.read[poll.topic] = poll.offset + 1
        await owned.finished()
        owned.finishing = asyncio.create_task(self._finish(step, owned.table, still_ours, done))
        owned.finishing.add_done_callback(self._on_finished)

    async def _finish(self, step: _Step, table: TablePartition, still_ours: Callable[[], bool], done: Done) -> None:
        try:
            await self._store(step, table, still_ours)
        finally:
            await done()  # also when given up: the next owner reads it again
        short = self._topics.short(step.poll.topic)
        metrics.MESSAGES.labels(short).inc(len(step.records))
        metrics.BATCH.labels(step.stage.name).observe(time.perf_counter() - step.started)
        if step.outputs:
            await self._send(step.outputs, still_ours)
            newest = step.records[-1].timestamp / 1000
            metrics.AGE.labels(step.stage.name).observe(max(0.0, time.time() - newest))
            if step.stage.name == MarketStage.name:
                self._on_outputs(step.outputs)

    async def _store(self, step: _Step, table: TablePartition, still_ours: Callable[[], bool]) -> None:
        """Store a step, however often it fails: it is data by now, and storing it twice does no harm."""
        offsets = {step.poll.topic: step.poll.offset + 1}

        async def attempt() -> None:
            await self._persist(lambda: table.commit(step.rows, offsets, step.outputs), still_ours)

        await self._retry(step.stage, step.poll, attempt, still_ours)

    async def settle(self) -> None:
        """Wait until every step of this worker is stored and published (before it lets its partitions go)."""
        for owned in self.owned.values():
            with contextlib.suppress(RevokedError, FencedError):
                await owned.finished()

    async def _send(self, outputs: Sequence[Output], still_ours: Callable[[], bool]) -> None:
        """Publish and await every acknowledgement; repeat until Kafka has them."""
        wait = _FIRST_WAIT_S
        while outputs:
            try:
                await self._publish(outputs)
            except (KafkaError, OSError) as error:
                metrics.PUBLISH_RETRIES.inc()
                self._health.raise_("kafka", f"outputs are not acknowledged: {error!r}")
                log.warning("publishing again", messages=len(outputs), error=repr(error))
                wait = await self._wait(wait, still_ours)
            else:
                self._health.clear("kafka")
                for topic, count in Counter(output.topic for output in outputs).items():
                    metrics.OUTPUTS.labels(self._topics.short(topic)).inc(count)
                return

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
