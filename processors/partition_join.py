"""Joins the feature frames of all partitions of a topic and day.

A day is complete once every partition has sent its frame. A newer frame of any partition changes the day and raises its
revision.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
import numpy as np

from processors import pack
from processors.column_table import ColumnTable, DayColumns, Layout
from processors.completeness import EVERYTHING, Completeness
from processors.days import moment, to_date
from processors.errors import StateError
from processors.outputs import MAX_NAMED_GAPS, ChartFrame, DayStatus, Detail, FeatureFrame, FrameHeader, IdentityCheck
from processors.table import DAY_NUMBER, TableSet

#: Rows of complete days in memory, at most: a feed may be years ahead of those that its frames are joined with.
_MAX_ROWS = 6_000_000
_MAX_DETAILS = 64


class PartitionJoin:
    """The frames of one topic by day and partition.

    Parameters
    ----------
    required : exchanges that are reported if they are missing; those of the topic's `DailyStore`.
    keep_days : number of complete days, up to the newest that is read, that `trim` does not delete.
    look_back_days : complete days before those of which `lacks` is still known.

    Attributes
    ----------
    given_up : days of which no signal is computed: `trim` deleted them unread, because more rows waited than memory is
        for, or the frames that they are joined with had been deleted when they arrived.
    """

    def __init__(
        self, topic: str, partitions: int, required: tuple[str, ...], keep_days: int, look_back_days: int = 0
    ) -> None:
        self.topic = topic
        self.partitions = partitions
        self.required = required
        self.keep_days = keep_days
        self._look_back_days = look_back_days
        self._frames = ColumnTable[tuple[int, int], FeatureFrame](
            f"features.{topic}",
            DAY_NUMBER,
            Layout(FrameHeader),
            to_columns=lambda frame: DayColumns(frame.header, frame.keys, frame.columns),
            from_columns=lambda key, stored: FeatureFrame(
                topic, key[1], key[0], stored.header, stored.keys, dict(stored.columns)
            ),
        )
        self._completeness = Completeness(topic)
        self.tables = TableSet(self._frames, self._completeness.tables, on_load=self._loaded)
        self.given_up: set[int] = set()
        self._complete: dict[int, int] = {}  # complete day → its rows
        self._details: dict[int, Detail] = {}  # cache of joined days: a streak reads dozens of earlier ones

    def fold(self, frames: list[FeatureFrame]) -> list[int]:
        """Fold frames; return complete days that are new or changed. Duplicates and older revisions change nothing."""
        touched: set[int] = set()
        # A replay repeats days that `trim` has deleted. Their inputs are deleted, too, so their frames are ignored.
        oldest = self.oldest_kept
        for frame in frames:
            if oldest is not None and frame.day < oldest:
                continue
            old = self._frames.get((frame.day, frame.partition))
            if old is None or frame.header.revision > old.header.revision:
                self._frames[frame.day, frame.partition] = frame
                self._details.pop(frame.day, None)
                touched.add(frame.day)
        # A partition sends its days in order, and repeats every day after a corrected one. So when a day is complete,
        # the day before it is complete in its newest revision.
        changed = [day for day in sorted(touched) if self._count(day)]
        for day in changed:
            headers = [frame.header for frame in self._of_day(day)]
            rows = Counter[str]()
            for header in headers:
                rows.update(header.rows)
            self._completeness.update(day, rows, self._counted(headers))
        return changed

    def _count(self, day: int) -> bool:
        """Mark a day as complete if every partition has sent its frame; return whether it is."""
        frames = [self._frames.get((day, partition)) for partition in range(self.partitions)]
        if None in frames:
            return False
        self._complete[day] = sum(len(frame.keys) for frame in frames if frame is not None)
        return True

    @property
    def oldest_kept(self) -> int | None:
        """The complete day before which `trim` has deleted the others; None as long as it keeps all of them."""
        return min(self._complete) if len(self._complete) >= self.keep_days else None

    def closed_days(self, start: int | None = None) -> Iterator[int]:
        """Return the complete days from ``start`` on, ascending."""
        return (day for day in sorted(self._complete) if start is None or day >= start)

    def is_closed(self, day: int) -> bool:
        """Return whether every partition has sent its frame of a day."""
        return day in self._complete

    def newest_closed(self) -> int | None:
        """Return the newest complete day, None if there is none."""
        return max(self._complete, default=None)

    def status(self, day: int) -> DayStatus:
        """Return availability, revisions, missing rows and identity check of a complete day."""
        headers = [frame.header for frame in self._of_day(day)]
        return DayStatus(
            trade_date=to_date(day),
            available_at=moment(max(header.available_at for header in headers)),
            revision=sum(header.revision for header in headers),
            missing={f"{self.topic} {exchange}": lack for exchange, lack in (self.lacks(day) or {}).items()},
            input_revisions={f"{self.topic}[{i}]": header.revision for i, header in enumerate(headers)},
            identity=_merged([header.identity for header in headers]),
            models=dict.fromkeys([self.topic] if headers[0].model else [], headers[0].model),
        )

    def reason(self, day: int) -> str:
        """Return why a model computed no figures of a complete day; "" if it did, or if none is needed."""
        return next((frame.header.reason for frame in self._of_day(day) if frame.header.reason), "")

    def _of_day(self, day: int) -> list[FeatureFrame]:
        return [self._frames[day, partition] for partition in range(self.partitions)]

    def detail(self, day: int) -> Detail:
        """Return the securities of all partitions on a complete day, in ascending order of their keys."""
        if day in self._details:
            return self._details[day]
        frames = self._of_day(day)
        keys = np.concatenate([f.keys for f in frames])
        order = np.argsort(keys, kind="stable")
        columns = {name: np.concatenate([f.columns[name] for f in frames])[order] for name in frames[0].columns}
        if len(self._details) == _MAX_DETAILS:
            del self._details[next(iter(self._details))]  # the oldest entry of the cache
        self._details[day] = Detail(self.status(day), keys[order], columns)
        return self._details[day]

    def lacks(self, day: int) -> dict[str, int] | None:
        """Return what a day lacks: exchange → missing rows, −1 where none arrived; None if it never was complete."""
        return self._completeness.missing(day)

    def _counted(self, frames: list[FrameHeader]) -> dict[str, int]:
        """Merge the partitions' missing rows by count. An exchange is absent only if no partition has a row of it."""
        out: dict[str, int] = {}
        for exchange in dict.fromkeys((*self.required, *(e for f in frames for e in f.missing))):
            lacks = [f.missing[exchange] for f in frames if exchange in f.missing]
            rows = sum(f.rows.get(exchange, 0) for f in frames)
            counted = sum(n for n in lacks if n > 0)
            if counted:
                out[exchange] = counted
            elif exchange in self.required and lacks and (not rows or len(lacks) == len(frames)):
                out[exchange] = EVERYTHING
        return out

    def trim(self, read_through: int | None) -> set[int]:
        """Delete complete days that no computation reads any more; return them. A day that lacks a partition stays.

        Later days look back from where their other inputs stand, not from the newest frame: so ``keep_days`` are
        counted back from the newest day that is read.

        Parameters
        ----------
        read_through : newest day up to which all other inputs of these frames' consumers are known, None if there is
            none.
        """
        done = sorted(self._complete)
        read = [day for day in done if read_through is not None and day <= read_through]
        gone = read[: max(0, len(read) - self.keep_days)]
        rows = sum(self._complete.values()) - sum(self._complete[day] for day in gone)
        for day in done[len(gone) : max(len(gone), len(done) - self.keep_days)]:
            if rows <= _MAX_ROWS:
                break
            rows -= self._complete[day]
            gone.append(day)
            self.given_up.add(day)
        for day in gone:
            del self._complete[day]
            for partition in range(self.partitions):
                del self._frames[day, partition]
            self._details.pop(day, None)
        if gone:
            self._completeness.retain_from(min(self._complete, default=0), self._look_back_days)
        return set(gone)

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        for day in {day for day, _ in self._frames}:
            self._count(day)


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    """What a feature frame carries beside its columns on the topic between the stages."""

    topic: str
    partition: int
    day: int
    header: FrameHeader


def dump_frame(frame: FeatureFrame | ChartFrame) -> bytes:
    """Return the bytes of a feature frame on the topic between the stages."""
    header = {"topic": frame.topic, "partition": frame.partition, "day": frame.day, "header": frame.header}
    return pack.pack(header, {"key": frame.keys, **frame.columns})


def load_frame(data: bytes) -> FeatureFrame:
    """Return the frame of `dump_frame`'s bytes; raises `StateError` or `msgspec.ValidationError` for any others."""
    packed, columns = pack.unpack(data)
    if "key" not in columns:
        raise StateError("the frame has no keys")
    found = msgspec.convert(packed, _Envelope)
    return FeatureFrame(found.topic, found.partition, found.day, found.header, columns.pop("key"), columns)


def _merged(checks: list[IdentityCheck]) -> IdentityCheck:
    """Merge the partitions' checks; ``worst`` contains the largest gaps of all partitions."""
    worst = sorted((item for c in checks for item in c.worst.items()), key=lambda item: (-abs(item[1]), item[0]))
    checked, broken, balance, broken_balance = (
        sum(getattr(c, name) for c in checks) for name in ("checked", "broken", "balance", "broken_balance")
    )
    return IdentityCheck(checked, broken, dict(worst[:MAX_NAMED_GAPS]), balance, broken_balance)
