"""The running system as the feeds need it: the implementations of `feeds.ports` with Kafka, Redis and the settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from redis import Redis
from redis.exceptions import RedisError

from feeds.daily.ledger import PublishLedger
from feeds.daily.published_figures import unreachable
from feeds.errors import InputError, LedgerError
from feeds.files.master_data import newest_rows
from feeds.ports import FeedServices, MarketContext, OpenPublisher, Place, PublicSites, TushareAccount
from processors.events import INPUT_ROWS, DailyRow, RowBatch
from streams import code_changes, readers
from streams.calendars import trading_hours, xshg
from streams.clients import page_client, redis_client
from streams.codecs.registry import Codecs
from streams.codecs.row_codec import Decoder
from streams.codecs.row_frames import encode_frame
from streams.errors import ReadError, TopicError
from streams.keys import names_key
from streams.publisher import Publisher
from streams.records import BARRIER_TYPE, CE_TYPE, CLOSE_TYPE
from streams.security import tushare_token
from streams.settings import Settings
from streams.topics import Topic, Topics

if TYPE_CHECKING:
    from streams.clients import Reader

DAILY = tuple(topic for topic, row in INPUT_ROWS.items() if issubclass(row, DailyRow))
#: Replaces a field of a hash only if it still has the value that was read.
_REPLACE = """
local done = {}
for i, key in ipairs(KEYS) do
  local day, old, new = ARGV[3 * i - 2], ARGV[3 * i - 1], ARGV[3 * i]
  done[i] = 0
  if (redis.call('HGET', key, day) or '') == old then
    redis.call('HSET', key, day, new)
    done[i] = 1
  end
end
return done
"""
#: Entries of a request: those of the largest topics have about 50 kB.
_AT_ONCE = 32


class RedisLedgerStore:
    """The publish ledger in Redis: a hash ``<namespace>:published:<topic>``, field = days since 1970-01-01."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._namespace = namespace
        self._swap = redis.register_script(_REPLACE)

    def _key(self, topic: str) -> str:
        return f"{self._namespace}:published:{topic}"

    def with_entries(self, topics: Iterable[str]) -> set[str]:
        """Return the topics of which any day is stored."""
        asked = list(topics)
        request = self._redis.pipeline(transaction=False)
        for topic in asked:
            request.exists(self._key(topic))
        return {topic for topic, found in zip(asked, request.execute(), strict=True) if found}

    def read(self, places: Sequence[Place]) -> list[bytes]:
        """Return the entry of each place, ``b""`` if there is none."""
        out: list[bytes] = []
        for start in range(0, len(places), _AT_ONCE):
            request = self._redis.pipeline(transaction=False)
            for topic, day in places[start : start + _AT_ONCE]:
                request.hget(self._key(topic), str(day))
            out += [bytes(found or b"") for found in request.execute()]
        return out

    def replace(self, changes: Sequence[tuple[Place, bytes, bytes]]) -> list[bool]:
        """Replace entries, each atomically if it still is as before; return whether each was."""
        out: list[bool] = []
        for start in range(0, len(changes), _AT_ONCE):
            part = changes[start : start + _AT_ONCE]
            keys = [self._key(topic) for (topic, _), _, _ in part]
            found: Any = self._swap(keys, [one for (_, day), old, new in part for one in (day, old, new)])
            out += map(bool, found)
        return out


class RedisFeedState:
    """The state of a feed in Redis: a hash ``<namespace>:feeds:<name>``."""

    def __init__(self, redis: Redis, namespace: str, feed: str) -> None:
        self._redis = redis
        self._key = f"{namespace}:feeds:{feed}"

    def load(self) -> dict[str, str]:
        """Return all fields."""
        found: Any = self._redis.hgetall(self._key)
        return {name.decode(errors="surrogateescape"): value.decode() for name, value in found.items()}

    def set(self, name: str, value: str) -> None:
        """Store one field; it may name a file, whose name need not be UTF-8."""
        self._redis.hset(self._key, name.encode(errors="surrogateescape"), value)


class FrameCodec:
    """Rows as frames, as they travel in Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._calendar = xshg(settings.calendar_file)

    def encode(self, rows: RowBatch) -> bytes:
        """Return the rows as a frame."""
        return encode_frame(rows, "")

    def decode(self, topic: str, data: bytes) -> RowBatch:
        """Return the rows of a frame."""
        return Decoder(topic, self._calendar, (), None, 0).frame(data)


class TopicRows:
    """The rows of the daily topics, read from Kafka."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._master: tuple[dict[TopicPartition, int], RowBatch | None] = {}, None

    def topics_without_rows(self) -> set[str]:
        """Return the daily topics without a row; raises `LedgerError` if they can't be read."""
        rowless = set(DAILY)
        try:
            with readers.consumer(self._settings) as consumer:
                partitions = self._partitions(consumer)
                for tp, records in readers.read_to_end(consumer, partitions):
                    topic = partitions[tp]
                    if topic in rowless and any(map(_is_row, records)):
                        rowless.discard(topic)
                        consumer.pause(*(one for one, short in partitions.items() if short == topic))
        except (TopicError, ReadError) as error:
            raise LedgerError(f"the topics can't be searched for rows: {error}") from error
        return rowless

    def require_only(self, source: str) -> None:
        """Raise `InputError` if a daily topic contains a row that does not name this source, such as a real one.

        Raises
        ------
        LedgerError : if the topics can't be read.
        """
        try:
            with readers.consumer(self._settings) as consumer:
                partitions = self._partitions(consumer)
                for tp, records in readers.read_to_end(consumer, partitions):
                    if any(_is_row(one) and source.encode() not in (one.value or b"") for one in records):
                        raise InputError(
                            f"the topic {tp.topic} contains rows that are not {source}: they would be mixed. Use a "
                            "system of its own (MARGINWATCH_GROUP, MARGINWATCH_NAMESPACE, MARGINWATCH_TOPIC_PREFIX), "
                            "or `marginwatch up`"
                        )
        except (TopicError, ReadError) as error:
            raise LedgerError(f"the topics can't be searched for rows: {error}") from error

    def batches(self, on_messages: Callable[[int], None] = lambda _count: None) -> Iterator[RowBatch]:
        """Yield all valid rows, in the order of each partition.

        Parameters
        ----------
        on_messages : called with the number of messages that have been read.

        Raises
        ------
        TopicError : if no broker answers.
        ReadError : if the broker serves nothing before the end of a topic.
        """
        decoders, messages = self._decoders(), 0
        with readers.consumer(self._settings) as consumer:
            partitions = self._partitions(consumer)
            for tp, records in readers.read_to_end(consumer, partitions):
                yield from _rows(decoders[partitions[tp]], records)
                messages += len(records)
                on_messages(messages)

    def partitions(self) -> list[Place]:
        """Return the partitions of the daily topics: topic and number."""
        topics = Topics(self._settings)
        return [(short, partition) for short in DAILY for partition in range(topics.partitions(short))]

    def ends(self) -> dict[Place, int]:
        """Return the end of each partition; the embedded broker lists it too low, see `streams.readers`.

        Raises
        ------
        LedgerError : if the topics can't be read.
        """
        try:
            with readers.consumer(self._settings) as consumer:
                partitions = self._partitions(consumer)
                listed = consumer.end_offsets(list(partitions)) if partitions else {}
        except TopicError as error:
            raise _unread(error) from error
        return {(partitions[tp], tp.partition): end for tp, end in listed.items()}

    def rows_behind(
        self, known: Mapping[Place, int], ends: Mapping[Place, int]
    ) -> Iterator[tuple[Place, int, list[RowBatch]]]:
        """Yield the valid rows of each partition from an offset on, see `PublishedRows`.

        Raises
        ------
        LedgerError : if the topics can't be read.
        """
        behind = {place: min(known[place], end) for place, end in ends.items() if known.get(place, end) != end}
        if not behind:
            return
        decoders, topics = self._decoders(), Topics(self._settings)
        places = {TopicPartition(topics.name(short), partition): (short, partition) for short, partition in behind}
        try:
            with readers.consumer(self._settings) as consumer:
                first = consumer.beginning_offsets(list(places))
                starts = {tp: max(first[tp], behind[place]) for tp, place in places.items()}
                for tp, records in readers.read_to_end(consumer, starts, starts):
                    place = places[tp]
                    yield place, records[-1].offset + 1, list(_rows(decoders[place[0]], records))
        except (TopicError, ReadError) as error:
            raise _unread(error) from error

    def master_data(self) -> RowBatch | None:
        """Return the newest revision of each row of ``reference``, by day and key; None if there is none.

        Raises
        ------
        LedgerError : if the topic can't be read.
        """
        decoders = Codecs(self._settings, xshg(self._settings.calendar_file)).row_decoders((Topic.REFERENCE,))
        try:
            with readers.consumer(self._settings) as consumer:
                partitions = [tp for tp, short in self._partitions(consumer).items() if short == Topic.REFERENCE]
                ends = consumer.end_offsets(partitions) if partitions else {}
                if ends != self._master[0]:
                    found = readers.read_to_end(consumer, partitions)
                    rows = (one for _, records in found for one in _rows(decoders[Topic.REFERENCE], records))
                    self._master = ends, newest_rows(rows)
        except (TopicError, ReadError) as error:
            raise LedgerError(f"the published master data can't be read: {error}") from error
        return self._master[1]

    def trimmed_topics(self) -> list[str]:
        """Return the topics whose oldest messages retention has deleted; raises `TopicError` if no broker answers."""
        with readers.consumer(self._settings) as consumer:
            partitions = self._partitions(consumer)
            starts = consumer.beginning_offsets(list(partitions))
            return sorted({partitions[tp] for tp, start in starts.items() if start > 0})

    def _decoders(self) -> dict[str, Decoder]:
        """Return the decoders of the daily topics: rows keep the codes of their feeds, as in the ledger."""
        return Codecs(self._settings, xshg(self._settings.calendar_file)).row_decoders(DAILY, as_published=True)

    def _partitions(self, consumer: Reader) -> dict[TopicPartition, str]:
        """Return the partitions of the daily topics that the cluster has."""
        topics = Topics(self._settings)
        existing = consumer.topics()
        return {
            TopicPartition(topics.name(short), partition): short
            for short in DAILY
            if topics.name(short) in existing
            for partition in range(topics.partitions(short))
        }


def _rows(decoder: Decoder, records: Sequence[ConsumerRecord]) -> Iterator[RowBatch]:
    return (item for item in decoder.decode(records)[0] if isinstance(item, RowBatch))


def _unread(error: Exception) -> LedgerError:
    return LedgerError(f"the topics can't be read for the publish ledger: {error}")


def _is_row(record: ConsumerRecord) -> bool:
    return dict(record.headers or ()).get(CE_TYPE) not in (BARRIER_TYPE, CLOSE_TYPE)


def load_security_names(settings: Settings) -> dict[str, str]:
    """Return code → name of the security master; raises `LedgerError` if Redis does not answer."""
    try:
        with redis_client(settings) as redis:
            found: Any = redis.hgetall(names_key(settings.namespace))
    except RedisError as error:
        raise unreachable(error) from error
    return {code.decode(): name.decode() for code, name in found.items()}


def store_security_names(settings: Settings, names: Mapping[str, str]) -> None:
    """Store code → name beside those of the security master; raises `LedgerError` if Redis does not answer."""
    if names:
        try:
            with redis_client(settings) as redis:
                redis.hset(names_key(settings.namespace), mapping=dict(names))  # redis-py's type is wider
        except RedisError as error:
            raise unreachable(error) from error


def market_context(settings: Settings) -> MarketContext:
    """Return the market of the settings."""
    calendar_file = settings.calendar_file
    return MarketContext(
        xshg(calendar_file),
        trading_hours(calendar_file),
        settings.exchanges,
        settings.parameters,
        code_changes.load(settings.code_changes_file),
    )


def tushare_account(settings: Settings) -> TushareAccount:
    """Return the account at tushare; raises `SecurityError` if the settings have no token."""
    return TushareAccount(settings.tushare_url, tushare_token(settings))


def public_sites(settings: Settings) -> PublicSites:
    """Return the public pages of the settings."""
    addresses = (settings.sse_url, settings.szse_url, settings.bse_url, settings.eastmoney_url)
    sse, szse, bse, eastmoney = (address.rstrip("/") for address in addresses)
    return PublicSites(sse, szse, bse, eastmoney, page_client, settings.pages_pause_s)


def publisher_opener(settings: Settings) -> OpenPublisher:
    """Return a function that opens publishers of frames."""

    def open_publisher(source: str, *, timeout_s: float = 60.0) -> Publisher:
        return Publisher(settings, source=source, timeout_s=timeout_s)

    return open_publisher


def feed_services(
    settings: Settings, redis: Redis, stop: threading.Event, clock: Callable[[], float] = time.time
) -> FeedServices:
    """Return what the feeds of a plan are built with.

    Parameters
    ----------
    redis : a client of the settings' Redis, for all feeds.
    stop : set when the process ends.
    clock : seconds since the epoch.
    """

    secret = settings.positions_secret
    return FeedServices(
        market=market_context(settings),
        open_publisher=publisher_opener(settings),
        ledger_store=RedisLedgerStore(redis, settings.namespace),
        published_rows=TopicRows(settings),
        codec=FrameCodec(settings),
        state=lambda name: RedisFeedState(redis, settings.namespace, name),
        security_names=lambda: load_security_names(settings),
        store_names=lambda names: store_security_names(settings, names),
        tushare=lambda: tushare_account(settings),
        sites=public_sites(settings),
        positions_secret=secret.get_secret_value() if secret is not None else None,
        redis=redis,
        namespace=settings.namespace,
        stop=stop,
        clock=clock,
    )


@contextmanager
def open_ledger(settings: Settings) -> Iterator[PublishLedger]:
    """Open the publish ledger in the settings' Redis, and close the connection at the end."""
    with redis_client(settings, timeout_s=30) as redis:
        store = RedisLedgerStore(redis, settings.namespace)
        topics = TopicRows(settings)
        yield PublishLedger(store, topics.topics_without_rows, topics.master_data, topics)
