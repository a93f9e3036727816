"""Everything of Faust and aiokafka that is not their documented interface, in one place.

Transport and app rely on private attributes of pinned versions. They use them through this module only;
`streams.kafka.internals` lists every one of them with what relies on it.
"""

from __future__ import annotations

import asyncio
import copy
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import aiokafka
import faust
import structlog
from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    IncompatibleBrokerVersion,
    InvalidRequestError,
    KafkaConnectionError,
    NoError,
    NoOffsetForPartitionError,
    OffsetOutOfRangeError,
    RebalanceInProgressError,
    TransactionalIdAuthorizationFailed,
    UnknownError,
    UnsupportedVersionError,
    for_code,
)
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.transaction import InitProducerIdRequest
from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.utils.futures import maybe_async

from streams.kafka import connections as kafka_connections
from streams.kafka import fetches as kafka_fetches
from streams.kafka.assignment import Inputs, StageAssignor

if TYPE_CHECKING:
    from streams.clients import AsyncProducer

log = structlog.get_logger()
#: aiokafka requests nothing of a node for this long while unread records of one of its partitions lie there.
_PREFETCH_BACKOFF_S = 0.002
#: A broker's answers where it knows no transactional ids, or does not allow one; Tansu 0.6 answers `UnknownError`.
_NO_FENCE = (
    UnknownError,
    UnsupportedVersionError,
    IncompatibleBrokerVersion,
    InvalidRequestError,
    TransactionalIdAuthorizationFailed,
    ClusterAuthorizationFailedError,
)
#: A broker wants a time limit of transactions with a transactional id, though there are none.
_TRANSACTION_MS = 60_000
#: In place of the answer to a JoinGroup that lacks an assignor: aiokafka continues with the next assignor.
_NOT_SENT = SimpleNamespace(error_code=NoError.errno)


class ConsumerService(driver.AIOKafkaConsumerThread):
    """Faust's consumer thread without a thread, and a consumer of ours: short waits, wake-ups, no departed leader."""

    def __init__(self, consumer: driver.Consumer, *, loop: asyncio.AbstractEventLoop, **options: Any) -> None:
        super().__init__(consumer, loop=loop, thread_loop=loop, **options)

    async def start(self) -> None:
        """Start without a thread."""
        self._thread_started.set()
        await self._default_start()

    async def stop(self) -> None:
        """Stop the consumer, then what runs beside it."""
        if self._started.is_set() and not self._stopped.is_set():
            self._stopped.set()
            await self._shutdown_thread()

    async def call_thread(self, fun: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a function of the consumer."""
        return await maybe_async(fun(*arguments, **options))

    async def on_start(self) -> None:
        """Shorten the pause that a partition with unread records imposes on the others of its node."""
        await super().on_start()
        consumer = self._ensure_consumer()
        consumer._fetcher._prefetch_backoff = _PREFETCH_BACKOFF_S
        expire_departed_leader(consumer._coordinator)
        join_once(consumer._coordinator)

    def check_group(self) -> None:
        """Raise the `KafkaError` that keeps this worker out of its group, if there is one.

        aiokafka joins again only behind a caller that has taken its error, and Faust asks for records, which takes it,
        only once it has partitions.
        """
        if self._consumer is not None and self._consumer._coordinator is not None:
            self._consumer._coordinator.check_errors()

    def wake(self) -> None:
        """Wake up those that wait for records."""
        if self._consumer is not None:
            for waiter in list(self._consumer._fetcher._fetch_waiters):
                if not waiter.done():
                    waiter.set_result(None)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        auth = driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context)
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[StageAssignor(self.app.stage_inputs), RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_poll_records=conf.broker_max_poll_records,
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000.0),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=self.app.fetch_max_wait_ms,
            request_timeout_ms=int(conf.broker_request_timeout * 1000.0),
            session_timeout_ms=int(conf.broker_session_timeout * 1000.0),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000.0),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000.0),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **auth,
        )


def expire_departed_leader(coordinator: GroupCoordinator) -> None:
    """Make the broker drop a group leader that left, if the broker still names it.

    The embedded broker (Tansu 0.6) forgets to choose another leader when the leader leaves during a rebalance. It then
    names the departed leader to every member that joins, a restarted worker too. Nobody computes the assignment, so the
    group never becomes stable. Tansu does drop a leader whose session times out: one JoinGroup with the leader's id
    starts a session that nobody keeps alive.

    Apache Kafka refuses a SyncGroup with "rebalance in progress" only in a rebalance that ends in a later generation.
    A JoinGroup that names the same leader of the same generation after such a refusal names a departed one.
    """
    send = coordinator._send_req
    joined = refused = expired = None  # generation and leader: of the last JoinGroup, if refused, if expired

    async def send_and_watch(request: Any) -> Any:
        nonlocal joined, refused, expired
        answer = await send(request)
        if isinstance(request, SyncGroupRequest):
            refused = joined if answer.error_code == RebalanceInProgressError.errno else None
        elif isinstance(request, JoinGroupRequest) and answer.error_code == NoError.errno:
            joined = answer.generation_id, answer.leader_id
            if answer.leader_id != answer.member_id and joined == refused != expired:
                log.warning(
                    "the group's leader has left, its session is expired", generation=joined[0], leader=joined[1]
                )
                expiring = copy.copy(request)
                expiring._member_id = answer.leader_id
                await send(expiring)
                expired = joined
        return answer

    coordinator._send_req = send_and_watch


def join_once(coordinator: GroupCoordinator) -> None:
    """Send one JoinGroup a rebalance, with all assignors: aiokafka sends one more for each of them.

    The second one begins another rebalance. Two workers that join at the same moment may each answer the other's first
    request with their second one: neither group lasts, and one of them never gets a partition.
    """
    send = coordinator._send_req

    async def send_whole(request: Any) -> Any:
        if isinstance(request, JoinGroupRequest) and len(request._group_protocols) < len(coordinator._assignors):
            return _NOT_SENT
        return await send(request)

    coordinator._send_req = send_whole


class BatchConsumer(driver.Consumer):
    """Faust's consumer, whose messages are batches of records; subclasses say which, and where reading begins."""

    @abstractmethod
    def batch(self, records: Sequence[Any]) -> Any:
        """Return one value for the records of one poll and partition; it has their topic, partition and offset."""

    @abstractmethod
    def start_offset(self, tp: TP) -> int | None:
        """Return where a partition is read from; None for its beginning."""

    @abstractmethod
    def on_out_of_range(self, partitions: Collection[TP]) -> None:
        """Take notice of partitions that are paused, because Kafka does not have their next offset."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Read on for an agent whose buffer has room again: Faust does not wake up who waits for records."""
        super().on_buffer_drop(tp)
        self._thread.wake()

    def check_group(self) -> None:
        """As `ConsumerService.check_group`."""
        self._thread.check_group()

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition to its start offset instead of the one that the group has committed."""
        offsets = {tp: self.start_offset(tp) for tp in self.assignment()}
        if fresh := [tp for tp, offset in offsets.items() if offset is None]:
            offsets |= await self.earliest_offsets(*fresh)
        if offsets:
            await self._thread.seek_wait(offsets)
        return {tp: offset or None for tp, offset in offsets.items()}  # type: ignore[misc]

    def _new_consumer_thread(self) -> ConsumerService:
        return ConsumerService(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Any]]:
        try:
            records = await super()._getmany(active_partitions, timeout)
        except OffsetOutOfRangeError as error:
            lost = {TP(tp.topic, tp.partition) for tp in error.args[0]}
            self.pause_partitions(lost)
            self.on_out_of_range(lost)
            return {}
        except NoOffsetForPartitionError:
            return {}  # a partition that was just assigned: the seek that follows every assignment gives it a position
        return {tp: [self.batch(found)] for tp, found in records.items() if found}

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        place = record.topic, record.partition, record.offset, record.timestamp / 1000.0
        generation = self.app.consumer_generation_id
        return ConsumerMessage(*place, 0, (), None, record, None, 0, 0, tp, generation_id=generation)

    def _clean_unacked_messages(self) -> None:
        """Drop what is acknowledged; and all of it once the app ends, because its agents acknowledge nothing more."""
        super()._clean_unacked_messages()
        if self.app.ending:
            self._unacked_messages.clear()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """The offset of a batch jumps to its last record: nothing is missing."""

    def _new_offset(self, tp: TP) -> int | None:
        """One agent works a partition in order, so what is acknowledged last covers everything before it."""
        acked = self._acked[tp]
        if not acked:
            return None
        last = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return int(last) + 1


class _NoTables(TableManager):
    """Faust's manager of its own tables: there are none, so nothing waits a second for them to be declared."""

    async def on_start(self) -> None:
        """Declare at once that all of them are known."""
        await self._update_channels()
        await self.recovery.start()


class App(faust.App):
    """A Faust app without tables and folders of Faust's own, on the transport of its class."""

    transport_class: type[driver.Transport]
    fetch_max_wait_ms: int
    stage_inputs: Collection[Inputs]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        kafka_connections.install()
        kafka_fetches.install()
        super().__init__(*arguments, TableManager=_NoTables, **options)

    def _new_transport(self) -> driver.Transport:
        return self.transport_class(self.conf.broker_consumer, self)

    def _create_directories(self) -> None:
        """Faust's data folder is for its own tables; ours are in Redis, and a worker writes no files."""

    def kafka_producer(self) -> AsyncProducer:
        """Return the Kafka client inside Faust's producer; raises Faust's ``NotReady`` before the start."""
        return self.producer._ensure_producer()

    async def broker_answers(self) -> bool:
        """Ask the broker for its metadata; true before the producer is started."""
        producer = self.producer._producer
        return producer is None or bool(await producer.client.force_metadata_update())


class Worker(faust.Worker):
    """A Faust worker whose process ends when its services have ended, not a second later.

    It prints nothing beside its log: a standard output that is full would end it.
    """

    def __init__(self, *apps: Any, **options: Any) -> None:
        super().__init__(*apps, quiet=True, **options)
        self.spinner = None

    async def _sentinel_task(self) -> None:
        """The last task before the event loop is closed: mode waits a second there."""


# -- fenced producers ----------------------------------------------------------------------------------------------


async def next_epoch(producer: AsyncProducer, transactional_id: str) -> tuple[int, int] | None:
    """Return a producer id and an epoch higher than every earlier one of a transactional id.

    Parameters
    ----------
    producer : a started one, over whose connection the broker is asked.

    Returns
    -------
    None if the broker knows no transactional ids, or does not allow this one.

    Raises
    ------
    KafkaError : if the broker can't answer now.
    """
    client = producer.client
    try:
        node = await client.coordinator_lookup(CoordinationType.TRANSACTION, transactional_id)
        request = InitProducerIdRequest(transactional_id=transactional_id, transaction_timeout_ms=_TRANSACTION_MS)
        answer = await client.send(node, request, group=ConnectionGroup.COORDINATION)
        if answer.error_code != NoError.errno:
            raise for_code(answer.error_code)(transactional_id)
    except _NO_FENCE as error:
        log.info("no epoch for a producer", transactional_id=transactional_id, error=repr(error))
        return None
    return answer.producer_id, answer.producer_epoch


def use_epoch(producer: AsyncProducer, epoch: tuple[int, int]) -> None:
    """Give an idempotent producer that is not started a producer id and an epoch, in place of one of its own.

    Apache Kafka compares epochs of all batches, those outside of transactions too. Transactions would put a record of
    their own behind every step, which readers of offsets take for a message that is still to come.
    """
    producer._txn_manager.set_pid_and_epoch(*epoch)


async def abandon(producer: AsyncProducer) -> None:
    """Close a producer whose `stop` was given up: it would go on sending, over a connection that stays open."""
    producer._message_accumulator.fail_all(KafkaConnectionError("the producer was closed before its broker answered"))
    sender_ends = asyncio.ensure_future(producer._sender.close())  # it waits for the requests that the client ends
    await producer.client.close()
    await sender_ends
