"""Faust's Kafka transport, with five changes: whole polls, our offsets, short waits, no lost wake-ups, one loop.

**Whole polls.** Faust hands an agent one message at a time, which costs about 80 µs each whatever the payload (two
tasks are made per message). Here the records of one poll and partition become *one* Faust message whose value is a
`Poll`; groups, rebalancing, agents, supervision and flow control stay Faust's own. Its offset is the poll's last one:
acknowledging it acknowledges the poll. One agent works a partition in order, so "acknowledged" always means
"everything up to here", and gaps need no book-keeping.

**Our offsets.** The offsets that were stored with the state in Redis decide where to read from, not those that the
group has committed. Kafka's are still committed, for lag monitoring. Where Kafka does not have such an offset, reading
does not go on somewhere else: the partition is paused, and the app finds out what is lost.

**Short waits.** Faust fixes ``fetch_max_wait_ms=1500``: one idle topic then delays the busy ones on its node by that
much; here only an idle worker waits (`streams.kafka.fetches`). aiokafka requests nothing of a node while
unread records of one of its partitions lie there, for 100 ms: a busy agent would delay the others by that much.

**No lost wake-ups.** An agent with a full buffer is not read for. Once it has room again, Faust changes the set of
partitions that it asks for, but does not wake up who waits for records; this transport does. Otherwise records that
have arrived would wait for the next ones.

**One loop.** Faust runs the consumer in a thread of its own. Every poll then crosses two threads and waits for the one
that keeps the interpreter, which doubles the latency of a busy worker. Here the consumer runs in the event loop of the
app. Large polls are folded in a thread instead (`streams.stages.partition_runner`), so its heartbeats are in time.

`streams.kafka.assignment` says which worker reads which partitions, and `streams.kafka.faust_adapter` has the means to
all of this.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from streams.kafka.faust_adapter import BatchConsumer
from streams.records import Record


class Poll:
    """The records of one poll from one partition, in order; offset and timestamp are those of the last one.

    Attributes
    ----------
    size : the bytes of the values.
    """

    __slots__ = ("offset", "partition", "records", "size", "timestamp", "topic")

    def __init__(self, records: Sequence[Record], size: int | None = None) -> None:
        last = records[-1]
        self.records = records
        self.topic, self.partition = last.topic, last.partition
        self.offset, self.timestamp = last.offset, last.timestamp
        self.size = sum([len(record.value or b"") for record in records]) if size is None else size

    def __len__(self) -> int:
        return len(self.records)


class _Consumer(BatchConsumer):
    def batch(self, records: Sequence[Any]) -> Poll:
        return Poll(records)

    def start_offset(self, tp: TP) -> int | None:
        offset: int | None = self.app.start_offset(tp.topic, tp.partition)
        return offset

    def on_out_of_range(self, partitions: Collection[TP]) -> None:
        self.app.on_out_of_range(partitions)


class Transport(driver.Transport):
    """The transport of the marginwatch app; see the module's docstring."""

    Consumer = _Consumer
