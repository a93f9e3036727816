"""The sequences of output topics, and the outputs behind one; also where their beginning moves while they are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from streams.records import PlainRecord, sequence_of
from streams.settings import Settings
from streams.stages import output_log
from streams.stages.output_log import Numbering, OutputLog
from tests.topic_logs import AsyncLogs, Clock, Log

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


# -- what the topics contain -----------------------------------------------------------------------------------

#: More than any tail that is read first.
MANY = 300


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Log]:
    """The topics that every output log reads, by name."""
    logs: dict[str, Log] = {}
    clock = Clock()
    clock.in_place_of_time(monkeypatch, output_log)

    @asynccontextmanager
    async def asking(self: OutputLog, partitions: Collection[TopicPartition]) -> AsyncIterator[AsyncLogs]:
        consumer = AsyncLogs({tp: logs[tp.topic] for tp in partitions}, clock)
        consumer.assign(list(partitions))
        yield consumer

    monkeypatch.setattr(OutputLog, "_asking", asking)
    return logs


def numbered(stored: int, *topics: str) -> Numbering:
    return asyncio.run(OutputLog(Settings()).numbering(stored, topics))


def since(sequence: int, *topics: str) -> list[PlainRecord]:
    return asyncio.run(OutputLog(Settings()).since(sequence, topics))  # type: ignore[arg-type]


def test_outputs_go_on_behind_the_stored_sequence_where_the_topics_contain_no_higher_one(logs: dict[str, Log]) -> None:
    logs["market"], logs["security"] = Log.numbered("market", (1, 3, 5)), Log.numbered("security", (2, 4))
    assert numbered(5, "market", "security") == Numbering(5, False)
    assert numbered(7, "market", "security") == Numbering(7, False)  # the last outputs are not published yet


def test_a_new_system_begins_behind_0(logs: dict[str, Log]) -> None:
    logs["market"] = Log([], 0, 0)
    assert numbered(0, "market") == Numbering(0, False)
    assert since(0, "market") == []


def test_a_redis_that_knows_less_than_the_topics_numbers_far_above_them(logs: dict[str, Log]) -> None:
    """A worker that has stopped may still publish a step that Redis has lost."""
    logs["market"], logs["security"] = Log.numbered("market", (1, 3, 9)), Log.numbered("security", (2, 4))
    assert numbered(8, "market", "security") == Numbering(1_000_009, True)
    assert numbered(0, "market") == Numbering(1_000_009, True)


def test_late_messages_at_the_end_of_a_topic_hide_no_sequence_that_is_as_high_as_their_number(
    logs: dict[str, Log],
) -> None:
    logs["market"] = Log.numbered("market", (*range(1, MANY + 1), *[1] * 20))
    logs["security"] = Log.numbered("security", [2] * 30)
    assert numbered(1, "market", "security").after >= MANY + 50


@pytest.mark.parametrize("sequence", [0, 1, 7, MANY - 17, MANY - 16, MANY - 1, MANY])
@pytest.mark.parametrize("begin", [0, 40])
def test_all_messages_behind_a_sequence_are_found_however_far_back(
    logs: dict[str, Log], sequence: int, begin: int
) -> None:
    """The topic may begin later than at its first message: what retention has deleted can't be returned."""
    logs["market"] = Log.numbered("market", range(begin + 1, MANY + 1), begin=begin)
    found = [sequence_of(record) for record in since(sequence, "market")]
    assert found == list(range(max(sequence, begin) + 1, MANY + 1))


def test_messages_of_several_topics_are_returned_by_their_sequence(logs: dict[str, Log]) -> None:
    logs["market"] = Log.numbered("market", range(2, 2 * MANY + 1, 2))
    logs["security"] = Log.numbered("security", (1, 3, 5, 7))
    found = since(4, "market", "security")
    assert [sequence_of(record) for record in found] == [5, 6, 7, *range(8, 2 * MANY + 1, 2)]
    assert {record.topic for record in found[:3]} == {"market", "security"}
    assert since(2 * MANY, "market", "security") == []


def test_a_topic_that_is_not_served_is_named_after_its_time(logs: dict[str, Log]) -> None:
    logs["market"] = Log.numbered("market", (1, 2))
    logs["market"].silent = True
    with pytest.raises(KafkaConnectionError, match="serves nothing of market for 15 s"):
        numbered(0, "market")
