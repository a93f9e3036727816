"""Rebuilding the publish ledger from the topics, after Redis was emptied or restored from an older copy.

For every trade date and key the highest revision of the topics counts, and the first row of equal revisions: the row
that the running stream takes. The ledger keeps what it knows better than the topics: a correction that is not
published yet, a day whose rows retention has deleted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from feeds.daily.ledger_entry import Digests, LedgerEntry, RevisionFlags
from feeds.daily.ledger_tail import LedgerTail
from feeds.daily.published_figures import SLOTS, PublishedFigures
from feeds.daily.row_digests import digests_of
from feeds.errors import LedgerError
from feeds.ports import LedgerStore, PublishedRows
from processors.arrays import Ids
from processors.events import RowBatch, concat


@dataclass(slots=True)
class RebuildResult:
    """The rows of the topics, and the differences of the ledger.

    Parameters
    ----------
    rows, days : the number of rows (the last revision of each) and of trade dates, by topic.
    added, updated : the number of rows that the ledger lacked, or had with another revision or digest.
    trimmed : the topics whose oldest messages retention has deleted.
    """

    rows: dict[str, int] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    added: int = 0
    updated: int = 0
    trimmed: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the ledger had all rows of the topics."""
        return not (self.added or self.updated)


def rebuild_ledger(
    published: PublishedRows,
    store: LedgerStore,
    *,
    check: bool = False,
    on_messages: Callable[[int], None] = lambda _count: None,
) -> RebuildResult:
    """Read the daily topics from their beginning and add their rows to the ledger.

    Parameters
    ----------
    check : compare only.
    on_messages : called with the number of messages that have been read.

    Raises
    ------
    UnavailableError : if a topic delivers no more messages before its end.
    LedgerError : if a feed publishes the same day meanwhile.
    """
    out = RebuildResult(trimmed=published.trimmed_topics())
    ends = published.ends()
    newest = _NewestRows()
    rows: dict[tuple[str, int], list[tuple[Ids, RevisionFlags, Digests]]] = defaultdict(list)
    for batch in published.batches(on_messages):
        _collect(batch, rows)
        newest.add(batch)
    for (topic, day), entry in _entries(rows):
        out.rows[topic] = out.rows.get(topic, 0) + len(entry.keys)
        out.days[topic] = out.days.get(topic, 0) + 1
        added, updated = _merge(store, topic, day, entry, check=check)
        out.added += added
        out.updated += updated
    if not check:
        PublishedFigures(store).record(newest.batches())
        LedgerTail(store, published).accept(ends)
    return out


class _NewestRows:
    """The rows of the newest days of each topic, in the order in which they were read."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[int, list[RowBatch]]] = defaultdict(lambda: defaultdict(list))

    def add(self, batch: RowBatch) -> None:
        """Add the rows of a batch, and forget days that are no longer among the newest ones."""
        days = self._rows[batch.topic]
        for day in np.unique(batch.days[batch.days > max(days, default=-SLOTS) - SLOTS]).tolist():
            days[day].append(batch.take(batch.days == day))
        for day in [one for one in days if one <= max(days) - SLOTS]:
            del days[day]

    def batches(self) -> Iterator[RowBatch]:
        """Yield the rows of one topic and day at a time."""
        for days in self._rows.values():
            yield from (concat(parts) for parts in days.values())


def _collect(batch: RowBatch, rows: dict[tuple[str, int], list[tuple[Ids, RevisionFlags, Digests]]]) -> None:
    """Append the rows of a batch to those of their topic and day."""
    digests = digests_of(batch)
    for day in np.unique(batch.days).tolist():
        places = np.flatnonzero(batch.days == day)
        revisions = batch.revisions[places].astype(np.uint32)
        rows[batch.topic, day].append((batch.keys[places], revisions, digests[places]))


def _entries(
    rows: dict[tuple[str, int], list[tuple[Ids, RevisionFlags, Digests]]],
) -> Iterator[tuple[tuple[str, int], LedgerEntry]]:
    """Yield the entry of each topic and day: the first row of the highest revision of each key."""
    for place, parts in sorted(rows.items()):
        keys, revisions, digests = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.lexsort((np.arange(len(keys)), -revisions.astype(np.int64), keys))
        first = np.unique(keys[order], return_index=True)[1]
        chosen = order[first]
        yield place, LedgerEntry(keys[chosen], digests[chosen], revisions[chosen])


def _merge(store: LedgerStore, topic: str, day: int, published: LedgerEntry, *, check: bool) -> tuple[int, int]:
    """Merge the published rows of a day into the ledger; return how many rows it lacked, and had otherwise."""
    (old,) = store.read([(topic, day)])
    try:
        known = LedgerEntry.load(old)
    except LedgerError:
        known = LedgerEntry.empty()  # this version can't read the entry
    at, found = known.find(published.keys)
    added, updated = ~found, np.zeros(len(published.keys), np.bool_)
    if found.any():
        differs = (known.revisions[at] != published.revision_flags) | known.refused[at]
        differs |= known.digests[at] != published.digests
        updated = found & differs & (published.revision_flags >= known.revisions[at])
    taken = added | updated
    if taken.any() and not check:
        after = known.with_rows(published.keys[taken], published.digests[taken], published.revision_flags[taken])
        (done,) = store.replace([((topic, day), old, after.dump())])
        if not done:
            raise LedgerError(f"a feed is publishing {topic} at the same time: stop it, or run this command again")
    return int(added.sum()), int(updated.sum())
