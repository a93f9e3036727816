"""What was published: no figure goes out twice, and no other figure under the same revision.

For every topic and trade date Redis keeps the keys, a digest of each row's figures and its revision
(``<namespace>:published:<topic>``, field = days since 1970-01-01). Rows are noted as *pending* before they are sent and
confirmed once the broker has them, so a feed that dies in between sends them again under the same revision. Which feed
a figure came from does not matter: what counts is what readers of the topic have.

A journal that knows nothing of a topic with rows was lost: then nothing is published until `feeds.ledger_rebuild` has
filled it from the topics.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from redis import Redis
from redis.exceptions import RedisError

from processors.codes import Ids, exchange_of
from processors.days import to_date
from processors.errors import MarginwatchError
from processors.events import FIGURES, INPUT_ROWS, DailyRow, RowBatch
from streams.clients import redis_client
from streams.settings import Settings

Digests = npt.NDArray[np.uint64]
Marks = npt.NDArray[np.uint32]

_FORMAT = b"\x02"
_REMEDY = "fill it from the topics by `marginwatch feed ledger`"
_PENDING = np.uint32(1 << 31)
_TRIES = 5
#: Replaces a field only if nobody else has changed it since it was read.
_REPLACE = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
"""


class LedgerError(MarginwatchError):
    """The journal can't be read or written, so nothing may be published."""


class Store(Protocol):
    """Where a journal is kept."""

    def begun(self, topic: str) -> bool:
        """Whether anything is kept of a topic."""

    def read(self, topic: str, day: int) -> bytes:
        """Return what is kept of a day, ``b""`` if nothing is."""

    def replace(self, topic: str, day: int, old: bytes, new: bytes) -> bool:
        """Replace it unless it is not ``old`` any more; say whether that was done."""


class RedisStore:
    """A journal's place in Redis."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._namespace = namespace
        self._swap = redis.register_script(_REPLACE)

    def _key(self, topic: str) -> str:
        return f"{self._namespace}:published:{topic}"

    def begun(self, topic: str) -> bool:
        """Whether anything is kept of a topic."""
        return bool(self._redis.exists(self._key(topic)))

    def read(self, topic: str, day: int) -> bytes:
        """Return what is kept of a day, ``b""`` if nothing is."""
        found: Any = self._redis.hget(self._key(topic), str(day))
        return bytes(found or b"")

    def replace(self, topic: str, day: int, old: bytes, new: bytes) -> bool:
        """Replace it unless it is not ``old`` any more; say whether that was done."""
        return bool(self._swap(keys=[self._key(topic)], args=[day, old, new]))


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """What is noted of one topic and day; arrays in ascending order of ``keys``.

    Parameters
    ----------
    marks : revision, with the highest bit set until the broker has confirmed the row.
    """

    keys: Ids
    digests: Digests
    marks: Marks

    @property
    def revisions(self) -> Marks:
        """Revision of each row, confirmed or not."""
        return self.marks & ~_PENDING

    @classmethod
    def empty(cls) -> LedgerEntry:
        """Nothing."""
        return cls(np.empty(0, np.int32), np.empty(0, np.uint64), np.empty(0, np.uint32))

    @classmethod
    def load(cls, data: bytes) -> LedgerEntry:
        """Read what `dump` gave; raises `LedgerError` for anything else."""
        if not data:
            return cls.empty()
        try:
            plain = zlib.decompress(data[1:])
        except zlib.error as error:
            raise LedgerError(f"the journal holds what no version wrote ({error}): {_REMEDY}") from error
        size, rest = divmod(len(plain), 16)
        if data[:1] != _FORMAT or rest:
            raise LedgerError(f"the journal has format {data[:1].hex()}, this version reads {_FORMAT.hex()}: {_REMEDY}")
        return cls(
            np.frombuffer(plain, np.dtype("<i4"), size),
            np.frombuffer(plain, np.dtype("<u8"), size, 8 * size),
            np.frombuffer(plain, np.dtype("<u4"), size, 4 * size),
        )

    def dump(self) -> bytes:
        """Pack into bytes: keys, marks, digests."""
        columns = (self.keys.astype("<i4"), self.marks.astype("<u4"), self.digests.astype("<u8"))
        return _FORMAT + zlib.compress(b"".join(column.tobytes() for column in columns), 1)

    def find(self, keys: Ids) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Place of each key, and whether it is there."""
        if not len(self.keys):
            return np.zeros(len(keys), np.intp), np.zeros(len(keys), np.bool_)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, np.asarray(self.keys[at] == keys)

    def with_rows(self, keys: Ids, digests: Digests, marks: Marks) -> LedgerEntry:
        """Return it with these rows in place of those of the same keys."""
        kept = ~np.isin(self.keys, keys)
        all_keys = np.concatenate([self.keys[kept], keys])
        order = np.argsort(all_keys, kind="stable")
        return LedgerEntry(
            all_keys[order],
            np.concatenate([self.digests[kept], digests])[order],
            np.concatenate([self.marks[kept], marks])[order],
        )


@dataclass(frozen=True, slots=True)
class News:
    """What is to be sent of a day.

    Parameters
    ----------
    rows : by topic, with their revisions; topics without news are left out.
    counted : by topic, the keys that the day's marker counts: those sent now and those sent before, of the exchanges
        of this batch.
    """

    rows: dict[str, RowBatch]
    counted: dict[str, RowBatch]


class PublishLedger:
    """Decides which rows are news, and under which revision; see the module's docstring.

    Parameters
    ----------
    without_rows : returns the topics that hold no row; asked where the journal knows nothing of a topic.
    """

    def __init__(self, store: Store, without_rows: Callable[[], set[str]] = lambda: set(INPUT_ROWS)) -> None:
        self._store = store
        self._without_rows = without_rows
        self._new: set[str] = set()  # topics that may be begun once
        self._open: list[tuple[str, int, RowBatch, Digests]] = []
        self.unchanged = 0
        self.corrected = 0

    @property
    def days_open(self) -> int:
        """How many topics and days were begun and are not confirmed yet."""
        return len(self._open)

    def begin(self, batches: dict[str, RowBatch]) -> News:
        """Note the rows of one day as pending; return those that must be sent. Intraday rows pass as they are.

        Raises
        ------
        JournalError : if the journal can't be read or written, or was lost.
        """
        rows: dict[str, RowBatch] = {}
        counted: dict[str, RowBatch] = {}
        for topic, batch in batches.items():
            if not issubclass(INPUT_ROWS[topic], DailyRow) or not len(batch):
                rows[topic] = batch
                continue
            fresh, noted = self._begin(batch)
            if len(fresh):
                rows[topic] = fresh
                counted[topic] = _counted(batch, noted)
        return News(rows, counted)

    def confirm(self) -> None:
        """Say that the broker has everything that was begun."""
        for topic, day, rows, digests in self._open:
            for _ in range(_TRIES):
                old = self._read(topic, day)
                noted = LedgerEntry.load(old)
                at, found = noted.find(rows.keys)
                ours = found & (noted.digests[at] == digests) if len(noted.keys) else found
                marks = noted.marks.copy()
                marks[at[ours]] &= ~_PENDING
                if self._replace(topic, day, old, replace(noted, marks=marks).dump()):
                    break
            else:
                raise _contended(topic, day)
        self._open.clear()

    def abandon(self) -> None:
        """Leave what was begun as pending: whether the broker has it is not known."""
        self._open.clear()

    def _begin(self, batch: RowBatch) -> tuple[RowBatch, LedgerEntry]:
        topic, day = batch.topic, int(batch.days[0])
        digests = digests_of(batch)
        for _ in range(_TRIES):
            old = self._read(topic, day)
            if not old:
                self._refuse_lost(topic)
            noted = LedgerEntry.load(old)
            at, found = noted.find(batch.keys)
            marks = np.zeros(len(batch), np.uint32)
            same = np.zeros(len(batch), np.bool_)
            if found.any():
                marks[found] = noted.marks[at[found]]
                same[found] = noted.digests[at[found]] == digests[found]
            sent = same & (marks < _PENDING)
            differs = found & ~same
            revisions = np.maximum((marks & ~_PENDING).astype(np.int32) + differs, batch.revisions)
            news = ~sent
            if not news.any():
                self.unchanged += len(batch)
                return batch.take(news), noted
            fresh = replace(batch, revisions=revisions.astype(np.int32)).take(news)
            after = noted.with_rows(fresh.keys, digests[news], fresh.revisions.astype(np.uint32) | _PENDING)
            if self._replace(topic, day, old, after.dump()):
                self.unchanged += int(sent.sum())
                self.corrected += int(differs.sum())
                self._open.append((topic, day, fresh, digests[news]))
                return fresh, after
        raise _contended(topic, day)

    def _refuse_lost(self, topic: str) -> None:
        try:
            if self._store.begun(topic):
                return
        except RedisError as error:
            raise unreachable(error) from error
        if topic not in self._new:
            self._new = self._without_rows()
        if topic not in self._new:
            raise LedgerError(
                f"{topic} holds rows, but the journal of what was published knows none of them (was Redis emptied?): "
                f"{_REMEDY}, or figures would go out twice and others under the same revision"
            )
        self._new.discard(topic)

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


def ledger_of(settings: Settings, redis: Redis) -> PublishLedger:
    """The journal in a Redis; before a topic's first row it asks whether the topic has rows that it has forgotten."""
    from feeds.ledger_rebuild import without_rows  # which itself needs this module

    return PublishLedger(RedisStore(redis, settings.namespace), lambda: without_rows(settings))


@contextmanager
def opened(settings: Settings) -> Iterator[PublishLedger]:
    """The journal of these settings' Redis, closed at the end."""
    with redis_client(settings, timeout_s=30) as redis:
        yield ledger_of(settings, redis)


def digests_of(batch: RowBatch) -> Digests:
    """64-bit digests of the figures of each row: exact, whatever the order of columns; an absent figure adds nothing.

    A figure that a later version knows and a row lacks therefore changes no digest. A flag or word at its default is
    absent too: a message that leaves it out says the same.
    """
    out = np.zeros(len(batch), np.uint64)
    defaults = {column.name: column.default for column in FIGURES[batch.topic]}
    for name, values in batch.figures.items():
        known = ~np.isnan(values) & (values != defaults.get(name, np.nan))
        bits = (values + 0.0).view(np.uint64)  # −0 is 0
        out[known] += _mixed(bits[known] ^ _seed(name))
    return _mixed(out)


@cache
def _seed(name: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little"))


def _mixed(bits: Digests) -> Digests:
    """The finaliser of splitmix64."""
    bits = bits + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(bits ^ (bits >> np.uint64(31)), dtype=np.uint64)


def _counted(batch: RowBatch, noted: LedgerEntry) -> RowBatch:
    by_word = INPUT_ROWS[batch.topic].key_field != "code"
    theirs, ours = (noted.keys, batch.keys) if by_word else (exchange_of(noted.keys), exchange_of(batch.keys))
    keys = noted.keys[np.isin(theirs, ours)]
    size = len(keys)
    return RowBatch(
        batch.topic,
        keys,
        np.full(size, batch.days[0], np.int32),
        np.zeros(size, np.int32),
        np.zeros(size, np.int64),
        {},
    )


def _contended(topic: str, day: int) -> LedgerError:
    return LedgerError(f"another feed is publishing {topic} of {to_date(day)} at the same time: run this one again")


def unreachable(error: RedisError) -> LedgerError:
    """Say that Redis is away, and how to do without it."""
    return LedgerError(
        f"the journal of what was published can't be reached in Redis ({error}): start Redis, set "
        "MARGINWATCH_REDIS_URL, or publish without it by --no-journal, where a command has that (then nothing keeps "
        "figures from going out twice)"
    )
