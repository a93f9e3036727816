"""A feed at work: a task that the scheduler calls when something is due."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar


class FeedTask(ABC):
    """A feed in a thread of its own; times are seconds since the epoch.

    Attributes
    ----------
    failures : the number of failures that make the exit code of a single round 1.
    serves : whether `tick` waits for requests of others, so that a single round has nothing to do.
    """

    name: str
    failures: int
    serves: ClassVar[bool] = False

    @abstractmethod
    def tick(self, now: float) -> float:
        """Do what is due; return when to call again."""

    def pending(self, now: float) -> bool:  # noqa: ARG002 - most feeds have no such work
        """Whether work is left that waits for no other party."""
        return False

    def end(self) -> None:  # noqa: B027 - most feeds never wait long
        """Make a waiting `tick` return soon; called from another thread."""

    def close(self) -> None:  # noqa: B027 - most feeds have none
        """Close connections; nothing is called afterwards."""
