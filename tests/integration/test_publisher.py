"""A publisher whose broker says nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from kafka.errors import InvalidTimestampError

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


def test_a_clock_that_is_ahead_of_the_broker_is_the_error_of_a_feed(stack: Stack) -> None:
    """Apache Kafka refuses messages from the future; the embedded broker does not."""
    publisher = stack.publisher()
    publisher._failures.append(InvalidTimestampError("Timestamp 1 of message with offset 0 is out of range"))
    with pytest.raises(PublishError, match="the clock of this machine is ahead"):
        publisher.raw("margin.intraday", b"x")
    publisher.discard()
