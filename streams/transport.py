"""Faust's Kafka transport, with four changes: whole polls, our offsets, short waits, no lost wake-ups.

**Whole polls.** Faust hands an agent one message at a time, which costs about 80 µs each whatever the payload (two
tasks are made per message). Here the records of one poll and partition become *one* Faust message whose value is a
`Poll`; groups, rebalancing, agents, supervision and flow control stay Faust's own. Its offset is the poll's last one:
acknowledging it acknowledges the poll, and since one agent works a partition in order, "acknowledged" always means
"everything up to here" (`_new_offset`), so gaps need no book-keeping (`_add_gap`).

**Our offsets.** Where to read from is decided by the offsets that were stored with the state in Redis, not by the
group's committed ones (`seek_to_committed`). Kafka's are still committed, for lag monitoring.

**Short waits.** Faust fixes ``fetch_max_wait_ms=1500``: one idle topic then delays the busy ones on its node by that
much. aiokafka asks a node for nothing while records of one of its partitions lie there unread, for 100 ms: a busy agent
would hold up the others by that much (`_PREFETCH_BACKOFF_S`).

**No lost wake-ups.** An agent with a full buffer is not read for; once it has room again, Faust changes the set of
partitions that it asks for, but who is waiting for records isn't told. Here it is (`on_buffer_drop`); else what lies
there would wait for something new to come.

Partitions are assigned by range, so that the partitions with one number of all co-partitioned topics always
belong to one worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import aiokafka
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from streams.codec import Record

_PREFETCH_BACKOFF_S = 0.002


class Poll:
    """The records of one poll from one partition, in order."""

    __slots__ = ("offset", "partition", "records", "topic")

    def __init__(self, records: Sequence[Record]) -> None:
        last = records[-1]
        self.records = records
        self.topic, self.partition, self.offset = last.topic, last.partition, last.offset

    def __len__(self) -> int:
        return len(self.records)


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    async def on_start(self) -> None:
        await super().on_start()
        self._ensure_consumer()._fetcher._prefetch_backoff = _PREFETCH_BACKOFF_S

    def look_again(self) -> None:
        """Wake up whoever waits for records; may be called from any thread."""
        if self._consumer is not None:
            self.thread_loop.call_soon_threadsafe(_wake, self._consumer._fetcher)

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = RangePartitionAssignor
        auth = driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context)
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
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


def _wake(fetcher: Any) -> None:
    for waiter in list(fetcher._fetch_waiters):
        if not waiter.done():
            waiter.set_result(None)


class _Consumer(driver.Consumer):
    def _new_consumer_thread(self) -> _ConsumerThread:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_drop(self, tp: TP) -> None:
        super().on_buffer_drop(tp)
        self._thread.look_again()

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Poll]]:
        records = await super()._getmany(active_partitions, timeout)
        return {tp: [Poll(found)] for tp, found in records.items() if found}

    def _to_message(self, tp: TP, poll: Poll) -> ConsumerMessage:
        last = poll.records[-1]
        return ConsumerMessage(
            poll.topic,
            poll.partition,
            poll.offset,
            last.timestamp / 1000.0,
            0,
            (),
            None,
            poll,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """A poll's offset jumps to its last record: nothing is missing."""

    def _new_offset(self, tp: TP) -> int | None:
        acked = self._acked[tp]
        if not acked:
            return None
        last = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return int(last) + 1

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """Seek every partition to the offset that its state in Redis stands at."""
        offsets: dict[TP, int] = {tp: self.app.start_offset(tp.topic, tp.partition) for tp in self.assignment()}
        if offsets:
            await self._thread.seek_wait(offsets)
        return {tp: offset or None for tp, offset in offsets.items()}  # type: ignore[misc]


class Transport(driver.Transport):
    """The transport of the marginwatch app; see the module's docstring."""

    Consumer = _Consumer
