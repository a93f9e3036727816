"""The desk's margin positions from a Redis stream: an entry is a row.

The fields of an entry are named as the columns of a file (`margin_positions`), or one field ``json`` contains the row
as an object. The feed stores the id of the last entry after the broker has acknowledged the rows and dead letters of
all entries up to it. (A consumer group would need the same state, and one more for entries given to a reader that
died.) An entry that can't be parsed goes to the dead letters of the topic; the feed goes on.
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

from feeds.errors import InputError
from feeds.intraday.intraday_outlet import DeadLetter, IntradayOutlet
from feeds.intraday.margin_positions import (
    TOPIC,
    PositionRow,
    acceptance,
    batch_of_rows,
    load_mapping,
    log_result,
    rows_of,
)
from feeds.mappings.mapping import Mapping
from feeds.plan import PositionsStream
from feeds.ports import FeedState
from feeds.tasks import FeedTask
from processors.days import shanghai_day
from processors.errors import RowError
from processors.events import RowBatch, concat

log = structlog.get_logger()
_MOST, _BLOCK_MS = 1000, 1000
_BEGIN, _LAST, _JSON = "0-0", "entry", "json"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the stream."""

    id: str
    fields: dict[bytes, bytes]

    @property
    def day(self) -> int:
        """The day in Shanghai on which the entry was added, days since 1970-01-01."""
        return shanghai_day(int(self.id.partition("-")[0]) * 1000)


@dataclass(slots=True)
class ParsedEntries:
    """Entries that became rows, one each, and refused entries with the reason."""

    mapping: Mapping | None
    batches: list[RowBatch] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    refused: list[tuple[Entry, str]] = field(default_factory=list)

    def add(self, entries: Iterable[Entry]) -> ParsedEntries:
        """Parse entries: neighbours with the same fields together, or in halves if that fails."""
        for _, some in groupby(entries, key=lambda entry: (tuple(entry.fields), entry.day)):
            group = list(some)
            try:
                self.batches.append(_rows(group, self.mapping))
                self.entries += group
            except (InputError, RowError, UnicodeDecodeError, msgspec.DecodeError) as error:
                if len(group) == 1:
                    self.refused.append((group[0], str(error)))
                else:
                    middle = len(group) // 2
                    self.add(group[:middle]).add(group[middle:])
        return self


def _rows(group: Sequence[Entry], mapping: Mapping | None) -> RowBatch:
    first, last = group[0], group[-1]
    if set(first.fields) == {_JSON.encode()}:
        decoded = [msgspec.json.decode(entry.fields[_JSON.encode()], type=PositionRow) for entry in group]
        return batch_of_rows(decoded)
    raw = pd.DataFrame([{name.decode(): value.decode() for name, value in entry.fields.items()} for entry in group])
    where = f"entry {first.id}" if first is last else f"entries {first.id} to {last.id}"
    batch = rows_of(raw, where, mapping.table if mapping is not None else (), first.day)
    if len(batch) != len(group):
        raise InputError(
            f"{where}: the mapping makes {len(batch)} rows of {len(group)} entries; correct it, an entry is a row"
        )
    return batch


@dataclass(slots=True)
class StreamTask(FeedTask):
    """Reads the stream to its end and waits for more entries, a second at a time."""

    name: str
    feed: PositionsStream
    outlet: IntradayOutlet
    state: FeedState
    redis: Redis
    failures: int = 0
    _mapping: Mapping | None = None
    _last: str | None = None

    def __post_init__(self) -> None:
        self._mapping = load_mapping(self.feed.map)

    def tick(self, now: float) -> float:
        """Publish the next entries; wait up to a second for the first one."""
        if self._last is None:
            self._last = self.state.load().get(_LAST, _BEGIN)
        found: Any = self.redis.xread({self.feed.stream: self._last}, count=_MOST, block=_BLOCK_MS)
        if found:
            entries = [Entry(identity.decode(), fields) for identity, fields in found[0][1]]
            self._publish(entries)
            self.state.set(_LAST, entries[-1].id)
            self._last = entries[-1].id
        else:
            self._check_for_new_stream()
        return now

    def pending(self, now: float) -> bool:  # noqa: ARG002
        """Whether the stream has unread entries."""
        return bool(self.redis.xrange(self.feed.stream, min=f"({self._last or _BEGIN}", count=1))

    def close(self) -> None:
        """Close the connection to Kafka."""
        self.outlet.close()

    def _publish(self, entries: Sequence[Entry]) -> None:
        parsed = ParsedEntries(self._mapping).add(entries)
        refused = list(parsed.refused)
        if parsed.batches:
            # Of two entries of one code and moment the later one counts.
            result = self.outlet.publish(concat(parsed.batches), acceptance(self.feed, last_wins=True))
            refused += [(parsed.entries[one.row], str(one)) for one in result.refused]
            log_result(self.name, result)
        for entry, reason in refused:
            log.warning("entry refused", feed=self.name, entry=entry.id, error=reason)
        self.outlet.dead_letters(TOPIC, [self._letter(entry, reason) for entry, reason in refused])

    def _letter(self, entry: Entry, reason: str) -> DeadLetter:
        fields = {_text(name): _text(value) for name, value in entry.fields.items()}
        headers = {"reason": reason, "topic": self.feed.stream, "partition": "0", "offset": entry.id}
        return msgspec.json.encode(fields), [(f"dlq_{name}", text.encode()[:4096]) for name, text in headers.items()]

    def _check_for_new_stream(self) -> None:
        """Begin again if the stream was deleted and created again: a new stream has lower ids."""
        try:
            newest: Any = self.redis.xinfo_stream(self.feed.stream)["last-generated-id"]
        except ResponseError:
            return  # the stream does not exist yet
        if self._last is not None and _position(newest.decode()) < _position(self._last):
            log.warning(
                "the stream was created again: reading it from its beginning", feed=self.name, stream=self.feed.stream
            )
            self.state.set(_LAST, _BEGIN)
            self._last = _BEGIN


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _position(identity: str) -> tuple[int, int]:
    first, _, second = identity.partition("-")
    return int(first), int(second)
