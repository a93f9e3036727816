"""The bytes of a fetch and of its answer, written and read at once instead of field by field.

aiokafka describes its messages by schemas, and calls a function for each field. A fetch names every partition that a
worker reads, forty and more, and so does its answer, most of them without a record; a busy worker sends up to some
hundred a second. Here a partition is one packed structure, which takes a quarter of the time. The messages are those of
version 11, the newest that aiokafka knows; a broker of an older one is asked by the schemas.
"""

from __future__ import annotations

from io import BytesIO
from struct import Struct, error
from typing import Any, Self

from aiokafka.protocol.fetch import FetchRequest, FetchRequest_v11, FetchResponse_v11

#: Replica, wait, least and most bytes, isolation level, session and its epoch, number of topics.
_REQUEST = Struct(">iiiibiii")
#: Partition, leader's epoch, offset, start of the log, most bytes.
_ASKED = Struct(">iiqqi")
#: Time of throttling, error, session, number of topics.
_ANSWER = Struct(">ihii")
#: Partition, error, high watermark, last stable offset, start of the log, number of aborted transactions; and, behind
#: those transactions, of which there are none as a rule, preferred replica and bytes of the records.
_PARTITION, _RECORDS = Struct(">ihqqqiii"), Struct(">ii")
#: Producer and first offset of an aborted transaction.
_ABORTED = Struct(">qq")
_LENGTH, _COUNT = Struct(">h"), Struct(">i")
_NOTHING_FORGOTTEN = _COUNT.pack(0)


class _Answer(FetchResponse_v11):  # type: ignore[misc]  # a library without types
    @classmethod
    def decode(cls, data: BytesIO | bytes) -> Self:
        """Read an answer.

        Raises
        ------
        ValueError : if it ends too early; the library then closes the connection.
        """
        buffer, at = (data, 0) if isinstance(data, bytes) else (data.getvalue(), data.tell())
        try:
            return cls._decode(buffer, at)
        except error as cut:
            raise ValueError(f"the answer to a fetch ends too early: {cut}") from cut

    @classmethod
    def _decode(cls, buffer: bytes, at: int) -> Self:
        throttled, failure, session, topics = _ANSWER.unpack_from(buffer, at)
        at += _ANSWER.size
        found = []
        for _ in range(topics):
            (length,) = _LENGTH.unpack_from(buffer, at)
            at += _LENGTH.size
            topic = _cut(buffer, at, length).decode()
            (count,) = _COUNT.unpack_from(buffer, at + length)
            at += length + _COUNT.size
            partitions = []
            for _ in range(count):
                *numbers, transactions, replica, size = _PARTITION.unpack_from(buffer, at)
                at += _PARTITION.size
                aborted: list[Any] | None = None if transactions < 0 else []
                if transactions > 0:
                    at -= _RECORDS.size
                    aborted = list(_ABORTED.iter_unpack(_cut(buffer, at, transactions * _ABORTED.size)))
                    at += transactions * _ABORTED.size
                    replica, size = _RECORDS.unpack_from(buffer, at)
                    at += _RECORDS.size
                records = b"" if size == 0 else None
                if size > 0:
                    records = _cut(buffer, at, size)
                    at += size
                partitions.append((*numbers, aborted, replica, records))
            found.append((topic, partitions))
        return cls(throttled, failure, session, found)


class _Request(FetchRequest_v11):  # type: ignore[misc]  # a library without types
    RESPONSE_TYPE = _Answer

    def encode(self) -> bytes:
        """Return the bytes of the request."""
        parts = [
            _REQUEST.pack(
                self.replica_id,
                self.max_wait_time,
                self.min_bytes,
                self.max_bytes,
                self.isolation_level,
                self.session_id,
                self.session_epoch,
                len(self.topics),
            )
        ]
        for topic, partitions in self.topics:
            parts.append(_text(topic) + _COUNT.pack(len(partitions)))
            parts.extend(_ASKED.pack(*partition) for partition in partitions)
        return b"".join((*parts, _NOTHING_FORGOTTEN, _text(self.rack_id)))


class PackedFetchRequest(FetchRequest):  # type: ignore[misc]  # a library without types
    """The library's request, whose newest version is packed here."""

    def build(self, request_struct_class: Any) -> Any:
        """Return the message for the version that the broker knows."""
        newest = request_struct_class is FetchRequest_v11
        return super().build(_Request if newest else request_struct_class)


def _text(value: str) -> bytes:
    encoded = value.encode()
    return _LENGTH.pack(len(encoded)) + encoded


def _cut(buffer: bytes, at: int, size: int) -> bytes:
    if not 0 <= size <= len(buffer) - at:
        raise ValueError(f"the answer to a fetch ends too early: {size} bytes are announced, {len(buffer) - at} follow")
    return buffer[at : at + size]
