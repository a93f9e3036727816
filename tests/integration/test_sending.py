"""Outputs of a step reach their partitions whole and in order, however many and however large they are."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from streams.clients import async_kafka_producer
from streams.local.local_kafka import Broker
from streams.stages import output_publisher
from streams.stages.output_sender import BATCH_BYTES, send
from streams.tables import Output
from streams.topics import Topic, Topics
from tests.harness import Stack


@pytest.mark.parametrize("sizes", [[7], [10] * 60, [10, 3 * BATCH_BYTES, 10, BATCH_BYTES // 2, BATCH_BYTES // 2, 10]])
def test_messages_arrive_in_order(stack: Stack, sizes: list[int]) -> None:
    names = Topics(stack.settings)
    topics = [names.name(Topic.SIGNALS_MARKET), names.name(Topic.ALERTS)]
    outputs = [
        Output(topic, 0, f"{place}".encode(), b"x" * size, [("n", f"{place}".encode())])
        for place, size in enumerate(sizes)
        for topic in topics
    ]

    async def both() -> dict[str, list[tuple[bytes, int, bytes]]]:
        producer = AIOKafkaProducer(
            bootstrap_servers=stack.settings.bootstrap, max_batch_size=BATCH_BYTES, max_request_size=16 * BATCH_BYTES
        )
        consumer = AIOKafkaConsumer(bootstrap_servers=stack.settings.bootstrap, auto_offset_reset="earliest")
        await producer.start()
        await consumer.start()
        consumer.assign([TopicPartition(topic, 0) for topic in topics])
        found: dict[str, list[tuple[bytes, int, bytes]]] = {topic: [] for topic in topics}
        try:
            await send(producer, outputs)
            async with asyncio.timeout(30):
                while sum(map(len, found.values())) < len(outputs):
                    for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                        found[tp.topic] += [(r.key, len(r.value), dict(r.headers)["n"]) for r in records]
        finally:
            await consumer.stop()
            await producer.stop()
        return found

    expected = [(str(n).encode(), size, str(n).encode()) for n, size in enumerate(sizes)]
    assert asyncio.run(both()) == dict.fromkeys(topics, expected)


def test_a_producer_whose_broker_is_silent_leaves_nothing_behind_when_it_is_closed(
    stack: Stack, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_publisher, "_CLOSE_S", 0.5)
    name = Topics(stack.settings).name(Topic.ALERTS)

    async def go() -> set[str]:
        producer = async_kafka_producer(stack.settings, purpose="test")
        await producer.start()
        await producer.partitions_for(name)
        broker.pause()
        try:
            unanswered = await producer.send(name, b"b", partition=0)
            await asyncio.wait([unanswered], timeout=0.2)
            await output_publisher._close(producer)
            assert isinstance(unanswered.exception(), KafkaConnectionError)
            return {repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        finally:
            broker.resume()

    assert asyncio.run(go()) == set()
