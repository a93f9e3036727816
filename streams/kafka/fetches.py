"""How the consumers of aiokafka fetch: total batches, packed requests, light records, and a long wait while nothing
arrives.

One fetch at a time is on its way to a broker. Partitions that are not in it, because their records are not consumed
yet, wait for its answer; so the broker delays an empty answer for milliseconds only. An idle consumer would then ask a
hundred times a second, and keep a broker as busy as a feed does. The longer nothing arrives, the longer waits a fetch
of all partitions of a broker, which delays nobody. Apache Kafka answers it as soon as there is a record; the embedded
broker looks for one after half of the wait, so the first record after a pause is late by that much there: by a fortieth
of the pause.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from aiokafka.consumer import consumer, fetcher

from streams.kafka import batches as kafka_batches
from streams.kafka.fetch_codec import PackedFetchRequest
from streams.records import PlainRecord

#: A claim waits for it, too: what a consumer asks a broker after a fetch is answered after that fetch.
IDLE_WAIT_MS = 200
#: How long a fetch may wait, as a share of the time in which nothing has arrived.
PATIENCE = 1 / 20


class LightRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # a library without types
    """The library's records of a fetch and partition, without what nobody reads."""

    def _consumer_record(self, tp: Any, record: Any) -> PlainRecord:
        return PlainRecord(
            tp.topic, tp.partition, record.offset, record.timestamp, record.key, record.value, record.headers
        )


class PatientFetcher(fetcher.Fetcher):  # type: ignore[misc]  # a library without types
    """The library's fetcher, with a long wait in fetches of all partitions of a broker while nothing arrives."""

    last_arrival = 0.0

    def _get_actions_per_node(self, assignment: Any) -> Any:
        requests, *rest = super()._get_actions_per_node(assignment)
        now = time.monotonic()
        if self._records:
            self.last_arrival = now
        elif requests:
            wait_ms = min(IDLE_WAIT_MS, int((now - self.last_arrival) * PATIENCE * 1000))
            if any(request._max_wait_ms < wait_ms for _, request in requests):
                whole = Counter(map(self._select_read_replica, assignment.tps))
                for node, request in requests:
                    if sum(len(partitions) for _, partitions in request._topics) == whole[node]:
                        request._max_wait_ms = max(request._max_wait_ms, wait_ms)
        return (requests, *rest)


def install() -> None:
    """Let every consumer of aiokafka that is started from now on fetch so."""
    kafka_batches.install(fetcher)
    fetcher.FetchRequest = PackedFetchRequest
    fetcher.PartitionRecords = LightRecords
    consumer.Fetcher = PatientFetcher
