"""The sequences that output topics contain, so that the next ones are higher whatever Redis has lost.

Redis stores the sequence of the last output with the state. Emptied, or set back to an earlier moment, it knows less
than the topics do: a message that is published next would have a lower sequence than one that readers have, and they
would ignore it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from streams.records import sequence_of
from streams.settings import Settings
from streams.topic_probe import PATIENCE_S, POLL_MS, TopicProbe

#: Messages that are read from the end of each topic.
_TAIL = 16
#: More outputs than a step has. A worker that was stopped between storing and publishing may still publish a step
#: that Redis has lost; the next sequences lie above its sequences.
_STEP = 1_000_000


class Numbering(NamedTuple):
    """How the outputs of a partition are numbered.

    Attributes
    ----------
    after : the sequence after which the next output is numbered.
    ahead : whether the topics contain sequences that Redis does not know of. If no other partition writes these topics,
        all that Redis does know of is published then: no step is stored before the outputs of the step before it are
        acknowledged.
    """

    after: int
    ahead: bool


class OutputLog(TopicProbe):
    """Finds the sequence after which a partition's outputs are numbered."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, purpose="outputs")

    async def numbering(self, stored: int, topics: Collection[str]) -> Numbering:
        """Return a sequence that is not lower than the stored one, or than any in the topics.

        Parameters
        ----------
        stored : the sequence of the last output that Redis knows of; 0 for none.
        topics : names on the cluster; each has one partition.

        Raises
        ------
        KafkaError : if no broker answers, or one serves nothing for 15 s.
        """
        published, messages = await self._read_ends([TopicPartition(topic, 0) for topic in topics])
        ahead = published > stored
        # Every output has taken an offset: the sum suffices where late messages hide the highest sequence.
        return Numbering(max(stored, messages, published + _STEP if ahead else 0), ahead)

    async def _read_ends(self, partitions: Collection[TopicPartition]) -> tuple[int, int]:
        """Return the highest sequence at the ends of topics, and the sum of their end offsets."""
        highest, ends = 0, dict.fromkeys(partitions, 0)
        left = set(partitions)
        async with self._asking(left) as consumer:
            starts = await consumer.beginning_offsets(list(left))
            for tp, listed in (await consumer.end_offsets(list(left))).items():
                consumer.seek(tp, max(starts[tp], listed - _TAIL))
            deadline = time.monotonic() + PATIENCE_S
            while left:
                try:
                    polled = await consumer.getmany(*left, timeout_ms=POLL_MS)
                except OffsetOutOfRangeError as error:  # what was listed is gone: the topic was created anew
                    for tp in error.args[0]:
                        consumer.seek(tp, 0)
                    continue
                highest = max(highest, *(sequence_of(r) for records in polled.values() for r in records), 0)
                done = set()
                for tp in left:
                    end = consumer.highwater(tp)
                    if end is not None and await consumer.position(tp) >= end:
                        ends[tp] = end
                        done.add(tp)
                consumer.pause(*done)
                left -= done
                if polled or done:
                    deadline = time.monotonic() + PATIENCE_S
                elif time.monotonic() > deadline:
                    raise KafkaConnectionError(f"the broker serves nothing of {min(left).topic} for {PATIENCE_S:.0f} s")
        return highest, sum(ends.values())
