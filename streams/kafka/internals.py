"""Every name of Faust, the Kafka clients and httpx that is not their documented interface, with what relies on it.

`broken` compares the list with the installed versions; a test fails with its answer when a version that changes one is
pinned.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib.metadata import version

import aiokafka
import faust
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer.fetcher import Fetcher, PartitionRecords
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.producer.message_accumulator import MessageAccumulator
from aiokafka.producer.transaction_manager import TransactionManager
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.group import JoinGroupRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from mode.utils.queues import ThrowableQueue

#: Packages that the factory of clients relies on.
_OF_CLIENTS = ("kafka-python", "httpx", "httpcore")


@dataclass(frozen=True, slots=True)
class Internal:
    """A private name of a library.

    Parameters
    ----------
    package : distribution that contains it.
    owner : class that has the method, or whose methods assign the attribute.
    name : of the method or attribute.
    parameters : of a method, self left out; None for an attribute.
    used_for : what would break.
    """

    package: str
    owner: type
    name: str
    parameters: tuple[str, ...] | None
    used_for: str


def internals() -> tuple[Internal, ...]:
    """Return every private name that the system uses."""
    import httpcore
    import httpx
    from kafka import KafkaProducer
    from kafka.producer.sender import Sender

    faust_, mode, aio, sync = "faust-streaming", "mode-streaming", "aiokafka", "kafka-python"
    put = ("value", "on_pressure_high", "on_pressure_drop")
    thread, consumer = driver.AIOKafkaConsumerThread, driver.Consumer
    acks, offsets = "acknowledging a poll as a whole", "reading from the offsets in Redis"
    loop = "the consumer in the loop of the app"
    leader, epochs = "the end of a leader that left", "the epochs of owners"
    lost, trickles = "the end of a lost connection", "the end of an answer that trickles"
    given_up = "the end of a producer whose broker is silent"
    return (
        Internal(mode, thread, "_thread_started", None, loop),
        Internal(mode, thread, "_started", None, loop),
        Internal(mode, thread, "_stopped", None, loop),
        Internal(mode, thread, "_default_start", (), loop),
        Internal(mode, thread, "_shutdown_thread", (), loop),
        Internal(mode, thread, "call_thread", ("fun", "args", "kwargs"), loop),
        Internal(faust_, thread, "_create_worker_consumer", ("transport",), "spread stages and short waits"),
        Internal(faust_, thread, "_ensure_consumer", (), "short waits"),
        Internal(faust_, thread, "_consumer", None, "wake-ups of a reader"),
        Internal(faust_, thread, "seek_wait", ("partitions",), offsets),
        Internal(faust_, consumer, "_new_consumer_thread", (), loop),
        Internal(faust_, consumer, "_thread", None, offsets),
        Internal(faust_, consumer, "_getmany", ("active_partitions", "timeout"), "whole polls"),
        Internal(faust_, consumer, "_to_message", ("tp", "record"), "whole polls"),
        Internal(faust_, consumer, "_add_gap", ("tp", "offset_from", "offset_to"), acks),
        Internal(faust_, consumer, "_new_offset", ("tp",), acks),
        Internal(faust_, consumer, "_acked", None, acks),
        Internal(faust_, consumer, "_acked_index", None, acks),
        Internal(faust_, consumer, "_clean_unacked_messages", (), "the end of a worker whose agents are dead"),
        Internal(faust_, consumer, "_unacked_messages", None, "the end of a worker whose agents are dead"),
        Internal(faust_, consumer, "on_buffer_drop", ("tp",), "wake-ups of a reader"),
        Internal(faust_, consumer, "seek_to_committed", (), offsets),
        Internal(faust_, TableManager, "_update_channels", (), "starting without tables of Faust's own"),
        Internal(faust_, TableManager, "recovery", (), "starting without tables of Faust's own"),
        Internal(faust_, faust.App, "_new_transport", (), "the transport of ours"),
        Internal(faust_, faust.App, "_create_directories", (), "a worker that writes no files"),
        Internal(mode, faust.Worker, "_sentinel_task", (), "a worker that ends without a pause"),
        Internal(mode, ThrowableQueue, "put_nowait_enhanced", put, "partitions that are not read on"),
        Internal(mode, ThrowableQueue, "maybe_endorse_pressure_drop", (), "partitions that are not read on"),
        Internal(mode, ThrowableQueue, "_queue", None, "the order of trade dates"),
        Internal(faust_, driver.Producer, "_ensure_producer", (), "publishing in batches"),
        Internal(faust_, driver.Producer, "_producer", None, "the check whether Kafka answers"),
        Internal(aio, aiokafka.AIOKafkaConsumer, "_fetcher", None, "short waits and wake-ups"),
        Internal(aio, aiokafka.AIOKafkaConsumer, "_coordinator", None, leader),
        Internal(aio, aiokafka.AIOKafkaConsumer, "_client", None, "the partitions of all topics"),
        Internal(aio, AIOKafkaClient, "fetch_all_metadata", (), "the partitions of all topics"),
        Internal(aio, GroupCoordinator, "_send_req", ("request",), leader),
        Internal(aio, GroupCoordinator, "check_errors", (), "a group that refuses the worker"),
        Internal(aio, JoinGroupRequest, "_member_id", None, leader),
        Internal(aio, JoinGroupRequest, "_group_protocols", None, "one JoinGroup a rebalance"),
        Internal(aio, GroupCoordinator, "_assignors", None, "one JoinGroup a rebalance"),
        Internal(aio, AIOKafkaClient, "get_random_node", (), "the settings of topics"),
        Internal(aio, Fetcher, "_prefetch_backoff", None, "short waits"),
        Internal(aio, Fetcher, "_records", None, "long waits of an idle worker"),
        Internal(aio, Fetcher, "_get_actions_per_node", ("assignment",), "long waits of an idle worker"),
        Internal(aio, Fetcher, "_select_read_replica", ("tp",), "long waits of an idle worker"),
        Internal(aio, PartitionRecords, "_consumer_record", ("tp", "record"), "light records"),
        Internal(aio, FetchRequest, "_topics", None, "long waits of an idle worker"),
        Internal(aio, FetchRequest, "_max_wait_ms", None, "long waits of an idle worker"),
        Internal(aio, Fetcher, "_fetch_waiters", None, "wake-ups of a reader"),
        Internal(aio, aiokafka.AIOKafkaProducer, "_txn_manager", None, epochs),
        Internal(aio, TransactionManager, "set_pid_and_epoch", ("pid", "epoch"), epochs),
        Internal(aio, AIOKafkaClient, "coordinator_lookup", ("coordinator_type", "coordinator_key"), epochs),
        Internal(aio, InitProducerIdRequest, "__init__", ("transactional_id", "transaction_timeout_ms"), epochs),
        Internal(aio, aiokafka.AIOKafkaProducer, "_sender", None, given_up),
        Internal(aio, aiokafka.AIOKafkaProducer, "_message_accumulator", None, given_up),
        Internal(aio, MessageAccumulator, "fail_all", ("exception",), given_up),
        Internal(aio, AIOKafkaConnection, "connected", (), lost),
        Internal(aio, AIOKafkaConnection, "send", ("request", "expect_response"), lost),
        Internal(aio, AIOKafkaConnection, "_send_sasl_token", ("payload", "expect_response"), lost),
        Internal("httpx", httpx.HTTPTransport, "_pool", None, trickles),
        Internal("httpx", httpx.Client, "_transport", None, trickles),
        Internal("httpx", httpx.Client, "_mounts", None, trickles),
        Internal("httpcore", httpcore.ConnectionPool, "_network_backend", None, trickles),
        Internal(sync, KafkaProducer, "_sender", None, "closing a publisher whose broker is gone"),
        Internal(sync, Sender, "force_close", (), "closing a publisher whose broker is gone"),
    )


def broken() -> list[str]:
    """Compare the private names with the installed versions; an empty list is good."""
    return [message for one in internals() if (message := _difference(one))]


def _difference(one: Internal) -> str:
    module = "clients" if one.package in _OF_CLIENTS else "kafka/faust_adapter"
    where = f"{one.package} {version(one.package)}: {one.owner.__module__}.{one.owner.__qualname__}.{one.name}"
    remedy = f"{one.used_for} relies on it: adapt streams/{module}.py before pinning this version"
    if one.parameters is None:
        known = any(f"self.{one.name}" in _source(kind) for kind in one.owner.__mro__)
        return "" if known else f"{where} is not assigned any more; {remedy}"
    found = inspect.getattr_static(one.owner, one.name, None)
    if found is None:
        return f"{where} is gone; {remedy}"
    function = getattr(found, "fget", None) or getattr(found, "func", None) or getattr(found, "__wrapped__", found)
    parameters = tuple(inspect.signature(function).parameters)[1:] if callable(function) else ()
    return "" if parameters == one.parameters else f"{where} takes {parameters}, expected {one.parameters}; {remedy}"


def _source(kind: type) -> str:
    """Return the source of a class; of its functions alone, where the class claims to be of another module."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return "".join(inspect.getsource(one) for one in vars(kind).values() if inspect.isfunction(one))
