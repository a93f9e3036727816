"""A publisher whose broker says nothing."""

from __future__ import annotations

import threading

import pytest

from streams.errors import PublishError
from streams.local_kafka import Broker
from streams.publisher import Publisher
from tests.harness import Stack

#: What a publisher does does not depend on the broker.
pytestmark = pytest.mark.parametrize("broker", ["embedded"], indirect=True)


@pytest.mark.parametrize("flushed", [True, False], ids=["in the block", "at its end"])
def test_what_a_silent_broker_does_not_take_is_given_up_and_nothing_goes_on_sending(
    stack: Stack, broker: Broker, flushed: bool
) -> None:
    before = set(threading.enumerate())
    made = Publisher(stack.settings, source="test", timeout_s=0.5)
    made.raw("margin.intraday", b"first")
    made.flush()
    broker.pause()
    try:
        made.raw("margin.intraday", b"second")
        with pytest.raises(PublishError, match="did not acknowledge"), made:
            if flushed:
                made.flush()
        assert set(threading.enumerate()) <= before
    finally:
        broker.resume()
