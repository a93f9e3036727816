"""The sequences that output topics contain, so that the next ones are higher whatever Redis has lost.

Redis stores the sequence of the last output with the state. Emptied, or set back to an earlier moment, it knows less
than the topics do: a message that is published next would have a lower sequence than one that readers have, and they
would ignore it.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from streams.records import sequence_of
from streams.settings import Settings
from streams.topic_probe import PATIENCE_S, POLL_MS, TopicProbe

#: Messages that are read from the end of each topic; times how many where these are too few.
_TAIL, _MORE = 16, 8
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


@dataclass(slots=True)
class _Tail:
    """The last messages of a topic, up to offset ``end``; ``whole`` if there are none before them."""

    records: list[ConsumerRecord] = field(default_factory=list)
    end: int = 0
    whole: bool = False


class OutputLog(TopicProbe):
    """Finds the sequence after which a partition's outputs are numbered, and the outputs behind a sequence."""

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
        tails = (await self._tails({TopicPartition(topic, 0) for topic in topics}, _TAIL)).values()
        published = max((sequence_of(record) for tail in tails for record in tail.records), default=0)
        ahead = published > stored
        # Every output has taken an offset: the sum suffices where late messages hide the highest sequence.
        messages = sum(tail.end for tail in tails)
        return Numbering(max(stored, messages, published + _STEP if ahead else 0), ahead)

    async def since(self, sequence: int, topics: Collection[str]) -> list[ConsumerRecord]:
        """Return the messages of topics that have a higher sequence, lowest first; parameters as of `numbering`."""
        found: list[ConsumerRecord] = []
        left, length = {TopicPartition(topic, 0) for topic in topics}, _TAIL
        while left:
            for tp, tail in (await self._tails(left, length)).items():
                if tail.whole or (tail.records and sequence_of(tail.records[0]) <= sequence):
                    found += [record for record in tail.records if sequence_of(record) > sequence]
                    left.remove(tp)
            length *= _MORE
        return sorted(found, key=sequence_of)

    async def _tails(self, partitions: Collection[TopicPartition], length: int) -> dict[TopicPartition, _Tail]:
        """Return the messages from so many offsets before the end of each topic on."""
        found = {tp: _Tail() for tp in partitions}
        left = set(partitions)
        async with self._asking(left) as consumer:
            starts = await consumer.beginning_offsets(list(left))
            for tp, listed in (await consumer.end_offsets(list(left))).items():
                begin = max(starts[tp], listed - length)
                found[tp].whole = begin == starts[tp]
                consumer.seek(tp, begin)
            deadline = time.monotonic() + PATIENCE_S
            while left:
                if time.monotonic() > deadline:
                    raise KafkaConnectionError(f"the broker serves nothing of {min(left).topic} for {PATIENCE_S:.0f} s")
                try:
                    polled = await consumer.getmany(*left, timeout_ms=POLL_MS)
                except OffsetOutOfRangeError as error:  # what was listed is gone: by retention, or with the topic
                    for tp, begin in (await consumer.beginning_offsets(list(error.args[0]))).items():
                        found[tp] = _Tail(whole=True)
                        consumer.seek(tp, begin)
                    continue
                for tp, records in polled.items():
                    found[tp].records += records
                done = set()
                for tp in left:
                    end = consumer.highwater(tp)
                    if end is not None and await consumer.position(tp) >= end:
                        found[tp].end = end
                        done.add(tp)
                consumer.pause(*done)
                left -= done
                if polled or done:
                    deadline = time.monotonic() + PATIENCE_S
        return found
