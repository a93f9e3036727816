"""What a worker checks by the clock: do Redis and Kafka answer, do group and stream advance, is a feed overdue?

Nothing here touches state. A missing broker turns ``/readyz`` red; a Redis that was emptied or set back ends the
worker. An overdue feed gets its end-of-day punctuation *in its topic*, so the stream closes the day when it reads it,
and in the same way in every replay.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka.errors import KafkaError
from faust.types import TP
from mode import Service
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.errors import FencedError
from streams.health import Health
from streams.redis_refusals import refusal
from streams.stages.feed_watch import FeedWatch
from streams.stages.partition_runner import PartitionRunner

_EVERY_S, _PATIENCE_S = 2.0, 3.0


class HealthMonitor(Service):
    """Checks every two seconds.

    Parameters
    ----------
    kafka_answers : asks the broker for its metadata.
    positions : by input partition, the next offset to store and the end of the topic; nothing while the consumer
        starts.
    check_inputs : finds out what the input topics have lost; asked after an outage of Kafka, and where a topic ends
        before what is stored.
    stall_after_s : how long unread messages of any partition may wait without one of them being stored, and a
        rebalance may last, in seconds.
    on_lost : ends the worker, because Redis has lost a partition that it owns.
    on_idle : called each time with the seconds since the last finished step.

    Attributes
    ----------
    rebalance_since : when this worker's partitions were revoked (`time.monotonic`); None once it has new ones.
    """

    def __init__(
        self,
        *,
        runner: PartitionRunner,
        feeds: FeedWatch,
        health: Health,
        redis: Redis,
        kafka_answers: Callable[[], Awaitable[bool]],
        positions: Callable[[], Mapping[TP, tuple[int, int]]],
        check_inputs: Callable[[], Awaitable[None]],
        stall_after_s: float,
        on_lost: Callable[[FencedError], None],
        on_idle: Callable[[float], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._runner = runner
        self._feeds = feeds
        self._health = health
        self._redis = redis
        self._kafka_answers = kafka_answers
        self._positions = positions
        self._waiting: dict[TP, tuple[int, float]] = {}  # the next offset to store, since when (monotonic)
        self._check_inputs = check_inputs
        self._kafka_was_away = False
        self._stall_after_s = stall_after_s
        self._on_lost = on_lost
        self._on_idle = on_idle
        self.rebalance_since: float | None = None

    @Service.task
    async def _check(self) -> None:
        while not self.should_stop:
            await self.sleep(_EVERY_S)
            redis_answers, kafka_answers = await asyncio.gather(
                self._answers("redis", self._ping), self._answers("kafka", self._kafka_answers)
            )
            positions = self._positions()
            self._check_progress(positions)
            if kafka_answers and (self._kafka_was_away or any(end < stored for stored, end in positions.values())):
                await self._check_inputs()
            self._kafka_was_away = not kafka_answers
            self._on_idle(time.monotonic() - self._runner.last_step)
            if redis_answers:
                await self._check_claims()
            if redis_answers and kafka_answers:
                await self._watch_feeds()

    async def _ping(self) -> bool:
        return bool(await self._redis.ping())

    async def _answers(self, name: str, ask: Callable[[], Awaitable[bool]]) -> bool:
        why = f"{name.capitalize()} does not answer within {_PATIENCE_S:.0f} s"
        try:
            answers = await asyncio.wait_for(ask(), _PATIENCE_S)
        except (RedisError, OSError) as error:  # a `TimeoutError` among them
            answers, why = False, refusal(error) or why
        if answers:
            self._health.clear(f"{name} away")
        else:
            self._health.raise_(f"{name} away", why)
        return answers

    async def _check_claims(self) -> None:
        """End the worker if Redis has lost what it owns: the next step, which would find out, may be hours away."""
        try:
            for owned in list(self._runner.owned.values()):
                if owned.state is not None:  # else it may not be claimed yet
                    await owned.table.check_stored()
        except FencedError as error:
            self._on_lost(error)
        except (RedisError, OSError):
            pass  # `_answers` reports it

    def _check_progress(self, positions: Mapping[TP, tuple[int, int]]) -> None:
        now, before, self._waiting, stuck = time.monotonic(), self._waiting, {}, []
        for tp, (stored, end) in positions.items():
            if end <= stored:
                continue
            offset, since = before.get(tp, (stored, now))
            since = since if stored == offset else now
            self._waiting[tp] = stored, since
            if now - since > self._stall_after_s:
                stuck.append(f"{end - stored} of {tp.topic}[{tp.partition}] for {now - since:.0f} s")
        if stuck:
            self._health.raise_("progress", f"messages wait and no step was finished: {', '.join(sorted(stuck))}")
        else:
            self._health.clear("progress")
        rebalance = 0.0 if self.rebalance_since is None else now - self.rebalance_since
        if rebalance > self._stall_after_s:
            self._health.raise_("rebalance", f"the consumer group has been rebalancing for {rebalance:.0f} s")
        else:
            self._health.clear("rebalance")

    async def _watch_feeds(self) -> None:
        now = time.time_ns() // 1000
        with contextlib.suppress(KafkaError, OSError):  # what is not acknowledged is due again next time
            await self._feeds.close_overdue(now)
            await self._feeds.report(now)
