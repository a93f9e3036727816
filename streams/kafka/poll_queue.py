"""The queue of an agent: which of the polls that wait in it is folded next, and with which others.

**Together.** A step costs about the same whether it has one message or a hundred. While the last step of a partition is
stored and published, later polls of the partition arrive; the next step takes all of them. So the steps become fewer
and larger as far as the worker is busy. Small polls of all partitions are taken at once: their steps follow each other
in one turn of the event loop, so they are one request to Redis, one to Kafka, and one poll of the next stage.

**In the order of trade dates.** Of several topics with waiting polls the one that is furthest behind is next. In a
backlog the topics have very different sizes, and what has no counterpart yet would wait in the state for years of it. A
poll is passed over a few times at most: no topic can hold up another one.

**A share for each.** A partition is not read on while so many bytes of it wait that they fill a step. A buffer for all
together would be full of the topic that is to wait.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from faust.types import TP
from mode.utils.queues import FlowControlEvent, ThrowableQueue

from streams.kafka.transport import Poll

#: Polls of a running session have some kilobytes, those of a backlog up to a megabyte.
SMALL_BYTES = 64 * 1024
#: How often the poll that has waited longest is passed over.
_MOST_PASSED_OVER = 16


class PollQueue(ThrowableQueue):  # type: ignore[misc]  # a library without types
    """Events whose values are polls, of several partitions.

    Parameters
    ----------
    reached : returns the trade date that a partition of a topic has reached; 0 where it is not known.
    enough : waiting bytes of a partition at which it is not read on.
    """

    def __init__(
        self,
        reached: Callable[[TP], int],
        enough: int,
        *,
        flow_control: FlowControlEvent,
        clear_on_resume: bool = False,
    ) -> None:
        super().__init__(flow_control=flow_control, clear_on_resume=clear_on_resume)
        self._reached = reached
        self._enough = enough
        self._passed_over = 0
        self._full: dict[TP, Callable[[], None]] = {}  # partitions that are not read, and how to read on

    def put_nowait_enhanced(
        self, value: Any, *, on_pressure_high: Callable[[], None], on_pressure_drop: Callable[[], None]
    ) -> bool:
        """Put an event; stop reading its partition if enough of it waits."""
        self.force_put_nowait(value)
        tp = value.message.tp
        if tp in self._full or not self._is_full(tp):
            return False
        self._full[tp] = on_pressure_drop
        on_pressure_high()
        return True

    def maybe_endorse_pressure_drop(self) -> None:
        """Read on where there is room: here once an event has left."""

    def clear(self) -> None:
        """Drop all events; the partitions are assigned again."""
        super().clear()
        self._read_on()

    def take(self, first: Any, most_bytes: int) -> list[Any]:
        """Take the next polls of a partition off the queue; return their events, oldest first.

        A poll that was fetched before or after a rebalance stays: only the stream knows whether it still counts.

        Parameters
        ----------
        first : the event that the stream has yielded.
        most_bytes : the size up to which polls are added to that of the first event.
        """
        taken: list[Any] = []
        left = most_bytes - first.value.size
        for event in list(self._queue):
            message = event.message
            if message.tp == first.message.tp:
                left -= event.value.size
                if left < 0 or message.generation_id != first.message.generation_id:
                    break
                self._queue.remove(event)
                taken.append(event)
        self._read_on()
        return taken

    def take_small(self, after: Any) -> Iterator[list[Any]]:
        """Take all polls off the queue, if they are small together; yield those of each partition, oldest first.

        Parameters
        ----------
        after : the event that the stream has yielded; see `take`.
        """
        left = len(self._queue) if sum(event.value.size for event in self._queue) <= SMALL_BYTES else 0
        while left > 0 and self._queue:
            event = self._next()
            if event.message.generation_id != after.message.generation_id:
                break
            self._queue.remove(event)
            together = [event, *self.take(event, SMALL_BYTES)]
            left -= len(together)
            yield together

    def _get(self) -> Any:
        """Remove and return the event that is next (a method of asyncio's queue)."""
        event = self._next()
        self._queue.remove(event)
        self._read_on()
        return event

    def _next(self) -> Any:
        first = self._queue[0]
        if len(self._queue) > 1 and self._passed_over < _MOST_PASSED_OVER:
            heads: dict[TP, Any] = {}
            for event in self._queue:
                heads.setdefault(event.message.tp, event)
            best = heads[min(heads, key=self._reached)]
            if best is not first:
                self._passed_over += 1
                return best
        self._passed_over = 0
        return first

    def _read_on(self) -> None:
        """Read on of the partitions that have room again."""
        for tp in [tp for tp in self._full if not self._is_full(tp)]:
            self._full.pop(tp)()

    def _is_full(self, tp: TP) -> bool:
        waiting: int = sum(event.value.size for event in self._queue if event.message.tp == tp)
        return waiting >= self._enough


def joined(polls: list[Poll]) -> Poll:
    """Return consecutive polls of one partition as one."""
    if len(polls) == 1:
        return polls[0]
    return Poll([record for poll in polls for record in poll.records], sum(poll.size for poll in polls))
