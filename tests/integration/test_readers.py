"""Readers end at a known end, however slow the machine, the broker or the reader is."""

from __future__ import annotations

import threading
import time

import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError

from streams import readers
from streams.errors import ReadError, TopicError
from streams.local.local_kafka import Broker
from streams.records import is_barrier
from streams.topics import Topic, Topics
from tests.harness import Stack


def publish(stack: Stack, counts: tuple[int, ...], padding: int = 0, keys: int = 0) -> int:
    """Publish batches of so many messages, in order, with so many keys in turns; return how many they are in all."""
    producer = KafkaProducer(
        bootstrap_servers=stack.settings.bootstrap, linger_ms=20, enable_idempotence=False, max_request_size=2**21,
        max_in_flight_requests_per_connection=1,
    )  # fmt: skip
    topic = Topics(stack.settings).name(Topic.ALERTS_LOG)
    for count in counts:
        for number in range(count):
            key = b"k%d" % (number % keys) if keys else None
            producer.send(topic, key=key, value=b"%d" % number + b" " * padding, partition=0)
        producer.flush()
    producer.close()
    return sum(counts)


def test_everything_is_read_whatever_end_the_broker_lists(stack: Stack) -> None:
    count = publish(stack, (1, 5, 100))
    assert len(list(readers.read(stack.settings, Topic.ALERTS_LOG))) == count


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_the_embedded_broker_lists_an_end_too_low_but_its_high_watermark_is_right(stack: Stack) -> None:
    """If this fails, the broker was mended, and the docstring of `streams.readers` needs a change."""
    count = publish(stack, (1, 5))
    partition = TopicPartition(Topics(stack.settings).name(Topic.ALERTS_LOG), 0)
    consumer = KafkaConsumer(bootstrap_servers=stack.settings.bootstrap)
    assert consumer.end_offsets([partition]) == {partition: 2}  # the base of the last batch, and one
    consumer.assign([partition])
    consumer.seek_to_beginning()
    consumer.poll(timeout_ms=2000)
    assert consumer.highwater(partition) == count
    consumer.close()


def test_a_topic_without_messages_has_an_end(stack: Stack) -> None:
    assert list(readers.read(stack.settings, Topic.SIGNALS_MARKET)) == []


def test_a_broker_that_stands_still_for_a_while_does_not_end_a_reader(stack: Stack, broker: Broker) -> None:
    count = publish(stack, (700, 700))
    found = []
    for record in readers.read(stack.settings, Topic.ALERTS_LOG):
        found.append(record.offset)
        if len(found) in (1, 600):
            broker.pause()
            threading.Timer(2.0, broker.resume).start()
    assert found == list(range(count))


def test_a_reader_that_goes_on_reports_a_broker_that_serves_it_no_more(
    stack: Stack, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readers, "PATIENCE_S", 0.5)
    monkeypatch.setattr(readers, "_ASK_MS", 500)
    publish(stack, (1,))
    said: list[str] = []
    monkeypatch.setattr(readers.log, "warning", lambda event, **_: said.append(event))
    silent_until = time.monotonic() + 2
    for _ in readers.follow(stack.settings, Topic.ALERTS_LOG, stop=lambda: time.monotonic() > silent_until):
        assert not said
    assert not said  # a topic without news
    records = readers.follow(stack.settings, Topic.ALERTS_LOG, stop=lambda: len(said) == 2)
    next(records)
    broker.pause()
    threading.Timer(4, broker.resume).start()
    assert not list(records)
    assert [event.partition(":")[0] for event in said] == [
        "Kafka does not serve a topic", "Kafka serves the topic again",
    ]  # fmt: skip


def test_a_slow_reader_gets_everything_and_nothing_that_came_after_it_began(stack: Stack) -> None:
    count = publish(stack, (1200,))
    found = []
    for record in readers.read(stack.settings, Topic.ALERTS_LOG):
        found.append(record.offset)
        if record.offset % 400 == 0:
            publish(stack, (10,))  # goes on arriving: the end is that of the beginning
            time.sleep(1.0)
    assert found == list(range(count))


def test_a_broker_that_serves_nothing_before_the_end_is_reported(
    stack: Stack, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(stack, (12,), padding=600_000)  # a fetch of 1 MiB takes one or two of them
    monkeypatch.setattr(readers, "PATIENCE_S", 1.0)
    found = readers.read(stack.settings.model_copy(update={"max_message_bytes": 1024}), Topic.ALERTS_LOG)
    try:
        next(found)
        broker.pause()
        with pytest.raises(ReadError, match="check the broker and run the command again"):
            list(found)
    finally:
        broker.resume()


def test_a_broker_that_answers_no_more_after_the_connection_is_an_error_with_a_remedy(stack: Stack) -> None:
    with pytest.raises(TopicError, match=r"no Kafka broker answers at .*: start one"), readers.consumer(stack.settings):
        raise KafkaTimeoutError


def test_a_partition_that_a_topic_does_not_have_is_named(stack: Stack) -> None:
    name = Topics(stack.settings).name(Topic.MARGIN_DAILY)
    with pytest.raises(TopicError, match=r"has no partition 99: its partitions are 0 to \d"):
        readers.record_at(stack.settings, name, 99, 0)


def test_a_record_is_found_by_its_offset_or_not_at_all(stack: Stack) -> None:
    publish(stack, (3, 3))
    name = Topics(stack.settings).name(Topic.ALERTS_LOG)
    found = readers.record_at(stack.settings, name, 0, 4)
    assert found is not None and (found.offset, found.value) == (4, b"1")
    assert readers.record_at(stack.settings, name, 0, 60) is None


class _Slow:
    """A reader whose polls return nothing, because nobody wants the records, while its position moves on."""

    def __init__(self) -> None:
        self.at = 0

    def topics(self) -> set[str]:
        return {"x"}

    def partitions_for_topic(self, _topic: str) -> set[int]:
        return {0}

    def poll(self, **_options: object) -> dict[TopicPartition, list[object]]:
        time.sleep(0.02)
        self.at += 1
        return {}

    def position(self, _partition: TopicPartition) -> int:
        return self.at

    def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(partitions, 20)

    def highwater(self, _partition: TopicPartition) -> int:
        return 20

    def paused(self) -> set[TopicPartition]:
        return set()

    def ignored(self, *_arguments: object) -> None:
        """Do nothing."""

    assign = seek_to_beginning = pause = ignored


def test_a_reader_that_finds_nothing_it_wants_for_long_is_not_one_whose_broker_is_silent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(readers, "PATIENCE_S", 0.2)
    slow = _Slow()
    assert list(readers.read_to_end(slow, [TopicPartition("x", 0)], wanted=lambda _key: False)) == []  # type: ignore[arg-type]
    assert slow.at == 20


def test_only_wanted_keys_are_read_to_the_same_end(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(stack, (3000,), padding=400, keys=1000)
    seen = []
    monkeypatch.setattr(readers, "is_barrier", lambda record: seen.append(record) or is_barrier(record))
    found = [r.offset for r in readers.read(stack.settings, Topic.ALERTS_LOG, wanted=lambda key: key == "k7")]
    assert found == [7, 1007, 2007]
    assert len(seen) == 3  # the others never became records
    assert list(readers.read(stack.settings, Topic.ALERTS_LOG, wanted=lambda _key: False)) == []
