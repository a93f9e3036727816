"""What each security is on a day: its industry and the indices it belongs to, as of their effective dates."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.codes import Ids, is_fund, reindex_sorted
from processors.daily_store import DailyStore
from processors.days import moment, to_date
from processors.events import Floats
from processors.outputs import DayStatus

TOPIC = "reference"
UNKNOWN = -1
_CHECKPOINT_DAYS = 32


@dataclass(frozen=True, slots=True)
class Members:
    """The master data of a day; arrays in the order of ``keys``, which ascend."""

    keys: Ids
    figures: dict[str, Floats]
    stocks: Ids  # the keys without funds
    stock_industry: npt.NDArray[np.intp]  # theirs, as `industry_of` gives it

    def industry_of(self, keys: Ids) -> npt.NDArray[np.intp]:
        """Place of each security's industry in `industries.INDUSTRIES`, `UNKNOWN` where there is none."""
        return _industry_numbers(self._of(keys, "industry"))

    def in_index(self, keys: Ids, index: str) -> npt.NDArray[np.bool_]:
        """Whether each security is a member of ``csi300`` or ``csi500``."""
        return np.asarray(self._of(keys, index) == 1.0)

    def _of(self, keys: Ids, name: str) -> Floats:
        return reindex_sorted(keys, self.keys, self.figures[name])


def _industry_numbers(industry: Floats) -> npt.NDArray[np.intp]:
    return np.where(np.isnan(industry), UNKNOWN, industry).astype(np.intp)


class ReferenceStore:
    """Every reference day that was closed; a security's newest row up to a day is what it is on that day.

    A reference day inside the past changes the days behind it. How often that happened is part of their revision:
    ``Σ (1 + revision)`` over the reference days up to a day, less 1.

    The rows of the reference days are folded in ascending order, and the result is kept at every 32nd of them, so that
    a new or corrected reference day folds what is behind it, and not the whole history.
    """

    def __init__(self, late_days: int, keep_days: int) -> None:
        self.store = DailyStore(TOPIC, (), late_days=late_days, history_days=keep_days, on_change=self._invalidate)
        self._days: list[int] = []  # closed reference days, ascending, and what follows from those up to each:
        self._changes: list[int] = []  # Σ (1 + revision)
        self._known: list[int] = []  # when they were known, µs since the epoch
        self._stale = False
        self._folded = _Folded(0, {})
        self._checkpoints: list[_Folded] = []
        self._members: tuple[int, Members] | None = None

    def is_closed(self, day: int) -> bool:
        """Whether anything is known on a day."""
        return self._count(day) > 0

    def status(self, day: int) -> DayStatus:
        """When what is known on a day was known, and how often it was changed."""
        revision = self.revision(day)
        return DayStatus(
            trade_date=to_date(day),
            available_at=moment(self.known_at(day)),
            revision=revision,
            input_revisions={TOPIC: revision},
        )

    def revision(self, day: int) -> int:
        """How often what is known on a day was changed."""
        count = self._count(day)
        return self._changes[count - 1] - 1 if count else -1

    def known_at(self, day: int) -> int:
        """When it was known, µs since the epoch."""
        count = self._count(day)
        return self._known[count - 1] if count else 0

    def newest_closed(self) -> int | None:
        """The newest reference day."""
        return self.store.newest_closed()

    def closed_days(self, start: int | None = None) -> Iterator[int]:
        """The reference days from ``start`` on, ascending."""
        return self.store.closed_days(start)

    def members(self, day: int) -> Members:
        """What every security is on a day."""
        count = self._count(day)
        if self._members is None or self._members[0] != count:
            figures = self._fold(count)
            order = self.store.key_index.by_key
            keys = self.store.keys[order]
            ordered, stock = {n: v[order] for n, v in figures.items()}, ~is_fund(keys)
            members = Members(keys, ordered, keys[stock], _industry_numbers(ordered["industry"][stock]))
            self._members = count, members
        return self._members[1]

    def _count(self, day: int) -> int:
        """How many reference days there are up to a day."""
        if self._stale:
            for known in self.store.closed_days(self._days[-1] + 1 if self._days else None):
                entry = self.store.days[known]
                self._days.append(known)
                self._changes.append(1 + entry.revision + (self._changes[-1] if self._changes else 0))
                self._known.append(max(entry.available_at, self._known[-1] if self._known else 0))
            self._stale = False
        return bisect_right(self._days, day)

    def _fold(self, count: int) -> dict[str, Floats]:
        """Return every figure by column of the store, as the first ``count`` reference days give it."""
        at = self._folded
        if at.count > count:
            before = [c for c in self._checkpoints if c.count <= count]
            at = before[-1].copy() if before else _Folded(0, {})
        width = self.store.width
        for name in self.store.names:
            values = at.figures.get(name, np.empty(0))
            at.figures[name] = np.concatenate([values, np.full(width - len(values), np.nan)])
        for known in self._days[at.count : count]:
            present = self.store.present(known)
            for name, values in at.figures.items():
                values[present] = self.store.figure(known, name)[present]
            at.count += 1
            if at.count % _CHECKPOINT_DAYS == 0 and (not self._checkpoints or self._checkpoints[-1].count < at.count):
                self._checkpoints.append(at.copy())
        self._folded = at
        return at.figures

    def _invalidate(self, day: int) -> None:
        """Drop what depends on the reference day ``day`` or a later one."""
        at = bisect_left(self._days, day)
        del self._days[at:], self._changes[at:], self._known[at:]
        self._stale = True
        self._checkpoints = [c for c in self._checkpoints if c.count <= at]
        if self._folded.count > at:
            self._folded = self._checkpoints[-1].copy() if self._checkpoints else _Folded(0, {})
        if self._members is not None and self._members[0] > at:
            self._members = None


@dataclass(slots=True)
class _Folded:
    """The figures of all keys, folded from the first ``count`` reference days."""

    count: int
    figures: dict[str, Floats]

    def copy(self) -> _Folded:
        return _Folded(self.count, {name: values.copy() for name, values in self.figures.items()})
