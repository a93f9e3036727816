"""The ledger of published daily rows: no figure is published twice, and no other figure under the same revision.

For every topic and trade date the ledger stores the keys, a digest of each row's figures and its revision. Rows are
stored as *pending* before they are sent, and confirmed once the broker has acknowledged them; a feed that dies in
between sends them again under the same revision. The ledger describes what readers of a topic have, whichever feed
published it.

It also contains the keys of rows that were refused and never published. The end-of-day punctuation counts them, so that
no sum of the day passes for whole, until the row arrives, or most rows of its exchange arrive again without it.

A ledger without any entry of a topic that contains rows was lost: it refuses to publish until `feeds.ledger_rebuild`
has filled it from the topics.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
from redis.exceptions import RedisError

from feeds.errors import LedgerError
from feeds.ledger_entry import PENDING, REFUSED, REMEDY, Digests, LedgerEntry
from feeds.master_data import MasterData, nothing_published
from feeds.ports import LedgerStore
from feeds.published_figures import PublishedFigures, unreachable
from feeds.refused_rows import newly_refused, places, still_refused
from feeds.row_groups import counts, rows_of_keys
from processors.codes import Ids
from processors.days import to_date
from processors.events import INPUT_ROWS, DailyRow, RowBatch
from processors.index_members import columns_of

_NO_KEYS = np.empty(0, np.int32)
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class PendingRows:
    """The rows of a day that must be sent.

    Parameters
    ----------
    rows : by topic, with their revisions; without the topics that have no new row.
    counted : by topic, the keys that the end-of-day punctuation counts: those sent now, those sent before and those
        refused, of the exchanges of this batch, and of those that have refused rows.
    """

    rows: dict[str, RowBatch]
    counted: dict[str, RowBatch]

    @classmethod
    def of(cls, batches: dict[str, RowBatch], refused: Mapping[str, Ids]) -> PendingRows:
        """Return all rows of a day, for a publisher without a ledger; parameters as of `PublishLedger.begin`."""
        keys = {topic: np.union1d(rows.keys, refused.get(topic, _NO_KEYS)) for topic, rows in batches.items()}
        return cls(batches, {topic: rows_of_keys(rows, keys[topic]) for topic, rows in batches.items() if len(rows)})


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is pending of a topic and day: rows with their digests, refused keys, and the entry as it was stored."""

    topic: str
    day: int
    rows: RowBatch
    digests: Digests
    refused: Ids
    stored: bytes


class PublishLedger:
    """Decides which rows must be sent, and under which revision.

    Parameters
    ----------
    topics_without_rows : returns the topics that contain no row; called for a topic without any entry.
    master_data : returns the rows of ``reference`` that are published, see `feeds.master_data`.

    Attributes
    ----------
    outcomes : the number of rows by day, topic, exchange and outcome: unchanged, published, and corrected among these.
    figures : the figures that were published last, to compare the next ones with.
    """

    def __init__(
        self,
        store: LedgerStore,
        topics_without_rows: Callable[[], set[str]] = lambda: set(INPUT_ROWS),
        master_data: MasterData = nothing_published,
    ) -> None:
        self.master_data = master_data
        self._store = store
        self._topics_without_rows = topics_without_rows
        self._new_topics: set[str] = set()  # each may get its first entry once
        self._open: list[_Begun] = []
        self.outcomes: Counter[tuple[int, str, str, str]] = Counter()
        self.figures = PublishedFigures(store)

    @property
    def unchanged(self) -> int:
        """The number of rows that were published before."""
        return self._total("unchanged")

    @property
    def corrected(self) -> int:
        """The number of rows with other figures than before."""
        return self._total("corrected")

    def _total(self, outcome: str) -> int:
        return sum(count for (*_, one), count in self.outcomes.items() if one == outcome)

    @property
    def days_open(self) -> int:
        """The number of topics and days that were begun and are not confirmed yet."""
        return len(self._open)

    def begin(self, batches: dict[str, RowBatch], refused: Mapping[str, Ids] | None = None) -> PendingRows:
        """Store the rows of one day as pending and return those that must be sent; intraday rows pass unchanged.

        Parameters
        ----------
        refused : topic → keys of the rows of this day that were refused.

        Raises
        ------
        LedgerError : if the ledger can't be read or written, or was lost.
        """
        rows: dict[str, RowBatch] = {}
        counted: dict[str, RowBatch] = {}
        for topic, batch in batches.items():
            if not issubclass(INPUT_ROWS[topic], DailyRow) or not len(batch):
                rows[topic] = batch
                continue
            new, entry = self._begin(batch, np.unique((refused or {}).get(topic, _NO_KEYS)))
            if len(new):
                rows[topic] = new
            if entry is not None:
                counted[topic] = _counted(batch, entry)
        return PendingRows(rows, counted)

    def confirm(self) -> None:
        """Store that the broker has acknowledged everything that was begun, and its figures.

        The figures are stored first: a feed that ends in between sends its rows again, and stores them then.
        """
        self.figures.record(begun.rows for begun in self._open if len(begun.rows))
        for begun in self._open:
            topic, day, old = begun.topic, begun.day, begun.stored
            for _ in range(_ATTEMPTS):
                entry = LedgerEntry.load(old)
                at, found = entry.find(begun.rows.keys)
                ours = found & (entry.digests[at] == begun.digests) if len(entry.keys) else found
                flags = entry.revision_flags.copy()
                flags[at[ours]] &= ~PENDING
                flags[entry.refused & np.isin(entry.keys, begun.refused)] &= ~PENDING
                if self._replace(topic, day, old, replace(entry, revision_flags=flags).dump()):
                    break
                old = self._read(topic, day)  # another feed has changed it since
            else:
                raise _contended(topic, day)
        self._open.clear()

    def abandon(self) -> None:
        """Leave everything that was begun as pending: whether the broker has it is not known."""
        self._open.clear()

    def _begin(self, batch: RowBatch, refused: Ids) -> tuple[RowBatch, LedgerEntry | None]:
        """Store what is new; return the rows to send, and the entry if the punctuation must be sent."""
        topic, day = batch.topic, int(batch.days[0])
        digests = digests_of(batch)
        for _ in range(_ATTEMPTS):
            old = self._read(topic, day)
            if not old:
                self._refuse_if_lost(topic)
            known = LedgerEntry.load(old)
            entry, marked = known.take(~known.refused), known.take(known.refused)
            at, found = entry.find(batch.keys)
            flags = np.zeros(len(batch), np.uint32)
            same = np.zeros(len(batch), np.bool_)
            if found.any():
                flags[found] = entry.revision_flags[at[found]]
                same[found] = entry.digests[at[found]] == digests[found]
            sent = same & (flags < PENDING)
            differs = found & ~same
            revisions = np.maximum((flags & ~PENDING).astype(np.int32) + differs, batch.revisions)
            unsent = ~sent
            new = replace(batch, revisions=revisions.astype(np.int32)).take(unsent)
            after = entry.with_rows(new.keys, digests[unsent], new.revisions.astype(np.uint32) | PENDING)
            again = np.intersect1d(refused, marked.keys)
            lost = np.union1d(again, newly_refused(batch, entry.keys, np.setdiff1d(refused, again)))
            lost = np.setdiff1d(np.union1d(lost, still_refused(batch, entry.keys, marked.keys)), after.keys)
            if not len(new) and np.array_equal(lost, marked.keys) and not (marked.revision_flags & PENDING).any():
                self._count(batch, "unchanged", sent)
                return new, None
            after = after.with_rows(
                lost, np.zeros(len(lost), np.uint64), np.full(len(lost), REFUSED | PENDING, np.uint32)
            )
            stored = after.dump()
            if self._replace(topic, day, old, stored):
                for outcome, rows in (("unchanged", sent), ("published", unsent), ("corrected", differs)):
                    self._count(batch, outcome, rows)
                self._open.append(_Begun(topic, day, new, digests[unsent], lost, stored))
                return new, after
        raise _contended(topic, day)

    def _count(self, batch: RowBatch, outcome: str, rows: npt.NDArray[np.bool_]) -> None:
        for exchange, count in counts(batch.topic, batch.keys[rows]).items():
            self.outcomes[int(batch.days[0]), batch.topic, exchange, outcome] += count

    def _refuse_if_lost(self, topic: str) -> None:
        try:
            if self._store.has_entries(topic):
                return
        except RedisError as error:
            raise unreachable(error) from error
        if topic not in self._new_topics:
            self._new_topics = self._topics_without_rows()
        if topic not in self._new_topics:
            raise LedgerError(
                f"{topic} contains rows, but the publish ledger has no entry of them (was Redis emptied?): {REMEDY}; "
                "without it figures would be published twice, and others under the same revision"
            )
        self._new_topics.discard(topic)

    def _read(self, topic: str, day: int) -> bytes:
        try:
            return self._store.read(topic, day)
        except RedisError as error:
            raise unreachable(error) from error

    def _replace(self, topic: str, day: int, old: bytes, new: bytes) -> bool:
        try:
            return self._store.replace(topic, day, old, new)
        except RedisError as error:
            raise unreachable(error) from error


def digests_of(batch: RowBatch) -> Digests:
    """Return a 64-bit digest of the figures of each row.

    The digest is exact and independent of the order of columns. An absent figure adds nothing, so that a figure of a
    later version changes no digest of a row without it; a flag or word at its default counts as absent, because a
    message may leave it out.
    """
    out = np.zeros(len(batch), np.uint64)
    defaults = {column.name: column.default for column in columns_of(batch.topic, batch.figures)}
    for name, values in batch.figures.items():
        known = ~np.isnan(values) & (values != defaults.get(name, np.nan))
        bits = (values + 0.0).view(np.uint64)  # −0 is 0
        out[known] += _mixed(bits[known] ^ _seed(name))
    return _mixed(out)


@cache
def _seed(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


def _mixed(bits: Digests) -> Digests:
    """Apply the finaliser of splitmix64."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)), dtype=np.uint64)


def _counted(batch: RowBatch, entry: LedgerEntry) -> RowBatch:
    named = np.concatenate([batch.keys, entry.keys[entry.refused]])  # a half day of before had no punctuation
    ours = np.isin(places(batch.topic, entry.keys), places(batch.topic, named))
    return rows_of_keys(batch, entry.keys[ours])


def _contended(topic: str, day: int) -> LedgerError:
    return LedgerError(f"another feed is publishing {topic} of {to_date(day)} at the same time: run this one again")
