"""State as tables: what every processor keeps between two batches, and how it becomes rows of a hash in Redis.

A row is a field ``<table>/<key>``. A table knows which of its rows changed or were deleted since `changed_rows` was
called last, and gives each value its schema version; a processor's state is a `TableSet`. The bytes of a row depend on
the row's value alone, never on how the input was cut into batches: a rebuild and the replay tests compare them.

`Table` is for single values. `processors.column_table` has the tables for one day × many keys, and for many keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from processors.days import to_date, to_day
from processors.errors import StateError

K = TypeVar("K")
V = TypeVar("V")
Rows = dict[str, bytes | None]
REMEDY = "`marginwatch rebuild` replays it from the topics"


@dataclass(frozen=True)
class KeyCodec(Generic[K]):
    """How a key becomes the text of a field, and how it is read back."""

    to_text: Callable[[K], str]
    parse: Callable[[str], K]


def _parse_day(text: str) -> int:
    return to_day(date.fromisoformat(text))


def _parse_day_number(text: str) -> tuple[int, int]:
    day, _, number = text.partition("/")
    return _parse_day(day), int(number)


def _parse_day_text(text: str) -> tuple[int, str]:
    day, _, rest = text.partition("/")
    return _parse_day(day), rest


TEXT = KeyCodec[str](str, str)
NUMBER = KeyCodec[int](str, int)
#: A trade date (days since 1970-01-01) as ISO text.
DAY = KeyCodec[int](lambda day: to_date(day).isoformat(), _parse_day)
DAY_NUMBER = KeyCodec[tuple[int, int]](lambda key: f"{to_date(key[0]).isoformat()}/{key[1]}", _parse_day_number)
DAY_TEXT = KeyCodec[tuple[int, str]](lambda key: f"{to_date(key[0]).isoformat()}/{key[1]}", _parse_day_text)

_encoder = msgspec.msgpack.Encoder(order="deterministic")


class ValueCodec(Generic[V]):
    """A value as msgpack beside its schema version.

    Parameters
    ----------
    kind : the stored type, as msgspec decodes it.
    version : raise it with every change of the type that older bytes don't fit.
    to_plain, from_plain : between the value and the stored type, where they differ.
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
        return _encoder.encode((self.version, value if self._to_plain is None else self._to_plain(value)))

    def decode(self, data: bytes) -> V:
        """Return the value that `encode` was given.

        Raises
        ------
        StateError : if the bytes are damaged or of another schema version.
        """
        try:
            version, stored = self._decoder.decode(data)
        except msgspec.DecodeError as error:
            raise StateError(f"stored row can't be read ({error}); {REMEDY}") from error
        check_version(version, self.version)
        value: V = stored if self._from_plain is None else self._from_plain(stored)
        return value


def check_version(stored: int, known: int) -> None:
    """Raise `StateError` unless a row has the schema version of this release."""
    if stored != known:
        raise StateError(f"stored row has schema version {stored}, this release reads {known}; {REMEDY}")


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=16).digest()


class StateTable(Protocol):
    """What a `TableSet` asks of a table."""

    name: str

    @property
    def schema(self) -> str:
        """What the bytes of the table's rows depend on beside the values: versions and types of columns."""

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes, None to delete."""

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load stored rows by the text of their keys (the fields without ``<table>/``)."""


class Table(MutableMapping[K, V]):
    """A dictionary whose changes are stored; a value that is encoded as it was stored is not stored again.

    Parameters
    ----------
    name : the first part of its fields; no other table of the partition has it.
    key, codec : how keys and values become text and bytes.
    keep : how many rows `trim` leaves, None for all.
    """

    def __init__(self, name: str, key: KeyCodec[K], codec: ValueCodec[V], keep: int | None = None) -> None:
        self.name = name
        self.keep = keep
        self._key = key
        self._codec = codec
        self._values: dict[K, V] = {}
        self._dirty: set[K] = set()
        self._stored: dict[K, bytes] = {}  # digests of the stored bytes

    @property
    def schema(self) -> str:
        return f"{self.name}:{self._codec.version}"

    def __getitem__(self, key: K) -> V:
        return self._values[key]

    def __setitem__(self, key: K, value: V) -> None:
        self._values[key] = value
        self._dirty.add(key)

    def __delitem__(self, key: K) -> None:
        del self._values[key]
        self._dirty.add(key)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[K]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def touch(self, key: K) -> None:
        """Note that a value was changed in place."""
        self._dirty.add(key)

    def trim(self) -> list[K]:
        """Delete the lowest keys beyond ``keep``; return them."""
        gone = sorted(self._values)[: max(0, len(self) - self.keep)] if self.keep is not None else []  # type: ignore[type-var]
        for key in gone:
            del self[key]
        return gone

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
        """Load stored rows by the text of their keys."""
        for text, data in rows.items():
            key = self._key.parse(text)
            self._values[key] = self._codec.decode(data)
            self._stored[key] = _digest(data)


class TableSet:
    """The tables of a processor, those of its parts among them.

    Parameters
    ----------
    parts : tables, and sets of tables, in the order in which they are loaded.
    on_load : called once the set's tables are loaded, to recompute what follows from them.
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
        """A digest of the schemas of all tables: another one cannot be read by this release."""
        return blake2b("\n".join(sorted(t.schema for t in self._tables.values())).encode(), digest_size=8).hexdigest()

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: Rows = {}
        for table in self._tables.values():
            rows |= table.changed_rows()
        return rows

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load every row that is stored of these tables; to be called once, on empty tables.

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
    tables : all of them; set by the processor's constructor.
    """

    tables: TableSet

    def changed_rows(self) -> Rows:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        return self.tables.changed_rows()

    def load_rows(self, rows: Mapping[str, bytes]) -> None:
        """Load every row that is stored; to be called once, on a new processor; raises `StateError`."""
        self.tables.load_rows(rows)
