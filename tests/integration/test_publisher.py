"""A publisher whose broker says nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from kafka.errors import InvalidRecordError, InvalidTimestampError, KafkaError, MessageSizeTooLargeError
from kafka.future import Future

from streams.errors import PublishError
from streams.local.local_kafka import Broker
from streams.publisher import Publisher
from tests.harness import Stack

#: What a publisher does does not depend on the broker.
pytestmark = pytest.mark.parametrize("broker", ["embedded"], indirect=True)


@pytest.mark.parametrize("last", [Publisher.flush, lambda _: None], ids=["in the block", "at its end"])
def test_what_a_silent_broker_does_not_take_is_given_up_and_nothing_goes_on_sending(
    stack: Stack, broker: Broker, last: Callable[[Publisher], None]
) -> None:
    before = set(threading.enumerate())
    made = Publisher(stack.settings, source="test", timeout_s=0.5)
    made.raw("margin.intraday", b"first")
    made.flush()
    broker.pause()
    try:
        made.raw("margin.intraday", b"second")
        with pytest.raises(PublishError, match="did not acknowledge"), made:
            last(made)
        assert set(threading.enumerate()) <= before
    finally:
        broker.resume()


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (InvalidRecordError("Compacted topic"), "topics check` names the command that sets its"),
        (InvalidTimestampError("Timestamp 1 of message with offset 0 is out of range"), "the clock of this machine is"),
        (
            MessageSizeTooLargeError(None),
            "larger than max.message.bytes of its topic: `marginwatch topics",
        ),
    ],
)
def test_a_message_that_the_broker_refuses_is_an_error_with_topic_reason_and_remedy(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, error: KafkaError, why: str
) -> None:
    """Apache Kafka refuses such messages; the embedded broker does not."""
    publisher = stack.publisher()
    refused = Future().failure(error)
    monkeypatch.setattr(publisher._producer, "send", lambda *_, **__: refused)
    publisher.raw("margin.intraday", b"x")
    with pytest.raises(PublishError, match=f"a message of {stack.publisher_topic('margin.intraday')}, because .*{why}"):
        publisher.flush()
    publisher.discard()
