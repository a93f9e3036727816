"""The factory of clients: every Kafka, Redis and HTTP client of the system is made here, from the settings.

A client made here has the TLS, SASL and ACL user of the settings, a client id that names its purpose, time limits, and
sizes that fit the largest message. A lint rule refuses the constructors elsewhere; the worker's own consumer and
producer are Faust's (`streams.kafka.faust_adapter`), with the credentials of `faust_credentials`.

A library is imported when a client of it is made: a worker needs no kafka-python (0.3 s), `marginwatch status` no Kafka
client at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from redis import Redis
from redis.asyncio import ConnectionPool
from redis.asyncio import Redis as AsyncRedis

from processors.errors import MarginwatchError
from streams import __version__
from streams.errors import PublishError, SecurityError, TopicError
from streams.kafka import batches as kafka_batches
from streams.redis_connection import by_hiredis
from streams.security import kafka_options, tls_context
from streams.settings import Settings

if TYPE_CHECKING:
    import httpx
    from aiohttp import ClientSession
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from kafka import KafkaConsumer, KafkaProducer
    from kafka.admin import KafkaAdminClient

    Reader: TypeAlias = KafkaConsumer
    Producer: TypeAlias = KafkaProducer
    Admin: TypeAlias = KafkaAdminClient
    AsyncReader: TypeAlias = AIOKafkaConsumer
    AsyncProducer: TypeAlias = AIOKafkaProducer
    _Client = TypeVar("_Client", AIOKafkaConsumer, AIOKafkaProducer)

#: How long a command looks for a broker before it reports that there is none.
BOOTSTRAP_MS = 10_000
_ADMIN_TIMEOUT_MS = 15_000
#: The least that a consumer fetches of a partition at once; a message of the largest size must fit.
_FETCH_BYTES = 1024 * 1024
_BATCH_BYTES = 256 * 1024
_KAFKA_PORT = 9092
_REDIS_CONNECT_S = 5
_UNLIMITED = 2**31 - 1
_PAGE_CONNECT_S, _PAGE_TIMEOUT_S = 10.0, 30.0


# -- Kafka, blocking (kafka-python): commands and feeds ----------------------------------------------------------


@contextmanager
def answered(settings: Settings, failure: type[MarginwatchError]) -> Iterator[None]:
    """Replace the library's error by one of ours that says where no broker answers, and what to check."""
    from kafka.errors import KafkaError

    try:
        yield
    except KafkaError as error:
        raise failure(unreachable(settings, error)) from error


def kafka_reader(settings: Settings) -> Reader:
    """Return a consumer without a group that commits nothing; the caller assigns partitions and closes it.

    Raises
    ------
    TopicError : if no broker answers.
    SecurityError : if the settings of TLS or SASL can't work.
    """
    from kafka import KafkaConsumer
    from kafka.consumer import fetcher

    kafka_batches.install(fetcher, kafka_batches.records_by_aiokafka)
    with answered(settings, TopicError):
        return KafkaConsumer(
            **_kafka_python(settings, "reader"), **_reading(settings), group_id=None, allow_auto_create_topics=False
        )


def kafka_producer(settings: Settings) -> Producer:
    """Return a producer that awaits all replicas and keeps the order of its messages.

    Raises
    ------
    PublishError : if no broker answers.
    SecurityError : if the settings of TLS or SASL can't work.
    """
    from kafka import KafkaProducer

    with answered(settings, PublishError):
        return KafkaProducer(
            **_kafka_python(settings, "feed"),
            allow_auto_create_topics=False,
            acks="all",
            linger_ms=5,
            retries=_UNLIMITED,  # for the delivery timeout of two minutes: a broker that restarts loses nothing
            enable_idempotence=False,
            max_in_flight_requests_per_connection=1,
            max_request_size=settings.max_message_bytes,
            batch_size=_BATCH_BYTES,
        )


def kafka_admin(settings: Settings) -> Admin:
    """Return an admin client; the caller closes it.

    Raises
    ------
    TopicError : if no broker answers.
    SecurityError : if the settings of TLS or SASL can't work.
    """
    from kafka.admin import KafkaAdminClient

    with answered(settings, TopicError):
        return KafkaAdminClient(**_kafka_python(settings, "admin"), request_timeout_ms=_ADMIN_TIMEOUT_MS)


def abandon(producer: Producer, wait_s: float) -> None:
    """Close a kafka-python producer at once; what the broker has not acknowledged may be lost.

    Parameters
    ----------
    wait_s : how long to wait for its thread, in seconds.
    """
    from kafka.errors import KafkaError

    try:
        producer.close(timeout=0)
    except KafkaError:  # its close gives up waiting, and would leave a thread behind that goes on sending
        producer._sender.force_close()
        producer._sender.join(wait_s)
        with contextlib.suppress(KafkaError):
            producer.close(timeout=0)


def require_broker(settings: Settings, *, timeout_s: float = BOOTSTRAP_MS / 1000) -> None:
    """Return as soon as a bootstrap server accepts a connection; a worker asks this before Faust starts.

    Parameters
    ----------
    timeout_s : how long to try, in seconds.

    Raises
    ------
    TopicError : if none of them does.
    """
    deadline = time.monotonic() + timeout_s
    found: Exception = TimeoutError()
    while True:
        for server in settings.bootstrap:
            try:
                at = urlsplit(f"//{server}")
                socket.create_connection((at.hostname or "", at.port or _KAFKA_PORT), timeout=timeout_s).close()
            except (OSError, ValueError) as error:  # ValueError: a port that is no number
                found = error
            else:
                return
        if time.monotonic() > deadline:
            raise TopicError(unreachable(settings, found))
        time.sleep(0.2)


def broker_answers(server: str, *, timeout_ms: int = 3000, **security: Any) -> bool:
    """Whether a server names a live broker: a listening port alone, or a fenced broker, accepts no topics yet.

    Parameters
    ----------
    server : ``host:port``.
    security : options as of `kafka_options`; those of a server that this process started, not of the settings.
    """
    from kafka.admin import KafkaAdminClient
    from kafka.errors import KafkaError

    from streams.kafka import sockets as kafka_sockets

    kafka_sockets.install()
    try:
        admin = KafkaAdminClient(bootstrap_servers=[server], request_timeout_ms=timeout_ms, **security)
        with contextlib.closing(admin):
            return bool(admin.describe_cluster()["brokers"])
    except (KafkaError, OSError):
        return False


# -- Kafka, asyncio (aiokafka): services ---------------------------------------------------------------------------


def async_kafka_reader(settings: Settings, *, purpose: str, out_of_range: str = "earliest") -> AsyncReader:
    """Return a consumer without a group that commits nothing; the caller starts it, assigns partitions, stops it.

    Parameters
    ----------
    out_of_range : where to read on from an offset that the topic does not have; "none" raises instead.
    """
    from aiokafka import AIOKafkaConsumer

    return AIOKafkaConsumer(
        **_aiokafka(settings, purpose),
        **_reading(settings, out_of_range),
        group_id=None,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
    )


def async_kafka_group_reader(settings: Settings, topic: str, *, purpose: str) -> AsyncReader:
    """Return a consumer of the group ``<group>-<purpose>`` that reads one topic and commits when the caller does.

    Parameters
    ----------
    topic : its name on the cluster.
    """
    from aiokafka import AIOKafkaConsumer

    return AIOKafkaConsumer(
        topic,
        **_aiokafka(settings, purpose),
        **_reading(settings),
        group_id=f"{settings.group}-{purpose}",
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
        session_timeout_ms=int(settings.session_timeout_s * 1000),
        heartbeat_interval_ms=int(settings.session_timeout_s * 250),
    )


@asynccontextmanager
async def started(client: _Client) -> AsyncIterator[_Client]:
    """Start a consumer or a producer; stop it at the end of the block, and also where its start fails."""
    try:
        await client.start()
        yield client
    finally:
        await asyncio.shield(client.stop())


def async_kafka_producer(
    settings: Settings,
    *,
    purpose: str,
    idempotent: bool = False,
    batch_bytes: int = 16_384,
    request_bytes: int | None = None,
) -> AsyncProducer:
    """Return a producer that awaits all replicas; the caller starts and stops it.

    Parameters
    ----------
    idempotent : number its batches, so that the broker can refuse those of an earlier epoch.
    batch_bytes, request_bytes : the largest batch and request; without the latter, a message of the settings' size.
    """
    from aiokafka import AIOKafkaProducer

    return AIOKafkaProducer(
        **_aiokafka(settings, purpose),
        acks="all",
        enable_idempotence=idempotent,
        max_batch_size=batch_bytes,
        max_request_size=request_bytes or settings.max_message_bytes,
    )


def faust_credentials(settings: Settings) -> Any:
    """Return the security options of `kafka_options` in Faust's form; None where nothing is protected."""
    from faust import SASLCredentials, SSLCredentials

    options = kafka_options(settings)
    context = options.get("ssl_context")
    if "sasl_mechanism" in options:
        return SASLCredentials(
            username=options["sasl_plain_username"],
            password=options["sasl_plain_password"],
            mechanism=options["sasl_mechanism"],
            ssl_context=context,
        )
    return SSLCredentials(context) if context is not None else None


def unreachable(settings: Settings, error: Exception) -> str:
    """Describe why no broker accepted this client, and what to check."""
    if "Authorization" in type(error).__name__:  # of kafka-python and of aiokafka
        user = settings.kafka_username or "(none)"
        return (
            f"Kafka refuses the user {user} ({error}): give it the ACLs that the documentation lists (TLS, SASL, ACLs)"
        )
    return refusal(settings) or (
        f"no Kafka broker answers at {', '.join(settings.bootstrap)} ({error}): start one, set "
        "MARGINWATCH_KAFKA_URL, or use `marginwatch up`"
    )


def refusal(settings: Settings) -> str:
    """Return why a broker that answers and this client refuse each other, and what to check; empty where none does."""
    from streams.kafka import handshake

    return handshake.refusal(settings.bootstrap, kafka_options(settings))


def _kafka(settings: Settings, purpose: str) -> dict[str, Any]:
    return {"bootstrap_servers": settings.bootstrap, "client_id": f"marginwatch-{purpose}", **kafka_options(settings)}


def _aiokafka(settings: Settings, purpose: str) -> dict[str, Any]:
    from streams.kafka import connections as kafka_connections
    from streams.kafka import fetches as kafka_fetches

    kafka_connections.install()
    kafka_fetches.install()
    return _kafka(settings, purpose)


def _kafka_python(settings: Settings, purpose: str) -> dict[str, Any]:
    from streams.kafka import sockets as kafka_sockets  # it imports the library

    kafka_sockets.install()
    return {**_kafka(settings, purpose), "bootstrap_timeout_ms": BOOTSTRAP_MS}


def _reading(settings: Settings, out_of_range: str = "earliest") -> dict[str, Any]:
    return {
        "enable_auto_commit": False,
        "auto_offset_reset": out_of_range,
        "max_partition_fetch_bytes": max(_FETCH_BYTES, settings.max_message_bytes),
    }


# -- Redis ---------------------------------------------------------------------------------------------------------


def redis_client(settings: Settings, *, timeout_s: float | None = 10) -> Redis:
    """Return a Redis client; it connects with its first command.

    Raises
    ------
    SecurityError : if the CA file can't be read, or the URL does not use TLS.
    """
    return Redis.from_url(settings.redis, **_redis(settings, timeout_s))


def async_redis_client(
    settings: Settings, *, timeout_s: float | None = 10, connection_name: str | None = None
) -> AsyncRedis:
    """Return an asyncio Redis client; errors as of `redis_client`.

    Parameters
    ----------
    connection_name : how Redis lists its connections (CLIENT LIST); ASCII without spaces.
    """
    pool = ConnectionPool.from_url(settings.redis, client_name=connection_name, **_redis(settings, timeout_s))
    pool.connection_class = by_hiredis(pool.connection_class)
    return AsyncRedis.from_pool(pool)


def _redis(settings: Settings, timeout_s: float | None) -> dict[str, Any]:
    options: dict[str, Any] = {"socket_timeout": timeout_s, "socket_connect_timeout": _REDIS_CONNECT_S}
    if settings.redis_ca_file is not None:
        if not settings.redis.startswith("rediss://"):
            raise SecurityError("redis_ca_file would not be used: the Redis URL must begin with rediss:// for TLS")
        tls_context(settings.redis_ca_file)  # redis-py would report an unreadable file much later
        options["ssl_ca_certs"] = str(settings.redis_ca_file)
    return options


# -- HTTP ----------------------------------------------------------------------------------------------------------


def page_client() -> httpx.Client:
    """Return a blocking HTTP client for feeds; it follows a redirection only where a request wants it.

    An answer is limited in time and size as a whole (`streams.page_connections`).
    """
    import httpx

    from streams.page_connections import LimitedBackend

    agent = f"Mozilla/5.0 (compatible; marginwatch/{__version__})"
    timeout = httpx.Timeout(_PAGE_TIMEOUT_S, connect=_PAGE_CONNECT_S)
    # httpx has a list of authorities of its own; every other client trusts those of the system.
    client = httpx.Client(headers={"User-Agent": agent}, timeout=timeout, verify=tls_context(None))
    for transport in (client._transport, *client._mounts.values()):  # itself, and over a proxy
        if isinstance(transport, httpx.HTTPTransport):
            transport._pool._network_backend = LimitedBackend()
    return client


def http_session() -> ClientSession:
    """Return an asyncio HTTP session; each channel sets the time limit of its requests."""
    from aiohttp import ClientSession

    return ClientSession()
