"""An entry of the publish ledger: the keys of a topic and day, with a digest and a revision of each row.

A row that was refused, and never published, has a flag in place of a digest.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feeds.errors import LedgerError
from processors.arrays import Ids, Indexer, Mask

Digests = npt.NDArray[np.uint64]
#: Revisions whose highest bit is set until the broker has acknowledged the row, the next one if it was refused.
RevisionFlags = npt.NDArray[np.uint32]

REMEDY = "fill it from the topics with `marginwatch feed ledger`"
PENDING, REFUSED = np.uint32(1 << 31), np.uint32(1 << 30)
_FORMAT = b"\x02"
_FLAGS = PENDING | REFUSED


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The published rows of one topic and day; arrays in ascending order of ``keys``.

    Parameters
    ----------
    revision_flags : the revision of each row; the highest bit is set until the broker has acknowledged the row, and the
        next one if the row was refused.
    """

    keys: Ids
    digests: Digests
    revision_flags: RevisionFlags

    @property
    def revisions(self) -> RevisionFlags:
        """The revision of each row, acknowledged or not."""
        return self.revision_flags & ~_FLAGS

    @property
    def refused(self) -> Mask:
        """Whether each row was refused, and is not published."""
        return (self.revision_flags & REFUSED) > 0

    @classmethod
    def empty(cls) -> LedgerEntry:
        """Return an entry without rows."""
        return cls(np.empty(0, np.int32), np.empty(0, np.uint64), np.empty(0, np.uint32))

    @classmethod
    def load(cls, data: bytes) -> LedgerEntry:
        """Read what `dump` returned; raises `LedgerError` for anything else."""
        if not data:
            return cls.empty()
        try:
            plain = zlib.decompress(data[1:])
        except zlib.error as error:
            raise LedgerError(f"an entry of the ledger is damaged ({error}): {REMEDY}") from error
        size, rest = divmod(len(plain), 16)
        if data[:1] != _FORMAT or rest:
            raise LedgerError(f"the ledger has format {data[:1].hex()}, this version reads {_FORMAT.hex()}: {REMEDY}")
        return cls(
            np.frombuffer(plain, np.dtype("<i4"), size),
            np.frombuffer(plain, np.dtype("<u8"), size, 8 * size),
            np.frombuffer(plain, np.dtype("<u4"), size, 4 * size),
        )

    def dump(self) -> bytes:
        """Return the entry as bytes: keys, revision flags, digests."""
        columns = (self.keys.astype("<i4"), self.revision_flags.astype("<u4"), self.digests.astype("<u8"))
        return _FORMAT + zlib.compress(b"".join(column.tobytes() for column in columns), 1)

    def find(self, keys: Ids) -> tuple[Indexer, Mask]:
        """Return the index of each key, and whether the entry contains it."""
        if not len(self.keys):
            return np.zeros(len(keys), np.intp), np.zeros(len(keys), np.bool_)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return at, np.asarray(self.keys[at] == keys)

    def take(self, rows: Mask) -> LedgerEntry:
        """Return the entry with some of its rows."""
        return LedgerEntry(self.keys[rows], self.digests[rows], self.revision_flags[rows])

    def with_rows(self, keys: Ids, digests: Digests, revision_flags: RevisionFlags) -> LedgerEntry:
        """Return the entry with these rows in place of those of the same keys."""
        kept = self.take(~np.isin(self.keys, keys))
        all_keys = np.concatenate([kept.keys, keys])
        order = np.argsort(all_keys, kind="stable")
        return LedgerEntry(
            all_keys[order],
            np.concatenate([kept.digests, digests])[order],
            np.concatenate([kept.revision_flags, revision_flags])[order],
        )
