"""The figures that were published last: what a feed compares a day with, whichever command published the day before.

For each topic and exchange the store of the ledger also contains the rows of the newest trade dates, those of a day in
the slot of that day modulo `SLOTS`; a newer day replaces an older one. So the last published day before any of them is
known after a restart, and a correction of a day of the last two weeks is compared with the day before it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
import numpy.typing as npt
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from feeds.checks.row_groups import group_names, groups_of, overlaid
from feeds.daily.ledger_entry import LedgerEntry
from feeds.errors import LedgerError
from feeds.ports import LedgerStore, Place
from processors.arrays import Ids
from processors.codes import NO_IDS
from processors.events import RowBatch, concat
from processors.index_members import columns_of

#: Calendar days; no holiday of the exchanges is longer.
SLOTS = 16
_ATTEMPTS = 5


class _Stored(msgspec.Struct, frozen=True, array_like=True):
    """The rows of a day: little-endian arrays of one length."""

    day: int
    keys: bytes
    revisions: bytes
    stamps: bytes
    figures: dict[str, bytes]


_decoder = msgspec.msgpack.Decoder(_Stored)


class PublishedFigures:
    """The rows of the newest published days, in the store of the ledger."""

    def __init__(self, store: LedgerStore) -> None:
        self._store = store

    def record(self, batches: Iterable[RowBatch]) -> None:
        """Store published rows; of two rows of a key the first one of the highest revision counts.

        Raises
        ------
        LedgerError : if Redis does not answer, or another feed stores rows of the same day and exchange meanwhile.
        """
        newest: dict[tuple[str, int, int], dict[int, list[RowBatch]]] = {}
        for batch in batches:
            places = groups_of(batch.topic, batch.keys)
            for group in np.unique(places).tolist():
                part = batch.take(places == group)
                day = int(part.days[0])
                slot = newest.setdefault((batch.topic, group, day % SLOTS), {})
                slot.setdefault(day, []).append(part)
        rows = {
            (_name(topic), group * SLOTS + slot): concat(days[max(days)])
            for (topic, group, slot), days in newest.items()
        }
        try:
            for _ in range(_ATTEMPTS):
                rows = self._merge(rows)
                if not rows:
                    return
        except RedisError as error:
            raise unreachable(error) from error
        topics = ", ".join(sorted({one.topic for one in rows.values()}))
        raise LedgerError(f"another feed is publishing {topics} at the same time: run this one again")

    def of(self, topic: str) -> Published:
        """Return the stored days of a topic; raises `LedgerError` if they can't be read."""
        slots = range(len(group_names(topic)) * SLOTS)
        try:
            stored = self._store.read([(_name(topic), slot) for slot in slots])
        except RedisError as error:
            raise unreachable(error) from error
        known = {
            (slot // SLOTS, _load(topic, data).day): data for slot, data in zip(slots, stored, strict=True) if data
        }
        return Published(topic, known)

    def refused(self, topic: str, day: int) -> Ids:
        """Return the keys of rows of a day that were refused, and have not arrived since (n,).

        Raises
        ------
        LedgerError : if they can't be read.
        """
        try:
            (data,) = self._store.read([(topic, day)])
        except RedisError as error:
            raise unreachable(error) from error
        entry = LedgerEntry.load(data)
        return entry.keys[entry.refused]

    def _merge(self, rows: Mapping[Place, RowBatch]) -> dict[Place, RowBatch]:
        """Store the rows of slots, unless a slot has a newer day; return those of slots that changed meanwhile."""
        changes = []
        for place, old in zip(rows, self._store.read(list(rows)), strict=True):
            batch = rows[place]
            topic, day = batch.topic, int(batch.days[0])
            stored = _load(topic, old) if old else None
            if stored is None or stored.day <= day:
                known = [_batch(topic, stored)] if stored is not None and stored.day == day else []
                changes.append((place, old, _dump(day, newest_revisions(concat([*known, batch])))))
        done = self._store.replace(changes)
        return {place: rows[place] for (place, _, _), same in zip(changes, done, strict=True) if not same}


class Published:
    """The stored days of one topic.

    Parameters
    ----------
    stored : (group, day) → its rows as bytes.
    """

    def __init__(self, topic: str, stored: Mapping[tuple[int, int], bytes]) -> None:
        self._topic = topic
        self._stored = stored
        self._batches: dict[tuple[int, int], RowBatch] = {}

    @property
    def newest(self) -> int:
        """The newest day; before every day if there is none."""
        return max((day for _, day in self._stored), default=-(2**31))

    def before(self, group: int, day: int) -> RowBatch | None:
        """Return the rows of a group on its last day before ``day``; None if none is known."""
        days = [known for place, known in self._stored if place == group and known < day]
        return self.on(group, max(days)) if days else None

    def on(self, group: int, day: int) -> RowBatch | None:
        """Return the rows of a group on a day; None if none is known."""
        if (group, day) not in self._stored:
            return None
        if (group, day) not in self._batches:
            self._batches[group, day] = _batch(self._topic, _load(self._topic, self._stored[group, day]))
        return self._batches[group, day]


def newest_revisions(rows: RowBatch) -> RowBatch:
    """Return one row for each key, ascending: the first one of the highest revision."""
    order = np.lexsort((np.arange(len(rows)), -rows.revisions.astype(np.int64), rows.keys))
    first = np.unique(rows.keys[order], return_index=True)[1]
    return rows.take(order[first])


def unreachable(error: RedisError) -> LedgerError:
    """Return the error of a Redis that does not answer or refuses a command, with what the operator can do."""
    if isinstance(error, ResponseError | AuthenticationError):
        return LedgerError(
            f"Redis refuses to read or write the publish ledger ({error}): check its memory and disk, and the user in "
            "MARGINWATCH_REDIS_URL"
        )
    return LedgerError(
        f"the publish ledger can't be reached in Redis ({error}): start Redis, set MARGINWATCH_REDIS_URL, or publish "
        "without the ledger by --no-ledger, if the command has it (then figures may be published twice)"
    )


def _name(topic: str) -> str:
    return f"{topic}:figures"


def _dump(day: int, rows: RowBatch) -> bytes:
    figures = {name: _bytes(values, "<f8") for name, values in rows.figures.items() if not np.isnan(values).all()}
    stored = _Stored(day, _bytes(rows.keys, "<i4"), _bytes(rows.revisions, "<i4"), _bytes(rows.stamps, "<i8"), figures)
    return zlib.compress(msgspec.msgpack.encode(stored), 1)


def _bytes(values: npt.NDArray[np.generic], kind: str) -> bytes:
    return values.astype(kind).tobytes()


def _load(topic: str, data: bytes) -> _Stored:
    try:
        return _decoder.decode(zlib.decompress(data))
    except (zlib.error, msgspec.DecodeError) as error:
        raise LedgerError(
            f"the published figures of {topic} are damaged ({error}): fill them from the topics with "
            "`marginwatch feed ledger`"
        ) from error


def _batch(topic: str, stored: _Stored) -> RowBatch:
    keys = np.frombuffer(stored.keys, "<i4").astype(np.int32)
    absent = np.full(len(keys), np.nan)
    figures = {
        column.name: np.frombuffer(stored.figures[column.name], "<f8") if column.name in stored.figures else absent
        for column in columns_of(topic, stored.figures)
    }
    return RowBatch(
        topic,
        keys,
        np.full(len(keys), stored.day, np.int32),
        np.frombuffer(stored.revisions, "<i4").astype(np.int32),
        np.frombuffer(stored.stamps, "<i8").astype(np.int64),
        figures,
    )


class DaysBefore:
    """The days before those that a feed is about to publish: published ones, and the ones before in the same run.

    Parameters
    ----------
    published : what was published, by any feed; None if it is not known.
    """

    def __init__(self, published: PublishedFigures | None) -> None:
        self._published = published
        self._stored: dict[str, Published] = {}
        self._read: dict[tuple[str, int], RowBatch] = {}  # the last day of this run, by topic and group
        self._found: dict[tuple[str, int], RowBatch | None] = {}

    def renewed(self) -> DaysBefore:
        """Return the same days of this run, and what is published by now: other feeds publish, too."""
        out = DaysBefore(self._published)
        out._read = dict(self._read)
        return out

    def learn(self, rows: Mapping[str, RowBatch]) -> None:
        """Take the rows of a day of this run as those of a day before the next ones."""
        self._found.clear()
        for topic, batch in rows.items():
            groups = groups_of(topic, batch.keys)
            for group in np.unique(groups).tolist():
                part, read = batch.take(groups == group), self._read.get((topic, group))
                same_day = read is not None and read.days[0] == part.days[0]
                self._read[topic, group] = overlaid(part, read if same_day else None)

    def before(self, topic: str, day: int) -> RowBatch | None:
        """Return the rows of the last day before ``day``, of each exchange its own; None if there is none.

        Raises
        ------
        LedgerError : if what was published can't be read.
        """
        if (topic, day) not in self._found:
            found = []
            for group in range(len(group_names(topic))):
                read, known = self._read.get((topic, group)), self._of(topic).before(group, day)
                if read is None or read.days[0] >= day or (known is not None and known.days[0] > read.days[0]):
                    found += [known] if known is not None else []
                else:  # a correction has a few rows of a day whose other rows are published
                    same_day = known is not None and known.days[0] == read.days[0]
                    found.append(overlaid(read, known if same_day else None))
            self._found[topic, day] = concat(found) if found else None
        return self._found[topic, day]

    def on(self, topic: str, day: int) -> RowBatch | None:
        """Return the published rows of a day; None if there is none.

        Raises
        ------
        LedgerError : if what was published can't be read.
        """
        found = [self._of(topic).on(group, day) for group in range(len(group_names(topic)))]
        known = [one for one in found if one is not None]
        return concat(known) if known else None

    def refused(self, topic: str, day: int) -> Ids:
        """Return the keys of rows of a published day that were refused, and have not arrived since (n,).

        Raises
        ------
        LedgerError : if they can't be read.
        """
        return NO_IDS if self._published is None else self._published.refused(topic, day)

    def is_published_after(self, topic: str, day: int) -> bool:
        """Return whether a later day is published: the rows of ``day`` itself may be known no more.

        Raises
        ------
        LedgerError : if what was published can't be read.
        """
        return self._of(topic).newest > day

    def _of(self, topic: str) -> Published:
        if topic not in self._stored:
            known = self._published
            self._stored[topic] = Published(topic, {}) if known is None else known.of(topic)
        return self._stored[topic]
