"""Publishing what stages have stored; a topic that is compacted accepts nothing from an earlier owner.

Compaction keeps the last message of a key. A worker that was stopped between storing and publishing would publish its
message behind the newer one of the next owner, and only the older one would be left. So every owner of a stage that
writes compacted topics has a producer of its own under one transactional id, ``<group>-<stage>-<partition>``: each has
a higher epoch, and once it has written to a topic the broker refuses all earlier ones there. No transactions are
needed for that, and none are used.

The embedded broker has no transactional ids, and a user may not be allowed to use one. Messages are published without a
fence then; readers follow the sequence (`streams.records.sequence_of`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from streams.clients import async_kafka_producer
from streams.errors import RevokedError
from streams.kafka.faust_adapter import abandon, next_epoch, use_epoch
from streams.settings import MAX_BROKER_BYTES, Settings
from streams.stages.output_sender import BATCH_BYTES, send
from streams.stages.stage import Stage
from streams.tables import Output, TablePartition

if TYPE_CHECKING:
    from streams.clients import AsyncProducer

log = structlog.get_logger()
#: A request may be this large: a message of any allowed size with its headers.
REQUEST_BYTES = MAX_BROKER_BYTES + 1024 * 1024
#: The broker acknowledges outputs within this time, or they are published again.
ACKNOWLEDGED_S = 40.0
_CLOSE_S = 5.0


@dataclass(slots=True)
class _Owner:
    """The owner of a fenced partition, and its producer once it has published."""

    table: TablePartition
    producer: AsyncProducer | None = None


class OutputPublisher:
    """Publishes outputs and awaits their acknowledgements.

    Parameters
    ----------
    shared : the producer for all topics that need no fence.
    """

    def __init__(self, settings: Settings, stages: Iterable[Stage], shared: Callable[[], AsyncProducer]) -> None:
        self._settings = settings
        self._shared = shared
        self._stages = {name: stage.name for stage in stages if stage.compacted for name in stage.output_names}
        self._owners: dict[str, _Owner] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._broker_fences = True

    def claimed(self, table: TablePartition) -> None:
        """Take note that this worker has claimed a partition."""
        if table.table in self._stages.values():
            self._discard(table.table)
            self._owners[table.table] = _Owner(table)

    async def open(self, table: TablePartition) -> None:
        """Open the producer of a claimed partition, so that its first output does not wait for it.

        On a new cluster the broker creates a topic for transactional ids, which takes a second. Errors as of `publish`.
        """
        if table.table in self._owners:
            await self._producer(table.table)

    def release(self) -> None:
        """Close the producers of all partitions: the group is assigned again."""
        for stage in list(self._owners):
            self._discard(stage)

    async def publish(self, outputs: Sequence[Output]) -> None:
        """Publish outputs, in order within each partition.

        Raises
        ------
        FencedError : if another worker has claimed the partition.
        RevokedError : if this worker has given it up.
        KafkaError, OSError : if any was not acknowledged; the others may have arrived.
        """
        by_stage: dict[str | None, list[Output]] = {}
        for output in outputs:
            by_stage.setdefault(self._stages.get(output.topic), []).append(output)
        for stage, group in by_stage.items():
            producer = None if stage is None else await self._producer(stage)
            if stage is None or producer is None:
                await send(self._shared(), group)
                continue
            try:
                await asyncio.wait_for(send(producer, group), ACKNOWLEDGED_S)  # such a producer itself never gives up
            except BaseException:
                # Fenced, or with a gap in its numbers. The next one is opened if this worker is the owner still.
                self._forget(stage)
                raise

    async def close(self) -> None:
        """Close all producers."""
        self.release()
        await asyncio.gather(*self._closing, return_exceptions=True)

    async def _producer(self, stage: str) -> AsyncProducer | None:
        owner = self._owners.get(stage)
        if owner is None:
            raise RevokedError
        if owner.producer is not None or not self._broker_fences:
            return owner.producer
        await owner.table.check_owner()  # a new epoch fences the true owner
        identity = f"{self._settings.group}-{stage}-{owner.table.partition}"
        epoch = await next_epoch(self._shared(), identity)
        if epoch is None:
            self._broker_fences = False
            log.info("the broker fences no producers: the sequence alone orders messages", transactional_id=identity)
            return None
        producer = async_kafka_producer(
            self._settings, purpose=stage, idempotent=True, batch_bytes=BATCH_BYTES, request_bytes=REQUEST_BYTES
        )
        use_epoch(producer, epoch)
        try:
            await producer.start()
        except BaseException:
            await _close(producer)
            raise
        owner.producer = producer
        return producer

    def _forget(self, stage: str) -> None:
        owner = self._owners.get(stage)
        if owner is not None and owner.producer is not None:
            producer, owner.producer = owner.producer, None
            task = asyncio.ensure_future(_close(producer))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _discard(self, stage: str) -> None:
        self._forget(stage)
        self._owners.pop(stage, None)


async def _close(producer: AsyncProducer) -> None:
    """Close a producer; what it has not sent within seconds is given up."""
    with contextlib.suppress(Exception):
        try:
            await asyncio.wait_for(producer.stop(), _CLOSE_S)
        except TimeoutError:
            await asyncio.wait_for(abandon(producer), _CLOSE_S)
