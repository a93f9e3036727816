"""What was published of the running session: the newest row of each security, so that nothing goes out twice.

Rows of the session are cumulative and the fold takes only what is newer than what it has (`IntradayStore`), so this
is all that must be remembered, unlike the daily figures' `ledger`:

- a row like the newest one is *unchanged*, an older one is *late*: neither is sent;
- other figures of the newest moment are a correction and get the next revision. An older moment can't be corrected any
  more: the newer row stands, whatever came before it;
- cumulative figures that fall within a day are *refused*: a unit slip, a reset, or rows of two books.

Rows are noted as pending before they are sent and confirmed once the broker has them. After a death in between they
count as not sent, but no revision of theirs is ever used for other figures. Which feed a row came from does not matter:
what counts is what readers of the topic have.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from feeds.ledger import LedgerError, Store
from processors.codes import Ids, among, to_code
from processors.days import TradingCalendar
from processors.events import FIGURES, Floats, RowBatch, concat
from streams.row_codec import Decoder
from streams.row_frames import encode_frame

Mask = npt.NDArray[np.bool_]

#: Figures that only grow within a day.
CUMULATIVE = ("volume", "turnover", "fin_buy", "fin_repay")
_FORMAT, _TRIES = b"\x01", 5
_FIELD = 0  # of the store: one for all days, for only the newest rows matter


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that may not be published.

    Parameters
    ----------
    row : its place in the batch.
    field : which figure is wrong.
    """

    row: int
    field: str
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Judging:
    """How rows are judged.

    Parameters
    ----------
    changed_only : a row with the figures of the newest one of its key is unchanged, whatever its moment: of snapshots,
        that repeat themselves where nothing happens, or show the day before.
    last_counts : of two rows of one moment the last one counts; else they are refused if they differ.
    may_fall : cumulative figures may fall within a day.
    """

    changed_only: bool = False
    last_counts: bool = False
    may_fall: bool = False


STRICTLY = Judging()


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be done with a batch.

    Parameters
    ----------
    news : rows to send, with their revisions, oldest first.
    """

    news: RowBatch
    unchanged: int
    late: int
    refused: list[Refusal]


class _Kept(msgspec.Struct, array_like=True):
    """Frames of the newest rows of each key, those that the broker has and those that it may have."""

    sent: bytes
    pending: bytes


class IntradayDeduplicator:
    """The newest rows of one topic."""

    def __init__(self, store: Store, topic: str, calendar: TradingCalendar) -> None:
        self._store = store
        self._topic = topic
        self._decoder = Decoder(topic, calendar, (), None, 0)
        self._known: tuple[bytes, RowBatch, RowBatch] | None = None

    def judge(self, batch: RowBatch, how: Judging = STRICTLY) -> Judged:
        """Say what is to be done with rows; nothing is noted."""
        return _judged(batch, *self._load(self._store.read(self._topic, _FIELD)), how)

    def begin(self, batch: RowBatch, how: Judging = STRICTLY) -> Judged:
        """Judge rows and note those to be sent as pending.

        Raises
        ------
        JournalError : if another feed is always faster.
        RedisError : if Redis is away.
        """
        for _ in range(_TRIES):
            old = self._store.read(self._topic, _FIELD)
            sent, pending = self._load(old)
            judged = _judged(batch, sent, pending, how)
            if not len(judged.news) or self._replace(old, sent, deduplicator_of(concat([pending, judged.news]))):
                return judged
        raise self._contended()

    def confirm(self, rows: RowBatch) -> None:
        """Say that the broker has rows that were begun."""
        for _ in range(_TRIES):
            old = self._store.read(self._topic, _FIELD)
            sent, pending = self._load(old)
            sent = deduplicator_of(concat([sent, rows]))
            at = np.minimum(np.searchsorted(sent.keys, pending.keys), len(sent) - 1)
            newer = (sent.keys[at] != pending.keys) | (sent.stamps[at] < pending.stamps)
            newer |= (sent.stamps[at] == pending.stamps) & (sent.revisions[at] < pending.revisions)
            if self._replace(old, sent, pending.take(newer)):
                return
        raise self._contended()

    def _load(self, data: bytes) -> tuple[RowBatch, RowBatch]:
        if self._known is None or self._known[0] != data:
            if data[:1] not in (b"", _FORMAT):
                raise LedgerError(f"{self._topic}: what was published is kept as no version that this one reads")
            kept = msgspec.msgpack.decode(zlib.decompress(data[1:]), type=_Kept) if data else _Kept(b"", b"")
            self._known = data, self._rows(kept.sent), self._rows(kept.pending)
        return self._known[1], self._known[2]

    def _rows(self, frame: bytes) -> RowBatch:
        return self._decoder.frame(frame) if frame else _nothing(self._topic)

    def _replace(self, old: bytes, sent: RowBatch, pending: RowBatch) -> bool:
        frames = (encode_frame(rows, "") if len(rows) else b"" for rows in (sent, pending))
        new = _FORMAT + zlib.compress(msgspec.msgpack.encode(_Kept(*frames)), 1)
        if not self._store.replace(self._topic, _FIELD, old, new):
            return False
        self._known = new, sent, pending
        return True

    def _contended(self) -> LedgerError:
        return LedgerError(f"other feeds publish {self._topic} all the time: give it to fewer of them")


def deduplicator_of(rows: RowBatch) -> RowBatch:
    """Return the newest row of each key, by moment and revision, in ascending order of the keys."""
    order = np.lexsort((rows.revisions, rows.stamps, rows.keys))
    keys = rows.keys[order]
    return rows.take(order[np.r_[keys[1:] != keys[:-1], True]] if len(rows) else order)


def _nothing(topic: str) -> RowBatch:
    ids, moments = np.empty(0, np.int32), np.empty(0, np.int64)
    return RowBatch(topic, ids, ids, ids, moments, {c.name: np.empty(0) for c in FIGURES[topic]})


class _Known:
    """The rows of a `deduplicator_of`, looked up for the rows of a batch."""

    def __init__(self, known: RowBatch, keys: Ids) -> None:
        self.found = among(keys, known.keys)
        self._known = known
        self._at = np.searchsorted(known.keys, keys[self.found])

    def stamps(self) -> npt.NDArray[np.int64]:
        return self._spread(self._known.stamps, np.iinfo(np.int64).min)

    def days(self) -> npt.NDArray[np.int32]:
        return self._spread(self._known.days, -1)

    def revisions(self) -> npt.NDArray[np.int32]:
        return self._spread(self._known.revisions, -1)

    def figure(self, name: str) -> Floats:
        return self._spread(self._known.figures[name], np.nan)

    def same_figures(self, batch: RowBatch) -> Mask:
        """Which rows have the figures of the known one."""
        same = self.found.copy()
        for name, values in batch.figures.items():
            same &= values == self.figure(name)
        return same

    def _spread(self, values: npt.NDArray[Any], absent: float) -> npt.NDArray[Any]:
        out = np.full(len(self.found), absent, dtype=values.dtype)
        out[self.found] = values[self._at]
        return out


def _judged(batch: RowBatch, sent: RowBatch, pending: RowBatch, how: Judging) -> Judged:
    # Stable: of rows of one key and moment the order stays.
    order = np.lexsort((batch.stamps, batch.keys))
    rows = batch.take(order)
    news, refused = _one_of_each_moment(rows, last=how.last_counts)
    known, open_ = _Known(sent, rows.keys), _Known(pending, rows.keys)
    late = rows.stamps < known.stamps()
    same_moment = rows.stamps == known.stamps()
    # What the broker has surely is repeated only where it can't have anything newer.
    repeated = known.same_figures(rows) & ~(open_.found & (open_.stamps() <= rows.stamps))
    news &= ~late & ~(repeated & (same_moment | how.changed_only))

    revisions = np.where(same_moment, known.revisions() + 1, 0)
    again = open_.revisions() + ~open_.same_figures(rows)
    revisions = np.where(rows.stamps == open_.stamps(), np.maximum(revisions, again), revisions)
    rows = replace(rows, revisions=np.maximum(revisions, rows.revisions).astype(np.int32))

    fallen = [] if how.may_fall else _fallen(rows, news, known, same_moment)
    news[[one.row for one in fallen]] = False
    refused = [replace(one, row=int(order[one.row])) for one in (*refused, *fallen) if not late[one.row]]
    fresh = rows.take(news)
    unchanged = len(rows) - int(late.sum()) - len(fresh) - len(refused)
    return Judged(
        fresh.take(np.argsort(fresh.stamps, kind="stable")),
        unchanged,
        int(late.sum()),
        sorted(refused, key=lambda one: one.row),
    )


def _one_of_each_moment(rows: RowBatch, *, last: bool) -> tuple[Mask, list[Refusal]]:
    """Choose the first (or last) of sorted rows that have one key and moment; tell those that differ from it."""
    starts = np.r_[True, (rows.keys[1:] != rows.keys[:-1]) | (rows.stamps[1:] != rows.stamps[:-1])][: len(rows)]
    chosen = np.flatnonzero(np.r_[starts[1:], True][: len(rows)] if last else starts)[np.cumsum(starts) - 1]
    told: dict[int, Refusal] = {}
    for name, values in () if last else rows.figures.items():
        for place in np.flatnonzero(values != values[chosen]).tolist():
            text = f"{to_code(int(rows.keys[place]))} comes twice with one ts and differs in {name}"
            told.setdefault(place, Refusal(place, name, text))
    return chosen == np.arange(len(rows)), list(told.values())


def _fallen(rows: RowBatch, news: Mask, known: _Known, correction: Mask) -> list[Refusal]:
    """Tell sorted rows with a cumulative figure below an earlier one of their key and day."""
    told: dict[int, Refusal] = {}
    starts = np.r_[True, (rows.keys[1:] != rows.keys[:-1]) | (rows.days[1:] != rows.days[:-1])][: len(rows)]
    group = np.cumsum(starts)
    # A key whose newest moment is corrected here goes on from the correction.
    compared = known.found & (known.days() == rows.days) & ~np.isin(group, group[correction & news])
    for name in CUMULATIVE:
        if name not in rows.figures:
            continue
        values, before = rows.figures[name].tolist(), np.where(compared, known.figure(name), -np.inf)
        current, highest = 0, -np.inf
        for place in np.flatnonzero(news).tolist():
            if group[place] != current:
                current, highest = group[place], float(before[place])
            if values[place] >= highest:
                highest = values[place]
                continue
            text = (
                f"{name} of {to_code(int(rows.keys[place]))} fell from {highest:,.15g} to {values[place]:,.15g} within "
                "the day: it counts from the open on. Look at the unit; correct the newest ts itself, or use force"
            )
            told.setdefault(place, Refusal(place, name, text))
    return list(told.values())
