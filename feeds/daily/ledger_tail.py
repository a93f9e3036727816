"""The rows of the topics behind what the publish ledger knows: a ledger that is older than the topics takes them.

The ledger stores how far it knows each partition of a topic. It is older than the topics where Redis was restored from
an older copy: without the rows behind that point, a corrected row would get a revision that the topic has already, and
the stream would ignore it. The rows that are taken are *pending*, because their end-of-day punctuation may be lacking:
the next feed that has them sends them again, under the same revision.

A topic that ends before that point has lost rows that the ledger counts as published: nothing is published.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import structlog
from redis.exceptions import RedisError

from feeds.daily.ledger_entry import PENDING, LedgerEntry
from feeds.daily.published_figures import PublishedFigures, newest_revisions, unreachable
from feeds.daily.row_digests import digests_of
from feeds.errors import LedgerError
from feeds.ports import LedgerStore, Place, PublishedRows
from processors.days import to_date
from processors.events import RowBatch

log = structlog.get_logger()
_ATTEMPTS = 5


class LedgerTail:
    """Compares how far the ledger knows the topics with their ends.

    Parameters
    ----------
    published : None for a ledger without topics.
    """

    def __init__(self, store: LedgerStore, published: PublishedRows | None) -> None:
        self._store = store
        self._published = published
        self._seen: dict[Place, int] = {}  # what was stored last, by topic and partition

    def catch_up(self) -> None:
        """Take the rows of the topics that the ledger lacks.

        Raises
        ------
        LedgerError : if Kafka or Redis does not answer, or a topic has lost rows that the ledger counts as published.
        """
        if self._published is None:
            return
        known = self._read(self._published.partitions())
        ends, taken = self._published.ends(), 0
        for place, end, batches in self._published.rows_behind(known, dict(ends)):
            ends[place] = max(ends[place], end)
            taken += self._take(batches)
        _refuse_if_lost(known, ends)
        self._store_positions(ends)
        if taken:
            log.warning("the publish ledger was older than the topics: it has taken their rows", rows=taken)

    def accept(self, ends: Mapping[Place, int]) -> None:
        """Store how far the ledger knows the topics, whatever it knew before; ``ends`` by topic and partition."""
        self._store_positions(ends, lower=True)

    def is_older(self, topics: Collection[str]) -> bool:
        """Whether the ledger knows less of a topic than it did: Redis was set back, or emptied."""
        ours = [place for place in self._seen if place[0] in topics]
        now = self._read(ours)
        return any(now.get(place, -1) < self._seen[place] for place in ours)

    def _read(self, places: Iterable[Place]) -> dict[Place, int]:
        asked = list(places)
        try:
            stored = self._store.read([_place(one) for one in asked])
        except RedisError as error:
            raise unreachable(error) from error
        return {place: int(data) for place, data in zip(asked, stored, strict=True) if data}

    def _store_positions(self, ends: Mapping[Place, int], *, lower: bool = False) -> None:
        """Store how far the topics are known; another feed that knows them further keeps its own."""
        try:
            stored = self._store.read([_place(one) for one in ends])
            changes = [
                (_place(place), old, b"%d" % end)
                for (place, end), old in zip(ends.items(), stored, strict=True)
                if not old or int(old) < end or (lower and int(old) > end)
            ]
            self._store.replace(changes)
        except RedisError as error:
            raise unreachable(error) from error
        self._seen = dict(ends)

    def _take(self, batches: Iterable[RowBatch]) -> int:
        """Take the rows of batches that the ledger lacks, or has under a lower revision; return their number."""
        parts = [batch.take(batch.days == day) for batch in batches for day in np.unique(batch.days)]
        try:
            taken = [rows for rows in map(self._take_day, parts) if len(rows)]
        except RedisError as error:
            raise unreachable(error) from error
        PublishedFigures(self._store).record(taken)
        return sum(map(len, taken))

    def _take_day(self, part: RowBatch) -> RowBatch:
        rows, place = newest_revisions(part), (part.topic, int(part.days[0]))
        for _ in range(_ATTEMPTS):
            (old,) = self._store.read([place])
            known = LedgerEntry.load(old)
            at, found = known.find(rows.keys)
            lacking = ~found
            at = at[found]
            lacking[found] = (rows.revisions[found] > known.revisions[at].astype(np.int64)) | known.refused[at]
            new = rows.take(lacking)
            if not len(new):
                return new
            after = known.with_rows(new.keys, digests_of(new), new.revisions.astype(np.uint32) | PENDING)
            if all(self._store.replace([(place, old, after.dump())])):
                return new
        raise LedgerError(
            f"another feed is publishing {part.topic} of {to_date(place[1])} at the same time: run this one again"
        )


def _refuse_if_lost(known: Mapping[Place, int], ends: Mapping[Place, int]) -> None:
    """Raise for partitions that end before what is known of them."""
    lost = [(place, end) for place, end in sorted(ends.items()) if end < known.get(place, 0)]
    if lost:
        (topic, partition), end = lost[0]
        others = f" and {len(lost) - 1} other partitions end too early" if lost[1:] else ""
        raise LedgerError(
            "Kafka has lost messages that the publish ledger counts as published: "
            f"{topic}[{partition}] ends at {end}, not at {known[topic, partition]}{others}. Restore them; or feed the "
            "lost days again with --no-ledger, then run `marginwatch feed ledger`"
        )


def _place(position: Place) -> Place:
    topic, partition = position
    return f"{topic}:known", partition
