"""Topics in memory, and the consumers of both Kafka clients that read them; the clock goes on while nothing arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import OffsetOutOfRangeError

from streams.records import PlainRecord, sequence_header

#: A partition as both clients name it; equal to their own tuples.
Place = Any
_MOST_POLLS = 2000  # more than any test needs


@dataclass
class Log:
    """One partition.

    Parameters
    ----------
    records : by offset; compaction leaves gaps.
    begin, end : the first offset that the broker serves, and the one behind the last message (the high watermark).
    listed : the end as the broker lists it, if it lists another one.
    silent : whether fetches are not answered.
    """

    records: list[PlainRecord]
    begin: int
    end: int
    listed: int | None = None
    silent: bool = False

    @classmethod
    def of(cls, topic: str, values: Iterable[bytes | None], *, begin: int = 0, partition: int = 0) -> Log:
        """Return a log with one message an offset, none where the value is None; each has the time of its offset."""
        found = list(values)
        records = [
            PlainRecord(topic, partition, begin + at, 1000 + begin + at, b"k", value, [])
            for at, value in enumerate(found)
            if value is not None
        ]
        return cls(records, begin, begin + len(found))

    @classmethod
    def numbered(cls, topic: str, sequences: Iterable[int], *, begin: int = 0) -> Log:
        """Return a log of outputs with these sequences."""
        out = cls.of(topic, (b"%d" % sequence for sequence in sequences), begin=begin)
        for record in out.records:
            record.headers = [sequence_header(int(record.value or b""))]
        return out


@dataclass
class Clock:
    """A monotonic clock that only a wait moves, seconds."""

    now: float = 0.0
    waits: int = 0

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.waits += 1
        assert self.waits < _MOST_POLLS, "a reader waits without an end"

    def in_place_of_time(self, monkeypatch: pytest.MonkeyPatch, *modules: ModuleType) -> None:
        for module in modules:
            monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: self.now))


@dataclass
class _Consumer:
    logs: dict[Place, Log]
    clock: Clock = field(default_factory=Clock)
    at_once: int = 3
    reports_range: bool = True  # the embedded broker does not
    positions: dict[Place, int] = field(default_factory=dict)
    paused_places: set[Place] = field(default_factory=set)
    fetched: set[Place] = field(default_factory=set)

    def assign(self, places: Collection[Place]) -> None:
        self.positions, self.paused_places, self.fetched = dict.fromkeys(places, 0), set(), set()

    def seek(self, place: Place, offset: int) -> None:
        assert place in self.positions
        self.positions[place] = offset

    def pause(self, *places: Place) -> None:
        self.paused_places |= set(places)

    def highwater(self, place: Place) -> int | None:
        return self.logs[place].end if place in self.fetched else None

    def _fetch(self, places: Iterable[Place], timeout_ms: int) -> dict[Place, list[PlainRecord]]:
        out, outside = {}, {}
        for place in places:
            log, position = self.logs[place], self.positions[place]
            if place in self.paused_places or log.silent:
                continue
            if self.reports_range and not log.begin <= position <= log.end:
                outside[place] = position
                continue
            self.fetched.add(place)
            if found := [one for one in log.records if one.offset >= max(position, log.begin)][: self.at_once]:
                out[place] = found
                self.positions[place] = found[-1].offset + 1
            elif position < log.end:  # compaction has removed what was at the end
                self.positions[place] = log.end
        if outside:
            raise OffsetOutOfRangeError(outside)
        if not out:
            self.clock.wait(timeout_ms / 1000)
        return out


class AsyncLogs(_Consumer):
    """The consumer of aiokafka."""

    async def getmany(self, *places: Place, timeout_ms: int) -> dict[Place, list[PlainRecord]]:
        await asyncio.sleep(0)
        return self._fetch(places or self.positions, timeout_ms)

    async def position(self, place: Place) -> int:
        return self.positions[place]

    async def beginning_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        return {place: self.logs[place].begin for place in places}

    async def end_offsets(self, places: Collection[Place]) -> dict[Place, int]:
        return {place: _listed(self.logs[place]) for place in places}


class SyncLogs(_Consumer):
    """The consumer of kafka-python."""

    def poll(self, timeout_ms: int) -> dict[Place, list[PlainRecord]]:
        return self._fetch(self.positions, timeout_ms)

    def position(self, place: Place) -> int:
        return self.positions[place]

    def paused(self) -> set[Place]:
        return set(self.paused_places)

    def seek_to_beginning(self, *places: Place) -> None:
        for place in places or self.positions:
            self.positions[place] = self.logs[place].begin

    def end_offsets(self, places: Collection[Place], timeout_ms: int = 0) -> dict[Place, int]:
        return {place: _listed(self.logs[place]) for place in places}

    def topics(self) -> set[str]:
        return {place.topic for place in self.logs}

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {place.partition for place in self.logs if place.topic == topic}

    def close(self) -> None:
        pass


def _listed(log: Log) -> int:
    return log.end if log.listed is None else log.listed


@contextmanager
def yielding(value: Any) -> Iterator[Any]:
    """Yield a value, for what opens a connection."""
    yield value


def offsets_of(records: Sequence[Any]) -> list[int]:
    """Return the offsets of records."""
    return [record.offset for record in records]
