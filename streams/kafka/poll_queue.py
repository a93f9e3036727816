"""The queue of an agent: polls of one partition that wait in it are taken together.

A step costs about the same whether it has one message or a hundred. While the last step of a partition is stored and
published, later polls of the partition arrive; the next step takes all of them. So the steps become fewer and larger
exactly as far as the worker is busy, and no message waits for another one.
"""

from __future__ import annotations

from typing import Any

from mode.utils.queues import ThrowableQueue

from streams.kafka.transport import Poll


class PollQueue(ThrowableQueue):  # type: ignore[misc]  # a library without types
    """Events whose values are polls, of several partitions, in the order of their arrival."""

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
        return taken


def joined(polls: list[Poll]) -> Poll:
    """Return consecutive polls of one partition as one."""
    return polls[0] if len(polls) == 1 else Poll([record for poll in polls for record in poll.records])
