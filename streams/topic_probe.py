"""One connection over which a worker asks what single places of topics contain, without a consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from streams.clients import async_kafka_reader
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.clients import AsyncReader

#: How long a broker may serve nothing until a question has failed, seconds; and how long one fetch waits.
PATIENCE_S, POLL_MS = 15.0, 200


class TopicProbe:
    """A consumer that is opened with the first question, and again after a question that failed."""

    def __init__(self, settings: Settings, *, purpose: str) -> None:
        self._settings = settings
        self._purpose = purpose
        self._consumer: AsyncReader | None = None
        self._one_at_a_time = asyncio.Lock()

    @asynccontextmanager
    async def _asking(self, partitions: Collection[TopicPartition]) -> AsyncIterator[AsyncReader]:
        """Yield the consumer with these partitions assigned; one question at a time."""
        async with self._one_at_a_time:
            try:
                if self._consumer is None:
                    self._consumer = async_kafka_reader(self._settings, purpose=self._purpose, out_of_range="none")
                    await self._consumer.start()
                self._consumer.assign(list(partitions))
                yield self._consumer
            except BaseException:
                await self.close()
                raise

    async def close(self) -> None:
        """Close the connection."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()
