"""The desk's margin book from a Redis stream: an entry is a row.

The fields of an entry are named as the columns of a file (`margin_positions`), or one field ``json`` holds the row as
an object. Which entry was read last stands with the feed's other state in Redis, and moves on only when the
broker has the rows and the dead letters of all up to it. (A consumer group would need the same memory, and one more for
what was given to a reader that died.) What is not understood goes to the topic's dead letters and stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import msgspec
import pandas as pd
import structlog
from redis import Redis
from redis.exceptions import ResponseError

from feeds.folder import FeedError
from feeds.live import LiveOutlet
from feeds.mapping import Mapping
from feeds.margin_positions import TOPIC, BookRow, batch_of_rows, judging, load_mapping, rows_of, tell
from feeds.plan import BookStream
from feeds.tasks import FeedTask, State
from processors.days import shanghai_day
from processors.errors import RowError
from processors.events import RowBatch, concat
from streams.topics import dead_letters

log = structlog.get_logger()
_MOST, _BLOCK_MS = 1000, 1000
_BEGIN, _LAST, _JSON = "0-0", "entry", "json"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the stream, as Redis gives it."""

    id: str
    fields: dict[bytes, bytes]

    @property
    def day(self) -> int:
        """The day in Shanghai on which it was added."""
        return shanghai_day(int(self.id.partition("-")[0]) * 1000)


@dataclass(slots=True)
class Understood:
    """Entries that became rows, one each, and those that did not, with the reason."""

    mapping: Mapping | None
    parts: list[RowBatch] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    refused: list[tuple[Entry, str]] = field(default_factory=list)

    def add(self, entries: Iterable[Entry]) -> Understood:
        """Read entries; neighbours with the same fields together, or in halves if that fails."""
        for _, some in groupby(entries, key=lambda entry: (tuple(entry.fields), entry.day)):
            group = list(some)
            try:
                self.parts.append(_rows(group, self.mapping))
                self.entries += group
            except (FeedError, RowError, UnicodeDecodeError, msgspec.DecodeError) as error:
                if len(group) == 1:
                    self.refused.append((group[0], str(error)))
                else:
                    middle = len(group) // 2
                    self.add(group[:middle]).add(group[middle:])
        return self


def _rows(group: Sequence[Entry], mapping: Mapping | None) -> RowBatch:
    first, last = group[0], group[-1]
    if set(first.fields) == {_JSON.encode()}:
        decoded = [msgspec.json.decode(entry.fields[_JSON.encode()], type=BookRow) for entry in group]
        return batch_of_rows(decoded)
    raw = pd.DataFrame([{name.decode(): value.decode() for name, value in entry.fields.items()} for entry in group])
    where = f"entry {first.id}" if first is last else f"entries {first.id} to {last.id}"
    batch = rows_of(raw, where, mapping.table if mapping is not None else (), first.day)
    if len(batch) != len(group):
        raise FeedError(f"{where}: the mapping makes {len(batch)} rows of it; an entry is a row")
    return batch


@dataclass(slots=True)
class StreamTask(FeedTask):
    """Reads the stream to its end and waits for more, a second at a time."""

    name: str
    feed: BookStream
    outlet: LiveOutlet
    state: State
    redis: Redis
    failures: int = 0
    _mapping: Mapping | None = None
    _last: str | None = None

    def __post_init__(self) -> None:
        self._mapping = load_mapping(self.feed.map)

    def tick(self, now: float) -> float:
        """Publish the next entries; wait a second for one if there is none."""
        if self._last is None:
            self._last = self.state.load().get(_LAST, _BEGIN)
        found: Any = self.redis.xread({self.feed.stream: self._last}, count=_MOST, block=_BLOCK_MS)
        if found:
            entries = [Entry(identity.decode(), fields) for identity, fields in found[0][1]]
            self._publish(entries)
            self.state.set(_LAST, entries[-1].id)
            self._last = entries[-1].id
        else:
            self._check_place()
        return now

    def pending(self, now: float) -> bool:  # noqa: ARG002
        """Whether entries are there that were not read."""
        return bool(self.redis.xrange(self.feed.stream, min=f"({self._last or _BEGIN}", count=1))

    def close(self) -> None:
        """Let go of the connection to Kafka."""
        self.outlet.close()

    def _publish(self, entries: Sequence[Entry]) -> None:
        understood = Understood(self._mapping).add(entries)
        refused = list(understood.refused)
        if understood.parts:
            # Of one code and moment the entry that was added later counts.
            told = self.outlet.publish(concat(understood.parts), judging(self.feed, last_counts=True))
            refused += [(understood.entries[one.row], str(one)) for one in told.refused]
            tell(self.name, told)
        for entry, reason in refused:
            log.warning("entry refused", feed=self.name, entry=entry.id, error=reason)
        self.outlet.dead_letters(dead_letters(TOPIC), [self._letter(entry, reason) for entry, reason in refused])

    def _letter(self, entry: Entry, reason: str) -> tuple[bytes, list[tuple[str, bytes]]]:
        fields = {_text(name): _text(value) for name, value in entry.fields.items()}
        headers = {"reason": reason, "topic": self.feed.stream, "partition": "0", "offset": entry.id}
        return msgspec.json.encode(fields), [(f"dlq_{name}", text.encode()[:4096]) for name, text in headers.items()]

    def _check_place(self) -> None:
        """A stream that was deleted and made anew begins with lower ids: read it from its beginning."""
        try:
            newest: Any = self.redis.xinfo_stream(self.feed.stream)["last-generated-id"]
        except ResponseError:
            return  # there is none yet
        if self._last is not None and _place(newest.decode()) < _place(self._last):
            log.warning("the stream was made anew: read from its beginning", feed=self.name, stream=self.feed.stream)
            self.state.set(_LAST, _BEGIN)
            self._last = _BEGIN


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _place(identity: str) -> tuple[int, int]:
    first, _, second = identity.partition("-")
    return int(first), int(second)
