"""A message beside its content: the record that a consumer returns, its headers, and the types that they name.

Every message carries CloudEvents headers (binary mode) or, where rows come in, only ``content-type`` and ``ce_type``
where they differ from one JSON event. All values of ``ce_type`` are defined here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Protocol, TypeVar
from zlib import crc32

import msgspec

from processors.days import check_times
from processors.errors import RowError
from processors.events import Barrier

#: The header of a record, or of a batch, that nobody can read: the reason. Its value is the bytes, see `kafka_batches`.
UNREADABLE = "marginwatch_unreadable"
ARROW = b"application/vnd.apache.arrow.stream"
CONTENT_TYPE, CE_TYPE, CE_ID = "content-type", "ce_type", "ce_id"
CLOSE_TYPE, BARRIER_TYPE = b"marginwatch.session_close.v1", b"marginwatch.barrier.v1"
#: The beginning of the type of feature frames; the version of the features follows.
FEATURE_KIND = b"marginwatch.feature_frame."
PARTIAL_TYPE = b"marginwatch.partial.v1"
MARKET_TYPE, SECURITY_TYPE = b"marginwatch.signal.market.v1", b"marginwatch.signal.security.v1"
INDUSTRY_TYPE = b"marginwatch.signal.industry.v1"
ALERT_TYPE, ALERT_EVENT_TYPE = b"marginwatch.alert.v1", b"marginwatch.alert_event.v1"
#: The header with the sequence of a message, 20 digits (the extension "sequence" of CloudEvents).
SEQUENCE = "ce_sequence"
_SEQUENCE_DIGITS = 20
Headers = Sequence[tuple[str, bytes]]
T = TypeVar("T", bound=msgspec.Struct)


class Message(Protocol):
    """What a decoder needs of a message, read or still to be published."""

    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


class Keyed(Message, Protocol):
    """A message of a compacted topic, read or still to be published."""

    @property
    def key(self) -> bytes | None: ...


class Record(Protocol):
    """What a consumer returns (records of aiokafka and of kafka-python both fit)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class PlainRecord(msgspec.Struct, gc=False):
    """A record as such: of a consumer, or a row of a frame or array as a JSON event at the place of that message.

    It is made and freed in a third of the time that a record of aiokafka takes.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was refused, with the reason; or quarantined, with error and traceback of its fold.

    Parameters
    ----------
    row : number of the row in its frame or array, for a row that was refused; the other rows count.
    """

    record: Record
    reason: str
    error: str = RowError.__name__
    traceback: str = ""
    row: int | None = None


def ce_type(message: Message) -> bytes:
    """Return the type that the headers name; empty where they name none."""
    for name, value in message.headers or ():
        if name == CE_TYPE:
            return value or b""  # Kafka's headers may have no value
    return b""


def sequence_of(message: Message) -> int:
    """Return the sequence of a message; 0 where it has none: an input, or the output of an earlier release.

    Every output of a partition of a stage has a higher sequence than the outputs before it. Of several messages with
    one key the one with the highest sequence is valid, wherever it is in the topic.
    """
    for name, value in message.headers or ():
        if name == SEQUENCE and value and len(value) == _SEQUENCE_DIGITS and value.isdigit():
            return int(value)
    return 0


def sequence_header(sequence: int) -> tuple[str, bytes]:
    """Return the header that `sequence_of` reads."""
    return SEQUENCE, b"%0*d" % (_SEQUENCE_DIGITS, sequence)


def key_text(key: bytes | None) -> str:
    """Return a key as text, whatever its bytes are; empty where there is none."""
    return (key or b"").decode("utf-8", "replace")


def is_barrier(message: Message) -> bool:
    """Whether a message is a barrier, and neither row nor punctuation, signal or alert."""
    return ce_type(message) == BARRIER_TYPE


def mark_of(record: Record) -> str:
    """Return a short text that another message at the same offset does not have: its time and a checksum."""
    return f"{record.timestamp:x}.{crc32(record.value or b''):08x}"


def punctuation_of(value: bytes, kind: type[T]) -> T:
    """Return the punctuation that a value is; raises `RowError` naming the kind if it is none."""
    try:
        return msgspec.json.decode(value, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RowError(f"{kind.__name__}: {error}") from error


def barrier_of(message: Message) -> Barrier:
    """Return the barrier that a message is; raises `RowError` if it is none, or its moment lies outside 1970–2199."""
    barrier = punctuation_of(message.value or b"", Barrier)
    check_times((barrier.at,))
    return barrier


def headers_of(
    kind: bytes, *, identity: str, source: str, subject: str, time: datetime, content_type: bytes = b"application/json"
) -> list[tuple[str, bytes]]:
    """Return CloudEvents headers (binary mode)."""
    return [
        ("ce_specversion", b"1.0"),
        (CE_ID, identity.encode()),
        (CE_TYPE, kind),
        ("ce_source", source.encode()),
        ("ce_time", _text_of(time)),
        ("ce_subject", subject.encode()),
        (CONTENT_TYPE, content_type),
    ]


@lru_cache(maxsize=1024)
def _text_of(time: datetime) -> bytes:
    """Return a moment as text: all signals of a day have the same one or two."""
    return time.isoformat().encode()
