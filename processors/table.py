"""State as tables: the state of a processor between two batches, and its encoding as rows of a Redis hash.

A row is a field ``<table>/<key>``. A table tracks which rows changed or were deleted since the last call of
`changed_rows`, and stores a schema version with each value. The state of a processor is a `TableSet`. The bytes of a
row depend on the row's value alone, never on how the input was cut into batches: a rebuild and the replay tests compare
them.

`Table` stores single values, `processors.column_table` days × many keys, `processors.record_table` a record per
security.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, MutableMapping, ValuesView
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar, overload

import msgspec

from processors.days import to_date, to_day
from processors.errors import StateError

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")
Rows = dict[str, bytes | None]
REMEDY = (
    "a worker of this release replaces the state of another release when it starts; "
    "`marginwatch rebuild` replays damaged rows from the topics"
)


@dataclass(frozen=True)
class KeyCodec(Generic[K]):
    """Codec of a key as the text of a field."""

    to_text: Callable[[K], str]
    parse: Callable[[str], K]


TEXT = KeyCodec[str](str, str)
NUMBER = KeyCodec[int](str, int)
#: A trade date (days since 1970-01-01) as ISO text.
DAY = KeyCodec[int](lambda day: to_date(day).isoformat(), lambda text: to_day(date.fromisoformat(text)))


def _behind_day(rest: KeyCodec[K]) -> KeyCodec[tuple[int, K]]:
    def parse(text: str) -> tuple[int, K]:
        day, _, behind = text.partition("/")
        return DAY.parse(day), rest.parse(behind)

    return KeyCodec(lambda key: f"{DAY.to_text(key[0])}/{rest.to_text(key[1])}", parse)


DAY_NUMBER, DAY_TEXT = _behind_day(NUMBER), _behind_day(TEXT)

#: Encodes a row: equal values give equal bytes, whatever the order in which they were built.
encode_row = msgspec.msgpack.Encoder(order="deterministic").encode


class ValueCodec(Generic[V]):
    """Codec of a value as msgpack, with a schema version.

    Parameters
    ----------
    kind : stored type, as msgspec decodes it.
    version : schema version; a release that changes the stored type incompatibly increments it.
    to_plain, from_plain : conversions between the value and the stored type, if they differ.
    """

    def __init__(
        self,
        kind: Any,
        version: int = 1,
        to_plain: Callable[[V], Any] | None = None,
        from_plain: Callable[[Any], V] | None = None,
    ) -> None:
        self.version = version
        self._decoder = msgspec.msgpack.Decoder(tuple[int, kind])
        self._to_plain, self._from_plain = to_plain, from_plain

    def encode(self, value: V) -> bytes:
        """Return the bytes of a value."""
        return encode_row((self.version, value if self._to_plain is None else self._to_plain(value)))

    def decode(self, data: bytes) -> V:
        """Return the value of the bytes, the inverse of `encode`.

        Raises
        ------
        StateError : if the bytes are damaged or have another schema version.
        """
        _, stored = read_row(self._decoder, data, self.version)
        value: V = stored if self._from_plain is None else self._from_plain(stored)
        return value


def read_row(decoder: msgspec.msgpack.Decoder[V], data: bytes, known: int) -> V:
    """Return the items of a stored row; the first one is its schema version, which must be the known one.

    Raises
    ------
    StateError : if the bytes are damaged or have another schema version.
    """
    try:
        items = decoder.decode(data)
    except msgspec.DecodeError as error:
        raise StateError(f"stored row can't be read ({error}); {REMEDY}") from error
    check_version(items[0], known)  # type: ignore[index]
    return items


def check_version(stored: int, known: int) -> None:
    """Raise `StateError` unless a row has the schema version of this release."""
    if stored != known:
        raise StateError(f"stored row has schema version {stored}, this release reads {known}; {REMEDY}")


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


class StateTable(Protocol):
    """The interface of a table in a `TableSet`."""

    name: str

    @property
    def schema(self) -> str:
        """Versions and types of columns, on which the bytes of a row depend besides its value."""

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes, None to delete."""

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load stored rows: text of the key (the field without ``<table>/``) → bytes."""


class StoredDict(MutableMapping[K, V]):
    """The dictionary of a table; subclasses record which keys change.

    Parameters
    ----------
    name : first part of its fields; unique among the tables of a partition.
    keep : number of rows that `trim` leaves, None for all.
    """

    def __init__(self, name: str, keep: int | None) -> None:
        self.name = name
        self.keep = keep
        self._values: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    # The methods of the abstract class look up one key after the other.

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | D) -> V | D: ...
    def get(self, key: K, /, default: Any = None) -> Any:
        return self._values.get(key, default)

    def values(self) -> ValuesView[V]:
        return self._values.values()

    def items(self) -> ItemsView[K, V]:
        return self._values.items()

    def trim(self) -> list[K]:
        """Delete the lowest keys beyond ``keep``; return them."""
        gone = sorted(self._values)[: max(0, len(self) - self.keep)] if self.keep is not None else []  # type: ignore[type-var]
        for key in gone:
            del self[key]
        return gone


class Table(StoredDict[K, V]):
    """A dictionary that reports its changes. A value with unchanged bytes is not reported again.

    Parameters
    ----------
    name : first part of its fields; unique among the tables of a partition.
    key, codec : codecs of keys and values.
    keep : number of rows that `trim` leaves, None for all.
    """

    def __init__(self, name: str, key: KeyCodec[K], codec: ValueCodec[V], keep: int | None = None) -> None:
        super().__init__(name, keep)
        self._key = key
        self._codec = codec
        self._dirty: set[K] = set()
        self._stored: dict[K, bytes] = {}  # digests of the stored bytes

    @property
    def schema(self) -> str:
        return f"{self.name}:{self._codec.version}"

    def __setitem__(self, key: K, value: V) -> None:
        self._values[key] = value
        self._dirty.add(key)

    def __delitem__(self, key: K) -> None:
        del self._values[key]
        self._dirty.add(key)

    def touch(self, key: K) -> None:
        """Mark a value as changed in place."""
        self._dirty.add(key)

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: Rows = {}
        for key in sorted(self._dirty):  # type: ignore[type-var]
            field = f"{self.name}/{self._key.to_text(key)}"
            if key not in self._values:
                self._stored.pop(key, None)
                rows[field] = None
                continue
            data = self._codec.encode(self._values[key])
            digest = _digest(data)
            if self._stored.get(key) != digest:
                self._stored[key] = digest
                rows[field] = data
        self._dirty.clear()
        return rows

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load stored rows: text of the key → bytes."""
        for text, data in rows.items():
            key = self._key.parse(text)
            self._values[key] = self._codec.decode(data)
            self._stored[key] = _digest(data)


class TableSet:
    """The tables of a processor and of its components.

    Parameters
    ----------
    parts : tables and sets of tables, in loading order.
    on_load : called after all tables of the set are loaded, to recompute derived attributes.

    Raises
    ------
    StateError : if two tables have one name.
    """

    def __init__(self, *parts: StateTable | TableSet, on_load: Callable[[], None] | None = None) -> None:
        self._parts = parts
        self._on_load = on_load
        self._tables: dict[str, StateTable] = {}
        for table in self._leaves():
            if self._tables.setdefault(table.name, table) is not table:
                raise StateError(f"two tables are named {table.name}: choose another name for one of them")

    @property
    def schema(self) -> str:
        """A digest of the schemas of all tables. A release reads rows of its own digest only."""
        return blake2b("\n".join(sorted(t.schema for t in self._tables.values())).encode(), digest_size=8).hexdigest()

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: Rows = {}
        for table in self._tables.values():
            rows |= table.changed_rows()
        return rows

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load all stored rows; a caller calls it once, on empty tables.

        Raises
        ------
        StateError : if a row belongs to none of the tables, is damaged, or has another schema version.
        """
        by_table: dict[str, dict[str, bytes]] = {name: {} for name in self._tables}
        for field, data in rows.items():
            name, _, key = field.partition("/")
            if name not in by_table:
                raise StateError(f"stored row {field} belongs to no table of this release; {REMEDY}")
            by_table[name][key] = data
        for name, found in by_table.items():
            try:
                self._tables[name].load_rows(found)
            except (StateError, ValueError, KeyError) as error:
                raise StateError(f"table {name}: {error}") from error
        self._loaded()

    def _leaves(self) -> Iterator[StateTable]:
        for part in self._parts:
            if isinstance(part, TableSet):
                yield from part._leaves()
            else:
                yield part

    def _loaded(self) -> None:
        for part in self._parts:
            if isinstance(part, TableSet):
                part._loaded()
        if self._on_load is not None:
            self._on_load()


class Processor:
    """A processor whose state is a set of tables.

    Attributes
    ----------
    tables : all tables of the processor; its constructor sets them.
    """

    tables: TableSet

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        return self.tables.changed_rows()

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load all stored rows; a caller calls it once, on a new processor.

        Raises
        ------
        StateError : if a row belongs to no table, is damaged, or has another schema version.
        """
        self.tables.load_rows(rows)
