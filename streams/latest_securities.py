"""The newest values of securities: of each one its newest day, also of one that leaves the list between two writes.

The frames of a day arrive by family, and a backfill brings many days between two writes. The newest frame of each
family is kept whole; of an older one only the rows of securities that the newest does not have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

import msgspec
import numpy as np

from processors.arrays import Ids
from processors.codes import isin_sorted, to_codes
from processors.outputs import DayStatus, SecuritySignals
from processors.registry import PUBLISHED_COLUMNS, signals_of
from processors.signal import Level
from streams.codecs import registry as codecs
from streams.records import Message
from streams.topics import Topic

#: The name of the day of the newest rows.
_NEWEST = "securities"
#: Every column of a security, without values.
_ABSENT = dict.fromkeys((*PUBLISHED_COLUMNS, *(signal.id for signal in signals_of(Level.SECURITY))))
_Row: TypeAlias = dict[str, Any]
#: Family → status of its day, and values of a security on it.
_Parts: TypeAlias = dict[str, tuple[DayStatus, _Row]]


class _Lacking(msgspec.Struct):
    """What the frames of a day lack, by family."""

    trade_date: date
    missing: dict[str, dict[str, int]]


@dataclass(frozen=True, slots=True)
class UnwrittenSecurities:
    """What Redis lacks of the securities.

    Parameters
    ----------
    today : name → JSON: rows of the newest day, the day, and the newest frames, which the next owner begins with.
    left : code → what is known of a security that the newest day does not have.
    """

    today: dict[str, bytes]
    left: dict[str, _Parts]

    @property
    def names(self) -> list[str]:
        """The rows of Redis that `values` needs."""
        rows = [name(code) for code in self.left for name in (_row_name, _lacking_name)]
        return [_NEWEST, *rows] if rows else []

    def values(self, stored: Sequence[bytes | None]) -> dict[str, bytes]:
        """Return what to write; a security that left keeps what is stored of a later day, or of another family."""
        out, newest = dict(self.today), next(iter(stored), None)
        for (code, parts), row, lacking in zip(self.left.items(), stored[1::2], stored[2::2], strict=True):
            out |= _beside(code, parts, row, lacking, newest)
        return out


class NewestSecurities:
    """The newest frame of each family, written or not, and what is not written of securities that it does not have."""

    def __init__(self) -> None:
        self._frames: dict[str, tuple[SecuritySignals, bytes]] = {}
        self._left: dict[str, _Parts] = {}
        self._fresh = False

    def offer(self, message: Message, *, late: bool) -> bool:
        """Take a published frame; return whether there is something to write.

        Parameters
        ----------
        late : whether the frame is older than all that this object has: of the same day, the latter is kept.
        """
        frame, value = codecs.decode(Topic.SIGNALS_SECURITY, message), message.value or b""
        held, day = self._frames.get(frame.family), frame.status.trade_date
        before = None if held is None else held[0].status.trade_date
        if before is None or day > before or (day == before and not late):
            self._frames[frame.family] = frame, value
            self._fresh = True
        if held is not None and day != before:
            older, newest = (held[0], frame) if day > before else (frame, held[0])
            for code, row in _outside(newest.keys, older):
                _put(self._left, code, {older.family: (older.status, row)}, late=late)
        return self._fresh or bool(self._left)

    def restore(self, written: Message, *, replaces: bool) -> None:
        """Take the newest written frame of a family; it ``replaces`` an offered one of an earlier day, or not."""
        family = codecs.decode(Topic.SIGNALS_SECURITY, written).family
        if family not in self._frames:
            fresh = self._fresh
            self.offer(written, late=True)
            self._fresh = fresh
        elif replaces:
            self.offer(written, late=True)

    def take(self) -> UnwrittenSecurities | None:
        """Return what is not written; None if all is."""
        if not self._fresh and not self._left:
            return None
        frames = [frame for _, (frame, _) in sorted(self._frames.items())]
        newest = max(frame.status.trade_date for frame in frames)
        of_day = [frame for frame in frames if frame.status.trade_date == newest]
        keys = np.unique(np.concatenate([frame.keys for frame in of_day]))
        today = {_row_name(row["code"]): msgspec.json.encode(row) for row in _rows(keys, of_day)}
        today[_NEWEST] = msgspec.json.encode(newest)
        today |= {frame_name(family): value for family, (_, value) in self._frames.items()}
        left, self._left, self._fresh = self._left, {}, False
        for frame in frames:
            if frame.status.trade_date < newest:
                for code, row in _outside(keys, frame):
                    _put(left, code, {frame.family: (frame.status, row)}, late=False)
        return UnwrittenSecurities(today, {code: parts for code, parts in left.items() if _row_name(code) not in today})

    def give_back(self, unwritten: UnwrittenSecurities) -> None:
        """Take back what could not be written; frames that came meanwhile are newer."""
        for code, parts in unwritten.left.items():
            _put(self._left, code, parts, late=True)
        self._fresh = True


def frame_name(family: str) -> str:
    """Return the name of the newest written frame of a family."""
    return f"frame:{family}"


def _row_name(code: str) -> str:
    return f"security:{code}"


def _lacking_name(code: str) -> str:
    """Return the name of what each family lacks of a security that left: a correction of one may lack less."""
    return f"lacking:{code}"


def by_row(columns: dict[str, Any]) -> Iterator[_Row]:
    """Columns as a mapping per row; NaN becomes None."""
    kept = [_plain(values).tolist() for values in columns.values()]
    return (dict(zip(columns, row, strict=True)) for row in zip(*kept, strict=True))


def _plain(values: Any) -> Any:
    plain = values.astype(object)
    if values.dtype.kind == "f":
        plain[np.isnan(values)] = None
    return plain


def common(*statuses: DayStatus) -> _Row:
    """Return what a row states of its day; it lacks what any of its frames lacks."""
    return {
        "trade_date": statuses[0].trade_date,
        "available_at": max(status.available_at for status in statuses),
        "revision": max(status.revision for status in statuses),
        **_completeness(status.missing for status in statuses),
    }


def _completeness(lacking: Iterable[Mapping[str, int]]) -> _Row:
    missing = {feed: rows for one in lacking for feed, rows in one.items()}
    return {"degraded": bool(missing), "missing": missing}


def _outside(keys: Ids, frame: SecuritySignals) -> Iterator[tuple[str, _Row]]:
    """Yield code and values of the securities of a frame that are not among ``keys``, which ascend."""
    rows = np.flatnonzero(~isin_sorted(frame.keys, keys))
    columns = {name: values[rows] for name, values in frame.columns.items()}
    return zip(to_codes(frame.keys[rows]), by_row(columns), strict=True)


def _put(left: dict[str, _Parts], code: str, parts: _Parts, *, late: bool) -> None:
    """Add what is known of a security; of the same day the latter part counts, unless it is late."""
    held = left.setdefault(code, {})
    for family, (status, row) in parts.items():
        before = held[family][0].trade_date if family in held else None
        if before is None or status.trade_date > before or (status.trade_date == before and not late):
            held[family] = status, row


def _rows(keys: Ids, frames: Sequence[SecuritySignals]) -> Iterator[_Row]:
    """Yield the rows of securities, as `_row` does for one, from the frames of one day that have them.

    Parameters
    ----------
    keys : those of all frames, which ascend.
    """
    names = dict.fromkeys((*_ABSENT, *(name for frame in frames for name in frame.columns)))
    columns = {name: np.full(len(keys), None, dtype=object) for name in names}
    families = np.zeros(len(keys), dtype=np.int64)
    for number, frame in enumerate(frames):
        at = np.searchsorted(keys, frame.keys)
        families[at] |= 1 << number
        for name, values in frame.columns.items():
            columns[name][at] = _plain(values)
    in_common = {
        here: common(*(frame.status for number, frame in enumerate(frames) if here >> number & 1))
        for here in np.unique(families).tolist()
    }
    for code, here, row in zip(to_codes(keys), families.tolist(), by_row(columns), strict=True):
        yield {"code": code, **in_common[here], **row}


def _row(code: str, parts: _Parts) -> _Row:
    """Return the row of a security: the columns of the families of one day, null without a frame yet."""
    row = {"code": code, **common(*(status for _, (status, _) in sorted(parts.items()))), **_ABSENT}
    for _, values in parts.values():
        row |= values
    return row


def _beside(
    code: str, parts: _Parts, stored: bytes | None, lacking: bytes | None, newest: bytes | None
) -> dict[str, bytes]:
    """Return the newest row of a security that left: what is known of it beside what is stored, and what it lacks.

    Parameters
    ----------
    stored, lacking, newest : its row, what that lacks by family, and the newest day of all, as they are stored.
    """
    day = max(status.trade_date for status, _ in parts.values())
    of_day = {family: part for family, part in parts.items() if part[0].trade_date == day}
    row = msgspec.to_builtins(_row(code, of_day))
    lacks = {family: status.missing for family, (status, _) in of_day.items()}
    try:
        before = msgspec.json.decode(stored or b"", type=dict[str, Any])
        if before["trade_date"] > row["trade_date"]:
            return {}
        if before["trade_date"] == row["trade_date"]:
            known = {name: value for _, values in of_day.values() for name, value in values.items()}
            if newest != msgspec.json.encode(day):  # else it leaves now, and all families of its last day are known
                lacks = _lacking(day, before["missing"], lacking) | lacks
            newer = {name: max(before[name], row[name]) for name in ("available_at", "revision")}
            row |= before | known | newer | _completeness(missing for _, missing in sorted(lacks.items()))
    except (msgspec.DecodeError, LookupError, TypeError):  # nothing is stored, or nothing that can be read
        pass
    return {
        _row_name(code): msgspec.json.encode(row),
        _lacking_name(code): msgspec.json.encode(_Lacking(day, lacks)),
    }


def _lacking(day: date, missing: dict[str, int], stored: bytes | None) -> dict[str, dict[str, int]]:
    """Return what each family lacks of a day; a release before this one did not store which family lacks it."""
    with contextlib.suppress(msgspec.DecodeError):
        found = msgspec.json.decode(stored or b"", type=_Lacking)
        if found.trade_date == day:
            return found.missing
    return {"": missing}
