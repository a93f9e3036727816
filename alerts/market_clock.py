"""The market's clock: the machine's, or in a replay that of the events.

A barrier (`processors.events.Barrier`) with the moment up to which a replay has published its rows sets the clock of
every stage that it passes. From there on the clock runs at the machine's pace. A barrier without a moment ends the
replay. The fold reads no clock: this one serves what depends on the time of day, such as silent feeds, quiet hours and
the time at which an alert is raised.
"""

from __future__ import annotations

import time
from datetime import datetime

from processors.days import microseconds, moment


class MarketClock:
    """The time of the market; moments are UTC datetimes, or µs since the epoch."""

    def __init__(self) -> None:
        self._ahead = 0  # of the machine's clock; negative in a replay of the past

    @property
    def replays(self) -> bool:
        """Whether this is the clock of a replay."""
        return self._ahead != 0

    def set(self, at: datetime | None) -> None:
        """Set the clock to a moment, or to the machine's clock if it is None."""
        self._ahead = 0 if at is None else microseconds(at) - _machine()

    def advance(self, to: datetime) -> None:
        """Advance the clock of a replay to the moment at which an event became known; it never goes back."""
        if self.replays and to > self.now():
            self.set(to)

    def at(self, machine: int) -> int:
        """Return the moment of the market at a moment of the machine's clock."""
        return machine + self._ahead

    def now(self) -> datetime:
        """Return the moment of the market, UTC."""
        return moment(self.at(_machine()))


def _machine() -> int:
    return time.time_ns() // 1000
