"""Removing repetitions from intraday rows: the deduplicator stores the newest published row of each security.

Rows of the session are cumulative, and the stream takes only rows newer than its own (`IntradayStore`). The newest row
of each key is therefore all that must be stored, unlike for daily figures (`feeds.daily.ledger`):

- A row equal to the newest one is *unchanged*, an older one is *late*; neither is sent.
- Other figures of the newest moment are a correction and get the next revision. An older moment can't be corrected: the
  newer row counts.
- Cumulative figures that fall within a day are *refused*: a wrong unit, a reset, or rows of two portfolios.

Rows are stored as pending before they are sent, and confirmed once the broker has acknowledged them. If the process
dies in between they count as not sent, but no revision of theirs is used for other figures again. The store describes
what readers of a topic have, whichever feed published it.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from feeds.errors import LedgerError, Refusal
from feeds.ports import LedgerStore, RowCodec
from processors.arrays import Array, Days, Floats, Ids, Ints, Mask, Revisions
from processors.codes import isin_sorted, to_code
from processors.events import FIGURES, RowBatch, concat

#: Figures that only grow within a day.
CUMULATIVE = ("volume", "turnover", "fin_buy", "fin_repay")
_FORMAT, _ATTEMPTS = b"\x01", 5
_FIELD = 0  # the store has one entry for all days, because only the newest rows matter


@dataclass(frozen=True, slots=True)
class AcceptancePolicy:
    """Which rows are accepted.

    Parameters
    ----------
    changed_only : a row with the figures of the newest row of its key is unchanged, whatever its moment. For
        snapshots, which repeat themselves where nothing is traded, or show the day before.
    last_wins : of two rows of one key and moment the last one counts; else they are refused if they differ.
    may_fall : cumulative figures may fall within a day.
    """

    changed_only: bool = False
    last_wins: bool = False
    may_fall: bool = False


STRICT = AcceptancePolicy()


@dataclass(frozen=True, slots=True)
class ClassifiedRows:
    """The rows of a batch by what happens to them.

    Parameters
    ----------
    new : the rows to send, with their revisions, oldest first.
    unchanged, late : the number of rows that are not sent.
    """

    new: RowBatch
    unchanged: int
    late: int
    refused: list[Refusal]


class _StoredRows(msgspec.Struct, array_like=True):
    """The newest rows of each key, encoded: those that the broker acknowledged, and those that it may have."""

    sent: bytes
    pending: bytes


class IntradayDeduplicator:
    """The newest published rows of one topic."""

    def __init__(self, store: LedgerStore, topic: str, codec: RowCodec) -> None:
        self._store = store
        self._topic = topic
        self._codec = codec
        self._cache: tuple[bytes, RowBatch, RowBatch] | None = None

    def classify(self, batch: RowBatch, policy: AcceptancePolicy = STRICT) -> ClassifiedRows:
        """Return what `begin` would return, without storing anything."""
        return _classified(batch, *self._load(self._read()), policy)

    def begin(self, batch: RowBatch, policy: AcceptancePolicy = STRICT) -> ClassifiedRows:
        """Classify rows, and store those to be sent as pending.

        Raises
        ------
        LedgerError : if other feeds change the stored rows at every attempt.
        RedisError : if Redis does not answer.
        """
        for _ in range(_ATTEMPTS):
            old = self._read()
            sent, pending = self._load(old)
            classified = _classified(batch, sent, pending, policy)
            if not len(classified.new) or self._replace(old, sent, newest_rows(concat([pending, classified.new]))):
                return classified
        raise self._contended()

    def confirm(self, rows: RowBatch) -> None:
        """Store that the broker has acknowledged rows that were begun; errors as of `begin`."""
        for _ in range(_ATTEMPTS):
            old = self._read()
            sent, pending = self._load(old)
            sent = newest_rows(concat([sent, rows]))
            at = np.minimum(np.searchsorted(sent.keys, pending.keys), len(sent) - 1)
            newer = (sent.keys[at] != pending.keys) | (sent.stamps[at] < pending.stamps)
            newer |= (sent.stamps[at] == pending.stamps) & (sent.revisions[at] < pending.revisions)
            if self._replace(old, sent, pending.take(newer)):
                return
        raise self._contended()

    def _read(self) -> bytes:
        (data,) = self._store.read([(self._topic, _FIELD)])
        return data

    def _load(self, data: bytes) -> tuple[RowBatch, RowBatch]:
        if self._cache is None or self._cache[0] != data:
            if data[:1] not in (b"", _FORMAT):
                raise LedgerError(
                    f"{self._topic}: the stored newest rows have format {data[:1].hex()}, this version reads "
                    f"{_FORMAT.hex()}: update marginwatch to the version that wrote them"
                )
            stored = msgspec.msgpack.decode(zlib.decompress(data[1:]), type=_StoredRows) if data else None
            sent, pending = (stored.sent, stored.pending) if stored is not None else (b"", b"")
            self._cache = data, self._decode(sent), self._decode(pending)
        return self._cache[1], self._cache[2]

    def _decode(self, data: bytes) -> RowBatch:
        return self._codec.decode(self._topic, data) if data else _no_rows(self._topic)

    def _replace(self, old: bytes, sent: RowBatch, pending: RowBatch) -> bool:
        encoded = (self._codec.encode(rows) if len(rows) else b"" for rows in (sent, pending))
        new = _FORMAT + zlib.compress(msgspec.msgpack.encode(_StoredRows(*encoded)), 1)
        (done,) = self._store.replace([((self._topic, _FIELD), old, new)])
        if not done:
            return False
        self._cache = new, sent, pending
        return True

    def _contended(self) -> LedgerError:
        return LedgerError(f"other feeds publish {self._topic} all the time: publish it from fewer feeds")


def newest_rows(rows: RowBatch) -> RowBatch:
    """Return the newest row of each key, by moment and revision, in ascending order of the keys."""
    order = np.lexsort((rows.revisions, rows.stamps, rows.keys))
    keys = rows.keys[order]
    return rows.take(order[np.r_[keys[1:] != keys[:-1], True]] if len(rows) else order)


def _no_rows(topic: str) -> RowBatch:
    ids, moments = np.empty(0, np.int32), np.empty(0, np.int64)
    return RowBatch(topic, ids, ids, ids, moments, {c.name: np.empty(0) for c in FIGURES[topic]})


class _NewestLookup:
    """Newest rows, looked up for the keys of a batch."""

    def __init__(self, known: RowBatch, keys: Ids) -> None:
        self.found = isin_sorted(keys, known.keys)
        self._known = known
        self._at = np.searchsorted(known.keys, keys[self.found])

    def stamps(self) -> Ints:
        return self._spread(self._known.stamps, np.iinfo(np.int64).min)

    def days(self) -> Days:
        return self._spread(self._known.days, -1)

    def revisions(self) -> Revisions:
        return self._spread(self._known.revisions, -1)

    def figure(self, name: str) -> Floats:
        return self._spread(self._known.figures[name], np.nan)

    def same_figures(self, batch: RowBatch) -> Mask:
        """Return which rows have the figures of the newest row of their key."""
        same = self.found.copy()
        for name, values in batch.figures.items():
            same &= values == self.figure(name)
        return same

    def _spread(self, values: Array, absent: float) -> Array:
        out = np.full(len(self.found), absent, dtype=values.dtype)
        out[self.found] = values[self._at]
        return out


def _classified(batch: RowBatch, sent: RowBatch, pending: RowBatch, policy: AcceptancePolicy) -> ClassifiedRows:
    # The sort is stable: rows of one key and moment keep their order.
    order = np.lexsort((batch.stamps, batch.keys))
    rows = batch.take(order)
    new, refused = _one_of_each_moment(rows, last=policy.last_wins)
    known, open_ = _NewestLookup(sent, rows.keys), _NewestLookup(pending, rows.keys)
    late = rows.stamps < known.stamps()
    same_moment = rows.stamps == known.stamps()
    # A repetition of an acknowledged row is left out only if no pending row can be newer.
    repeated = known.same_figures(rows) & ~(open_.found & (open_.stamps() <= rows.stamps))
    new &= ~late & ~(repeated & (same_moment | policy.changed_only))

    revisions = np.where(same_moment, known.revisions() + 1, 0)
    again = open_.revisions() + ~open_.same_figures(rows)
    revisions = np.where(rows.stamps == open_.stamps(), np.maximum(revisions, again), revisions)
    rows = replace(rows, revisions=np.maximum(revisions, rows.revisions).astype(np.int32))

    fallen = [] if policy.may_fall else _fallen(rows, new, known, same_moment)
    new[[one.row for one in fallen]] = False
    refused = [replace(one, row=int(order[one.row])) for one in (*refused, *fallen) if not late[one.row]]
    accepted = rows.take(new)
    unchanged = len(rows) - int(late.sum()) - len(accepted) - len(refused)
    return ClassifiedRows(
        accepted.take(np.argsort(accepted.stamps, kind="stable")),
        unchanged,
        int(late.sum()),
        sorted(refused, key=lambda one: one.row),
    )


def _one_of_each_moment(rows: RowBatch, *, last: bool) -> tuple[Mask, list[Refusal]]:
    """Choose the first (or last) of sorted rows of one key and moment; refuse the rows that differ from it."""
    starts = np.r_[True, (rows.keys[1:] != rows.keys[:-1]) | (rows.stamps[1:] != rows.stamps[:-1])][: len(rows)]
    chosen = np.flatnonzero(np.r_[starts[1:], True][: len(rows)] if last else starts)[np.cumsum(starts) - 1]
    refused: dict[int, Refusal] = {}
    for name, values in () if last else rows.figures.items():
        for place in np.flatnonzero(values != values[chosen]).tolist():
            text = f"{to_code(int(rows.keys[place]))} is there twice with one ts and differs in {name}"
            refused.setdefault(place, Refusal(place, name, text))
    return chosen == np.arange(len(rows)), list(refused.values())


def _fallen(rows: RowBatch, new: Mask, known: _NewestLookup, correction: Mask) -> list[Refusal]:
    """Refuse sorted rows with a cumulative figure below an earlier one of their key and day."""
    refused: dict[int, Refusal] = {}
    starts = np.r_[True, (rows.keys[1:] != rows.keys[:-1]) | (rows.days[1:] != rows.days[:-1])][: len(rows)]
    group = np.cumsum(starts)
    # A key whose newest moment is corrected in this batch is compared with the correction.
    compared = known.found & (known.days() == rows.days) & ~np.isin(group, group[correction & new])
    for name in CUMULATIVE:
        if name not in rows.figures:
            continue
        values, before = rows.figures[name].tolist(), np.where(compared, known.figure(name), -np.inf)
        current, highest = 0, -np.inf
        for place in np.flatnonzero(new).tolist():
            if group[place] != current:
                current, highest = group[place], float(before[place])
            if values[place] >= highest:
                highest = values[place]
                continue
            text = (
                f"{name} of {to_code(int(rows.keys[place]))} fell from {highest:,.15g} to {values[place]:,.15g} within "
                "the day, but it counts from the open on. Check the unit; correct the newest ts itself, or use force"
            )
            refused.setdefault(place, Refusal(place, name, text))
    return list(refused.values())
