"""What every feed of a plan is: somebody who is asked when something is due, and remembers what was done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol

from redis import Redis

from processors.errors import MarginwatchError


class StoppedError(MarginwatchError):
    """The feed was told to end while it waited; what is left goes out when it runs again."""


class FeedTask(ABC):
    """A feed at work, in a thread of its own; times are seconds since the epoch.

    Attributes
    ----------
    failures : how often something failed that is worth an exit code.
    serves : whether its `tick` waits for others to come, so that there is nothing to do in one round.
    """

    name: str
    failures: int
    serves: ClassVar[bool] = False

    @abstractmethod
    def tick(self, now: float) -> float:
        """Do what is due; return when to ask again."""

    def pending(self, now: float) -> bool:  # noqa: ARG002 - most feeds know no such thing
        """Whether something is left to do that does not wait for anybody else."""
        return False

    def end(self) -> None:  # noqa: B027 - most feeds never wait long
        """Make a `tick` that waits return soon; called from another thread."""

    def close(self) -> None:  # noqa: B027 - most feeds have none
        """Let go of connections; nothing is asked any more."""


class State(Protocol):
    """What a feed remembers: field → text."""

    def load(self) -> dict[str, str]:
        """Return everything."""

    def set(self, name: str, value: str) -> None:
        """Remember one thing."""


class RedisState:
    """A feed's memory in Redis."""

    def __init__(self, redis: Redis, namespace: str, feed: str) -> None:
        self._redis = redis
        self._key = f"{namespace}:feeds:{feed}"

    def load(self) -> dict[str, str]:
        """Return everything."""
        found: Any = self._redis.hgetall(self._key)
        return {name.decode(): value.decode() for name, value in found.items()}

    def set(self, name: str, value: str) -> None:
        """Remember one thing."""
        self._redis.hset(self._key, name, value)
