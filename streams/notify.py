"""Reading alerts for the channels: one worker of the group tells them, the others stand by.

Its position is committed after every fact of a poll is noted in Redis, so a restart neither skips nor repeats one.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from mode import Service
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.delivery.dispatcher import Dispatcher
from alerts.model import Alert
from streams.codec import BARRIER_TYPE, CE_TYPE
from streams.settings import Settings
from streams.topics import ALERTS, Topics

log = structlog.get_logger()
_AGAIN_S = 2.0


class Notifier(Service):
    """Tells the channels of the settings; does nothing if there are none."""

    def __init__(self, settings: Settings, redis: Redis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._redis = redis

    @Service.task
    async def _tell(self) -> None:
        while self._settings.channels and not self.should_stop:
            dispatcher = Dispatcher(
                self._settings.channels, self._redis, self._settings.namespace, self._settings.console_url
            )
            try:
                await self._read(dispatcher)
            except (KafkaError, RedisError, OSError) as error:
                log.warning("notifications wait", error=f"{type(error).__name__}: {error}")
                await self.sleep(_AGAIN_S)
            finally:
                await dispatcher.stop()

    async def _read(self, dispatcher: Dispatcher) -> None:
        consumer = AIOKafkaConsumer(
            Topics(self._settings).name(ALERTS),
            bootstrap_servers=self._settings.bootstrap,
            group_id=f"{self._settings.group}-notify",
            client_id="marginwatch-notify",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=self._settings.fetch_max_wait_ms,
            session_timeout_ms=int(self._settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._settings.session_timeout_s * 250),
        )
        await consumer.start()
        try:
            started = False
            while not self.should_stop:
                found = await consumer.getmany(timeout_ms=200)
                if consumer.assignment() and not started:
                    await dispatcher.start()  # only who reads tells: two would queue the same facts
                    started = True
                elif started and not consumer.assignment():
                    await dispatcher.stop()
                    started = False
                for records in found.values():
                    for record in records:
                        if dict(record.headers).get(CE_TYPE) != BARRIER_TYPE:
                            await dispatcher.offer(msgspec.json.decode(record.value, type=Alert))
                if found:
                    await consumer.commit()
        finally:
            await asyncio.shield(consumer.stop())
