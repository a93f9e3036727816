"""Whether topics still contain what a state was computed from: what they have lost is named, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from streams.records import mark_of
from streams.settings import Settings
from streams.stages import input_check
from streams.stages.input_check import InputCheck
from tests.topic_logs import AsyncLogs, Clock, Log

TOPIC, OTHER = "t.prices.daily.v1", "t.margin.daily.v1"
MESSAGES = [b"%d" % n for n in range(6)]


class Check(InputCheck):
    """Asks topics in memory."""

    def __init__(self, *logs: Log, compacted: bool = False, reports_range: bool = True) -> None:
        super().__init__(Settings(), [TOPIC] if compacted else [])
        places = {TopicPartition(log.records[0].topic, log.records[0].partition): log for log in logs}
        self.consumer = AsyncLogs(places, Clock(), reports_range=reports_range)
        self.asked = 0

    @asynccontextmanager
    async def _asking(self, partitions: object) -> AsyncIterator[AsyncLogs]:  # type: ignore[override]
        self.asked += 1
        self.consumer.assign(list(partitions))  # type: ignore[call-overload]
        yield self.consumer


def lost(check: Check, monkeypatch: pytest.MonkeyPatch, **positions: tuple[int, str]) -> dict[str, str]:
    """Return what is lost of the topics by their short names."""
    check.consumer.clock.in_place_of_time(monkeypatch, input_check)
    names = {"prices": TOPIC, "margin": OTHER}
    wanted = {(names[short], 0): position for short, position in positions.items()}
    found = asyncio.run(check.find_lost(wanted))
    return {short: found[name, 0] for short, name in names.items() if (name, 0) in found}


def mark(log: Log, offset: int) -> str:
    return next(mark_of(record) for record in log.records if record.offset == offset)


@pytest.mark.parametrize("offset", [1, 3, 6])
@pytest.mark.parametrize("marked", [True, False])
def test_a_topic_that_goes_on_has_lost_nothing(monkeypatch: pytest.MonkeyPatch, offset: int, marked: bool) -> None:
    """Also where everything has been read, and where a release before stored no mark."""
    log = Log.of(TOPIC, MESSAGES)
    position = (offset, mark(log, offset - 1) if marked else "")
    assert lost(Check(log), monkeypatch, prices=position) == {}


def test_nothing_is_asked_about_a_state_without_offsets() -> None:
    check = Check(Log.of(TOPIC, MESSAGES))
    assert (asyncio.run(check.find_lost({})), check.asked) == ({}, 0)


def test_another_message_at_the_last_offset_that_was_read_is_a_lost_end(monkeypatch: pytest.MonkeyPatch) -> None:
    before, now = Log.of(TOPIC, MESSAGES), Log.of(TOPIC, [*MESSAGES[:2], b"other", *MESSAGES[3:]])
    found = lost(Check(now), monkeypatch, prices=(3, mark(before, 2)))
    assert list(found) == ["prices"]
    assert f"{TOPIC}[0] has another message at offset 2 than the one that the state contains" in found["prices"]


@pytest.mark.parametrize("reports_range", [True, False], ids=["Apache Kafka", "embedded"])
def test_an_end_before_the_offset_is_a_lost_end(monkeypatch: pytest.MonkeyPatch, reports_range: bool) -> None:
    found = lost(Check(Log.of(TOPIC, MESSAGES), reports_range=reports_range), monkeypatch, prices=(9, "m"))
    assert f"{TOPIC}[0] ends at offset 6, but the state contains messages up to 9" in found["prices"]


@pytest.mark.parametrize("reports_range", [True, False], ids=["Apache Kafka", "embedded"])
def test_messages_that_were_deleted_before_they_were_read_are_lost(
    monkeypatch: pytest.MonkeyPatch, reports_range: bool
) -> None:
    check = Check(Log.of(TOPIC, MESSAGES, begin=5), reports_range=reports_range)
    found = lost(check, monkeypatch, prices=(4, "m"))
    assert f"{TOPIC}[0] begins at offset 5: messages from 4 on were deleted before being read" in found["prices"]


@pytest.mark.parametrize("values", [MESSAGES, [b"0"]], ids=["more came", "all was read"])
def test_messages_that_were_deleted_after_they_were_read_are_not_lost(
    monkeypatch: pytest.MonkeyPatch, values: list[bytes]
) -> None:
    log = Log.of(TOPIC, values, begin=5)
    log.begin = 6 if len(values) == 1 else 5
    assert lost(Check(log), monkeypatch, prices=(log.begin, "m")) == {}


def test_a_gap_behind_the_offset_is_a_loss_unless_the_topic_is_compacted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction also removes the message before the offset, which leaves nothing to compare."""
    values = [b"0", None, None, None, b"4"]
    assert lost(Check(Log.of(TOPIC, values), compacted=True), monkeypatch, prices=(2, "m")) == {}
    found = lost(Check(Log.of(TOPIC, values)), monkeypatch, prices=(2, "m"))
    assert "begins at offset 4: messages from 2 on were deleted" in found["prices"]


def test_the_offset_itself_may_be_the_first_message_left(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lost(Check(Log.of(TOPIC, [None, None, b"2"])), monkeypatch, prices=(2, "m")) == {}


def test_each_partition_is_compared_with_its_own_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, short = Log.of(TOPIC, MESSAGES), Log.of(OTHER, MESSAGES[:2])
    check = Check(whole, short)
    found = lost(check, monkeypatch, prices=(3, mark(whole, 2)), margin=(3, "m"))
    assert list(found) == ["margin"] and found["margin"].startswith(f"{OTHER}[0] ends at offset 2")


def test_a_broker_that_serves_nothing_is_no_loss_and_named_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    served, silent = Log.of(TOPIC, MESSAGES), Log.of(OTHER, MESSAGES)
    silent.silent = True
    check = Check(served, silent)
    with pytest.raises(KafkaConnectionError, match=f"serves nothing of .*{OTHER}.* for 15 s"):
        lost(check, monkeypatch, prices=(3, mark(served, 2)), margin=(3, ""))
    assert input_check.PATIENCE_S < check.consumer.clock.now < input_check.PATIENCE_S + 1


@pytest.mark.parametrize(("offset", "first"), [(0, 0), (1, 3), (3, 3)])
def test_the_first_message_at_or_behind_an_offset(monkeypatch: pytest.MonkeyPatch, offset: int, first: int) -> None:
    check = Check(Log.of(TOPIC, [b"0", None, None, b"3"]))
    check.consumer.clock.in_place_of_time(monkeypatch, input_check)
    assert asyncio.run(check.first_offset(TOPIC, 0, offset)) == first


def test_the_first_message_behind_a_deleted_offset_is_the_first_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Check(Log.of(TOPIC, MESSAGES, begin=5))
    check.consumer.clock.in_place_of_time(monkeypatch, input_check)
    assert asyncio.run(check.first_offset(TOPIC, 0, 2)) == 5


def test_a_place_without_a_message_is_given_up_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    check = Check(Log.of(TOPIC, MESSAGES))
    check.consumer.clock.in_place_of_time(monkeypatch, input_check)
    with pytest.raises(KafkaConnectionError, match=r"serves nothing of t\.prices\.daily\.v1\[0\] from offset 6 on"):
        asyncio.run(check.first_offset(TOPIC, 0, 6))
