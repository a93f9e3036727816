"""The index of a store: assigns each key a column of the store's arrays, in the order of first arrival."""

from __future__ import annotations

import numpy as np

from processors.arrays import Array, Ids, Indexer, Mask
from processors.codes import NO_IDS


class KeyIndex:
    """Keys and their columns. The column of a key never changes.

    Attributes
    ----------
    keys : (n,) key of each column.
    by_key : (n,) columns in ascending order of their keys.
    """

    def __init__(self) -> None:
        self.keys: Ids = NO_IDS
        self.by_key: Indexer = np.empty(0, dtype=np.intp)
        self._sorted: Ids = NO_IDS
        self._last: tuple[Ids, Indexer] = self.keys, self.by_key  # the last lookup: a list is the same on most days

    def __len__(self) -> int:
        return len(self.keys)

    def where(self, mask: Mask) -> Indexer:
        """Return the columns that a mask selects, in ascending order of their keys.

        Parameters
        ----------
        mask : (m,) whether each of the first m columns is selected; later ones are not.

        Examples
        --------
        >>> index = KeyIndex()
        >>> index.get_or_add(np.array([7, 3], dtype=np.int32)), index.get_or_add(np.array([5], dtype=np.int32))
        (array([1, 0]), array([2]))
        >>> index.where(np.array([True, True, True])), index.where(np.array([False, True]))
        (array([0, 2, 1]), array([1]))
        """
        columns = self.by_key if len(mask) >= len(self.by_key) else self.by_key[self.by_key < len(mask)]
        return columns[mask[columns]]

    def get(self, key: int) -> int | None:
        """Return the column of a key, None if the key is unknown."""
        at = int(np.searchsorted(self._sorted, key))
        return int(self.by_key[at]) if at < len(self._sorted) and self._sorted[at] == key else None

    def get_or_add(self, keys: Ids) -> Indexer:
        """Return the columns of many keys (m,); unknown keys get new columns, in ascending order of the keys.

        Examples
        --------
        >>> index = KeyIndex()
        >>> index.get_or_add(np.array([7, 3], dtype=np.int32)).tolist()
        [1, 0]
        >>> index.get_or_add(np.array([5, 7], dtype=np.int32)).tolist()
        [2, 1]
        """
        if np.array_equal(keys, self._last[0]):
            return self._last[1]
        at = np.searchsorted(self._sorted, keys)
        known = np.zeros(len(keys), dtype=bool)
        inside = at < len(self._sorted)
        known[inside] = self._sorted[at[inside]] == keys[inside]
        if not known.all():
            self.keys = np.concatenate([self.keys, np.unique(keys[~known])])
            self.by_key = np.argsort(self.keys, kind="stable")
            self._sorted = self.keys[self.by_key]
            at = np.searchsorted(self._sorted, keys)
        self._last = keys, self.by_key[at]
        return self._last[1]


def widened(values: Array, width: int, fill: float) -> Array:
    """Return the first ``width`` columns of values (n,); columns that were added since have the value ``fill``.

    Examples
    --------
    >>> widened(np.array([1.0, 2.0]), 3, np.nan), widened(np.array([1, 2]), 2, 0), widened(np.array([1, 2]), 1, 0)
    (array([ 1.,  2., nan]), array([1, 2]), array([1]))
    """
    more = width - len(values)
    return values[:width] if more <= 0 else np.concatenate([values, np.full(more, fill, dtype=values.dtype)])
