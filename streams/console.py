"""Running the console: signals and alerts into its model, the state of feeds from Redis, commands into Kafka.

It reads without a group and commits nothing, so any number of consoles may run beside the workers.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import structlog
from aiokafka import TopicPartition
from aiokafka.errors import BrokerResponseError, KafkaError
from redis.exceptions import RedisError

from alerts import commands
from alerts.commands import Command
from console.access import Access, Session
from console.directory import Directory
from console.errors import AccessError, UnconfirmedError
from console.model import ConsoleModel, Part
from processors.errors import MarginwatchError, RowError
from streams import alert_record, console_inputs, logs, system_status
from streams.alert_rules import rules_of
from streams.background import keep_running
from streams.calendars import xshg
from streams.charts.model import load
from streams.clients import async_kafka_producer, async_kafka_reader, async_redis_client, redis_client, started
from streams.codecs import registry as codecs
from streams.console_feeds import feeds_of
from streams.errors import RunningWorkersError
from streams.feed_services import load_security_names
from streams.kafka.cluster import topics_of
from streams.readers import NewestByKey
from streams.records import barrier_of, is_barrier
from streams.running_workers import SILENT_S, connected_workers
from streams.settings import Settings
from streams.study_service import StudyService
from streams.topics import Topic, Topics

if TYPE_CHECKING:
    from streams.clients import AsyncProducer, AsyncReader

log = structlog.get_logger()
_FEEDS_S, _RECORDS_S, _PATIENCE_S = 2.0, 5.0, 3.0
#: How long a person waits for a command to be acknowledged, and the end of the console for what is not (seconds).
_COMMAND_S, _CLOSE_S = 10.0, 2.0
_PREFERENCES_KEPT_S = 400 * 86_400


def run(settings: Settings, *, simulated: bool = False, on_start: Callable[[], None] = lambda: None) -> None:
    """Serve the console until the process is asked to end; raises `MarginwatchError` if it can't be opened.

    Parameters
    ----------
    on_start : called once nothing but the port can fail.
    """
    logs.configure(settings.log_level, settings.log_format)
    token = settings.console_token.get_secret_value() if settings.console_token is not None else ""
    sessions = RedisSessions(settings)
    access = Access(settings.console_host, sessions, settings.console_users_file, token, settings.console_url)
    try:
        from console.server import run as serve
        from console.site import Site
    except ImportError as error:
        raise AccessError(f"the console needs an extra ({error}): pip install 'marginwatch[console]'") from error
    rules = rules_of(settings)
    day_rules = {rule.name for rule in rules if rule.covers_day}
    model = ConsoleModel(settings.parameters.streak_flags, xshg(settings.calendar_file), day_rules)
    model.simulated = simulated
    backend = Backend(settings, model)
    preferences = RedisPreferences(settings)
    charts = load(settings.chart_model)
    site = Site(model, access, settings.parameters, rules, preferences, backend.publish, charts, backend.studies)

    async def stop() -> None:
        await backend.stop()
        await preferences.close()
        await sessions.close()

    secret = asyncio.run(_secret(settings))
    on_start()
    serve(
        site,
        host=settings.console_host,
        port=settings.console_port,
        secret=secret,
        start=backend.start,
        stop=stop,
    )


async def _secret(settings: Settings) -> str:
    """The key of the session cookies, created once and kept in Redis, so that a restart ends no session."""
    redis = async_redis_client(settings, timeout_s=5)
    key = f"{settings.namespace}:console:secret"
    try:
        await redis.set(key, secrets.token_hex(32), nx=True)
        found: Any = await redis.get(key)
    finally:
        await redis.aclose()
    return str(found.decode())


class RedisSessions:
    """The logins of people, a key each; shared by every console."""

    def __init__(self, settings: Settings) -> None:
        self._redis = async_redis_client(settings, timeout_s=2)
        self._base = f"{settings.namespace}:console:session"

    async def put(self, key: str, session: Session, seconds: int) -> None:
        """Store a session for a time; raises `AccessError` without Redis."""
        with _answering():
            await self._redis.set(f"{self._base}:{key}", msgspec.json.encode(session), ex=seconds)

    async def get(self, key: str) -> Session | None:
        """Return a session, None if it has ended; raises `AccessError` without Redis."""
        with _answering():
            found = await self._redis.get(f"{self._base}:{key}")
        return None if found is None else msgspec.json.decode(found, type=Session)

    async def delete(self, key: str) -> None:
        """End a session; raises `AccessError` without Redis."""
        with _answering():
            await self._redis.delete(f"{self._base}:{key}")

    async def close(self) -> None:
        """Close the connection to Redis."""
        await self._redis.aclose()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (RedisError, OSError) as error:
        raise AccessError("logins can't be checked: Redis does not answer") from error


class RedisPreferences:
    """Language, theme, colours and name of people, a key each; forgotten after a year without a change."""

    def __init__(self, settings: Settings) -> None:
        self._redis = async_redis_client(settings, timeout_s=2)
        self._base = f"{settings.namespace}:console:preferences"

    async def load(self, who: str) -> dict[str, Any]:
        """What was saved; defaults where Redis does not answer."""
        try:
            found = await self._redis.get(f"{self._base}:{who}")
            return msgspec.json.decode(found, type=dict[str, Any]) if found is not None else {}
        except (RedisError, msgspec.MsgspecError) as error:
            log.warning("preferences can't be read", error=str(error))
            return {}

    async def save(self, who: str, values: dict[str, Any]) -> None:
        """Remember; without Redis only as long as the page lives."""
        try:
            await self._redis.set(f"{self._base}:{who}", msgspec.json.encode(values), ex=_PREFERENCES_KEPT_S)
        except RedisError as error:
            log.warning("preferences can't be saved", error=str(error))

    async def close(self) -> None:
        """Close the connection to Redis."""
        await self._redis.aclose()


class Backend:
    """Fills the console's model as long as it runs, and publishes commands."""

    def __init__(self, settings: Settings, model: ConsoleModel) -> None:
        self._settings = settings
        self._model = model
        self._names = Topics(settings)
        self._offers: dict[str, Callable[[Any], None]] = {
            Topic.SIGNALS_MARKET: model.offer_market,
            Topic.SIGNALS_SECURITY: model.offer_securities,
            Topic.SIGNALS_INDUSTRY: model.offer_industries,
            Topic.ALERTS: model.offer_alert,
        }
        self._codecs = codecs.Codecs(settings, xshg(settings.calendar_file))
        self.studies = StudyService(settings, model.offer_studies)
        self._redis = redis_client(settings)
        self._newest = NewestByKey()
        self._tasks: list[asyncio.Task[None]] = []
        self._producer: AsyncProducer | None = None
        self._connecting = asyncio.Lock()
        self._connections = AsyncExitStack()
        self._consumer: AsyncReader | None = None

    async def start(self) -> None:
        """Begin to read."""
        work: dict[str, Callable[[], Awaitable[None]]] = {
            "the console": self._read,  # once more from the beginning, which changes nothing that is known
            "the state of the feeds": self._poll_feeds,
            "the records of the rules": self._poll_records,
            "the names of securities": self._poll_names,
            "the list of studies": self.studies.follow,
            "prices for the console": partial(console_inputs.follow, self._settings, self._model.offer_inputs),
        }
        self._tasks = [asyncio.create_task(keep_running(what, run)) for what, run in work.items()]

    async def stop(self) -> None:
        """End; whoever gave a command knows what became of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._redis.close()
        with contextlib.suppress(TimeoutError):  # a command that nobody waits for any more
            async with asyncio.timeout(_CLOSE_S):
                await self._connections.aclose()

    async def publish(self, command: Command) -> None:
        """Publish a command.

        Raises
        ------
        MarginwatchError : if Kafka does not accept the command, or a worker would refuse it.
        UnconfirmedError : if its acknowledgement is missing: a request that has timed out may still arrive.
        """
        sent = False
        try:
            async with asyncio.timeout(_COMMAND_S):
                producer = await self._connected()
                name, data = self._names.name(Topic.ALERT_COMMANDS), commands.encode(command)
                acknowledged = await producer.send(name, data, partition=0)
                sent = True
                await acknowledged
        except (KafkaError, TimeoutError) as error:
            why = f"{type(error).__name__}: {str(error) or f'no answer within {_COMMAND_S:.0f} s'}"
            if not sent or (isinstance(error, BrokerResponseError) and not error.retriable):
                raise MarginwatchError(f"Kafka does not accept the command: {why}") from error
            raise UnconfirmedError(f"Kafka does not acknowledge the command: {why}") from error

    async def _connected(self) -> AsyncProducer:
        """Return the producer, which the first command starts; commands that come meanwhile wait for it."""
        async with self._connecting:
            if self._producer is None:
                producer = started(async_kafka_producer(self._settings, purpose="console"))
                self._producer = await self._connections.enter_async_context(producer)
            return self._producer

    async def _read(self) -> None:
        partitions = {TopicPartition(self._names.name(short), 0): short for short in self._offers}
        charts = TopicPartition(self._names.name(Topic.CHARTS), 0)
        async with started(async_kafka_reader(self._settings, purpose="console")) as consumer:
            self._names.require_in(await topics_of(consumer))
            self._consumer = consumer
            try:
                consumer.assign([*partitions, charts])
                await consumer.seek_to_beginning(*partitions, charts)
                end = (await consumer.end_offsets([charts]))[charts]
                newest = end - 2 * self._settings.partitions  # a message a partition and week, and barriers
                if newest > (await consumer.beginning_offsets([charts]))[charts]:
                    consumer.seek(charts, newest)
                while True:
                    found = await consumer.getmany(timeout_ms=500, max_records=500)
                    for partition, records in found.items():
                        for record in records:
                            if not is_barrier(record):
                                if partition == charts:
                                    self._offer_charts(record)
                                else:
                                    self._offer(partitions[partition], record)
                            elif partitions.get(partition) == Topic.ALERTS:  # it passes the alerts behind the signals
                                self._model.offer_clock(barrier_of(record).at)
                        await asyncio.sleep(0)  # pages are served while years of history are read
            finally:
                self._consumer = None

    async def _kafka(self) -> str:
        """Return "Kafka" if it does not answer, else "": a consumer that waits for a broker reports nothing."""
        try:
            if self._consumer is not None:
                await asyncio.wait_for(self._consumer.topics(), _PATIENCE_S)
                return ""
        except (KafkaError, OSError, TimeoutError):
            pass
        return "Kafka"

    def _offer(self, short: str, record: Any) -> None:
        content = codecs.readable(short, record) if self._newest.accepts(record) else None
        if content is not None:
            self._offers[short](content)

    def _offer_charts(self, record: Any) -> None:
        try:
            frame = self._codecs.decode(Topic.CHARTS, record)
        except RowError as error:
            log.warning("charts can't be read", offset=record.offset, error=str(error))
            return
        if frame is not None:
            self._model.offer_charts(frame)

    async def _poll_feeds(self) -> None:
        days = 0
        while True:
            trouble = await self._kafka()
            feeds, left = self._model.feeds, self._model.calendar_days_left
            try:
                found = await asyncio.to_thread(system_status.status, self._settings, self._redis)
                feeds, left = feeds_of(self._settings, found, self._model.clock.now()), found["calendar_days_left"]
                absent = "" if await asyncio.to_thread(self._worker_runs) else "worker"
                trouble = ", ".join(filter(None, (trouble, absent)))
            except (RedisError, OSError, MarginwatchError) as error:  # also rows of another release
                log.warning("the state of the feeds is not known", error=f"{type(error).__name__}: {error}")
                trouble = ", ".join(filter(None, (trouble, "Redis")))
            reads, read = self._model.history_days != days, self._model.reads_history
            self._model.offer_feeds(feeds, left, trouble, reads_history=reads)
            days = self._model.history_days
            if read and not reads:
                gc.collect()
                gc.freeze()  # else every full collection looks through years of figures, and pages wait for it
            await asyncio.sleep(_FEEDS_S)

    def _worker_runs(self) -> bool:
        """Whether a worker asks Redis, without which nothing is computed; true where nothing shows it."""
        try:
            return any(idle < SILENT_S for idle in connected_workers(self._settings, self._redis).values())
        except RunningWorkersError:
            return True

    async def _poll_records(self) -> None:
        """Compute the records of all rules again after a change of alerts or of the newest day."""
        seen, reads = None, 0
        while True:
            now = self._model.versions[Part.ALERTS], self._model.day
            if now != seen:
                seen, reads = now, 2  # Redis is written after the topic: its first state may be the old one
            if reads:
                try:
                    self._model.offer_records(await asyncio.to_thread(alert_record.records, self._settings))
                    reads -= 1
                except (RedisError, OSError, MarginwatchError) as error:
                    log.warning("the records of the rules are not known", error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(_RECORDS_S)

    async def _poll_names(self) -> None:
        """Load the names of securities at the start and with each new day."""
        day, loaded = None, False
        while True:
            newest = self._model.day
            if not loaded or newest != day:
                try:
                    self._model.offer_directory(
                        await asyncio.to_thread(self._directory, self._model.securities.codes())
                    )
                    day, loaded = newest, True
                except MarginwatchError as error:
                    log.warning("the names of securities are not known", error=str(error))
            await asyncio.sleep(_RECORDS_S)

    def _directory(self, codes: list[str]) -> Directory:
        """Return the securities that have a name or a figure."""
        return Directory(dict.fromkeys(codes, "") | load_security_names(self._settings))
