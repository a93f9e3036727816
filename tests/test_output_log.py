"""The tails of output topics whose beginning moves while they are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from streams.settings import Settings
from streams.stages import output_log
from streams.stages.output_log import Numbering, OutputLog

END = 40


class Trimmed:
    """A consumer of a topic whose first messages are deleted while it is read.

    Parameters
    ----------
    listed, begin : the first offset as the broker lists it, and as it is.
    """

    def __init__(self, listed: int, begin: int) -> None:
        self.listed, self.begin = listed, begin
        self.at = 0

    async def beginning_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        listed, self.listed = self.listed, max(self.listed, min(self.begin, END))
        return dict.fromkeys(partitions, listed)

    async def end_offsets(self, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 20)

    async def getmany(self, tp: TopicPartition, *, timeout_ms: int) -> dict[TopicPartition, list[object]]:
        await asyncio.sleep(0)
        if self.at < self.begin:
            raise OffsetOutOfRangeError({tp: self.at})
        self.at = END
        return {}

    def seek(self, tp: TopicPartition, offset: int) -> None:
        self.at = offset

    def highwater(self, tp: TopicPartition) -> int:
        return END

    async def position(self, tp: TopicPartition) -> int:
        return self.at

    def pause(self, *partitions: TopicPartition) -> None:
        pass


def numbering(monkeypatch: pytest.MonkeyPatch, consumer: Trimmed) -> Numbering:
    @asynccontextmanager
    async def asking(self: OutputLog, partitions: object) -> AsyncIterator[Trimmed]:
        yield consumer

    monkeypatch.setattr(OutputLog, "_asking", asking)
    monkeypatch.setattr(output_log, "PATIENCE_S", 0.1)

    async def ask() -> Numbering:
        async with asyncio.timeout(5):
            return await OutputLog(Settings()).numbering(0, {"signals"})

    return asyncio.run(ask())


def test_a_topic_that_begins_later_meanwhile_is_read_from_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert numbering(monkeypatch, Trimmed(listed=0, begin=30)).after == END


def test_a_topic_whose_beginning_can_not_be_read_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KafkaConnectionError, match="serves nothing of signals"):
        numbering(monkeypatch, Trimmed(listed=0, begin=END + 1))
