"""The running session: the newest snapshot and the newest margin figures of each security.

Rows carry cumulative values, so only the newest (ts, revision) of a security counts: repeats, re-deliveries and
rows that come late change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from processors.codes import Ids, to_codes, to_id
from processors.errors import StateError
from processors.events import FIGURES, Floats, RowBatch
from processors.key_index import KeyIndex
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
class IntradayStore:
    """One record per security of a partition: its newest price snapshot and its newest margin row."""

    places: KeyIndex = field(default_factory=KeyIndex)
    records: npt.NDArray[np.void] = field(default_factory=lambda: _blank(_FIRST_CAPACITY))
    dirty: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(_FIRST_CAPACITY, dtype=bool))
    day: int = 0  # the newest session
    margin_version: int = 0  # counts changes of margin rows, on which the coverage depends

    def apply(self, batch: RowBatch) -> int:
        """Fold intraday rows; return how many were news."""
        columns = self._columns(batch.keys)
        rows: npt.NDArray[np.intp] = np.arange(len(batch))
        if not _all_differ(columns, len(self.places)):
            order = np.lexsort((batch.revisions, batch.stamps, columns))
            rows = order[np.r_[np.diff(columns[order]) != 0, True]]
            columns = columns[rows]
        part = self.records[batch.topic.partition(".")[0]]
        stamps, revisions = batch.stamps[rows], batch.revisions[rows]
        held = part["ts"][columns]
        news = (stamps > held) | ((stamps == held) & (revisions > part["revision"][columns]))
        if not news.any():
            return 0
        if not news.all():
            rows, columns, stamps, revisions = rows[news], columns[news], stamps[news], revisions[news]
        days = batch.days[rows]
        part["day"][columns], part["ts"][columns], part["revision"][columns] = days, stamps, revisions
        for name, values in batch.figures.items():
            part[name][columns] = values[rows]
        self.dirty[columns] = True
        newest_day = int(days.max())
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
        margin = self.records[: len(self.places)]["margin"]
        covered = np.isin(keys, self.places.keys[margin["day"] == self.day])
        return float(np.nansum(balances[covered])), float(np.nansum(balances))

    def partial(self, partition: int, coverage: tuple[float, float]) -> Partial:
        """Sum the newest session."""
        # In the order of the keys: a sum of floats depends on it, and columns stand as they happened to come.
        used = self.records[self.places.by_key]
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
        columns = self.places.of(keys)
        if len(self.places) > len(self.records):
            more = max(len(self.records), len(self.places))
            self.records = np.concatenate([self.records, _blank(more)])
            self.dirty = np.concatenate([self.dirty, np.zeros(more, dtype=bool)])
        return columns

    def take_dirty(self) -> dict[str, bytes | None]:
        """Return the records changed since the last call."""
        columns = np.flatnonzero(self.dirty)
        if not len(columns):
            return {}
        self.dirty[:] = False
        raw, size = self.records[columns].tobytes(), _RECORD.itemsize
        return {
            f"live/{code}": _VERSION + raw[i * size : (i + 1) * size]
            for i, code in enumerate(to_codes(self.places.keys[columns]))
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


def _all_differ(columns: npt.NDArray[np.intp], width: int) -> bool:
    """Whether no column comes twice: then each one still holds the place it was given."""
    given, place = np.empty(width, dtype=np.intp), np.arange(len(columns))
    given[columns] = place
    return bool((given[columns] == place).all())
