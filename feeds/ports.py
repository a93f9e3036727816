"""What the feeds need of the running system, as small interfaces; `streams.feed_services` implements them.

Tests implement them in memory. An implementation raises `feeds.errors.UnavailableError` (or a subclass, or redis-py's
``RedisError``) if Kafka or Redis does not answer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Protocol, TypeAlias

from redis import Redis

from processors.code_changes import NO_CHANGES, CodeChanges
from processors.days import TradingCalendar, to_day
from processors.events import RowBatch
from processors.margin_exchanges import on_day
from processors.parameters import Parameters
from processors.trading_hours import TradingHours

if TYPE_CHECKING:
    import httpx

    from feeds.feed_report import FeedReport

    PageClient: TypeAlias = httpx.Client  # noqa: TID251 - only a type: streams.clients makes them


class RowPublisher(Protocol):
    """An open connection to the input topics; leaving its context flushes it."""

    rows: int
    messages: int

    def __enter__(self) -> RowPublisher: ...

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None: ...

    def rows_of(self, batch: RowBatch, note: str = "") -> None:
        """Publish rows of one topic, each to the partition of its key; a note is added to the name of their source."""

    def day(self, batches: dict[str, RowBatch], counted: dict[str, RowBatch] | None = None) -> None:
        """Publish the rows of a trade date by topic, then the end-of-day markers; they count ``counted``."""

    def lapse(self, topic: str, day: int) -> None:
        """Publish the punctuation of a day of a topic whose deadline has passed without a row."""

    def dead_letter(self, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Publish a refused message to the dead letters of an input topic."""

    def report(self, report: FeedReport) -> None:
        """Publish the report of a run, so that metrics and the alerts on data quality learn of it."""

    def barrier(self, at: datetime | None = None) -> str:
        """Publish a barrier behind all rows, with the moment of a replay; return its id."""

    def flush(self) -> None:
        """Return when the broker has acknowledged everything."""

    def discard(self) -> None:
        """Close without waiting for acknowledgements."""


class OpenPublisher(Protocol):
    """Opens a connection to the input topics."""

    def __call__(self, source: str, *, timeout_s: float = 60.0) -> RowPublisher:
        """Return a publisher of rows of ``source``; the broker acknowledges within ``timeout_s`` seconds."""


#: Topic and day of an entry of the publish ledger, or topic and partition.
Place: TypeAlias = tuple[str, int]


class LedgerStore(Protocol):
    """The storage of the publish ledger: bytes by topic and day. Many entries take few requests."""

    def with_entries(self, topics: Iterable[str]) -> set[str]:
        """Return the topics of which any day is stored."""

    def read(self, places: Sequence[Place]) -> list[bytes]:
        """Return the entry of each place, ``b""`` if there is none."""

    def replace(self, changes: Sequence[tuple[Place, bytes, bytes]]) -> list[bool]:
        """Replace entries, each atomically if it still is as before; return whether each was.

        Parameters
        ----------
        changes : place, the entry as it was read, the entry in its place.
        """


class PublishedRows(Protocol):
    """The rows that the daily topics contain."""

    def topics_without_rows(self) -> set[str]:
        """Return the daily topics without a row; markers and barriers are no rows."""

    def master_data(self) -> RowBatch | None:
        """Return the newest revision of each row of ``reference``, by day and key; None if there is none."""

    def batches(self, on_messages: Callable[[int], None] = lambda _count: None) -> Iterator[RowBatch]:
        """Yield all valid rows, in the order of each partition; report how many messages have been read."""

    def partitions(self) -> list[Place]:
        """Return the partitions of the daily topics: topic and number."""

    def ends(self) -> dict[Place, int]:
        """Return the end of each partition of the daily topics that the cluster has; it may end further on."""

    def rows_behind(
        self, known: Mapping[Place, int], ends: Mapping[Place, int]
    ) -> Iterator[tuple[Place, int, list[RowBatch]]]:
        """Yield the valid rows from an offset of each partition on, as they come: the partition, the offset behind
        them, and the rows. Of a partition without an offset, and of one that ends there, it yields nothing.

        Parameters
        ----------
        known : the offset by topic and partition.
        ends : the ends of the partitions.
        """

    def trimmed_topics(self) -> list[str]:
        """Return the topics whose oldest messages retention has deleted."""


class RowCodec(Protocol):
    """Encodes rows for storage."""

    def encode(self, rows: RowBatch) -> bytes:
        """Return the rows as bytes."""

    def decode(self, topic: str, data: bytes) -> RowBatch:
        """Return the rows of bytes that `encode` returned."""


class FeedState(Protocol):
    """What a feed stores between two processes: field → text."""

    def load(self) -> dict[str, str]:
        """Return all fields."""

    def set(self, name: str, value: str) -> None:
        """Store one field."""


@dataclass(frozen=True, slots=True)
class TushareAccount:
    """The address of tushare's API and the token of an account."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PublicSites:
    """The addresses of public pages, without a slash at the end, and how they are requested.

    Parameters
    ----------
    client : returns a client that follows no redirection by itself.
    pause_s : the least time between two requests of a site.
    """

    sse: str
    szse: str
    bse: str
    eastmoney: str
    client: Callable[[], PageClient]
    pause_s: float


@dataclass(frozen=True, slots=True)
class MarketContext:
    """The market that the feeds serve.

    Parameters
    ----------
    exchanges : the exchanges that make up the market.
    parameters : the parameters of the signals; they name the indices that the signals need.
    code_changes : the changes of codes that the stream knows.
    """

    calendar: TradingCalendar
    hours: TradingHours
    exchanges: tuple[str, ...]
    parameters: Parameters
    code_changes: CodeChanges = NO_CHANGES

    def on_day(self, day: date) -> MarketContext:
        """Return the market of a day, of the exchanges with margin trading."""
        return replace(self, exchanges=on_day(self.exchanges, to_day(day)))


@dataclass(frozen=True, slots=True)
class FeedServices:
    """What the feeds of a plan are built with.

    Parameters
    ----------
    state : returns the stored state of a feed by its name.
    security_names : returns code → name of the security master.
    store_names : stores code → name of published rows.
    tushare : returns the account; raises `MarginwatchError` if no token is configured.
    sites : the public pages of the exchanges and of Eastmoney.
    positions_secret : the configured key of webhook signatures, None if there is none.
    redis : the Redis that contains position streams and answers of the webhook.
    namespace : the prefix of every Redis key.
    stop : set when the process ends.
    clock : seconds since the epoch.
    """

    market: MarketContext
    open_publisher: OpenPublisher
    ledger_store: LedgerStore
    published_rows: PublishedRows
    codec: RowCodec
    state: Callable[[str], FeedState]
    security_names: Callable[[], Mapping[str, str]]
    store_names: Callable[[Mapping[str, str]], None]
    tushare: Callable[[], TushareAccount]
    sites: PublicSites
    positions_secret: str | None = field(repr=False)
    redis: Redis
    namespace: str
    stop: threading.Event
    clock: Callable[[], float] = time.time
