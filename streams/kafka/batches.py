"""Batches of Kafka as its clients read them: each becomes records, whatever its bytes are.

A client library that can't read a batch raises an error out of its iterator, in the middle of a poll, and again with
every try: a worker would never get past it. Such a batch is common: a producer that compresses by a codec for which the
library has no package. Others are rare: a header's name that is no UTF-8, a checksum that does not match.

`Batches` is between a client and the class of its library that cuts a fetch into batches. It decompresses, up to
`MOST_BYTES`, by the codecs of pyarrow, and gives the library batches without compression. What the library still can't
read is read here record by record. A record, or a whole batch, that nobody can read becomes one record that every
decoder refuses: the dead letter has its bytes and the reason.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from crc32c import crc32c

from streams.records import UNREADABLE

#: The most bytes that the records of a batch may have when decompressed.
MOST_BYTES = 256 * 1024 * 1024
_CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_CODEC_BITS, _LOG_APPEND_TIME = 0x07, 0x08
#: Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and last time, producer's id,
#: epoch and sequence, number of records.
_HEADER = struct.Struct(">qiibIhiqqqhii")
_LENGTH_AT, _LENGTH_END, _MAGIC_AT, _ATTRIBUTES_AT = 8, 12, 16, 21
_READ_BYTES = 1024 * 1024
_XERIAL = b"\x82SNAPPY\x00"
_XERIAL_HEADER = 16
#: Whether records with a key are of interest to whoever polls now; see `only`.
_wanted: ContextVar[Callable[[bytes], bool] | None] = ContextVar("wanted", default=None)


class _BatchError(Exception):
    """A batch, or a record, can't be read; the message says why."""


class _Header(NamedTuple):
    base_offset: int
    length: int
    leader_epoch: int
    magic: int
    crc: int
    attributes: int
    last_offset_delta: int
    first_time: int
    last_time: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    records: int


@dataclass(slots=True)
class _Record:
    """A record as both client libraries expect it."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes | None]]
    checksum: None = field(default=None, init=False)

    @property
    def size_in_bytes(self) -> int:
        return len(self.key or b"") + len(self.value or b"")

    def validate_crc(self) -> bool:
        return True


def install(fetcher: Any, records_of: Callable[[bytes], Iterable[Any]] | None = None) -> None:
    """Let the consumers of a library read by `Batches`.

    Parameters
    ----------
    fetcher : module of the library that uses its ``MemoryRecords``.
    records_of : reads the records of a batch in place of the library.
    """
    if not isinstance(fetcher.MemoryRecords, partial):
        fetcher.MemoryRecords = partial(Batches, library=fetcher.MemoryRecords, records_of=records_of)


@contextmanager
def only(wanted: Callable[[bytes], bool]) -> Iterator[None]:
    """Let polls of kafka-python in this block leave out records that nobody wants, before they cost 30 µs each.

    It saves time and promises nothing: a record that aiokafka can't read is there whatever its key is. The position
    moves on as behind records that compaction has removed.

    Parameters
    ----------
    wanted : whether records with a key are of interest; empty where a record has none.
    """
    before = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(before)


def records_by_aiokafka(plain: bytes) -> list[Any]:
    """Return the records of a batch without compression, those that the poll wants (`only`).

    aiokafka's compiled reader takes 3 µs a record, kafka-python's 27 µs.
    """
    from aiokafka.record.memory_records import MemoryRecords

    wanted = _wanted.get()
    return [
        _Record(one.offset, one.timestamp, one.timestamp_type, one.key, one.value, one.headers)
        for one in MemoryRecords(plain).next_batch()
        if wanted is None or wanted(one.key or b"")
    ]


class Batches:
    """The batches of one fetch; has the methods of the libraries' ``MemoryRecords`` that their fetchers call."""

    def __init__(
        self,
        data: bytes | None,
        library: Callable[[bytes], Any],
        records_of: Callable[[bytes], Iterable[Any]] | None = None,
    ) -> None:
        self._data = memoryview(data or b"")
        self.library = library
        self.records_of = records_of
        self._at = 0

    def size_in_bytes(self) -> int:
        """Return the size of the fetch."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether a batch is left; the last one of a fetch may be incomplete, and does not count."""
        return self._end() <= len(self._data)

    def next_batch(self) -> Any:
        """Return the next batch, None at the end of the fetch."""
        end = self._end()
        if end > len(self._data):
            return None
        raw = bytes(self._data[self._at : end])
        self._at = end
        batch = self.library(raw).next_batch()
        return batch if raw[_MAGIC_AT] < 2 or batch.is_control_batch else _Batch(raw, batch, self)

    def _end(self) -> int:
        if len(self._data) - self._at < _LENGTH_END:
            return len(self._data) + 1
        (length,) = struct.unpack_from(">i", self._data, self._at + _LENGTH_AT)
        return self._at + _LENGTH_END + int(length)


class _Batch:
    """A batch of the library that has records, whatever its bytes are."""

    def __init__(self, raw: bytes, batch: Any, batches: Batches) -> None:
        self._raw, self._batch, self._batches = raw, batch, batches

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def validate_crc(self) -> bool:
        """A batch with a wrong checksum is one unreadable record."""
        return True

    def __iter__(self) -> Iterator[Any]:
        try:
            return iter(self._records())
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - its reason goes to the dead letters
            header = _Header(*_HEADER.unpack_from(self._raw))
            first, last = header.base_offset, header.base_offset + max(header.last_offset_delta, 0)
            reason = f"the batch of the offsets {first} to {last} can't be read: {_text(error)}"
            return iter([_unreadable(last, header.last_time, self._raw, reason)])

    def _records(self) -> list[Any]:
        if crc32c(memoryview(self._raw)[_ATTRIBUTES_AT:]) != _Header(*_HEADER.unpack_from(self._raw)).crc:
            raise _BatchError("its checksum does not match, so the broker's disk or the line has changed it")
        plain = _decompressed(self._raw)
        try:
            if self._batches.records_of is not None:
                return list(self._batches.records_of(plain))
            return list(self._batch if plain is self._raw else self._batches.library(plain).next_batch())
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - whatever the library can't read is read one by one
            return list(_read(plain))


def _decompressed(raw: bytes) -> bytes:
    """Return a batch without compression, and with the checksum that it had."""
    codec = raw[_ATTRIBUTES_AT + 1] & _CODEC_BITS
    if not codec:
        return raw
    if codec not in _CODECS:
        raise _BatchError(f"its compression {codec} is unknown")
    import pyarrow as pa

    name, data = _CODECS[codec], memoryview(raw)[_HEADER.size :]
    parts: list[bytes] = []
    left = MOST_BYTES
    if name == "snappy":
        # It has no stream of pyarrow's: each block begins with its size.
        for block in _snappy_blocks(data):
            size, _ = _unsigned(block, 0)
            if (left := left - size) < 0:
                break
            parts.append(pa.decompress(block, decompressed_size=size, codec="snappy", asbytes=True))
    else:
        with pa.input_stream(pa.py_buffer(data), compression=name) as stream:
            while left >= 0 and (part := stream.read(_READ_BYTES)):
                parts.append(part)
                left -= len(part)
    if left < 0:
        raise _BatchError(
            f"it has more than {MOST_BYTES:,} bytes when decompressed: let the producer send less at once"
        )
    records = b"".join(parts)
    head = bytearray(raw[: _HEADER.size])
    head[_ATTRIBUTES_AT + 1] &= ~_CODEC_BITS
    struct.pack_into(">i", head, _LENGTH_AT, _HEADER.size - _LENGTH_END + len(records))
    return bytes(head) + records


def _snappy_blocks(data: memoryview) -> Iterator[memoryview]:
    """Yield the blocks of a snappy body: one, or those that Java's producers frame."""
    if bytes(data[: len(_XERIAL)]) != _XERIAL:
        yield data
        return
    at = _XERIAL_HEADER
    while at < len(data):
        (size,) = struct.unpack_from(">i", data, at)
        if size <= 0 or at + 4 + size > len(data):
            raise _BatchError("a block of snappy is cut off")
        yield data[at + 4 : at + 4 + size]
        at += 4 + size


def _read(plain: bytes) -> Iterator[_Record]:
    """Yield the records of a batch without compression; one that can't be read costs no other."""
    header = _Header(*_HEADER.unpack_from(plain))
    at = _HEADER.size
    for number in range(header.records):
        length, at = _signed(plain, at)
        if not 0 < length <= len(plain) - at:
            raise _BatchError(f"its record {number} is longer than the batch")
        body = plain[at : at + length]
        at += length
        try:
            yield _parsed(body, header)
        except (_BatchError, IndexError) as error:
            offset = header.base_offset + number
            reason = f"the record {offset} can't be read: {_text(error)}"
            yield _unreadable(offset, header.last_time, body, reason)


def _parsed(body: bytes, header: _Header) -> _Record:
    later, at = _signed(body, 1)
    delta, at = _signed(body, at)
    key, at = _bytes(body, at)
    value, at = _bytes(body, at)
    count, at = _signed(body, at)
    headers = []
    for _ in range(count):
        name, at = _bytes(body, at)
        content, at = _bytes(body, at)
        headers.append(((name or b"").decode("utf-8", "backslashreplace"), content))
    if at != len(body):
        raise _BatchError(f"{len(body) - at} bytes are left over")
    appended = bool(header.attributes & _LOG_APPEND_TIME)
    time = header.last_time if appended else header.first_time + later
    return _Record(header.base_offset + delta, time, int(appended), key, value, headers)


def _bytes(body: bytes, at: int) -> tuple[bytes | None, int]:
    length, at = _signed(body, at)
    if length < 0:
        return None, at
    if length > len(body) - at:
        raise _BatchError("a field is longer than the record")
    return body[at : at + length], at + length


def _signed(data: bytes, at: int) -> tuple[int, int]:
    """Return a zigzag varint and the place behind it."""
    number, at = _unsigned(data, at)
    return (number >> 1) ^ -(number & 1), at


def _unsigned(data: bytes | memoryview, at: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise _BatchError("a number has more than ten bytes")


def _unreadable(offset: int, timestamp: int, raw: bytes, reason: str) -> _Record:
    return _Record(offset, timestamp, 0, None, raw, [(UNREADABLE, reason.encode("utf-8", "replace"))])


def _text(error: Exception) -> str:
    return str(error) if isinstance(error, _BatchError) else f"{type(error).__name__}: {error}"
