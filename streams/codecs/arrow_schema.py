"""The schema of an Arrow IPC stream: the types of its columns, and its constants.

The format: https://github.com/apache/arrow/blob/main/format/Schema.fbs
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from streams.codecs.flatbuffers import Record

#: Limits of one schema.
MAX_COLUMNS, MAX_CONSTANTS = 64, 256
_VERSIONS = (3, 4)  # V4 and V5: the layout of the types below is the same
_INT, _FLOAT, _TEXT, _BOOL, _DATE, _TIMESTAMP = 2, 3, 5, 6, 8, 10
_TYPE_NAMES = (
    "none", "null", "int", "float", "binary", "string", "bool", "decimal", "date", "time", "timestamp", "interval",
    "list", "struct", "union", "fixed_size_binary", "fixed_size_list", "map", "duration", "large_binary",
    "large_string", "large_list", "run_end_encoded", "binary_view", "string_view", "list_view", "large_list_view",
)  # fmt: skip
#: Microseconds are units × the first, or units ÷ the second.
UNITS_US = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}


@dataclass(frozen=True, slots=True)
class Field:
    """A column, its type as a reader names it, and how its values are stored."""

    name: str
    type: str
    dtype: str  # of the values in the body; of the offsets for text; empty for bits
    is_text: bool = False
    unit: str = ""
    dictionary: int | None = None


@lru_cache(maxsize=64)
def schema_of(metadata: bytes) -> tuple[tuple[Field, ...], dict[str, str]]:
    """Return columns and constants of a schema; raises `ValueError` or `struct.error` if the bytes are none."""
    header = header_of(metadata)[1]
    if header.number(0, "<h"):
        raise ValueError("its numbers are big-endian")
    places = header.places(1, MAX_COLUMNS)
    first = min(places, default=0)
    try:
        fields = _fields(metadata[first:], tuple(at - first for at in places))
    except (ValueError, struct.error):
        fields = _fields(metadata, tuple(places))
    return fields, {pair.text(0): pair.text(1) for pair in header.records(2, MAX_CONSTANTS)}


@lru_cache(maxsize=64)
def _fields(metadata: bytes, places: tuple[int, ...]) -> tuple[Field, ...]:
    """Return columns, whose tables begin at ``places``.

    The schemas of a feed differ in their constants, behind which Arrow writes the columns: the end of the metadata is
    the same in all of its frames. Of a writer with another order, the end alone can't be read.
    """
    fields = tuple(_field(Record(metadata, at)) for at in places)
    if len({field.name for field in fields}) < len(fields):
        raise ValueError("two columns have one name")
    return fields


def header_of(metadata: bytes) -> tuple[int, Record, int]:
    """Return the type of a message, its header and the length of its body."""
    message = Record(metadata, struct.unpack_from("<I", metadata, 0)[0])
    header = message.record(2)
    if message.number(0, "<h") not in _VERSIONS or header is None:
        raise ValueError("a message has no header, or one of an unknown version")
    return message.number(1, "<B"), header, message.number(3, "<q")


def _field(record: Record) -> Field:
    name, kind, detail, encoding = record.text(0), record.number(2, "<B"), record.record(3), record.record(4)
    if detail is None:
        raise ValueError(f"column {name!r} has no type")
    field = _type(name, kind, detail)
    if encoding is None:
        return field
    index = encoding.record(1)
    dtype = "<i4" if index is None else _integer(index)
    if not field.is_text or not dtype:
        raise ValueError(f"column {name!r}: only text may have a dictionary")
    return Field(name, "string", dtype, dictionary=encoding.number(0, "<q"))


def _integer(detail: Record) -> str:
    bits = detail.number(0, "<i")
    return f"<{'i' if detail.number(1, '<B') else 'u'}{bits // 8}" if bits in (8, 16, 32, 64) else ""


def _type(name: str, kind: int, detail: Record) -> Field:
    if kind == _INT and (dtype := _integer(detail)):
        return Field(name, str(np.dtype(dtype)), dtype)
    if kind == _FLOAT and 0 <= (precision := detail.number(0, "<h")) <= 2:
        return Field(name, f"float{16 << precision}", f"<f{2 << precision}")
    if kind == _BOOL:
        return Field(name, "bool", "")
    if kind == _TEXT:
        return Field(name, "string", "<i4", is_text=True)
    if kind == _DATE and detail.number(0, "<h", 1) == 0:
        return Field(name, "date32", "<i4")
    if kind == _TIMESTAMP and 0 <= (unit := detail.number(0, "<h")) < len(UNITS_US):
        zone, unit_name = detail.text(1), tuple(UNITS_US)[unit]
        shown = f"timestamp[{unit_name}, {zone}]" if zone else f"timestamp[{unit_name}]"
        return Field(name, shown, "<i8", unit=unit_name if zone else "")
    named = _TYPE_NAMES[kind] if kind < len(_TYPE_NAMES) else str(kind)
    raise ValueError(f"column {name!r} has the type {named}, which no frame has")
