"""A digest of the figures of a row: whether a row has other figures than those that were published."""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np

from feeds.daily.ledger_entry import Digests
from processors.events import RowBatch
from processors.index_members import columns_of


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
