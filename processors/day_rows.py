"""The rows of one daily topic on one trade date: figures and revisions by column, and their stored form."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from processors.arrays import Floats, Indexer, Mask, Revisions
from processors.column_table import DayColumns, Layout
from processors.key_index import KeyIndex, widened

_ABSENT = -1
_INITIAL_CAPACITY = 64
#: Rows are few if a day has room for so many times more.
_FEW = 8
_Number = TypeVar("_Number", np.float64, np.int32)


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
    """One trade date of a store; arrays are indexed by the column of a key in the store's `KeyIndex`.

    A day with few rows, such as one of master data on which few securities change, has the columns of its rows alone
    (`pack`): years of such days would take as much memory as years of prices. `grow` gives it all columns again.
    """

    values: Floats  # (figures, capacity), NaN where absent; packed: (figures, rows)
    revisions: Revisions  # (capacity,), −1 where there is no row; packed: (rows,)
    expected: dict[str, int] = field(default_factory=dict)  # rows by exchange, of the punctuation
    closed: bool = False
    revision: int = 0
    available_at: int = 0  # µs since the epoch, the latest of the rows
    columns: Indexer | None = None  # packed: (rows,) the column of each row

    def present(self, width: int) -> Mask:
        """Return which of the first ``width`` columns have a row (width,)."""
        return np.asarray(self._whole(self.revisions, width, _ABSENT) >= 0)

    def figure(self, row: int, width: int) -> Floats:
        """Return a figure over the first ``width`` columns, NaN where absent (width,)."""
        return self._whole(self.values[row], width, np.nan)

    def _whole(self, values: npt.NDArray[_Number], width: int, absent: float) -> npt.NDArray[_Number]:
        if self.columns is None:
            return widened(values, width, absent)
        out = np.full(width, absent, dtype=values.dtype)
        out[self.columns] = values
        return out

    def pack(self) -> None:
        """Retain the columns with rows alone, if they are few."""
        rows = np.flatnonzero(self.revisions >= 0)
        if self.columns is None and (len(rows) + _INITIAL_CAPACITY) * _FEW < len(self.revisions):
            self.columns, self.values, self.revisions = rows, self.values[:, rows], self.revisions[rows]

    @classmethod
    def empty(cls, figures: int, width: int) -> Day:
        """Return a day without rows, with room for at least ``width`` columns."""
        capacity = max(_INITIAL_CAPACITY, width)
        return cls(np.full((figures, capacity), np.nan), np.full(capacity, _ABSENT, dtype=np.int32))

    def grow(self, width: int) -> None:
        """Make room for ``width`` columns; the capacity grows by at least a half, so that growing is amortised."""
        old = len(self.revisions)
        if self.columns is None and width <= old:
            return
        capacity = width if self.columns is not None else max(width, old * 3 // 2)
        columns = slice(old) if self.columns is None else self.columns
        values = np.full((len(self.values), capacity), np.nan)
        values[:, columns] = self.values
        revisions = np.full(capacity, _ABSENT, dtype=np.int32)
        revisions[columns] = self.revisions
        self.values, self.revisions, self.columns = values, revisions, None


def to_columns(entry: Day, keys: KeyIndex, names: tuple[str, ...]) -> DayColumns[DayHeader]:
    """Return the stored form of a day: its rows in ascending order of their keys."""
    columns = keys.where(entry.present(len(keys)))
    places = columns if entry.columns is None else np.searchsorted(entry.columns, columns)
    return DayColumns(
        DayHeader(entry.expected, entry.closed, entry.revision, entry.available_at),
        keys.keys[columns],
        {"revision": entry.revisions[places], **dict(zip(names, entry.values.take(places, axis=1), strict=True))},
    )


def from_columns(stored: DayColumns[DayHeader], keys: KeyIndex, names: tuple[str, ...]) -> Day:
    """Return the day that `to_columns` stored; unknown keys get columns."""
    columns, header = keys.get_or_add(stored.keys), stored.header
    entry = Day.empty(len(names), len(keys))
    entry.expected, entry.closed = header.expected, header.closed
    entry.revision, entry.available_at = header.revision, header.available_at
    for values, name in zip(entry.values, names, strict=True):
        values[columns] = stored.columns[name]
    entry.revisions[columns] = stored.columns["revision"]
    if entry.closed:
        entry.pack()
    return entry
