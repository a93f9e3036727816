"""The protocol of the sources of closed days: a daily topic, a topic's joined frames, the dated reference."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from processors.outputs import DayStatus


class ClosedDays(Protocol):
    """What the market stage reads of a source of any kind. Days count from 1970-01-01."""

    def is_closed(self, day: int) -> bool:
        """Return whether ``day`` is closed: complete, or reported as incomplete."""

    def status(self, day: int) -> DayStatus:
        """Return availability, revisions and missing rows of a closed day."""

    def newest_closed(self) -> int | None:
        """Return the newest closed day, None if there is none."""

    def lacks(self, day: int) -> dict[str, int] | None:
        """Return what a day lacks: exchange → missing rows, −1 where none arrived; None if the day is not closed."""

    def closed_days(self, start: int | None = None) -> Iterable[int]:
        """Return the closed days from ``start`` on, ascending."""
