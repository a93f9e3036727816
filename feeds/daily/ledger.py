"""The ledger of published daily rows: no figure is published twice, and no other figure under the same revision.

For every topic and trade date the ledger stores the keys, a digest of each row's figures and its revision. Rows are
stored as *pending* before they are sent, and confirmed once the broker has acknowledged them; a feed that dies in
between sends them again under the same revision. The ledger describes what readers of a topic have, whichever feed
published it.

It also contains the keys of rows that were refused and never published. The end-of-day punctuation counts them, so that
no sum of the day passes for whole, until the row arrives, or most rows of its exchange arrive again without it.

A ledger without any entry of a topic that contains rows was lost: it refuses to publish until
`feeds.daily.ledger_rebuild` has filled it from the topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from redis.exceptions import RedisError

from feeds.checks.row_groups import counts, rows_of_keys
from feeds.daily.ledger_entry import PENDING, REFUSED, REMEDY, Digests, LedgerEntry
from feeds.daily.ledger_tail import LedgerTail
from feeds.daily.published_figures import PublishedFigures, unreachable
from feeds.daily.row_digests import digests_of
from feeds.errors import LedgerError
from feeds.feed_report import RowOutcome
from feeds.files.master_data import MasterData, nothing_published
from feeds.mappings.refused_rows import newly_refused, places, still_refused
from feeds.ports import LedgerStore, Place, PublishedRows
from processors.arrays import Ids, Mask
from processors.codes import NO_IDS
from processors.days import to_date
from processors.events import INPUT_ROWS, DailyRow, RowBatch

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
        keys = {topic: np.union1d(rows.keys, refused.get(topic, NO_IDS)) for topic, rows in batches.items()}
        return cls(batches, {topic: rows_of_keys(rows, keys[topic]) for topic, rows in batches.items() if len(rows)})


@dataclass(frozen=True, slots=True)
class _Begun:
    """What is pending of a topic and day.

    Parameters
    ----------
    rows : the rows to send, with their digests.
    refused : the keys of refused rows.
    entry : what the ledger has with them; None if nothing is new.
    outcomes : which rows of the batch have each outcome.
    """

    topic: str
    day: int
    rows: RowBatch
    digests: Digests
    refused: Ids
    entry: LedgerEntry | None
    outcomes: Mapping[str, Mask]

    @property
    def place(self) -> Place:
        return self.topic, self.day


class PublishLedger:
    """Decides which rows must be sent, and under which revision.

    Parameters
    ----------
    topics_without_rows : returns the topics that contain no row; called for a topic without any entry.
    master_data : returns the rows of ``reference`` that are published, see `feeds.files.master_data`.
    published : the rows of the topics, for a ledger that is older than they are (`feeds.daily.ledger_tail`).

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
        published: PublishedRows | None = None,
    ) -> None:
        self.master_data = master_data
        self._store = store
        self._topics_without_rows = topics_without_rows
        self._new_topics: set[str] = set()  # each may get its first entry once
        self._open: list[tuple[_Begun, bytes]] = []  # with the entry as it is stored
        self.outcomes: Counter[RowOutcome] = Counter()
        self.figures = PublishedFigures(store)
        self._tail = LedgerTail(store, published)

    def catch_up(self) -> None:
        """Take the rows of the topics that the ledger lacks; before anything is compared with what was published.

        Raises
        ------
        LedgerError : if Kafka or Redis does not answer, or a topic has lost rows that the ledger counts as published.
        """
        self._tail.catch_up()

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
        waiting = {
            topic: batch for topic, batch in batches.items() if issubclass(INPUT_ROWS[topic], DailyRow) and len(batch)
        }
        rows = {topic: batch for topic, batch in batches.items() if topic not in waiting}
        counted: dict[str, RowBatch] = {}
        if self._tail.is_older(waiting):
            self._tail.catch_up()  # Redis was set back since this run began
        for _ in range(_ATTEMPTS):
            for begun in self._begin(waiting, refused or {}):
                batch = waiting.pop(begun.topic)
                for outcome, ours in begun.outcomes.items():
                    self._count(batch, outcome, ours)
                if len(begun.rows):
                    rows[begun.topic] = begun.rows
                if begun.entry is not None:
                    counted[begun.topic] = _counted(batch, begun.entry)
            if not waiting:
                return PendingRows({topic: rows[topic] for topic in batches if topic in rows}, counted)
        raise _contended(waiting, int(next(iter(waiting.values())).days[0]))

    def confirm(self) -> None:
        """Store that the broker has acknowledged everything that was begun, and its figures.

        The figures are stored first: a feed that ends in between sends its rows again, and stores them then.
        """
        self.figures.record(begun.rows for begun, _ in self._open if len(begun.rows))
        for _ in range(_ATTEMPTS):
            changes = [(begun.place, old, _confirmed(begun, LedgerEntry.load(old)).dump()) for begun, old in self._open]
            done = self._replace(changes)
            left = [begun for (begun, _), ours in zip(self._open, done, strict=True) if not ours]
            if not left:
                self._open.clear()
                return
            # Another feed has changed them since.
            self._open = list(zip(left, self._read([begun.place for begun in left]), strict=True))
        raise _contended([self._open[0][0].topic], self._open[0][0].day)

    def abandon(self) -> None:
        """Leave everything that was begun as pending: whether the broker has it is not known."""
        self._open.clear()

    def _begin(self, batches: Mapping[str, RowBatch], refused: Mapping[str, Ids]) -> Iterator[_Begun]:
        """Store what is new of a day; yield what is pending of each topic that no other feed changed meanwhile."""
        places = [(topic, int(batch.days[0])) for topic, batch in batches.items()]
        stored = dict(zip(batches, self._read(places), strict=True))
        self._refuse_if_lost([topic for topic, old in stored.items() if not old])
        begun = []
        for topic, old in stored.items():
            lacked = np.unique(refused.get(topic, NO_IDS))
            one = _compared(batches[topic], LedgerEntry.load(old), lacked)
            if one.entry is None:
                yield one
            else:
                begun.append((one, old, one.entry.dump()))
        done = self._replace([(one.place, old, new) for one, old, new in begun])
        for (one, _, new), ours in zip(begun, done, strict=True):
            if ours:
                self._open.append((one, new))
                yield one

    def _count(self, batch: RowBatch, outcome: str, rows: Mask) -> None:
        for exchange, count in counts(batch.topic, batch.keys[rows]).items():
            self.outcomes[int(batch.days[0]), batch.topic, exchange, outcome] += count

    def _refuse_if_lost(self, topics: Collection[str]) -> None:
        """Raise for a topic that has rows and no entry at all."""
        if not topics:
            return
        try:
            new = set(topics) - self._store.with_entries(topics)
        except RedisError as error:
            raise unreachable(error) from error
        if new - self._new_topics:
            self._new_topics = self._topics_without_rows()
        if lost := new - self._new_topics:
            raise LedgerError(
                f"the publish ledger has no entry of {', '.join(sorted(lost))}, whose topics contain rows (was Redis "
                f"emptied?): {REMEDY}; without it figures would be published twice, and others under the same revision"
            )
        self._new_topics -= new

    def _read(self, places: Sequence[Place]) -> list[bytes]:
        try:
            return self._store.read(places)
        except RedisError as error:
            raise unreachable(error) from error

    def _replace(self, changes: Sequence[tuple[Place, bytes, bytes]]) -> list[bool]:
        try:
            return self._store.replace(changes)
        except RedisError as error:
            raise unreachable(error) from error


def _compared(batch: RowBatch, known: LedgerEntry, refused: Ids) -> _Begun:
    """Return what the ledger lacks of a batch, and of the refused rows of its day."""
    digests = digests_of(batch)
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
    lost = NO_IDS
    if len(refused) or len(marked.keys):
        again = np.intersect1d(refused, marked.keys)
        lost = np.union1d(again, newly_refused(batch, entry.keys, np.setdiff1d(refused, again)))
        lost = np.setdiff1d(np.union1d(lost, still_refused(batch, entry.keys, marked.keys)), after.keys)
    outcomes = {"unchanged": sent, "published": unsent, "corrected": differs}
    topic, day = batch.topic, int(batch.days[0])
    if not len(new) and np.array_equal(lost, marked.keys) and not (marked.revision_flags & PENDING).any():
        return _Begun(topic, day, new, digests[unsent], lost, None, outcomes)
    after = after.with_rows(lost, np.zeros(len(lost), np.uint64), np.full(len(lost), REFUSED | PENDING, np.uint32))
    return _Begun(topic, day, new, digests[unsent], lost, after, outcomes)


def _confirmed(begun: _Begun, entry: LedgerEntry) -> LedgerEntry:
    """Return an entry whose rows are acknowledged, as far as they are still those that were begun."""
    at, found = entry.find(begun.rows.keys)
    ours = found & (entry.digests[at] == begun.digests) if len(entry.keys) else found
    flags = entry.revision_flags.copy()
    flags[at[ours]] &= ~PENDING
    flags[entry.refused & np.isin(entry.keys, begun.refused)] &= ~PENDING
    return replace(entry, revision_flags=flags)


def _counted(batch: RowBatch, entry: LedgerEntry) -> RowBatch:
    named = np.concatenate([batch.keys, entry.keys[entry.refused]])  # an incomplete day of before had no punctuation
    ours = np.isin(places(batch.topic, entry.keys), places(batch.topic, named))
    return rows_of_keys(batch, entry.keys[ours])


def _contended(topics: Iterable[str], day: int) -> LedgerError:
    named = ", ".join(topics)
    return LedgerError(f"another feed is publishing {named} of {to_date(day)} at the same time: run this one again")
