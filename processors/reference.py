"""Master data of each security on a day: industry and index memberships, by effective date."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from processors import index_members
from processors.arrays import Floats, Ids, Indexer, Mask
from processors.codes import reindex_sorted
from processors.daily_store import ApplyResult, DailyStore
from processors.days import moment, to_date
from processors.events import RowBatch
from processors.key_index import widened
from processors.kinds import is_stock
from processors.needs import REFERENCE
from processors.outputs import DayStatus

UNKNOWN = -1
_CHECKPOINT_DAYS = 32


@dataclass(frozen=True, slots=True)
class Members:
    """The master data of a day.

    Parameters
    ----------
    keys : (n,) the securities that are known on the day, ascending.
    figures : name → (n,)
    stocks : (m,) the keys of the stocks that are listed.
    stock_industry : (m,) industry of each stock, as in `industry_of`.
    """

    keys: Ids
    figures: dict[str, Floats]
    stocks: Ids
    stock_industry: Indexer

    def industry_of(self, keys: Ids) -> Indexer:
        """Return the index into `industries.INDUSTRIES` of each security (n,), `UNKNOWN` where there is none."""
        return industry_numbers(self._of(keys, "industry"))

    def in_index(self, keys: Ids, index: str) -> Mask:
        """Return whether each security is a member of an index, such as ``csi300`` or ``000852.SH`` (n,)."""
        return np.asarray(self._of(keys, index) == 1.0)

    def _of(self, keys: Ids, name: str) -> Floats:
        return reindex_sorted(keys, self.keys, self.figures[name])


def industry_numbers(industry: Floats) -> Indexer:
    """Return the figure ``industry`` as an index into `industries.INDUSTRIES` (n,), `UNKNOWN` where it is NaN."""
    return np.where(np.isnan(industry), UNKNOWN, industry).astype(np.intp)


class ReferenceStore:
    """The closed days of ``reference``. The newest row of a security up to a day is its master data on that day.

    A late reference day changes all later days. Their revision counts these changes: ``Σ (1 + revision)`` over the
    reference days up to a day, less 1.

    The store folds the reference days in ascending order and keeps a checkpoint at every 32nd of them. So a new or
    corrected reference day folds the days since a checkpoint, and not the whole history.

    Parameters
    ----------
    indices : codes of the indices without a field whose members it contains.
    """

    def __init__(self, late_days: int, keep_days: int, indices: tuple[str, ...] = ()) -> None:
        self.store = _Rows(indices, late_days=late_days, history_days=keep_days, on_change=self._invalidate)
        self._indices = indices
        self._days: list[int] = []  # closed reference days, ascending
        self._changes: list[int] = []  # Σ (1 + revision) up to each of them
        self._known: list[int] = []  # when the days up to each were known, µs since the epoch
        self._stale = False
        self._folded = _Folded(0, {})
        self._checkpoints: list[_Folded] = []
        self._members: tuple[int, Members] | None = None

    def is_closed(self, day: int) -> bool:
        """Return whether there is a reference day up to ``day``."""
        return self._count(day) > 0

    def status(self, day: int) -> DayStatus:
        """Return availability and revision of the master data of a day."""
        revision = self.revision(day)
        return DayStatus(
            trade_date=to_date(day),
            available_at=moment(self.known_at(day)),
            revision=revision,
            missing={f"{REFERENCE} {exchange}": lack for exchange, lack in (self.lacks(day) or {}).items()},
            input_revisions={REFERENCE: revision},
        )

    def revision(self, day: int) -> int:
        """Return how often the master data of a day changed; −1 if there are none."""
        count = self._count(day)
        return self._changes[count - 1] - 1 if count else -1

    def known_at(self, day: int) -> int:
        """Return when the master data of a day were known, µs since the epoch; 0 if there are none."""
        count = self._count(day)
        return self._known[count - 1] if count else 0

    def lacks(self, day: int) -> dict[str, int] | None:
        """Return what the newest reference day up to ``day`` lacks by its end-of-day counts: exchange → rows."""
        count = self._count(day)
        return self.store.missing(self._days[count - 1]) if count else None

    def newest_closed(self) -> int | None:
        """Return the newest reference day, None if there is none."""
        return self.store.newest_closed()

    def closed_days(self, start: int | None = None) -> Iterator[int]:
        """Return the reference days from ``start`` on, ascending."""
        return self.store.closed_days(start)

    def members(self, day: int) -> Members:
        """Return the master data of a day."""
        count = self._count(day)
        if self._members is None or self._members[0] != count:
            figures = self._fold(count)
            order = self.store.key_index.by_key
            order = order[~np.isnan(figures["listed"][order])]  # each row has it: those with a row up to the day
            keys = self.store.keys[order]
            ordered = index_members.unpacked({n: v[order] for n, v in figures.items()}, self._indices)
            stock = is_stock(keys) & (ordered["listed"] == 1.0)
            members = Members(keys, ordered, keys[stock], industry_numbers(ordered["industry"][stock]))
            self._members = count, members
        return self._members[1]

    def _count(self, day: int) -> int:
        """Return the number of reference days up to a day."""
        if self._stale:
            for known in self.store.closed_days(self._days[-1] + 1 if self._days else None):
                entry = self.store.days[known]
                self._days.append(known)
                self._changes.append(1 + entry.revision + (self._changes[-1] if self._changes else 0))
                self._known.append(max(entry.available_at, self._known[-1] if self._known else 0))
            self._stale = False
        return bisect_right(self._days, day)

    def _fold(self, count: int) -> dict[str, Floats]:
        """Return figure → values by column of the store, after the first ``count`` reference days."""
        at = self._folded
        if at.count > count:
            before = [c for c in self._checkpoints if c.count <= count]
            at = before[-1].copy() if before else _Folded(0, {})
        width = self.store.width
        for name in self.store.names:
            at.figures[name] = widened(at.figures.get(name, np.empty(0)), width, np.nan)
        for known in self._days[at.count : count]:
            present = self.store.present(known)
            for name, values in at.figures.items():
                found = self.store.figure(known, name)[present]
                values[present] = np.where(np.isnan(found), 1.0, found) if name == "listed" else found
            at.count += 1
            if at.count % _CHECKPOINT_DAYS == 0 and (not self._checkpoints or self._checkpoints[-1].count < at.count):
                self._checkpoints.append(at.copy())
        self._folded = at
        return at.figures

    def _invalidate(self, day: int) -> None:
        """Discard cached results that depend on the reference day ``day`` or a later one."""
        at = bisect_left(self._days, day)
        del self._days[at:], self._changes[at:], self._known[at:]
        self._stale = True
        self._checkpoints = [c for c in self._checkpoints if c.count <= at]
        if self._folded.count > at:
            self._folded = self._checkpoints[-1].copy() if self._checkpoints else _Folded(0, {})
        if self._members is not None and self._members[0] > at:
            self._members = None


class _Rows(DailyStore):
    """The rows of ``reference``, with one column for the members of all further indices."""

    def __init__(
        self, indices: tuple[str, ...], *, late_days: int, history_days: int, on_change: Callable[[int], None]
    ) -> None:
        column = index_members.store_column(indices)
        super().__init__(
            REFERENCE, (), late_days=late_days, history_days=history_days, further=column, on_change=on_change
        )
        self._indices = indices

    def apply(self, batch: RowBatch) -> ApplyResult:
        """Fold rows; see `DailyStore.apply`."""
        return super().apply(index_members.packed(batch, self._indices))


@dataclass(slots=True)
class _Folded:
    """The figures of all keys after the first ``count`` reference days."""

    count: int
    figures: dict[str, Floats]

    def copy(self) -> _Folded:
        return _Folded(self.count, {name: values.copy() for name, values in self.figures.items()})
