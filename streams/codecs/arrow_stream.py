"""Reading Arrow IPC streams of anybody's making: every length and offset is checked before a value is read.

pyarrow trusts the messages that it maps: a short buffer becomes a view of foreign memory, a wrong offset a segmentation
fault. So this module reads the metadata (flatbuffers) itself and takes the values as NumPy views inside the message.
It knows the types of frames and no others: numbers, booleans, text, days, moments, and text with a dictionary. Nested
types, large offsets, dictionaries that change and big-endian bodies are refused, whatever pyarrow can do with them.

The format: https://arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from processors.arrays import Array, Ints, Mask
from processors.errors import RowError
from streams.codecs.arrow_schema import Field, header_of, schema_of
from streams.codecs.flatbuffers import Record

#: Limits of one stream: the metadata of a message in bytes; batches; rows (a day of the whole market has 5,500).
MAX_METADATA_BYTES = 64 * 1024
MAX_BATCHES = 200
MAX_ROWS = 250_000

_CONTINUATION = 0xFFFFFFFF
_SCHEMA, _DICTIONARY, _BATCH = 1, 2, 3  # types of messages
_CODECS = ("lz4", "zstd")


@dataclass(frozen=True, slots=True)
class Text:
    """Strings: ``data[ends[i]:ends[i + 1]]``, or those of a dictionary at ``index``.

    Attributes
    ----------
    ends : (m + 1,) offsets, ascending and inside of ``data``.
    index : (n,) positions in the dictionary of m strings, None where the strings are the values (n = m).
    """

    ends: npt.NDArray[np.int32]
    data: bytes
    index: Ints | None = None

    def raw(self) -> list[bytes]:
        """Return the m strings in UTF-8."""
        data = self.data
        return [data[start:end] for start, end in pairwise(self.ends.tolist())]

    def words(self) -> list[str]:
        """Return the m strings."""
        return [word.decode() for word in self.raw()]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of n rows.

    Attributes
    ----------
    type : ``string``, ``bool``, ``int32``, ``float64``, ``date32``, ``timestamp[us, UTC]``, ….
    unit : of a timestamp with time zone (`UNITS_US`); empty for all others.
    values : (n,) numbers; counted from 1970-01-01 for days and timestamps.
    valid : (n,) which rows are not null, None if all are.
    """

    type: str
    values: Array | Text
    valid: Mask | None
    unit: str = ""

    def joined(self) -> bytes:
        """Return all strings in UTF-8, with nothing between them; raises `RowError` if a row has none."""
        if not isinstance(self.values, Text) or self.valid is not None:
            raise RowError(f"a column of type {self.type} has rows that are no text")
        if self.values.index is None:
            return self.values.data[self.values.ends[0] : self.values.ends[-1]]
        return b"".join(np.array(self.values.raw(), dtype=object)[self.values.index].tolist())

    def to_numpy(self) -> Array:
        """Return the values (n,): NaN where a number is null, None where a string or boolean is."""
        if isinstance(self.values, Text):
            texts = np.array([*self.values.words(), None], dtype=object)
            index = self.values.index if self.values.index is not None else np.arange(len(texts) - 1)
            return texts[index if self.valid is None else np.where(self.valid, index, -1)]
        if self.valid is None:
            return self.values
        return np.where(self.valid, self.values, np.nan if self.values.dtype.kind in "iuf" else np.array(None))


@dataclass(frozen=True, slots=True)
class Table:
    """The rows of a stream: columns by name, and the metadata of the schema."""

    rows: int
    columns: dict[str, Column]
    constants: dict[str, str]


def read_stream(message: bytes, max_bytes: int) -> Table:
    """Return the rows of an Arrow IPC stream.

    Parameters
    ----------
    max_bytes : the most that compressed buffers may contain together.

    Raises
    ------
    RowError : if the bytes are no such stream, contradict themselves, exceed a limit or have a type that no frame has.
    """
    try:
        return _Reader(message, max_bytes).table()
    except (ValueError, struct.error, OverflowError, pa.ArrowException, OSError) as error:
        raise RowError(f"not an Arrow IPC stream: {error}") from error


# -- bodies --------------------------------------------------------------------------------------------------------


class _Reader:
    def __init__(self, message: bytes, max_bytes: int) -> None:
        self._message = message
        self._left = max_bytes
        self._dictionaries: dict[int, Text] = {}

    def table(self) -> Table:
        messages = self._messages()
        first = next(messages, None)
        if first is None or first[1] != _SCHEMA:
            raise ValueError("it does not begin with a schema")
        fields, constants = schema_of(first[0])
        rows, parts = 0, []
        for count, (_, kind, header, start, end) in enumerate(messages):
            if count >= MAX_BATCHES:
                raise RowError(f"the frame has more than {MAX_BATCHES:,} batches: write fewer, larger ones")
            if kind == _DICTIONARY:
                self._learn(header, start, end)
            elif kind == _BATCH:
                size, columns = self._batch(header, fields, start, end)
                rows += size
                if rows > MAX_ROWS:
                    raise RowError(f"the frame has more than {MAX_ROWS:,} rows: split it")
                parts.append(columns)
            else:
                raise ValueError(f"a message of type {kind} has no place in it")
        if not parts:
            parts = [[_empty(field) for field in fields]]
        columns = [_joined(list(pieces)) for pieces in zip(*parts, strict=True)]
        return Table(rows, dict(zip((field.name for field in fields), columns, strict=True)), dict(constants))

    def _messages(self) -> Iterator[tuple[bytes, int, Record, int, int]]:
        """Yield of every message the metadata, their type and content, and where its body begins and ends."""
        at, size = 0, len(self._message)
        while at < size:
            mark, length = struct.unpack_from("<Ii", self._message, at)
            if mark != _CONTINUATION or not 0 <= length <= min(MAX_METADATA_BYTES, size - at - 8):
                raise ValueError(f"no message begins at byte {at:,}")
            at += 8
            if not length:
                if at != size:
                    raise ValueError(f"{size - at:,} bytes follow its end")
                return
            metadata = self._message[at : at + length]
            at += length
            kind, header, body = header_of(metadata)
            end = at + body
            if not at <= end <= size:
                raise ValueError(f"the body at byte {at:,} is longer than the message")
            yield metadata, kind, header, at, end
            at = end

    def _learn(self, header: Record, start: int, end: int) -> None:
        identity, data = header.number(0, "<q"), header.record(1)
        if data is None or identity in self._dictionaries or header.number(2, "<B"):
            raise ValueError("a dictionary changes")
        _, (words,) = self._batch(data, (Field("dictionary", "string", "<i4", is_text=True),), start, end)
        if words.valid is not None:
            raise ValueError("a dictionary has nulls")
        assert isinstance(words.values, Text)
        self._dictionaries[identity] = words.values

    def _batch(self, header: Record, fields: tuple[Field, ...], start: int, end: int) -> tuple[int, list[Column]]:
        """Return the rows of a batch and its columns."""
        rows, nodes, buffers = header.number(0, "<q"), header.pairs(1), header.pairs(2)
        if not 0 <= rows <= MAX_ROWS:
            raise RowError(f"a batch of the frame has {rows:,} rows, at most {MAX_ROWS:,} are accepted: split it")
        if len(nodes) != len(fields) or len(buffers) != sum(3 if field.is_text else 2 for field in fields):
            raise ValueError("the buffers of a batch do not fit its schema")
        body = memoryview(self._message)[start:end]
        packed = [_inside(body, offset, length) for offset, length in buffers]
        if sum(map(len, packed)) > end - start:  # one body that many buffers share unpacks many times
            raise ValueError("the buffers of a batch overlap")
        bodies = map(self._unpacker(header.record(3)), packed)
        columns = []
        for field, (length, nulls) in zip(fields, nodes, strict=True):
            if length != rows:
                raise ValueError(f"column {field.name!r} has {length:,} rows, its batch {rows:,}")
            marks = next(bodies)
            valid = _bits(marks, rows, field.name) if nulls else None
            if nulls != (0 if valid is None else rows - np.count_nonzero(valid)):
                raise ValueError(f"column {field.name!r} counts {nulls:,} nulls, and marks others")
            columns.append(Column(field.type, self._values(field, rows, bodies, valid), valid, field.unit))
        return rows, columns

    def _unpacker(self, compression: Record | None) -> Callable[[memoryview], memoryview]:
        """Return what unpacks a buffer; a compressed one begins with its true length, or −1 if it is stored plainly."""
        if compression is None:
            return lambda body: body
        codec = compression.number(0, "<b")
        if not 0 <= codec < len(_CODECS) or compression.number(1, "<b"):
            raise ValueError("it is compressed in an unknown way")

        def unpacked(body: memoryview) -> memoryview:
            if not body:
                return body
            (size,) = struct.unpack_from("<q", body)
            if size == -1:
                return body[8:]
            self._left -= size
            if size < 0 or self._left < 0:
                raise RowError("the frame's compressed buffers contain more than one message may: split it")
            with pa.input_stream(pa.py_buffer(body[8:]), compression=_CODECS[codec]) as stream:
                found = stream.read(size + 1)
            if len(found) != size:
                raise ValueError("a compressed buffer has another length than it names")
            return memoryview(found)

        return unpacked

    def _values(self, field: Field, rows: int, bodies: Iterator[memoryview], valid: Mask | None) -> Array | Text:
        body = next(bodies)
        if field.is_text:
            ends = _numbers(body, "<i4", rows + 1, field.name) if rows else np.zeros(1, dtype=np.int32)
            return _checked_text(Text(ends, bytes(next(bodies))), field.name)
        if not field.dtype:
            return _bits(body, rows, field.name)
        values = _numbers(body, field.dtype, rows, field.name)
        if field.dictionary is None:
            return values
        words = self._dictionaries.get(field.dictionary)
        if words is None:
            raise ValueError(f"column {field.name!r} has no dictionary")
        index = values.astype(np.int64) if valid is None else np.where(valid, values, 0).astype(np.int64)
        if rows and not 0 <= index.min() <= index.max() < max(len(words.ends) - 1, valid is not None):
            raise ValueError(f"column {field.name!r} names what its dictionary lacks")
        return Text(words.ends, words.data, index)


def _inside(body: memoryview, offset: int, length: int) -> memoryview:
    if offset < 0 or length < 0 or offset + length > len(body):
        raise ValueError(f"a buffer of {length:,} bytes at {offset:,} lies outside of its body")
    return body[offset : offset + length]


def _numbers(body: memoryview, dtype: str, count: int, name: str) -> Array:
    if len(body) < count * np.dtype(dtype).itemsize:
        raise ValueError(f"the buffer of column {name!r} is too short for {count:,} rows")
    return np.frombuffer(body, dtype, count)


def _bits(body: memoryview, count: int, name: str) -> Mask:
    packed = _numbers(body, "u1", (count + 7) // 8, name)
    return np.unpackbits(packed, count=count, bitorder="little").view(np.bool_)


def _checked_text(text: Text, name: str) -> Text:
    """Return strings whose offsets ascend inside of their data, and cut no character."""
    ends, data = text.ends, np.frombuffer(text.data, np.uint8)
    if ends[0] < 0 or ends[-1] > len(data) or (ends[1:] < ends[:-1]).any():
        raise ValueError(f"the strings of column {name!r} lie outside of their buffer")
    if text.data.isascii():
        return text
    text.data[ends[0] : ends[-1]].decode()
    inner = ends[ends < len(data)]
    if (data[inner] & 0xC0 == 0x80).any():
        raise ValueError(f"a string of column {name!r} begins within a character")
    return text


def _empty(field: Field) -> Column:
    if field.type == "string":
        return Column("string", Text(np.zeros(1, dtype=np.int32), b""), None)
    return Column(field.type, np.empty(0, dtype=field.dtype or np.bool_), None, field.unit)


def _joined(parts: list[Column]) -> Column:
    """Return the columns of several batches as one."""
    if len(parts) == 1:
        return parts[0]
    first = parts[0]
    valid = None
    if any(part.valid is not None for part in parts):
        valid = np.concatenate([np.ones(_rows(p), np.bool_) if p.valid is None else p.valid for p in parts])
    texts = [part.values for part in parts if isinstance(part.values, Text)]
    if not texts:
        return Column(first.type, np.concatenate([part.values for part in parts]), valid, first.unit)
    if texts[0].index is not None:  # a dictionary is the same for all batches
        index = np.concatenate([text.index for text in texts if text.index is not None])
        return Column(first.type, Text(texts[0].ends, texts[0].data, index), valid)
    sizes = np.cumsum([0, *(int(text.ends[-1] - text.ends[0]) for text in texts)])
    ends = [text.ends[1:] - text.ends[0] + size for text, size in zip(texts, sizes.tolist(), strict=False)]
    data = b"".join(text.data[text.ends[0] : text.ends[-1]] for text in texts)
    return Column(first.type, Text(np.concatenate([np.zeros(1, np.int32), *ends]).astype(np.int32), data), valid)


def _rows(column: Column) -> int:
    if not isinstance(column.values, Text):
        return len(column.values)
    return len(column.values.ends) - 1 if column.values.index is None else len(column.values.index)
