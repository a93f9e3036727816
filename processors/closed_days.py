"""The protocol of every source of closed days: a daily topic, the joined frames of a topic, the dated reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from processors.outputs import DayStatus


class ClosedDays(Protocol):
    """What the market stage asks of a source, whatever its kind."""

    def is_closed(self, day: int) -> bool:
        """Whether all that the source has of ``day`` is known (complete or reported incomplete)."""

    def status(self, day: int) -> DayStatus:
        """When the figures of a closed day were known, their revisions, and what they lack."""

    def revision(self, day: int) -> int:
        """How often the figures of a closed day, or those that they depend on, were changed since it was closed."""

    def known_at(self, day: int) -> int:
        """When the figures of a closed day were known, µs since the epoch."""

    def newest_closed(self) -> int | None:
        """The newest day that was closed, None if there is none."""

    def closed_days(self, start: int | None = None) -> Iterable[int]:
        """The days that were closed, from ``start`` on, ascending."""
