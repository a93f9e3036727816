"""A table of days with columns over many keys: a corrected row writes a few rows, not a whole day.

A closed day has thousands of keys. A field per key would cost Redis more memory than the values. A field per day would
be rewritten for every corrected row. Therefore a day is stored as a header and buckets of rows:

- ``<table>/<day>``     the schema version, the number of rows, and the figures of the whole day
- ``<table>/<day>#<b>`` the rows of bucket b, in ascending order of their keys, as raw little-endian records

A key's bucket is a hash of the key. The number of buckets follows from the number of rows (33 to 64 rows a bucket on
average). So the fields are a function of the day's rows alone, and a corrected row rewrites one bucket.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from processors.arrays import Array, Ids
from processors.codes import NO_IDS
from processors.errors import StateError
from processors.table import REMEDY, KeyCodec, Rows, StoredDict, encode_row, read_row

K = TypeVar("K")
V = TypeVar("V")
H = TypeVar("H")
#: Name and dtype of each column.
Columns = tuple[tuple[str, str], ...]
_LARGEST_BUCKET_BITS = 6  # at most 64 rows in a bucket on average
_HASH = np.uint32(2_654_435_761)  # Knuth's multiplicative hash: 2³² / golden ratio


@dataclass(frozen=True)
class DayColumns(Generic[H]):
    """The stored form of a day (or of one partition of it): a header, ascending keys (n,) and columns (n,) by name."""

    header: H
    keys: Ids
    columns: Mapping[str, Array]


def bucket_count(rows: int) -> int:
    """Return how many buckets a day with ``rows`` rows has: a power of two.

    Examples
    --------
    >>> [bucket_count(rows) for rows in (0, 64, 65, 4000)]
    [1, 1, 2, 64]
    """
    return 1 << max(0, (rows - 1).bit_length() - _LARGEST_BUCKET_BITS) if rows else 1


def bucket_of(keys: Ids, buckets: int) -> npt.NDArray[np.uint16]:
    """Return the bucket of each key (n,)."""
    hashed = (keys.astype(np.uint32) * _HASH).astype(np.uint64)
    return (hashed >> np.uint64(33 - buckets.bit_length())).astype(np.uint16)


@lru_cache(maxsize=64)
def _record_of(columns: Columns) -> np.dtype[np.void]:
    return np.dtype([("key", "<i4"), *columns])


def _columns_of(day: DayColumns[Any]) -> Columns:
    return tuple((name, values.dtype.str) for name, values in day.columns.items())


class Layout(Generic[H]):
    """Encoder and decoder of a day's header and buckets.

    Parameters
    ----------
    header : type of the header, as msgspec decodes it.
    columns : names and dtypes; none where they differ by day and the header lists them.
    version : schema version; a release that changes the meaning of header or columns increments it.
    """

    def __init__(self, header: Any, columns: Iterable[tuple[str, str]] = (), version: int = 1) -> None:
        self.version = version
        self.columns = tuple(columns)
        self._decoder = msgspec.msgpack.Decoder(tuple[int, int, Columns, header])

    @property
    def schema(self) -> str:
        """Version and columns as text."""
        return f"{self.version}:{dict(self.columns) or ''}"

    def header(self, day: DayColumns[H]) -> bytes:
        """Return the bytes of the header."""
        return encode_row((self.version, len(day.keys), () if self.columns else _columns_of(day), day.header))

    def buckets(self, day: DayColumns[H], only: Ids | None = None) -> dict[int, bytes]:
        """Return bucket → bytes; with ``only``, just the buckets of those keys."""
        count = bucket_count(len(day.keys))
        bucket = bucket_of(day.keys, count)
        rows = np.arange(len(bucket)) if only is None else np.flatnonzero(np.isin(bucket, bucket_of(only, count)))
        order = rows[np.argsort(bucket[rows], kind="stable")]
        records = np.empty(len(bucket), dtype=_record_of(self.columns or _columns_of(day)))
        records["key"] = day.keys
        for name, values in day.columns.items():
            records[name] = values
        raw, size = records.take(order).tobytes(), records.dtype.itemsize
        edges = np.searchsorted(bucket[order], np.arange(count + 1)).tolist()
        return {b: raw[size * start : size * end] for b, (start, end) in enumerate(pairwise(edges)) if start < end}

    def read_header(self, data: bytes) -> tuple[H, int, np.dtype[np.void]]:
        """Return the header, the number of rows and the dtype of their records.

        Raises
        ------
        StateError : if the bytes are damaged or have another schema version.
        """
        _, rows, columns, header = read_row(self._decoder, data, self.version)
        return header, rows, _record_of(self.columns or columns)

    def join(self, header: bytes, buckets: Sequence[bytes]) -> DayColumns[H]:
        """Return the day of a header and all of its buckets.

        Raises
        ------
        StateError : if they are damaged or incomplete, or have another schema version.
        """
        found, rows, dtype = self.read_header(header)
        raw = b"".join(buckets)
        if len(raw) != rows * dtype.itemsize:
            raise StateError(f"a stored day has {len(raw)} bytes of rows, its header names {rows} rows; {REMEDY}")
        records = np.frombuffer(raw, dtype=dtype)
        records = records[np.argsort(records["key"], kind="stable")]
        columns = {name: np.ascontiguousarray(records[name]) for name in dtype.names or ()}
        return DayColumns(found, columns.pop("key"), columns)


class ColumnTable(StoredDict[K, V]):
    """A dictionary of days. A corrected row writes one bucket; a day that equals the stored one writes nothing.

    The table compares an assigned value with the stored one, so a caller must not change it in place later. A caller
    that changes values in place calls `touch` with the keys of the changed rows; it may add rows that way, but not
    remove them.

    Parameters
    ----------
    name : first part of its fields.
    key : codec of the day (or day and partition) as text.
    layout : codec of a day as bytes.
    to_columns, from_columns : conversions between a value and its stored form.
    keep : number of days that `trim` leaves, None for all.
    """

    def __init__(
        self,
        name: str,
        key: KeyCodec[K],
        layout: Layout[H],
        *,
        to_columns: Callable[[V], DayColumns[H]],
        from_columns: Callable[[K, DayColumns[H]], V],
        keep: int | None = None,
    ) -> None:
        super().__init__(name, keep)
        self._key = key
        self._layout: Layout[Any] = layout
        self._to_columns: Callable[[V], DayColumns[Any]] = to_columns
        self._from_columns: Callable[[K, DayColumns[Any]], V] = from_columns
        self._before: dict[K, V | None] = {}  # assigned or deleted → the stored value, None if it is not known
        self._touched: dict[K, list[Ids]] = {}  # changed in place → keys of the rows that changed
        self._stored_buckets: dict[K, int] = {}  # number of buckets of each stored day

    @property
    def schema(self) -> str:
        return f"{self.name}:{self._layout.schema}"

    def __setitem__(self, key: K, value: V) -> None:
        self._replace(key)
        self._values[key] = value

    def __delitem__(self, key: K) -> None:
        self._replace(key)
        del self._values[key]

    def _replace(self, key: K) -> None:
        """Remember the stored value of a key; a value that changed in place since then is not the stored one."""
        changed_in_place = self._touched.pop(key, None) is not None
        self._before.setdefault(key, None if changed_in_place else self._values.get(key))

    def touch(self, key: K, keys: Ids | None = None) -> None:
        """Mark the header and the rows of ``keys`` as changed in place."""
        if key not in self._before:
            found = self._touched.setdefault(key, [])
            if keys is not None:
                found.append(keys)

    def changed_rows(self) -> Rows:
        """Return the fields that differ from the stored ones: field → bytes, None to delete."""
        rows: Rows = {}
        for key in sorted(self._before.keys() | self._touched.keys()):  # type: ignore[type-var]
            field = f"{self.name}/{self._key.to_text(key)}"
            now = self._to_columns(self._values[key]) if key in self._values else None
            count = None if now is None else bucket_count(len(now.keys))
            if now is not None and key in self._touched and count == self._stored_buckets.get(key):
                rows |= self._fields(field, now, np.concatenate([*self._touched[key], NO_IDS]))
            else:
                before = None if now is None else self._before.get(key)  # whatever is deleted need not be compared
                old = {} if before is None else self._fields(field, self._to_columns(before))
                new = {} if now is None else self._fields(field, now)
                rows |= dict.fromkeys(self._stored_names(field, key) - new.keys())
                rows |= {name: data for name, data in new.items() if old.get(name) != data}
            if count is None:
                self._stored_buckets.pop(key, None)
            else:
                self._stored_buckets[key] = count
        self._before.clear()
        self._touched.clear()
        return rows

    def _stored_names(self, field: str, key: K) -> set[str]:
        """Return the fields that may be stored of a day."""
        if key not in self._stored_buckets:
            return set()
        return {field, *(f"{field}#{bucket}" for bucket in range(self._stored_buckets[key]))}

    def _fields(self, field: str, day: DayColumns[Any], only: Ids | None = None) -> dict[str, bytes]:
        """Return the fields of header and buckets; with ``only``, just the buckets of those keys."""
        buckets = {f"{field}#{bucket}": data for bucket, data in self._layout.buckets(day, only).items()}
        return {field: self._layout.header(day)} | buckets

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load stored fields: text behind ``<table>/`` → bytes."""
        headers: dict[str, bytes] = {}
        buckets: dict[str, list[bytes]] = defaultdict(list)
        for field, data in rows.items():
            text, hash_sign, _ = field.partition("#")
            if hash_sign:
                buckets[text].append(data)
            else:
                headers[text] = data
        if lost := buckets.keys() - headers.keys():
            raise StateError(f"rows of {min(lost)} are stored without their header; {REMEDY}")
        for text, header in sorted(headers.items()):
            key = self._key.parse(text)
            day = self._layout.join(header, buckets[text])
            self._values[key] = self._from_columns(key, day)
            self._stored_buckets[key] = bucket_count(len(day.keys))
