"""Asking Redis and Kafka until they do it: while one is away, or refuses, a step waits, and the worker reports it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import TypeVar

import structlog
from aiokafka.errors import BrokerResponseError, KafkaError
from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ReadOnlyError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams import metrics
from streams.errors import RevokedError
from streams.health import Health
from streams.kafka.refusals import why_refused
from streams.redis_refusals import accepts_later, refusal
from streams.tables import Output
from streams.topics import Topics

log = structlog.get_logger()
_T = TypeVar("_T")
_AWAY = (KafkaError, RedisConnectionError, RedisTimeoutError, BusyLoadingError, OSError)
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0

Step = Callable[[], Awaitable[_T]]
Publish = Callable[[Sequence[Output]], Awaitable[None]]
StillOurs = Callable[[], bool]


class Service(StrEnum):
    """What a step waits for, as the worker's health names it."""

    KAFKA = "kafka"
    REDIS = "redis"


_RETRIES = {Service.KAFKA: metrics.KAFKA_RETRIES, Service.REDIS: metrics.REDIS_RETRIES}


class Pauses:
    """The pauses between two attempts; all of them end early when partitions are revoked, or the worker ends.

    An attempt may last until then, and fail later: no pause begins for a partition that is not this worker's any more.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Future[None]] = set()

    async def wait(self, seconds: float, still_ours: StillOurs) -> bool:
        """Wait for some seconds, or until `wake`; return whether the partition is still ours, at once if it is not."""
        if not still_ours():
            return False
        pause = asyncio.ensure_future(asyncio.sleep(seconds))
        self._running.add(pause)
        try:
            await asyncio.wait((pause,))
        finally:
            pause.cancel()
            self._running.discard(pause)
        if not pause.cancelled():
            pause.result()
        return still_ours()

    def wake(self) -> None:
        """End all pauses: who waits for half a minute would hold up the end of a worker, or its next partitions."""
        for pause in self._running:
            pause.cancel()


class Retries:
    """Repeats what Redis or Kafka did not answer, as long as the partition belongs to this worker.

    Each method raises `RevokedError` once ``still_ours`` is false.
    """

    def __init__(self, redis: Redis, topics: Topics, health: Health, pauses: Pauses) -> None:
        self._pauses = pauses
        self._redis = redis
        self._topics = topics
        self._health = health

    async def ask(self, question: Step[_T], still_ours: StillOurs) -> _T:
        """Ask Kafka about topics until it answers."""
        return await self._until_answered(question, still_ours, Service.KAFKA, "the topics can't be checked")

    async def persist(self, step: Step[_T], still_ours: StillOurs) -> _T:
        """Run a Redis step until Redis answers; it is idempotent, so an answer lost on the way does no harm."""
        return await self._until_answered(step, still_ours, Service.REDIS, "the step is not stored")

    async def publish(self, publish: Publish, outputs: Sequence[Output], still_ours: StillOurs) -> None:
        """Publish and await every acknowledgement; repeat until Kafka has them, and Redis the latest values."""
        if not outputs:
            return
        await self._until_answered(
            lambda: publish(outputs), still_ours, Service.KAFKA, "the outputs are not acknowledged"
        )
        for topic, count in Counter(output.topic for output in outputs).items():
            metrics.OUTPUTS.labels(self._topics.short(topic)).inc(count)

    async def _until_answered(self, step: Step[_T], still_ours: StillOurs, service: Service, waits: str) -> _T:
        """Repeat a step until Kafka and Redis answer; the worker's health has the problem until then.

        Parameters
        ----------
        service : the one that a connection belongs to which breaks without another sign.
        waits : what is not done meanwhile.
        """
        wait, silent = _FIRST_WAIT_S, {service}
        while True:
            try:
                answer = await step()
            except (RedisError, *_AWAY) as error:
                if not isinstance(error, _AWAY) and not accepts_later(error):
                    raise
                one = _service_of(error) or service
                silent.add(one)
                _RETRIES[one].inc()
                self._health.raise_(one, f"{waits}: {why_waiting(one, error)}")
                log.warning("waiting", service=one, waits=waits, error=_words(error))
                if isinstance(error, ReadOnlyError):  # the master is a replica now: find the new one behind the address
                    await self._redis.connection_pool.disconnect()
                if not await self._pauses.wait(wait, still_ours):
                    raise RevokedError from error
                wait = min(wait * 2, _LONGEST_WAIT_S)
            else:
                for one in silent:
                    self._health.clear(one)
                return answer


def why_waiting(service: Service, error: Exception) -> str:
    """Say whether a service gives no answer, or one that stays the same until a person changes something."""
    if refused := refusal(error):
        return refused
    if isinstance(error, BrokerResponseError) and not error.retriable:
        why = why_refused(error) or "check the ACLs of this worker's user"
        return f"Kafka refuses it, {why}: {_words(error)}"
    return f"{service.capitalize()} does not answer: {_words(error)}"


def _words(error: Exception) -> str:
    """Return an error with its message, which the representation of an error of Redis lacks."""
    return (isinstance(error, RedisError) and str(error)) or repr(error)


def _service_of(error: Exception) -> Service | None:
    if isinstance(error, KafkaError):
        return Service.KAFKA
    return Service.REDIS if isinstance(error, RedisError) else None
