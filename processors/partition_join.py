"""Joining the partitions of a day: what one topic says of all securities.

A day is complete when every partition has sent its frame of it, and new again, with a higher revision, when one of them
sends a newer one.
"""

from __future__ import annotations

import numpy as np

from processors import pack
from processors.days import moment, to_date
from processors.outputs import WORST_KEPT, DayStatus, Detail, FeatureFrame, IdentityCheck

_MOST_ROWS, _MOST_DETAILS = 1_000_000, 64


class PartitionJoin:
    """The frames of one topic by day and partition.

    Parameters
    ----------
    required : exchanges whose absence is named; those of the topic's day book.
    keep_days : complete days that are kept in any case.
    """

    def __init__(self, topic: str, partitions: int, required: tuple[str, ...], keep_days: int) -> None:
        self.topic = topic
        self.partitions = partitions
        self.required = required
        self.keep_days = keep_days
        self.frames: dict[int, dict[int, FeatureFrame]] = {}
        self._complete: dict[int, int] = {}  # complete day → its rows
        self._details: dict[int, Detail] = {}  # days that were asked for: streaks look back over dozens of them
        self._dirty: set[tuple[int, int]] = set()
        self._dropped: set[int] = set()

    def fold(self, frames: list[FeatureFrame]) -> list[int]:
        """Take frames (older revisions and repeats change nothing); return complete days that are new or changed."""
        touched: set[int] = set()
        # Days that have left the window don't come back (a replay sends them again): what they rest on is gone.
        oldest = min(self._complete) if len(self._complete) >= self.keep_days else -(2**31)
        for frame in frames:
            if frame.day < oldest:
                continue
            held = self.frames.setdefault(frame.day, {})
            old = held.get(frame.partition)
            if old is None or frame.revision > old.revision:
                held[frame.partition] = frame
                self._details.pop(frame.day, None)
                self._dirty.add((frame.day, frame.partition))
                touched.add(frame.day)
        # A partition sends its days in order, and sends again every day behind a corrected one: so the day before
        # is always complete first, and anew where it changed.
        complete = sorted(day for day in touched if len(self.frames[day]) == self.partitions)
        self._complete |= {day: sum(len(f.keys) for f in self.frames[day].values()) for day in complete}
        return complete

    def complete_days(self) -> list[int]:
        """Days of which every partition has sent its frame, ascending."""
        return sorted(self._complete)

    def is_complete(self, day: int) -> bool:
        """Whether every partition has sent its frame of a day."""
        return day in self._complete

    def newest_complete(self) -> int | None:
        """The newest of them."""
        return max(self._complete, default=None)

    def status(self, day: int) -> DayStatus:
        """How complete and consistent a complete day is."""
        frames = [self.frames[day][p] for p in sorted(self.frames[day])]
        return DayStatus(
            trade_date=to_date(day),
            available_at=moment(max(f.available_at for f in frames)),
            revision=sum(f.revision for f in frames),
            missing=self._missing(frames),
            input_revisions={f"{self.topic}[{f.partition}]": f.revision for f in frames},
            identity=_merged([f.identity for f in frames]),
        )

    def detail(self, day: int) -> Detail:
        """All securities of a complete day, in the order of their keys."""
        if day in self._details:
            return self._details[day]
        frames = [self.frames[day][p] for p in sorted(self.frames[day])]
        keys = np.concatenate([f.keys for f in frames])
        order = np.argsort(keys, kind="stable")
        columns = {name: np.concatenate([f.columns[name] for f in frames])[order] for name in frames[0].columns}
        if len(self._details) == _MOST_DETAILS:
            del self._details[next(iter(self._details))]  # the one that was made first
        self._details[day] = Detail(self.status(day), keys[order], columns)
        return self._details[day]

    def _missing(self, frames: list[FeatureFrame]) -> dict[str, int]:
        """Merge what the partitions lack; an exchange is absent only if no partition had a row of it."""
        out: dict[str, int] = {}
        for exchange in self.required:
            lacks = [f.missing[exchange] for f in frames if exchange in f.missing]
            rows = sum(f.rows.get(exchange, 0) for f in frames)
            counted = sum(n for n in lacks if n > 0)
            if counted:
                out[f"{self.topic} {exchange}"] = counted
            elif lacks and (not rows or len(lacks) == len(frames)):
                out[f"{self.topic} {exchange}"] = -1
        return out

    def trim(self, read_through: int | None) -> set[int]:
        """Forget days that no late row can reach any more; return them. A day that waits for a partition stays.

        Parameters
        ----------
        read_through : the day up to which everything is there that these frames are joined with. Those behind it are
            kept: they wait, up to a million rows. None: nothing is there yet.
        """
        done = sorted(self._complete)
        rows, gone = sum(self._complete.values()), set()
        for day in done[: max(0, len(done) - self.keep_days)]:
            if (read_through is None or day > read_through) and rows <= _MOST_ROWS:
                break
            rows -= self._complete.pop(day)
            del self.frames[day]
            self._details.pop(day, None)
            gone.add(day)
        self._dropped |= gone
        return gone

    # -- state as bytes --------------------------------------------------------------------------------------

    def take_dirty(self) -> dict[str, bytes | None]:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: dict[str, bytes | None] = {}
        for day in sorted(self._dropped):
            rows |= dict.fromkeys(self._row(day, partition) for partition in range(self.partitions))
        for day, partition in sorted(self._dirty):
            if day in self.frames:
                rows[self._row(day, partition)] = dump_frame(self.frames[day][partition])
        self._dirty.clear()
        self._dropped.clear()
        return rows

    def load(self, rows: dict[str, bytes]) -> None:
        """Take back the rows of `take_dirty`; others are ignored."""
        for name, data in rows.items():
            if name.startswith(f"features/{self.topic}/"):
                frame = load_frame(data)
                self.frames.setdefault(frame.day, {})[frame.partition] = frame
        self._complete = {
            day: sum(len(f.keys) for f in held.values())
            for day, held in self.frames.items()
            if len(held) == self.partitions
        }

    def _row(self, day: int, partition: int) -> str:
        return f"features/{self.topic}/{to_date(day).isoformat()}/{partition}"


def dump_frame(frame: FeatureFrame) -> bytes:
    """Return a feature frame as bytes (on the wire between the stages, and in the table)."""
    return pack.pack(
        {
            "topic": frame.topic,
            "partition": frame.partition,
            "day": frame.day,
            "revision": frame.revision,
            "available_at": frame.available_at,
            "missing": frame.missing,
            "rows": frame.rows,
            "identity": [frame.identity.checked, frame.identity.broken, frame.identity.worst],
        },
        {"key": frame.keys, **frame.columns},
    )


def load_frame(data: bytes) -> FeatureFrame:
    """Return what `dump_frame` was given."""
    header, arrays = pack.unpack(data)
    keys = arrays.pop("key")
    checked, broken, worst = header.pop("identity")
    return FeatureFrame(keys=keys, columns=arrays, identity=IdentityCheck(checked, broken, worst), **header)


def _merged(checks: list[IdentityCheck]) -> IdentityCheck:
    """Join the partitions' checks; the largest gaps of all are named."""
    worst = sorted((item for c in checks for item in c.worst.items()), key=lambda item: (-abs(item[1]), item[0]))
    return IdentityCheck(sum(c.checked for c in checks), sum(c.broken for c in checks), dict(worst[:WORST_KEPT]))
