"""The console's reader of input topics: recent prices, margin buys and the reference, for the pages of securities."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiokafka import TopicPartition

from console.daily_inputs import FIGURES_KEPT
from processors.events import RowBatch
from streams.calendars import xshg
from streams.clients import async_kafka_reader, started
from streams.codecs.registry import Codecs
from streams.kafka.cluster import topics_of
from streams.settings import Settings
from streams.topics import Topics


async def follow(settings: Settings, offer: Callable[[RowBatch], None]) -> None:
    """Read the topics from the beginning and go on, until the task is cancelled."""
    topics = Topics(settings)
    decoders = Codecs(settings, xshg(settings.calendar_file)).row_decoders(FIGURES_KEPT)
    partitions = {
        TopicPartition(topics.name(topic), number): topic
        for topic in FIGURES_KEPT
        for number in range(topics.all[topic].partitions)
    }
    async with started(async_kafka_reader(settings, purpose="console")) as consumer:
        topics.require_in(await topics_of(consumer))
        consumer.assign(list(partitions))
        await consumer.seek_to_beginning(*partitions)
        while True:
            found = await consumer.getmany(timeout_ms=500, max_records=100)
            for partition, records in found.items():
                # Refused rows are the worker's to report.
                decoder = decoders[partitions[partition]]
                items, _ = await asyncio.to_thread(decoder.decode, records)
                decoder.take_absent()
                for item in items:
                    if isinstance(item, RowBatch):
                        offer(item)
                        await asyncio.sleep(0)  # pages are served while years of history are read
