"""Publishing outputs: many for one partition as a batch of their own, few of them one by one.

A message that is sent singly costs about 100 µs, most of it for a future that nothing awaits; a trade date has some
fifty signals. But a batch of its own is also a request of its own, and a partition accepts one at a time. Where several
owners each have a message for the same partition, Kafka's client puts them into one request only if they are sent
singly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka.producer.message_accumulator import BatchBuilder

from streams.tables import Output

if TYPE_CHECKING:
    from streams.clients import AsyncProducer

#: Larger batches gain nothing; a message that is larger travels alone.
BATCH_BYTES = 256 * 1024
_FEW = 4


async def send(producer: AsyncProducer, outputs: Sequence[Output]) -> None:
    """Publish outputs, in order within each partition, and await all acknowledgements.

    Parameters
    ----------
    producer : started, with ``max_batch_size`` of `BATCH_BYTES`.

    Raises
    ------
    KafkaError, OSError : if any of them was not acknowledged; the others may have arrived.
    """
    places: dict[tuple[str, int], list[Output]] = {}
    for output in outputs:
        places.setdefault((output.topic, output.partition), []).append(output)
    acknowledgements: list[Awaitable[Any]] = []
    for (topic, partition), group in places.items():
        if len(group) <= _FEW:
            acknowledgements += [
                await producer.send(topic, one.value, key=one.key, partition=partition, headers=one.headers)
                for one in group
            ]
        else:
            acknowledgements += [
                await producer.send_batch(batch, topic, partition=partition) for batch in _batches(producer, group)
            ]
    for failed in await asyncio.gather(*acknowledgements, return_exceptions=True):
        if isinstance(failed, BaseException):
            raise failed


def _batches(producer: AsyncProducer, outputs: Sequence[Output]) -> list[BatchBuilder]:
    filled = [producer.create_batch()]
    for output in outputs:
        if not _add(filled[-1], output):
            filled.append(producer.create_batch())
            _add(filled[-1], output)  # the first message of a batch may have any size
    for batch in filled:
        batch.close()
    return filled


def _add(batch: BatchBuilder, output: Output) -> bool:
    added = batch.append(timestamp=None, key=output.key, value=output.value, headers=output.headers)
    return added is not None
