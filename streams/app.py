"""The Faust app: an agent for each stage on our transport, health and metrics, claiming of partitions.

What Faust gives: the consumer group and its rebalancing, flow control, agents, producer, supervision, signals. What is
ours: batches per poll (`streams.kafka.transport`), state in Redis (`streams.tables`), the step
(`streams.stages.partition_runner`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterable, Collection
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from yarl import URL

from processors.days import microseconds, shanghai_day
from processors.deadlines import DEADLINES, newest_due
from streams import metrics
from streams.calendars import xshg
from streams.clients import async_redis_client, faust_credentials
from streams.errors import FencedError, RevokedError
from streams.gc_policy import GcPolicy
from streams.health import Health, HttpServer
from streams.health_monitor import HealthMonitor
from streams.kafka.assignment import Inputs
from streams.kafka.faust_adapter import App
from streams.kafka.poll_queue import SMALL_BYTES, PollQueue, joined
from streams.kafka.transport import Transport
from streams.latest import LatestWriter
from streams.running_workers import connection_name
from streams.settings import Settings
from streams.stages.feed_watch import FeedWatch
from streams.stages.input_check import InputCheck
from streams.stages.market_stage import MarketStage
from streams.stages.output_log import OutputLog
from streams.stages.output_publisher import ACKNOWLEDGED_S, REQUEST_BYTES, OutputPublisher
from streams.stages.output_sender import BATCH_BYTES
from streams.stages.partition_runner import PartitionRunner
from streams.stages.registry import STAGES
from streams.stages.retries import Service, why_waiting
from streams.stages.stage import Stage
from streams.tables import TablePartition
from streams.topic_watch import TopicWatch
from streams.topics import LIVE, Topics

log = structlog.get_logger()
#: Fetched of a partition at once; a larger message is fetched alone. More would only be more memory in a backlog.
_FETCH_BYTES = 1024 * 1024
#: Folded in one step of a backlog: some fifteen days at once, which costs less than a step for each fetch.
_STEP_BYTES = 2 * _FETCH_BYTES
#: Steps of live rows begin so far from each other, seconds: what arrives meanwhile is folded in one step, those of all
#: partitions are stored and published together, and the market stage has one step for all of them.
_GATHER_S = 0.018
#: A worker that ends, by a signal or because of an error, is gone after this long, whatever still waits in it.
_HARD_EXIT_S = 8.0
#: How long a partition is paused whose next offset Kafka does not have, before it is tried again.
_OUT_OF_RANGE_WAIT_S = 5.0
#: How often a worker that has given a claim up looks whether it has other partitions.
_REBALANCE_CHECK_S = 0.02


class MarginwatchApp(App):
    """A worker of the stream; see the module's docstring."""

    transport_class = Transport

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            settings.group,
            broker=[URL(f"kafka://{server}") for server in settings.bootstrap],
            broker_credentials=faust_credentials(settings),
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=settings.session_timeout_s / 4,
            broker_request_timeout=max(30.0, settings.session_timeout_s * 2),
            broker_commit_interval=1.0,
            consumer_max_fetch_size=_FETCH_BYTES,
            producer_acks=-1,
            producer_linger=0,
            producer_max_batch_size=BATCH_BYTES,
            producer_max_request_size=REQUEST_BYTES,
            producer_request_timeout=ACKNOWLEDGED_S,
            stream_recovery_delay=0.0,  # for tables of Faust's own: 3 s of waiting after every rebalance
            stream_wait_empty=True,
        )
        self.settings = settings
        self.fetch_max_wait_ms = settings.fetch_max_wait_ms
        self.names = Topics(settings)
        self.calendar = xshg(settings.calendar_file)
        self._crashing: asyncio.Future[None] | None = None
        self.health = Health()
        self.gc_policy = GcPolicy()
        self.redis = async_redis_client(settings, connection_name=connection_name(settings))
        self.latest = LatestWriter(self.redis, settings.namespace, self._published_signals, beacon=self.beacon)
        stages = [make(settings, self.names, self.calendar) for make in STAGES]
        self.stage_inputs = [Inputs([self.names.name(topic) for topic in stage.inputs], stage.work) for stage in stages]
        self.publisher = OutputPublisher(settings, stages, self.kafka_producer)
        self.output_log = OutputLog(settings)
        self.input_check = InputCheck(settings, [t.name for t in self.names.all.values() if t.compacted])
        self.runner = PartitionRunner(
            stages=stages,
            topics=self.names,
            redis=self.redis,
            settings=settings,
            publish=self.publisher.publish,
            inputs=self.input_check,
            output_log=self.output_log,
            health=self.health,
            on_claimed=self._on_claimed,
            open_outputs=self.publisher.open,
            on_outputs=self.latest.offer,
            on_finished=self._check_finished,
        )
        feeds = FeedWatch(self.runner.owned, self.names, settings, self.calendar, self.publisher.publish)
        self.http = HttpServer(
            self.health, settings.http_host, settings.http_port, self._refresh_metrics, beacon=self.beacon
        )
        self.health_monitor = HealthMonitor(
            runner=self.runner,
            feeds=feeds,
            health=self.health,
            redis=self.redis,
            kafka_answers=self._kafka_answers,
            positions=self._positions,
            check_inputs=self._check_inputs,
            stall_after_s=settings.stall_after_s,
            on_lost=self._on_lost,
            on_idle=self.gc_policy.maybe_collect,
            beacon=self.beacon,
        )
        for stage in stages:
            self._add_agent(stage)
        self.on_rebalance_complete.connect(self._claim)
        self.on_partitions_revoked.connect(self._settle)

    async def on_start(self) -> None:
        """Start health first, so that a worker that can't connect reports it."""
        await super().on_start()
        await self.add_runtime_dependency(self.http)
        await self.add_runtime_dependency(self.latest)
        await self.add_runtime_dependency(self.health_monitor)
        await self.add_runtime_dependency(TopicWatch(self.settings, beacon=self.beacon))
        if self.settings.channels:
            from streams.notify import Notifier  # most workers have no channel

            await self.add_runtime_dependency(Notifier(self.settings, self.redis, beacon=self.beacon))

    async def on_stop(self) -> None:
        """End in order while Kafka and Redis answer, by force where they don't."""
        _end_by_force()
        self.runner.pauses.wake()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        """Close Redis last."""
        await super().on_shutdown()
        await self.publisher.close()
        await self.input_check.close()
        await self.output_log.close()
        await self.redis.aclose()

    def start_offset(self, topic: str, partition: int) -> int | None:
        """Where to read a partition from, None for its beginning; asked by the transport."""
        return self.runner.start_offset(topic, partition)

    def on_out_of_range(self, partitions: Collection[TP]) -> None:
        """Find out what partitions have lost whose next message Kafka does not have; called by the transport."""
        log.error(
            "Kafka does not have the next message",
            partitions=sorted(f"{tp.topic}[{tp.partition}]" for tp in partitions),
        )
        self.add_future(self._read_again(partitions, self.consumer_generation_id))

    async def _read_again(self, partitions: Collection[TP], generation: int) -> None:
        """Report what paused partitions have lost, and try to read on: Kafka may have their messages again."""
        await self._check_inputs()
        await asyncio.sleep(_OUT_OF_RANGE_WAIT_S)
        if not self.should_stop and self.consumer_generation_id == generation:
            self.consumer.resume_partitions(partitions)

    async def _check_inputs(self) -> None:
        generation = self.consumer_generation_id
        with contextlib.suppress(RevokedError):
            await self.runner.check_inputs(lambda: not self.should_stop and self.consumer_generation_id == generation)

    async def _kafka_answers(self) -> bool:
        """Whether the broker answers; a group that it refuses to this worker is reported until it is joined."""
        if not self.runner.owned:
            try:
                self.consumer.check_group()
            except KafkaError as error:
                metrics.KAFKA_RETRIES.inc()
                why = why_waiting(Service.KAFKA, error)
                self.health.raise_("group", f"not in the consumer group {self.settings.group}: {why}")
                log.warning("waiting", service=Service.KAFKA, waits="not in the consumer group", error=repr(error))
        return await self.broker_answers()

    def _on_claimed(self, table: TablePartition) -> None:
        self.publisher.claimed(table)
        self.latest.claimed(table)

    async def _published_signals(self, behind: int) -> list[ConsumerRecord]:
        return await self.output_log.since(behind, {self.names.name(topic) for topic in MarketStage.outputs})

    def _check_finished(self, task: asyncio.Task[None]) -> None:
        """End the worker if a step could not be stored or published for a reason that waiting can't mend."""
        error = None if task.cancelled() else task.exception()
        if error is None or isinstance(error, RevokedError):
            return
        if isinstance(error, FencedError):
            # A zombie, or a Redis that is not what it was: only a fresh start knows what is true.
            log.critical("worker stops: it is not the owner any more", error=str(error))
        else:
            log.critical("worker stops: a step could not be finished", exc_info=error)
        self._end(error)

    def _on_lost(self, error: FencedError) -> None:
        log.critical("worker stops: Redis has lost its state", error=str(error))
        self._end(error)

    @property
    def ending(self) -> bool:
        """Whether the worker ends because of an error."""
        return self._crashing is not None

    def _end(self, error: BaseException) -> None:
        """End the whole worker, not one service alone; by force if it has not ended after seconds."""
        if self.ending:
            return
        self.health.raise_("worker", f"this worker ends: {error}")
        _end_by_force()
        self._crashing = asyncio.ensure_future(self.crash(error))

    async def _settle(self, *_args: Any, **_kwargs: Any) -> None:
        self.health_monitor.rebalance_since = time.monotonic()
        self.runner.pauses.wake()
        await self.runner.settle()

    # -- agents ----------------------------------------------------------------------------------------------

    def _add_agent(self, stage: Stage) -> None:
        topic = self.topic(*(self.names.name(t) for t in stage.inputs), key_serializer="raw", value_serializer="raw")

        async def work(stream: Any) -> None:
            await self._work(stream.noack().events(), stream)

        self.agent(topic, name=stage.name)(work)

    def FlowControlQueue(self, *_: Any, clear_on_resume: bool = False, **__: Any) -> PollQueue:  # noqa: N802
        """Return the queue between the consumer and an agent; name and parameters are Faust's."""
        flow_control = self.flow_control
        return PollQueue(self.runner.reached, _FETCH_BYTES, flow_control=flow_control, clear_on_resume=clear_on_resume)

    async def _work(self, events: AsyncIterable[Any], stream: Any) -> None:
        queue, began = stream.channel.queue, 0.0
        async for event in events:
            if self.names.short(event.message.topic) in LIVE and event.value.size <= SMALL_BYTES:
                await asyncio.sleep(max(0.0, began + _GATHER_S - time.monotonic()))
            began = time.monotonic()
            await self._step(stream, [event, *queue.take(event, _STEP_BYTES)])
            for together in queue.take_small(event):
                await self._step(stream, together)

    async def _step(self, stream: Any, together: list[Any]) -> None:
        """Fold polls of one partition in one step, and acknowledge them once it is stored.

        Those that were fetched before a rebalance are given up: the partition is read again from what is stored.
        """
        generation = together[0].message.generation_id
        for one in together:
            if not one.message.tracked:  # the stream tracks what it has yielded
                one.message.tracked = True
                self.consumer.track_message(one.message)
        poll = joined([one.value for one in together])

        def still_ours() -> bool:
            return not self.should_stop and self.flow_control.is_active() and self.consumer_generation_id == generation

        async def done() -> None:
            for one in together:
                await stream.ack(one)

        if generation != self.consumer_generation_id:
            await done()
            return
        try:
            await self.runner.step(poll, still_ours, done)
        except RevokedError:
            log.info("step given up, its partition was revoked", topic=poll.topic, partition=poll.partition)
            await done()
        except FencedError as error:
            self._end(error)  # `_check_finished` has logged why
            raise

    async def _claim(self, *_args: Any, **_kwargs: Any) -> None:
        assigned: set[TP] = set(self.consumer.assignment())
        generation = self.consumer_generation_id
        self.health_monitor.rebalance_since = None
        self.publisher.release()
        self.latest.release()
        self.gc_policy.begin_load(reloading=bool(self.runner.owned))

        def is_generation() -> bool:
            return not self.should_stop and self.consumer_generation_id == generation

        try:
            await self.runner.claim(assigned, lambda: is_generation() and self.health_monitor.rebalance_since is None)
        except RevokedError:
            log.info("claim given up, another rebalance has begun")
            while is_generation():  # otherwise Faust begins to read what was not claimed
                await asyncio.sleep(_REBALANCE_CHECK_S)
        else:
            if (MarketStage.name, 0) in self.runner.owned:
                await self.latest.restore()
            else:
                metrics.forget_market()
            self.health.clear("starting")
            self.health.clear("group")
            log.info("worker ready", http=f"http://{self.settings.http_host}:{self.http.port}")
        finally:
            self.gc_policy.end_load()

    def _positions(self) -> dict[TP, tuple[int, int]]:
        """The next offset to store and the end of the topic, by partition; none while the consumer starts.

        The end is the lower one where the topic has lost its end.
        """
        try:
            ends = {tp: self.consumer.highwater(tp) for tp in self.consumer.assignment()}
        except ConsumerNotStarted:
            return {}
        return {
            tp: (self.start_offset(tp.topic, tp.partition) or 0, end) for tp, end in ends.items() if end is not None
        }

    # -- metrics ---------------------------------------------------------------------------------------------

    def _refresh_metrics(self) -> None:
        """Bring gauges up to date; called at every scrape."""
        clocks = [owned.state.clock for owned in self.runner.owned.values() if owned.state is not None]
        now = min((clock.now() for clock in clocks), default=datetime.now(UTC))
        metrics.MARKET_CLOCK.set(now.timestamp())
        metrics.CALENDAR_LEFT.set(self.calendar.left_after(shanghai_day(microseconds(now))))
        for topic in DEADLINES:
            day = newest_due(self.settings.due(topic), microseconds(now), self.calendar)
            if day is not None:
                metrics.DUE.labels(topic).set(day * 86_400)
        # Another worker reports what it owns by now.
        for gauge in (metrics.LAG, metrics.CLOSED, metrics.TABLE_ROWS, metrics.ALERTS_FIRING):
            gauge.clear()
        for tp, (stored, end) in self._positions().items():
            metrics.LAG.labels(self.names.short(tp.topic), str(tp.partition)).set(max(0, end - stored))
        for (table, partition), owned in self.runner.owned.items():
            metrics.TABLE_ROWS.labels(table, str(partition)).set(owned.table.rows)
            found = owned.overview()
            for topic, closed in found.closed.items():
                metrics.CLOSED.labels(topic, str(partition)).set(closed * 86_400)
            for rule, severity in found.firing:
                metrics.ALERTS_FIRING.labels(rule, severity).inc()


def _end_by_force() -> None:
    """End this process with 1 after seconds, unless it has ended by then.

    State is safe at any moment: a step is stored as a whole or not at all.
    """

    def end() -> None:
        log.critical("worker ends by force: something has not ended in time", after_s=_HARD_EXIT_S)
        os._exit(1)

    force = threading.Timer(_HARD_EXIT_S, end)
    force.daemon = True
    force.start()
