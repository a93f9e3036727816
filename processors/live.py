"""The running session: the newest snapshot and the newest margin figures of each security.

Rows carry cumulative values, so only the newest (ts, revision) of a security counts: repeats, re-deliveries and
rows that come late change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from processors.codes import Ids, to_code, to_id
from processors.errors import StateError
from processors.events import FIGURES, Floats, RowBatch
from processors.outputs import Partial

_VERSION = b"\x01"
_FEEDS = ("prices.intraday", "margin.intraday")
_RECORD = np.dtype(
    [
        (
            feed.partition(".")[0],
            [("day", "<i4"), ("revision", "<i4"), ("ts", "<i8"), *((c.name, "<f8") for c in FIGURES[feed])],
        )
        for feed in _FEEDS
    ]
)
_FIRST_CAPACITY = 256


def _blank(size: int) -> npt.NDArray[np.void]:
    records = np.zeros(size, dtype=_RECORD)
    for feed in _FEEDS:
        records[feed.partition(".")[0]]["revision"] = -1
    return records


@dataclass(slots=True)
class LiveBook:
    """One record per security of a partition: its newest price snapshot and its newest margin row."""

    columns: dict[int, int] = field(default_factory=dict)
    records: npt.NDArray[np.void] = field(default_factory=lambda: _blank(_FIRST_CAPACITY))
    dirty: set[int] = field(default_factory=set)
    day: int = 0  # the newest session
    margin_version: int = 0  # counts changes of margin rows, on which the coverage depends
    _by_key: npt.NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))

    def apply(self, batch: RowBatch) -> int:
        """Fold intraday rows; return how many were news."""
        if not len(batch):
            return 0
        order = np.lexsort((batch.revisions, batch.stamps, batch.keys))
        keys = batch.keys[order]
        newest = order[np.r_[keys[1:] != keys[:-1], True]]
        columns = self._columns(batch.keys[newest])
        part = self.records[batch.topic.partition(".")[0]]
        stamps, revisions = batch.stamps[newest], batch.revisions[newest]
        held = part["ts"][columns]
        news = (stamps > held) | ((stamps == held) & (revisions > part["revision"][columns]))
        newest, columns = newest[news], columns[news]
        part["day"][columns] = batch.days[newest]
        part["ts"][columns] = batch.stamps[newest]
        part["revision"][columns] = batch.revisions[newest]
        for name, values in batch.figures.items():
            part[name][columns] = values[newest]
        self.dirty.update(columns.tolist())
        if len(columns):
            newest_day = int(batch.days[newest].max())
            if batch.topic == "margin.intraday" or newest_day > self.day:
                self.margin_version += 1
            self.day = max(self.day, newest_day)
        return len(columns)

    def coverage(self, keys: Ids, balances: Floats) -> tuple[float, float]:
        """Balance of the securities with margin rows of the newest session, and of all, CNY.

        Parameters
        ----------
        keys, balances : the last published balances.
        """
        margin = self.records[: len(self.columns)]["margin"]
        ids = np.fromiter(self.columns, dtype=np.int32, count=len(self.columns))
        covered = np.isin(keys, ids[margin["day"] == self.day])
        return float(np.nansum(balances[covered])), float(np.nansum(balances))

    def partial(self, partition: int, coverage: tuple[float, float]) -> Partial:
        """Sum the newest session."""
        # In the order of the keys: a sum of floats depends on it, and columns stand as they happened to come.
        if len(self._by_key) != len(self.columns):
            self._by_key = np.argsort(np.fromiter(self.columns, dtype=np.int32, count=len(self.columns)))
        used = self.records[self._by_key]
        prices, margin = used["prices"], used["margin"]
        priced, bought = prices["day"] == self.day, margin["day"] == self.day
        return Partial(
            partition=partition,
            day=self.day,
            ts=int(max(prices["ts"][priced].max(initial=0), margin["ts"][bought].max(initial=0))),
            fin_buy=float(margin["fin_buy"][bought].sum()),
            fin_repay=float(margin["fin_repay"][bought].sum()),
            covered_balance=coverage[0],
            balance=coverage[1],
            prices=int(priced.sum()),
            turnover=float(prices["turnover"][priced].sum()),
        )

    def _columns(self, keys: Ids) -> npt.NDArray[np.intp]:
        known = self.columns
        for key in keys.tolist():
            if key not in known:
                known[key] = len(known)
        if len(known) > len(self.records):
            self.records = np.concatenate([self.records, _blank(max(len(self.records), len(known)))])
        return np.fromiter((known[key] for key in keys.tolist()), dtype=np.intp, count=len(keys))

    def take_dirty(self) -> dict[str, bytes | None]:
        """Return the records changed since the last call."""
        if not self.dirty:
            return {}
        ids = list(self.columns)
        columns = sorted(self.dirty)
        self.dirty.clear()
        raw, size = self.records[columns].tobytes(), _RECORD.itemsize
        return {
            f"live/{to_code(ids[column])}": _VERSION + raw[i * size : (i + 1) * size]
            for i, column in enumerate(columns)
        }

    def load(self, rows: dict[str, bytes]) -> None:
        """Take back what `take_dirty` gave."""
        if not rows:
            return
        for name, data in rows.items():
            if data[:1] != _VERSION or len(data) != _RECORD.itemsize + 1:
                raise StateError(f"stored row {name} has an unknown schema; `marginwatch rebuild` replays it")
        ids = np.array([to_id(name.removeprefix("live/")) for name in rows], dtype=np.int32)
        columns = self._columns(ids)
        self.records[columns] = np.frombuffer(b"".join(d[1:] for d in rows.values()), dtype=_RECORD)
        self.day = int(max(self.records["prices"]["day"].max(), self.records["margin"]["day"].max()))
