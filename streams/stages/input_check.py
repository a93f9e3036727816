"""Whether the input topics still contain what the state was computed from, and everything behind it.

A broker can lose the end of a topic (a power cut without fsync, an unclean election, a lost volume), retention can
delete messages that nobody has read yet, and a topic can be deleted and created again. New messages then get offsets
that the state has already counted as read. So a state is stored with the mark of the last message in it; before it is
used, that message must still be at its offset.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from streams.records import mark_of
from streams.settings import Settings
from streams.topic_probe import PATIENCE_S, POLL_MS, TopicProbe

if TYPE_CHECKING:
    from streams.clients import AsyncReader

#: (topic's name on the cluster, partition) → next offset to read, and the mark of the message before it.
Positions = Mapping[tuple[str, int], tuple[int, str]]


class InputCheck(TopicProbe):
    """Compares positions with the topics.

    Parameters
    ----------
    compacted : topics whose older messages may be gone without a loss.
    """

    def __init__(self, settings: Settings, compacted: Collection[str]) -> None:
        super().__init__(settings, purpose="inputs")
        self._compacted = frozenset(compacted)

    async def find_lost(self, positions: Positions) -> dict[tuple[str, int], str]:
        """Return what is lost of each partition, in words; empty where nothing is.

        Raises
        ------
        KafkaError : if no broker answers, or one serves nothing for 15 s.
        """
        wanted = {TopicPartition(*at): position for at, position in positions.items()}
        if not wanted:
            return {}
        async with self._asking(wanted.keys()) as consumer:
            return await self._find_lost(consumer, wanted)

    async def first_offset(self, topic: str, partition: int, offset: int) -> int:
        """Return the offset of the first message at or behind an offset; errors as of `find_lost`."""
        tp = TopicPartition(topic, partition)
        async with self._asking([tp]) as consumer:
            return await self._first_offset(consumer, tp, offset)

    async def _first_offset(self, consumer: AsyncReader, tp: TopicPartition, offset: int) -> int:
        consumer.seek(tp, offset)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            try:
                found = await consumer.getmany(tp, timeout_ms=POLL_MS)
            except OffsetOutOfRangeError:
                consumer.seek(tp, (await consumer.beginning_offsets([tp]))[tp])
                continue
            if records := found.get(tp):
                return int(records[0].offset)
        raise KafkaConnectionError(f"the broker serves nothing of {_name(tp)} from offset {offset} on")

    async def _find_lost(
        self, consumer: AsyncReader, positions: Mapping[TopicPartition, tuple[int, str]]
    ) -> dict[tuple[str, int], str]:
        out: dict[tuple[str, int], str] = {}
        left = set(positions)
        for tp, (offset, _) in positions.items():
            consumer.seek(tp, max(0, offset - 1))
        deadline = time.monotonic() + PATIENCE_S
        while left:
            found: dict[TopicPartition, str | None] = {}
            try:
                for tp, records in (await consumer.getmany(*left, timeout_ms=POLL_MS)).items():
                    found[tp] = self._compare(tp, *positions[tp], records[0])
            except OffsetOutOfRangeError as error:
                for tp in error.args[0]:
                    found[tp] = await self._outside(consumer, tp, positions[tp][0])
            for tp in left - found.keys():
                end = consumer.highwater(tp)
                if end is not None and end < positions[tp][0]:  # the embedded broker reports no offset out of range
                    found[tp] = _lost_end(tp, positions[tp][0], end)
            for tp, lost in found.items():
                if lost is not None:
                    out[tp.topic, tp.partition] = lost
            consumer.pause(*found)
            left -= found.keys()
            if found:
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise KafkaConnectionError(f"the broker serves nothing of {min(left)} for {PATIENCE_S:.0f} s")
        return out

    def _compare(self, tp: TopicPartition, offset: int, mark: str, first: Any) -> str | None:
        """Return what is lost, given the first message from ``offset - 1`` on."""
        if first.offset > offset:
            if tp.topic in self._compacted:
                return None
            return (
                f"{_name(tp)} begins at offset {first.offset}: messages from {offset} on were deleted before being read"
            )
        if first.offset == offset - 1 and mark and mark_of(first) != mark:
            return (
                f"{_name(tp)} has another message at offset {first.offset} than the one that the state contains: the "
                "topic has lost its end, or was deleted and created again"
            )
        return None

    async def _outside(self, consumer: AsyncReader, tp: TopicPartition, offset: int) -> str | None:
        begin = (await consumer.beginning_offsets([tp]))[tp]
        if begin > offset:
            return f"{_name(tp)} begins at offset {begin}: messages from {offset} on were deleted before being read"
        end = (await consumer.end_offsets([tp]))[tp]
        return _lost_end(tp, offset, end) if end < offset else None


def _lost_end(tp: TopicPartition, offset: int, end: int) -> str:
    return (
        f"{_name(tp)} ends at offset {end}, but the state contains messages up to {offset}: the topic has lost its end"
    )


def _name(tp: TopicPartition) -> str:
    return f"{tp.topic}[{tp.partition}]"
