"""What is taken together of the polls that wait for an agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from streams.kafka.poll_queue import PollQueue, joined
from streams.kafka.transport import Poll

ONE, OTHER = TP("prices", 0), TP("prices", 1)


def event(tp: TP, *offsets: int, generation: int = 1, size: int = 1) -> Any:
    """An event of Faust whose value is a poll."""
    records = [
        SimpleNamespace(topic=tp.topic, partition=tp.partition, offset=offset, timestamp=offset, value=b"x" * size)
        for offset in offsets
    ]
    return SimpleNamespace(value=Poll(records), message=SimpleNamespace(tp=tp, generation_id=generation))


def queue_of(*events: Any) -> PollQueue:
    queue = PollQueue(flow_control=FlowControlEvent(), clear_on_resume=True)
    for one in events:
        queue.put_nowait(one)
    return queue


def rest(queue: PollQueue) -> list[Any]:
    return [queue.get_nowait() for _ in range(queue.qsize())]


def test_the_polls_of_a_partition_are_taken_in_their_order_and_those_of_others_stay() -> None:
    others, same = [event(OTHER, 7), event(OTHER, 8)], [event(ONE, 2, 3), event(ONE, 4)]
    queue, first = queue_of(others[0], same[0], others[1], same[1]), event(ONE, 0, 1)
    together = [first, *queue.take(first, 100)]
    assert together == [first, *same]
    assert rest(queue) == others
    poll = joined([one.value for one in together])
    assert [record.offset for record in poll.records] == [0, 1, 2, 3, 4]
    assert (poll.topic, poll.partition, poll.offset, poll.timestamp) == ("prices", 0, 4, 4)


@pytest.mark.parametrize(
    "stays",
    [event(ONE, 2, generation=2), event(ONE, 2, size=9)],
    ids=["of another generation of the group", "beyond the size"],
)
def test_a_poll_that_stays_keeps_those_behind_it_in_the_queue(stays: Any) -> None:
    taken, behind = event(ONE, 1), event(ONE, 3)
    queue, first = queue_of(taken, stays, behind), event(ONE, 0)
    assert queue.take(first, 10) == [taken]
    assert rest(queue) == [stays, behind]


def test_a_poll_alone_is_passed_on_as_it_is() -> None:
    alone = event(ONE, 0).value
    assert joined([alone]) is alone
