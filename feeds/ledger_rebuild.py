"""The journal remembered from the topics: what was published stands there, even after Redis was emptied or set back.

For every trade date and key the topics' highest revision counts, the first row of equals: what the folds take. Nothing
that the journal knows better is forgotten: a correction that has not arrived, a day whose rows retention took.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from feeds.ledger import Digests, LedgerEntry, LedgerError, Marks, Store, digests_of
from processors.codes import Ids
from processors.events import INPUT_ROWS, DailyRow, RowBatch
from streams import readers
from streams.calendars import xshg
from streams.errors import ReadError, TopicError
from streams.records import BARRIER_TYPE, CE_TYPE, CLOSE_TYPE
from streams.row_codec import Decoder
from streams.settings import Settings
from streams.topics import BY_CODE, Partitioner, Topics

if TYPE_CHECKING:
    from streams.clients import Reader

DAILY = tuple(topic for topic, row in INPUT_ROWS.items() if issubclass(row, DailyRow))


@dataclass(slots=True)
class PublishResult:
    """What the topics say, and what was made of the journal.

    Parameters
    ----------
    rows, days : rows (the last revision of each) and trade dates, by topic.
    added, renewed : rows that the journal did not know, or knew otherwise.
    trimmed : topics of which retention took the beginning.
    """

    rows: dict[str, int] = field(default_factory=dict)
    days: dict[str, int] = field(default_factory=dict)
    added: int = 0
    renewed: int = 0
    trimmed: list[str] = field(default_factory=list)

    @property
    def equal(self) -> bool:
        """Whether the journal knew all that the topics say."""
        return not (self.added or self.renewed)


def rebuild_ledger(
    settings: Settings, store: Store, *, check: bool = False, on_messages: Callable[[int], None] = lambda _count: None
) -> PublishResult:
    """Read the daily topics from their beginning and bring the journal up to what they say.

    Parameters
    ----------
    check : only compare.
    on_messages : told how many messages have been read.

    Raises
    ------
    LedgerError : if a feed publishes the same day meanwhile.
    ReadError : if a topic serves no messages before its end.
    TopicError : if no broker answers.
    """
    out = PublishResult()
    found = _Found(settings)
    with readers.consumer(settings) as consumer:
        partitions = _partitions(consumer, settings, DAILY)
        starts = consumer.beginning_offsets(list(partitions))
        out.trimmed = sorted({partitions[tp] for tp, start in starts.items() if start > 0})
        messages = 0
        for tp, records in readers.read_to_end(consumer, partitions):
            found.take(partitions[tp], records)
            messages += len(records)
            on_messages(messages)
    for (topic, day), noted in found.noted():
        out.rows[topic] = out.rows.get(topic, 0) + len(noted.keys)
        out.days[topic] = out.days.get(topic, 0) + 1
        added, renewed = _bring(store, topic, day, noted, check=check)
        out.added += added
        out.renewed += renewed
    return out


def without_rows(settings: Settings) -> set[str]:
    """Return the daily topics that hold no row; markers and barriers are none."""
    rowless = set(DAILY)
    try:
        with readers.consumer(settings) as consumer:
            partitions = _partitions(consumer, settings, DAILY)
            for tp, records in readers.read_to_end(consumer, partitions):
                topic = partitions[tp]
                if topic in rowless and any(map(_is_row, records)):
                    rowless.discard(topic)
                    consumer.pause(*(one for one, short in partitions.items() if short == topic))
    except (TopicError, ReadError) as error:
        raise LedgerError(f"which topics hold rows can't be looked up: {error}") from error
    return rowless


def _is_row(record: ConsumerRecord) -> bool:
    return dict(record.headers or ()).get(CE_TYPE) not in (BARRIER_TYPE, CLOSE_TYPE)


def _partitions(consumer: Reader, settings: Settings, shorts: tuple[str, ...]) -> dict[TopicPartition, str]:
    """Return the partitions that the cluster has of these topics."""
    topics = Topics(settings)
    there = consumer.topics()
    return {
        TopicPartition(topics.name(short), partition): short
        for short in shorts
        if topics.name(short) in there
        for partition in range(topics.partitions(short))
    }


class _Found:
    """Keys, revisions and digests of all rows, by topic and day, in the order in which they stand in their topic."""

    def __init__(self, settings: Settings) -> None:
        calendar, partitioner = xshg(settings.calendar_file), Partitioner(settings.partitions)
        self._decoders = {
            topic: Decoder(
                topic,
                calendar,
                settings.exchanges,
                partitioner if topic in BY_CODE else None,
                settings.max_message_bytes,
            )
            for topic in DAILY
        }
        self._rows: dict[tuple[str, int], list[tuple[Ids, Marks, Digests]]] = defaultdict(list)

    def take(self, topic: str, records: list[ConsumerRecord]) -> None:
        """Note the rows of messages; what the folds refuse, nobody has."""
        for item in self._decoders[topic].decode(records)[0]:
            if isinstance(item, RowBatch):
                digests = digests_of(item)
                for day in np.unique(item.days).tolist():
                    rows = np.flatnonzero(item.days == day)
                    revisions = item.revisions[rows].astype(np.uint32)
                    self._rows[topic, day].append((item.keys[rows], revisions, digests[rows]))

    def noted(self) -> Iterator[tuple[tuple[str, int], LedgerEntry]]:
        """Yield what stands of each topic and day."""
        for place, parts in sorted(self._rows.items()):
            keys, marks, digests = (np.concatenate(column) for column in zip(*parts, strict=True))
            order = np.lexsort((np.arange(len(keys)), -marks.astype(np.int64), keys))
            first = np.unique(keys[order], return_index=True)[1]
            chosen = order[first]
            yield place, LedgerEntry(keys[chosen], digests[chosen], marks[chosen])


def _bring(store: Store, topic: str, day: int, said: LedgerEntry, *, check: bool) -> tuple[int, int]:
    """Put into the journal what a topic says of a day; return how many rows it did not know, or knew otherwise."""
    old = store.read(topic, day)
    try:
        known = LedgerEntry.load(old)
    except LedgerError:
        known = LedgerEntry.empty()  # nothing that this version could read
    at, there = known.find(said.keys)
    new, renewed = ~there, np.zeros(len(said.keys), np.bool_)
    if there.any():
        revisions = known.revisions[at]
        otherwise = (known.marks[at] != said.marks) | (known.digests[at] != said.digests)
        renewed = there & otherwise & (said.marks >= revisions)
    take = new | renewed
    if take.any() and not check:
        after = known.with_rows(said.keys[take], said.digests[take], said.marks[take])
        if not store.replace(topic, day, old, after.dump()):
            raise LedgerError(f"a feed is publishing {topic} at the same time: stop it, or run this again")
    return int(new.sum()), int(renewed.sum())
