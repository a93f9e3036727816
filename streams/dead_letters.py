"""Dead letters: messages that were refused or quarantined, with the reason and their place in headers.

A dead letter has the original key and bytes; that of a row of a frame is the row as a JSON event. Its original headers
are kept under another name, so that a refused marker is not read as one again. A *resolution* is a message of the same
topic that ends an earlier letter: the desk has published its message again, or given it up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from processors.days import LAST_MOMENT
from streams.records import UNREADABLE, DeadLetter, Headers, Record

_ORIGINAL = "original_"
_POSITION = re.compile(r"([0-9]{1,18})(?:/([0-9]{1,9}))?")
_MOMENT = re.compile(r"[0-9]{1,15}")
#: Bytes of the reason, of the traceback and of all original headers that are kept.
_MOST_REASON, _MOST_TRACEBACK, _MOST_HEADERS = 4096, 16_384, 65_536


class Resolution(StrEnum):
    """What became of a dead letter."""

    RETRIED = "retried"  # published again
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message was read: topic on the cluster, partition, offset (of other streams: the entry's id).

    The offset of a row that was refused in a frame ends in its number: ``17/3``.
    """

    topic: str
    partition: str
    offset: str

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def position(self) -> tuple[int, int] | None:
        """Offset and row of a message of a topic, which ascend; None for an entry of another stream."""
        found = _POSITION.fullmatch(self.offset)
        return None if found is None else (int(found[1]), int(found[2] or -1))


@dataclass(frozen=True, slots=True)
class Letter:
    """A message of a dead-letter topic.

    Attributes
    ----------
    error : class of the error.
    traceback : of a message that was quarantined because its fold failed; empty for one that was refused.
    resolution : None unless the message is a resolution of an earlier letter.
    timestamp : when it was set aside, ms since the epoch, by Kafka.
    written : when the message was written to its topic, likewise; `timestamp` where the letter does not say.
    headers : the original ones.
    """

    place: Place
    reason: str
    error: str
    traceback: str
    resolution: Resolution | None
    timestamp: int
    written: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def encode_letter(letter: DeadLetter) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return value and headers of a dead letter."""
    record = letter.record
    reason, headers, room = letter.reason.encode("utf-8", "replace"), [], _MOST_HEADERS
    for name, value in record.headers or ():
        if name == UNREADABLE:
            reason = value  # whatever its decoder made of the bytes
            continue
        room -= len(name) + len(value or b"")
        if room < 0:
            break
        headers.append((_ORIGINAL + name, value or b""))
    headers += [
        ("dlq_reason", reason[:_MOST_REASON]),
        ("dlq_error", letter.error.encode()),
    ]
    if letter.traceback:
        headers.append(("dlq_traceback", letter.traceback.encode("utf-8", "replace")[-_MOST_TRACEBACK:]))
    headers.append(("dlq_time", str(max(record.timestamp, 0)).encode()))
    offset = str(record.offset) if letter.row is None else f"{record.offset}/{letter.row}"
    place = Place(record.topic, str(record.partition), offset)
    return record.value or b"", [*headers, *_place_headers(place)]


def encode_resolution(place: Place, resolution: Resolution) -> list[tuple[str, bytes]]:
    """Return the headers of a resolution; its value is empty."""
    return [("dlq_resolution", resolution.value.encode()), *_place_headers(place)]


def read_letter(record: Record) -> Letter:
    """Return what a message of a dead-letter topic is; whatever is missing or damaged is empty."""
    found = {name: value or b"" for name, value in record.headers or ()}

    def text(name: str) -> str:
        return found.get(f"dlq_{name}", b"").decode("utf-8", "replace")

    known = {r.value: r for r in Resolution}
    timestamp = min(max(record.timestamp, 0), LAST_MOMENT // 1000)
    written = text("time")
    return Letter(
        Place(text("topic"), text("partition"), text("offset")),
        text("reason"),
        text("error"),
        text("traceback"),
        known.get(text("resolution")),
        timestamp,
        min(int(written), timestamp) if _MOMENT.fullmatch(written) else timestamp,
        record.key,
        record.value or b"",
        [(name.removeprefix(_ORIGINAL), value) for name, value in found.items() if name.startswith(_ORIGINAL)],
    )


def open_letters(letters: Iterable[Letter]) -> dict[Place, Letter]:
    """Return the letters that have no resolution, by place, in the order in which they were set aside."""
    out: dict[Place, Letter] = {}
    for letter in letters:
        if letter.resolution is None:
            out[letter.place] = letter
        else:
            out.pop(letter.place, None)
    return out


def _place_headers(place: Place) -> Headers:
    return [
        ("dlq_topic", place.topic.encode()),
        ("dlq_partition", place.partition.encode()),
        ("dlq_offset", place.offset.encode()),
    ]
