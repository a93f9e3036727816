"""Values by day with all of their versions, so that a page can show what was known at an earlier moment."""

from __future__ import annotations

from bisect import insort
from datetime import date, datetime
from typing import Generic, TypeVar

T = TypeVar("T")


class Versions(Generic[T]):
    """The versions of a value on each of the newest days.

    The version that is offered last is the newest one. A version with the ``available_at`` of the one before replaces
    it: nobody could know the two apart.

    Parameters
    ----------
    kept : how many days are kept; None keeps all.
    """

    __slots__ = ("_kept", "_versions", "days")

    def __init__(self, kept: int | None = None) -> None:
        self._kept = kept
        self._versions: dict[date, list[tuple[datetime, T]]] = {}
        self.days: list[date] = []  # ascending

    def offer(self, day: date, available_at: datetime, value: T) -> bool:
        """Store a version; return whether its day is one of the kept ones."""
        if day not in self._versions:
            insort(self.days, day)
            self._versions[day] = []
        versions = self._versions[day]
        if versions and versions[-1][0] == available_at:
            versions.pop()
        versions.append((available_at, value))
        if self._kept is not None and len(self.days) > self._kept:
            oldest = self.days.pop(0)
            del self._versions[oldest]
            return oldest != day
        return True

    def __contains__(self, day: date) -> bool:
        return day in self._versions

    def newest(self, day: date) -> T:
        """Return the newest version of a day."""
        return self._versions[day][-1][1]

    def at(self, day: date, moment: datetime) -> T | None:
        """Return the version of a day that was known at a moment, None if there was none."""
        found = [value for available_at, value in self._versions[day] if available_at <= moment]
        return found[-1] if found else None

    def known_at(self, moment: datetime) -> Versions[T]:
        """Return the days and versions that were known at a moment."""
        out = Versions[T](self._kept)
        for day in self.days:
            value = self.at(day, moment)
            if value is not None:
                out.offer(day, moment, value)
        return out
