"""Asking Redis and Kafka until they answer: while one of them is away a step waits, and the worker reports it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from aiokafka.errors import KafkaError
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ReadOnlyError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams import metrics
from streams.errors import RevokedError
from streams.health import Health
from streams.tables import Output
from streams.topics import Topics

log = structlog.get_logger()
_T = TypeVar("_T")
_REDIS_AWAY = (RedisConnectionError, RedisTimeoutError, BusyLoadingError, ReadOnlyError, OSError)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0

Publish = Callable[[Sequence[Output]], Awaitable[None]]
StillOurs = Callable[[], bool]


class Retries:
    """Repeats what Redis or Kafka did not answer, as long as the partition belongs to this worker.

    Each method raises `RevokedError` once ``still_ours`` is false.
    """

    def __init__(self, redis: Redis, topics: Topics, health: Health) -> None:
        self._redis = redis
        self._topics = topics
        self._health = health

    async def ask(self, question: Callable[[], Awaitable[_T]], still_ours: StillOurs) -> _T:
        """Ask Kafka about topics until it answers."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                answer = await question()
            except (KafkaError, OSError) as error:
                self._health.raise_("kafka", f"the topics can't be checked: {error!r}")
                wait = await self._wait(wait, still_ours)
            else:
                self._health.clear("kafka")
                return answer

    async def persist(self, step: Callable[[], Awaitable[_T]], still_ours: StillOurs) -> _T:
        """Run a Redis step until Redis answers; it is idempotent, so an answer lost on the way does no harm."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                result = await step()
            except _REDIS_AWAY as error:
                await self._redis_away(error)
                wait = await self._wait(wait, still_ours)
            else:
                self._health.clear("redis")
                return result

    async def publish(self, publish: Publish, outputs: Sequence[Output], still_ours: StillOurs) -> None:
        """Publish and await every acknowledgement; repeat until Kafka has them."""
        wait = _FIRST_WAIT_S
        while outputs:
            try:
                await publish(outputs)
            except (KafkaError, *_REDIS_AWAY) as error:
                metrics.PUBLISH_RETRIES.inc()
                self._health.raise_("kafka", f"outputs are not acknowledged: {error!r}")
                log.warning("publishing again", messages=len(outputs), error=repr(error))
                wait = await self._wait(wait, still_ours)
            else:
                self._health.clear("kafka")
                for topic, count in Counter(output.topic for output in outputs).items():
                    metrics.OUTPUTS.labels(self._topics.short(topic)).inc(count)
                return

    async def _redis_away(self, error: Exception) -> None:
        metrics.REDIS_RETRIES.inc()
        self._health.raise_("redis", f"Redis does not answer: {error}")
        if isinstance(error, ReadOnlyError):  # the master is a replica now: find the new one behind the address
            await self._redis.connection_pool.disconnect()
        log.warning("waiting for Redis", error=str(error))

    async def _wait(self, seconds: float, still_ours: StillOurs) -> float:
        await asyncio.sleep(seconds)
        if not still_ours():
            raise RevokedError
        return min(seconds * 2, _LONGEST_WAIT_S)
