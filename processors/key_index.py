"""Where a book keeps a key: the n-th key that came stands in column n of its arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.codes import Ids

Columns = npt.NDArray[np.intp]


class KeyIndex:
    """Keys and their columns; a key that has a column keeps it.

    Attributes
    ----------
    keys : (n,) the key of each column.
    by_key : (n,) the columns in ascending order of their keys.
    """

    def __init__(self) -> None:
        self.keys: Ids = np.empty(0, dtype=np.int32)
        self.by_key: Columns = np.empty(0, dtype=np.intp)
        self._sorted: Ids = np.empty(0, dtype=np.int32)

    def __len__(self) -> int:
        return len(self.keys)

    def get(self, key: int) -> int | None:
        """Column of a key, None if it never came."""
        at = int(np.searchsorted(self._sorted, key))
        return int(self.by_key[at]) if at < len(self._sorted) and self._sorted[at] == key else None

    def get_or_add(self, keys: Ids) -> Columns:
        """Columns of many keys; unknown ones get new columns, in ascending order."""
        at = np.searchsorted(self._sorted, keys)
        known = np.zeros(len(keys), dtype=bool)
        inside = at < len(self._sorted)
        known[inside] = self._sorted[at[inside]] == keys[inside]
        if not known.all():
            self.keys = np.concatenate([self.keys, np.unique(keys[~known])])
            self.by_key = np.argsort(self.keys, kind="stable")
            self._sorted = self.keys[self.by_key]
            at = np.searchsorted(self._sorted, keys)
        return self.by_key[at]
