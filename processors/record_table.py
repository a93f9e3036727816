"""A table of one fixed record per security, which one call changes for thousands of securities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from processors.arrays import Ids, Indexer
from processors.codes import to_codes, to_id
from processors.errors import StateError
from processors.key_index import KeyIndex
from processors.table import REMEDY, Rows, check_version

_FIRST_CAPACITY = 256


class RecordTable:
    """Records by column; a field ``<table>/<code>`` contains the version (one byte) and the raw record.

    Parameters
    ----------
    name : first part of its fields.
    blank : record of a security without any row.

    Attributes
    ----------
    key_index : column of each security.
    records : (capacity,) records; the first ``len(key_index)`` are in use.
    """

    def __init__(self, name: str, blank: npt.NDArray[np.void], version: int = 1) -> None:
        self.name = name
        self.key_index = KeyIndex()
        self._blank = blank.reshape(1)
        self._version = version
        self.records: npt.NDArray[np.void] = np.repeat(self._blank, _FIRST_CAPACITY)
        self._dirty = np.zeros(_FIRST_CAPACITY, dtype=bool)

    @property
    def schema(self) -> str:
        return f"{self.name}:{self._version}:{self.records.dtype.descr}"

    def columns_of(self, keys: Ids) -> Indexer:
        """Return the columns of securities; new ones get a blank record."""
        columns = self.key_index.get_or_add(keys)
        if len(self.key_index) > len(self.records):
            more = max(len(self.records), len(self.key_index))
            self.records = np.concatenate([self.records, np.repeat(self._blank, more)])
            self._dirty = np.concatenate([self._dirty, np.zeros(more, dtype=bool)])
        return columns

    def touch(self, columns: Indexer) -> None:
        """Mark records as changed."""
        self._dirty[columns] = True

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes."""
        columns = np.flatnonzero(self._dirty)
        if not len(columns):
            return {}
        self._dirty[:] = False
        raw, size, version = self.records[columns].tobytes(), self.records.dtype.itemsize, bytes([self._version])
        return {
            f"{self.name}/{code}": version + raw[i * size : (i + 1) * size]
            for i, code in enumerate(to_codes(self.key_index.keys[columns]))
        }

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load stored rows: code → bytes."""
        for code, data in rows.items():
            check_version(data[0] if data else 0, self._version)
            if len(data) != self.records.dtype.itemsize + 1:
                raise StateError(f"the stored record of {code} has {len(data)} bytes; {REMEDY}")
        if rows:
            columns = self.columns_of(np.array([to_id(code) for code in rows], dtype=np.int32))
            self.records[columns] = np.frombuffer(b"".join(d[1:] for d in rows.values()), dtype=self.records.dtype)
