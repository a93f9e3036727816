"""Keeping to a rate."""

from __future__ import annotations

from collections.abc import Callable


class Bucket:
    """A token bucket that may go into debt: who comes next waits until it is paid back.

    So a request may be larger than the bucket, and the rate holds all the same.

    Parameters
    ----------
    rate : tokens per second.
    burst : how many may be taken at once after a pause.
    clock : seconds; any that does not run backwards.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()

    def delay(self) -> float:
        """Return how many seconds to wait before anything may be taken; 0 for none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return max(0.0, -self._tokens / self._rate)

    def take(self, tokens: float) -> None:
        """Take tokens, whether they are there or not."""
        self.delay()
        self._tokens -= tokens
