"""Readers of topics in memory: what they yield, where they end, and what they say where nothing comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from kafka import TopicPartition
from kafka.errors import KafkaTimeoutError
from structlog.testing import capture_logs

from processors.events import Barrier
from streams import readers
from streams.errors import ReadError, TopicError
from streams.readers import NewestByKey, read_to_end
from streams.records import BARRIER_TYPE, CE_TYPE, PlainRecord, sequence_header
from streams.settings import Settings
from streams.topics import Topic, Topics
from tests.topic_logs import Clock, Log, SyncLogs, offsets_of, yielding

SETTINGS = Settings(topic_prefix="t.")
NAME = Topics(SETTINGS).name(Topic.ALERTS_LOG)
PLACE, SECOND = TopicPartition(NAME, 0), TopicPartition(NAME, 1)
VALUES = [b"%d" % n for n in range(8)]
Reads = Callable[..., SyncLogs]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """Return what lets every reader read these partitions."""

    def go(*logs: Log) -> SyncLogs:
        consumer = SyncLogs({TopicPartition(NAME, place): log for place, log in enumerate(logs)}, Clock())
        consumer.clock.in_place_of_time(monkeypatch, readers)
        monkeypatch.setattr(readers, "consumer", lambda settings: yielding(consumer))
        return consumer

    return go


def all_of(found: Iterator[tuple[TopicPartition, list[Any]]]) -> dict[TopicPartition, list[int]]:
    """Return the offsets that were read, by partition."""
    out: dict[TopicPartition, list[int]] = {}
    for place, records in found:
        assert records
        out.setdefault(place, []).extend(offsets_of(records))
    return out


def barrier(identity: str, offset: int) -> PlainRecord:
    value = msgspec.json.encode(Barrier(barrier=identity, at=datetime(2020, 1, 2, tzinfo=UTC)))
    return PlainRecord(NAME, 0, offset, 0, b"b", value, [(CE_TYPE, BARRIER_TYPE)])


@pytest.mark.parametrize("listed", [8, 5, 0], ids=["as it is", "too low", "none"])
def test_all_is_read_up_to_the_end_at_the_first_fetch_whatever_end_is_listed(reads: Reads, listed: int) -> None:
    log = Log.of(NAME, VALUES)
    log.listed = listed
    seen: list[int] = []
    for _, records in read_to_end(reads(log), [PLACE]):
        seen += offsets_of(records)
        log.records += Log.of(NAME, [b"new"], begin=log.end).records
        log.end += 1
    assert seen == list(range(8))


def test_each_partition_is_read_from_its_own_start_to_its_own_end(reads: Reads) -> None:
    reader = reads(Log.of(NAME, VALUES), Log.of(NAME, VALUES[:2], partition=1))
    assert all_of(read_to_end(reader, [PLACE, SECOND], {PLACE: 6, SECOND: 0})) == {PLACE: [6, 7], SECOND: [0, 1]}


def test_a_topic_is_read_from_its_first_message_and_over_gaps(reads: Reads) -> None:
    log = Log.of(NAME, [b"a", None, None, b"b", None], begin=40)
    assert all_of(read_to_end(reads(log), [PLACE])) == {PLACE: [40, 43]}


def test_nothing_is_read_of_no_partition_and_of_an_empty_one(reads: Reads) -> None:
    assert all_of(read_to_end(reads(Log([], 0, 0)), [])) == {}
    assert all_of(read_to_end(reads(Log([], 0, 0)), [PLACE])) == {}


def test_a_partition_that_the_caller_pauses_is_read_no_further(reads: Reads) -> None:
    reader = reads(Log.of(NAME, VALUES), Log.of(NAME, VALUES, partition=1))
    seen: dict[TopicPartition, list[int]] = {PLACE: [], SECOND: []}
    for place, records in read_to_end(reader, [PLACE, SECOND]):
        seen[place] += offsets_of(records)
        reader.pause(PLACE)
    assert seen[SECOND] == list(range(8))
    assert seen[PLACE] == list(range(reader.at_once))


def test_a_broker_that_serves_nothing_before_the_end_is_an_error_after_its_time(reads: Reads) -> None:
    log = Log.of(NAME, VALUES)
    reader = reads(log)
    found = read_to_end(reader, [PLACE])
    next(found)
    log.silent = True
    with pytest.raises(ReadError, match=rf"nothing of {NAME}\[0\] from offset 3 for 15 s, though its end is 8"):
        list(found)
    assert readers.PATIENCE_S < reader.clock.now < readers.PATIENCE_S + 1
    with pytest.raises(ReadError, match="though its end is not known yet"):
        list(read_to_end(reader, [PLACE]))


def test_time_that_the_caller_takes_is_no_silence(reads: Reads) -> None:
    reader = reads(Log.of(NAME, VALUES))
    for _ in read_to_end(reader, [PLACE]):
        reader.clock.now += 2 * readers.PATIENCE_S


def test_topics_and_partitions_that_the_cluster_lacks_are_named(reads: Reads) -> None:
    reader = reads(Log.of(NAME, VALUES))
    with pytest.raises(TopicError, match=rf"{NAME} has no partition 1: its partitions are 0 to 0"):
        list(read_to_end(reader, [PLACE, SECOND]))
    with pytest.raises(TopicError, match=r"t\.other"):
        list(read_to_end(reader, [TopicPartition("t.other", 0)]))


def test_a_topic_is_read_without_its_barriers_and_the_keys_that_are_not_wanted(reads: Reads) -> None:
    log = Log.of(NAME, VALUES)
    log.records[2] = barrier("one", 2)
    log.records[4].key = b"other"
    reads(log)
    assert offsets_of(list(readers.read(SETTINGS, Topic.ALERTS_LOG))) == [0, 1, 3, 4, 5, 6, 7]
    assert offsets_of(list(readers.read(SETTINGS, Topic.ALERTS_LOG, wanted="k".__eq__))) == [0, 1, 3, 5, 6, 7]


def test_a_barrier_ends_the_reading_and_is_awaited_behind_the_end_of_the_topic(reads: Reads) -> None:
    log = Log.of(NAME, VALUES)
    log.records[2], log.records[5] = barrier("one", 2), barrier("two", 5)
    log.records[4].key = b"other"
    reader = reads(log)
    assert offsets_of(list(readers.read(SETTINGS, Topic.ALERTS_LOG, until="two"))) == [0, 1, 3, 4]
    found = readers.read(SETTINGS, Topic.ALERTS_LOG, until="late", wanted="k".__eq__)
    assert [next(found).offset for _ in range(5)] == [0, 1, 3, 6, 7]
    log.records.append(barrier("late", 8))
    log.end = 9
    assert list(found) == []
    assert reader.clock.now < readers.PATIENCE_S


def test_a_follower_goes_on_behind_the_end_until_it_is_stopped(reads: Reads) -> None:
    log = Log.of(NAME, VALUES[:2])
    log.records[1] = barrier("one", 1)
    reader = reads(log)
    found = readers.follow(SETTINGS, Topic.ALERTS_LOG, stop=lambda: reader.clock.waits == 3)
    assert [next(found).offset, next(found)] == [0, "one"]  # type: ignore[union-attr]
    log.records += Log.of(NAME, [b"2"], begin=2).records
    log.end = 3
    assert offsets_of(list(found)) == [2]


def test_a_follower_reports_once_that_kafka_is_away_and_once_that_it_is_back(
    reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = Log.of(NAME, VALUES[:1])
    reader = reads(log)
    answers = reader.end_offsets
    away = [True]

    def end_offsets(*arguments: Any, timeout_ms: int = 0) -> Any:
        if away[0]:
            raise KafkaTimeoutError("no answer")
        return answers(*arguments)

    monkeypatch.setattr(reader, "end_offsets", end_offsets)

    def stop() -> bool:
        away[0] = reader.clock.now < 2 * 60
        return reader.clock.now > 4 * 60  # a topic without news is no outage

    with capture_logs() as logs:
        assert offsets_of(list(readers.follow(SETTINGS, Topic.ALERTS_LOG, stop=stop))) == [0]  # type: ignore[arg-type]
    assert [(entry["event"], entry["topic"]) for entry in logs] == [
        ("Kafka does not serve a topic: waiting", NAME), ("Kafka serves the topic again", NAME)
    ]  # fmt: skip


@pytest.mark.parametrize(("offset", "found"), [(0, b"0"), (2, b"2"), (1, None)])
def test_a_record_is_found_at_its_offset_or_not_at_all(reads: Reads, offset: int, found: bytes | None) -> None:
    reads(Log.of(NAME, [b"0", None, b"2"]))
    record = readers.record_at(SETTINGS, NAME, 0, offset)
    assert (None if record is None else record.value) == found


def test_the_newest_of_a_key_has_the_highest_sequence_wherever_it_is_in_the_topic() -> None:
    newest = NewestByKey()

    def accepted(key: bytes | None, sequence: int, topic: str = NAME) -> bool:
        return newest.accepts(PlainRecord(topic, 0, 0, 0, key, b"", [sequence_header(sequence)] if sequence else []))

    assert [accepted(b"k", n) for n in (3, 2, 3, 5, 4)] == [True, False, True, True, False]
    assert accepted(b"other", 1) and accepted(b"k", 1, "t.other")
    assert accepted(b"inputs have none", 0) and accepted(b"inputs have none", 0)
    assert accepted(None, 2) and not accepted(b"", 1)
