"""What is taken together of the polls that wait for an agent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from streams.kafka.poll_queue import SMALL_BYTES, PollQueue, joined
from streams.kafka.transport import Poll

ONE, OTHER, THIRD = TP("prices", 0), TP("prices", 1), TP("margin", 0)


def event(tp: TP, *offsets: int, generation: int = 1, size: int = 1) -> Any:
    """An event of Faust whose value is a poll."""
    records = [
        SimpleNamespace(topic=tp.topic, partition=tp.partition, offset=offset, timestamp=offset, value=b"x" * size)
        for offset in offsets
    ]
    return SimpleNamespace(value=Poll(records), message=SimpleNamespace(tp=tp, generation_id=generation))


def queue_of(*events: Any, reached: dict[TP, int] | None = None, enough: int = 1_000_000) -> PollQueue:
    days = reached or {}
    queue = PollQueue(lambda tp: days.get(tp, 0), enough, flow_control=FlowControlEvent(), clear_on_resume=True)
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


def test_small_polls_of_all_partitions_are_taken_by_partition_the_one_furthest_behind_first() -> None:
    one, other = [event(ONE, 1), event(ONE, 2)], [event(OTHER, 0)]
    queue = queue_of(one[0], *other, one[1], reached={ONE: 2, OTHER: 1})
    assert list(queue.take_small(event(THIRD, 0))) == [other, one]
    assert rest(queue) == []


@pytest.mark.parametrize(
    "stays",
    [[event(ONE, 2, generation=2)], [event(ONE, 2, size=SMALL_BYTES)]],
    ids=["of another generation of the group", "those of a backlog"],
)
def test_polls_that_are_not_small_or_not_of_the_generation_stay(stays: list[Any]) -> None:
    behind = event(OTHER, 0)
    queue = queue_of(*stays, behind)
    assert list(queue.take_small(event(THIRD, 0))) == []
    assert rest(queue) == [*stays, behind]


def test_what_arrives_while_small_polls_are_folded_waits_for_the_next_round() -> None:
    queue, later = queue_of(event(ONE, 0), event(OTHER, 0)), event(ONE, 1)
    taken = queue.take_small(event(THIRD, 0))
    next(taken)
    queue.put_nowait(later)
    assert [len(together) for together in taken] == [1]
    assert rest(queue) == [later]


def test_a_poll_alone_is_passed_on_as_it_is() -> None:
    alone = event(ONE, 0).value
    assert joined([alone]) is alone


def test_the_topic_that_is_furthest_behind_is_next_and_equal_ones_are_in_the_order_of_their_arrival() -> None:
    reached = {ONE: 20, OTHER: 10, THIRD: 20}
    one, third, other = [event(ONE, 0), event(ONE, 1)], [event(THIRD, 0)], [event(OTHER, 0), event(OTHER, 1)]
    queue = queue_of(*one, *third, *other, reached=reached)
    assert [queue.get_nowait(), queue.get_nowait()] == other
    reached[ONE] = 30
    assert rest(queue) == [*third, *one]


def test_no_topic_holds_up_another_one_for_long() -> None:
    waits, behind = event(ONE, 0), [event(OTHER, offset) for offset in range(40)]
    queue = queue_of(waits, *behind, reached={ONE: 20, OTHER: 10})
    order = rest(queue)
    assert order.index(waits) == 16
    assert [one for one in order if one is not waits] == behind


class Reading:
    """Which partitions are read, as the consumer is told."""

    def __init__(self, queue: PollQueue) -> None:
        self.queue = queue
        self.stopped: list[TP] = []

    def put(self, one: Any) -> bool:
        tp = one.message.tp
        return self.queue.put_nowait_enhanced(
            one,
            on_pressure_high=lambda: self.stopped.append(tp),
            on_pressure_drop=lambda: self.stopped.remove(tp),
        )


def test_a_partition_of_which_enough_waits_is_not_read_on_until_it_has_room_and_others_are() -> None:
    reading = Reading(queue_of(enough=10))
    big = [event(ONE, 0, size=6), event(ONE, 1, size=6), event(ONE, 2, size=6)]
    assert [reading.put(one) for one in big] == [False, True, False]
    assert not reading.put(event(OTHER, 0, size=9))
    assert reading.stopped == [ONE]
    assert reading.queue.get_nowait() is big[0]
    assert reading.stopped == [ONE]  # 12 bytes wait still
    assert reading.queue.take(big[0], 12) == [big[1]]
    assert reading.stopped == []
    assert reading.put(event(ONE, 3, size=6))
    assert reading.stopped == [ONE]


def test_a_rebalance_drops_what_waits_and_reads_on() -> None:
    reading = Reading(queue_of(enough=1))
    reading.put(event(ONE, 0))
    reading.queue.clear()
    assert (reading.stopped, reading.queue.qsize()) == ([], 0)
