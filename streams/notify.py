"""Reading alerts for the channels: one worker of the group notifies them, the others stand by.

Its position is committed after the notifications of a poll are written to Redis, so a restart neither skips nor
repeats one. ``<namespace>:notified`` names the channels for which that position is right: for another one, which was
added or renamed, the topic is read again from its beginning, and those that have read it ignore what they know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from mode import Service
from redis.asyncio import Redis

from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.history import Notification
from alerts.delivery.log import NotificationLog
from alerts.delivery.senders import SENDERS
from alerts.errors import DeliveryError
from alerts.model import Alert, Severity, State, Text
from processors.days import to_date
from streams.alert_rules import rules_of
from streams.background import keep_running
from streams.calendars import today
from streams.clients import async_kafka_group_reader, async_redis_client, http_session, started
from streams.codecs import registry as codecs
from streams.keys import rows_key
from streams.records import barrier_of, is_barrier, sequence_of
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.stages.stage import CLOCK_FIELD, moment_of_replay
from streams.topics import Topic, Topics

if TYPE_CHECKING:
    from streams.clients import AsyncReader


def send_test(settings: Settings, names: list[str]) -> dict[str, str]:
    """Send a test message through channels of the settings; return the error of each, "" where it went well."""

    async def send() -> dict[str, str]:
        async with http_session() as session:
            out = {}
            for name in dict.fromkeys(names):
                channel = settings.channels[name]
                sender = SENDERS[channel.kind](channel, session, settings.console_url)
                try:
                    await sender.send(_test_alert())
                    out[name] = ""
                except (DeliveryError, OSError) as error:
                    out[name] = next(iter((await sender.close()).values()), str(error))
            return out

    return asyncio.run(send())


def _test_alert() -> Alert:
    now = datetime.now(UTC)
    text = Text("This is a test of the channel; nothing has happened.", "这是通道测试，并无任何事件。")
    return Alert(
        id=f"test-{now:%Y%m%d%H%M%S%f}", rule="test", severity=Severity.INFO, subject="test", revision=0,
        trade_date=to_date(today()), state=State.FIRING, available_at=now, raised_at=now, changed_at=now, figures={},
        thresholds={}, text=text, invalidation=Text("", ""), provenance=[],
    )  # fmt: skip


def notifications(settings: Settings) -> dict[str, list[Notification]]:
    """Return the notifications of every channel, oldest first."""

    async def read() -> dict[str, list[Notification]]:
        redis = async_redis_client(settings)
        try:
            return {name: await NotificationLog(redis, settings.namespace, name).all() for name in settings.channels}
        finally:
            await redis.aclose()

    return asyncio.run(read())


class Notifier(Service):
    """Notifies the channels of the settings; does nothing if there are none."""

    def __init__(self, settings: Settings, redis: Redis, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._redis = redis

    @Service.task
    async def _notify(self) -> None:
        if self._settings.channels:
            await keep_running("sending of notifications", self._read, self.sleep)

    async def _read(self) -> None:
        settings = self._settings
        scopes = {rule.name: rule.scope for rule in rules_of(settings)}
        dispatcher = Dispatcher(
            settings.channels, self._redis, settings.namespace, http_session, settings.console_url, scopes
        )
        topic = Topics(self._settings).name(Topic.ALERTS)
        try:
            async with started(async_kafka_group_reader(self._settings, topic, purpose="notify")) as consumer:
                await self._notify_of(consumer, dispatcher)
        finally:
            await dispatcher.stop()

    async def _notify_of(self, consumer: AsyncReader, dispatcher: Dispatcher) -> None:
        sending, rows = False, rows_key(self._settings.namespace, AlertsStage.name, 0)
        while not self.should_stop:
            polled = await consumer.getmany(timeout_ms=200)
            if consumer.assignment() and not sending:
                if await self._begin_again(consumer):
                    polled = {}
                # The barrier with the clock of a replay may have been read before a restart.
                stored = await cast("Awaitable[bytes | None]", self._redis.hget(rows, CLOCK_FIELD))
                dispatcher.set_clock(moment_of_replay(stored))
                await dispatcher.start()  # only the worker that reads sends: two would queue the same notifications
                sending = True
            elif sending and not consumer.assignment():
                await dispatcher.stop()
                sending = False
            dispatcher.check()
            for records in polled.values():
                for record in records:
                    if is_barrier(record):
                        dispatcher.set_clock(barrier_of(record).at)
                    elif (alert := codecs.readable(Topic.ALERTS, record)) is not None:
                        await dispatcher.offer(alert, sequence_of(record))
            if polled:
                await consumer.commit()

    async def _begin_again(self, consumer: AsyncReader) -> bool:
        """Go back to the beginning of the topic if a channel has not read it; return whether this was done."""
        key, wanted = f"{self._settings.namespace}:notified", set(self._settings.channels)
        stored = await cast("Awaitable[set[bytes]]", self._redis.smembers(key))
        known = {name.decode() for name in stored}
        if wanted == known:
            return False
        if new := sorted(wanted - known):
            self.log.info("alerts are read from the beginning for channels that are new: %s", ", ".join(new))
            await consumer.seek_to_beginning(*consumer.assignment())
            await consumer.commit({tp: await consumer.position(tp) for tp in consumer.assignment()})
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(key)
            pipe.sadd(key, *wanted)
            await pipe.execute()
        return bool(new)
