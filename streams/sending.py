"""Publishing outputs in batches: one request and one acknowledgement per partition, not one per message.

Sent one by one, each message costs about 100 µs, most of it for futures that nobody looks at singly; a trade date has
some forty signals.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.tables import Output

#: Larger batches gain nothing; a message that is larger travels alone.
BATCH_BYTES = 256 * 1024


async def send(producer: AIOKafkaProducer, outputs: Sequence[Output]) -> None:
    """Publish outputs, in order within each partition, and await all acknowledgements.

    Parameters
    ----------
    producer : started, with ``max_batch_size`` of `BATCH_BYTES`.

    Raises
    ------
    KafkaError, OSError : if any of them was not acknowledged; the others may have arrived.
    """
    filling: dict[tuple[str, int], BatchBuilder] = {}
    acknowledgements: list[Awaitable[Any]] = []

    async def close(place: tuple[str, int], batch: BatchBuilder) -> None:
        batch.close()
        acknowledgements.append(await producer.send_batch(batch, place[0], partition=place[1]))

    for output in outputs:
        place = output.topic, output.partition
        batch = filling.get(place)
        if batch is None or not _add(batch, output):
            if batch is not None:
                await close(place, batch)
            batch = filling[place] = producer.create_batch()
            _add(batch, output)  # the first message of a batch may have any size
    for place, batch in filling.items():
        await close(place, batch)
    for failed in await asyncio.gather(*acknowledgements, return_exceptions=True):
        if isinstance(failed, BaseException):
            raise failed


def _add(batch: BatchBuilder, output: Output) -> bool:
    added = batch.append(timestamp=None, key=output.key, value=output.value, headers=output.headers)
    return added is not None
