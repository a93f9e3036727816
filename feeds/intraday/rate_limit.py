"""A rate limit for rows and requests."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """A token bucket that can go into debt: the next caller waits until the debt is paid back.

    A request may therefore be larger than the bucket, and the average rate is still met.

    Parameters
    ----------
    rate : tokens per second.
    burst : the number of tokens that can be taken at once after a pause.
    clock : seconds; must not run backwards.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()

    def delay(self) -> float:
        """Return how many seconds to wait before tokens can be taken; 0 for none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, -self._tokens / self._rate)

    def take(self, tokens: float) -> None:
        """Take tokens, even if the bucket has too few."""
        self.delay()
        self._tokens -= tokens
