"""Joining the partitions of a day: the cross-section of all securities.

A day is computed when every partition has sent its frame of that day, and again, with a higher revision, when one
of them sends a newer one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors import pack
from processors.codes import Ids, is_fund
from processors.days import TradingCalendar, moment, to_date
from processors.events import Floats
from processors.indicators import extreme
from processors.outputs import WORST_KEPT, DayStatus, Detail, FeatureFrame, IdentityCheck, SecuritySignals
from processors.parameters import Parameters

#: Columns of the frames that subscribers see.
_PUBLISHED = ("fin_balance", "fin_change", "fin_streak")
_MOST_ROWS = 1_000_000


@dataclass(slots=True)
class Extremes:
    """The extremes of a day, kept for the next day's `consecutive_extreme`."""

    keys: Ids
    side: Floats


class CrossSections:
    """The last days' frames by partition, and the cross-sectional signals of the days that are complete."""

    def __init__(
        self, partitions: int, parameters: Parameters, required: tuple[str, ...], calendar: TradingCalendar
    ) -> None:
        self.partitions = partitions
        self.parameters = parameters
        self.required = required
        self._calendar = calendar
        self.frames: dict[int, dict[int, FeatureFrame]] = {}
        self.extremes: dict[int, Extremes] = {}
        self._detail: Detail | None = None  # the one that was made last: several sections read it
        self._dirty: set[tuple[int, int]] = set()
        self._dirty_extremes: set[int] = set()
        self._dropped: set[int] = set()

    def fold(self, frames: list[FeatureFrame]) -> list[SecuritySignals]:
        """Take frames (older revisions and repeats change nothing); return every day that is new or changed."""
        touched: set[int] = set()
        # Days that have left the window don't come back (a replay sends them again): what they rest on is gone.
        oldest = min(self.extremes) if len(self.extremes) > self.parameters.late_days else -(2**31)
        for frame in frames:
            if frame.day < oldest:
                continue
            held = self.frames.setdefault(frame.day, {})
            old = held.get(frame.partition)
            if old is None or frame.revision > old.revision:
                held[frame.partition] = frame
                self._dirty.add((frame.day, frame.partition))
                touched.add(frame.day)
        # A partition sends its days in order, and sends again every day behind a corrected one: so the day before
        # is always computed first, and anew where it changed.
        return [self._compute(day) for day in sorted(touched) if len(self.frames[day]) == self.partitions]

    def complete_days(self) -> list[int]:
        """Days of which every partition has sent its frame, ascending."""
        return sorted(self.extremes)

    def status(self, day: int) -> DayStatus:
        """How complete and consistent a complete day is."""
        frames = [self.frames[day][p] for p in sorted(self.frames[day])]
        return DayStatus(
            trade_date=to_date(day),
            available_at=moment(max(f.available_at for f in frames)),
            revision=sum(f.revision for f in frames),
            missing=self._missing(frames),
            input_revisions={f"margin.daily[{f.partition}]": f.revision for f in frames},
            identity=_merged([f.identity for f in frames]),
        )

    def detail(self, day: int) -> Detail:
        """All securities of a complete day, with every column of their frames."""
        status = self.status(day)
        if self._detail is not None and self._detail.status == status:
            return self._detail
        frames = [self.frames[day][p] for p in sorted(self.frames[day])]
        keys = np.concatenate([f.keys for f in frames])
        order = np.argsort(keys, kind="stable")
        columns = {name: np.concatenate([f.columns[name] for f in frames])[order] for name in frames[0].columns}
        self._detail = Detail(status, keys[order], columns)
        return self._detail

    def _compute(self, day: int) -> SecuritySignals:
        detail = self.detail(day)
        keys, columns = detail.keys, {name: detail.columns[name] for name in _PUBLISHED}
        side = extreme.extreme(columns["fin_change"], is_fund(keys), self.parameters.extreme_share)
        columns["extreme"] = side
        columns["consecutive_extreme"] = extreme.consecutive(side, self._side_before(day, keys))
        self.extremes[day] = Extremes(keys, side)
        self._dirty_extremes.add(day)
        return SecuritySignals(detail.status, keys, columns)

    def _missing(self, frames: list[FeatureFrame]) -> dict[str, int]:
        """Merge what the partitions lack; an exchange is absent only if no partition had a row of it."""
        out: dict[str, int] = {}
        for exchange in self.required:
            lacks = [f.missing[exchange] for f in frames if exchange in f.missing]
            rows = sum(f.rows.get(exchange, 0) for f in frames)
            counted = sum(n for n in lacks if n > 0)
            if counted:
                out[f"margin.daily {exchange}"] = counted
            elif lacks and (not rows or len(lacks) == len(frames)):
                out[f"margin.daily {exchange}"] = -1
        return out

    def _side_before(self, day: int, keys: Ids) -> Floats:
        yesterday = self._calendar.shift(day, -1)
        before = self.extremes.get(yesterday) if yesterday is not None else None
        out = np.full(len(keys), np.nan)
        if before is not None and len(before.keys):
            at = np.minimum(np.searchsorted(before.keys, keys), len(before.keys) - 1)
            same = before.keys[at] == keys
            out[same] = before.side[at[same]]
        return out

    def trim(self, read_through: int | None) -> None:
        """Forget days that no late row can reach any more; a day that still waits for a partition stays.

        Parameters
        ----------
        read_through : the day up to which the other inputs of the sections are closed. Frames behind it are kept: they
            wait for them, up to a million rows. None: nothing is closed yet.
        """
        done = sorted(self.extremes)
        rows = sum(len(self.extremes[day].keys) for day in done)
        for day in done[: max(0, len(done) - self.parameters.late_days - 1)]:
            if (read_through is None or day > read_through) and rows <= _MOST_ROWS:
                break
            rows -= len(self.extremes[day].keys)
            del self.extremes[day], self.frames[day]
            self._dropped.add(day)

    # -- state as bytes --------------------------------------------------------------------------------------

    def take_dirty(self) -> dict[str, bytes | None]:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: dict[str, bytes | None] = {}
        for day in sorted(self._dropped):
            iso = to_date(day).isoformat()
            rows |= dict.fromkeys([f"extreme/{iso}", *(f"features/{iso}/{p}" for p in range(self.partitions))])
        for day, partition in sorted(self._dirty):
            if day in self.frames:
                rows[f"features/{to_date(day).isoformat()}/{partition}"] = dump_frame(self.frames[day][partition])
        for day in sorted(self._dirty_extremes):
            if day in self.extremes:
                held = self.extremes[day]
                rows[f"extreme/{to_date(day).isoformat()}"] = pack.pack(
                    {"day": day}, {"key": held.keys, "side": held.side}
                )
        self._dirty.clear()
        self._dirty_extremes.clear()
        self._dropped.clear()
        return rows

    def load(self, rows: dict[str, bytes]) -> None:
        """Take back the rows of `take_dirty`; others are ignored."""
        for name, data in rows.items():
            if name.startswith("features/"):
                frame = load_frame(data)
                self.frames.setdefault(frame.day, {})[frame.partition] = frame
            elif name.startswith("extreme/"):
                header, arrays = pack.unpack(data)
                self.extremes[header["day"]] = Extremes(arrays["key"], arrays["side"])


def dump_frame(frame: FeatureFrame) -> bytes:
    """Return a feature frame as bytes (on the wire between the stages, and in the table)."""
    return pack.pack(
        {
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
