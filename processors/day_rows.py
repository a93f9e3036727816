"""The rows of one daily topic on one trade date: figures and revisions by column, and their stored form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np
import numpy.typing as npt

from processors.column_table import DayColumns, Layout
from processors.events import Floats
from processors.key_index import KeyIndex, widened

_ABSENT = -1
_INITIAL_CAPACITY = 64


class DayHeader(msgspec.Struct, array_like=True):
    """The stored header of a day."""

    expected: dict[str, int]
    closed: bool
    revision: int
    available_at: int  # µs since the epoch


def day_layout(figures: Iterable[str]) -> Layout[DayHeader]:
    """Return the layout of a stored day: revision and figures of each key."""
    return Layout(DayHeader, [("revision", "<i4"), *((name, "<f8") for name in figures)])


@dataclass(slots=True)
class Day:
    """One trade date of a store; arrays are indexed by the column of a key in the store's `KeyIndex`."""

    values: Floats  # (figures, capacity), NaN where absent
    revisions: npt.NDArray[np.int32]  # (capacity,), −1 where there is no row
    expected: dict[str, int] = field(default_factory=dict)  # rows by exchange, of the punctuation
    closed: bool = False
    revision: int = 0
    available_at: int = 0  # µs since the epoch, the latest of the rows

    def present(self, width: int) -> npt.NDArray[np.bool_]:
        """Return which of the first ``width`` columns have a row (width,)."""
        return np.asarray(widened(self.revisions, width, _ABSENT) >= 0)

    @classmethod
    def empty(cls, figures: int, width: int) -> Day:
        """Return a day without rows, with room for at least ``width`` columns."""
        capacity = max(_INITIAL_CAPACITY, width)
        return cls(np.full((figures, capacity), np.nan), np.full(capacity, _ABSENT, dtype=np.int32))

    def grow(self, width: int) -> None:
        """Make room for ``width`` columns; the capacity grows by at least a half, so that growing is amortised."""
        old = len(self.revisions)
        if width <= old:
            return
        capacity = max(width, old * 3 // 2)
        values = np.full((len(self.values), capacity), np.nan)
        values[:, :old] = self.values
        revisions = np.full(capacity, _ABSENT, dtype=np.int32)
        revisions[:old] = self.revisions
        self.values, self.revisions = values, revisions


def to_columns(entry: Day, keys: KeyIndex, names: tuple[str, ...]) -> DayColumns[DayHeader]:
    """Return the stored form of a day: its rows in ascending order of their keys."""
    columns = keys.where(entry.revisions >= 0)
    figures = {name: entry.values[row, columns] for row, name in enumerate(names)}
    return DayColumns(
        DayHeader(entry.expected, entry.closed, entry.revision, entry.available_at),
        keys.keys[columns],
        {"revision": entry.revisions[columns], **figures},
    )


def from_columns(stored: DayColumns[DayHeader], keys: KeyIndex, names: tuple[str, ...]) -> Day:
    """Return the day that `to_columns` stored; unknown keys get columns."""
    columns, header = keys.get_or_add(stored.keys), stored.header
    entry = Day.empty(len(names), len(keys))
    entry.expected, entry.closed = header.expected, header.closed
    entry.revision, entry.available_at = header.revision, header.available_at
    for row, name in enumerate(names):
        entry.values[row, columns] = stored.columns[name]
    entry.revisions[columns] = stored.columns["revision"]
    return entry
