"""The current session of a partition: the newest price snapshot and the newest margin figures of each security.

Rows carry cumulative values, so only the newest (ts, revision) of a security counts. Duplicates and late rows change
nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats, Ids, Indexer
from processors.events import FIGURES, RowBatch
from processors.outputs import Partial
from processors.record_table import RecordTable
from processors.table import TableSet

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


def _blank() -> npt.NDArray[np.void]:
    record = np.zeros(1, dtype=_RECORD)
    for feed in _FEEDS:
        record[feed.partition(".")[0]]["revision"] = -1
    return record


class IntradayStore:
    """One record per security of a partition: its newest price snapshot and its newest margin row.

    Attributes
    ----------
    day : the newest session, days since 1970-01-01.
    margin_version : number of changes of which securities have margin rows of that day; the coverage depends on it.
    """

    def __init__(self) -> None:
        self.table = RecordTable("live", _blank())
        self.tables = TableSet(self.table, on_load=self._loaded)
        self.day = 0
        self.margin_version = 0

    def apply(self, batch: RowBatch) -> int:
        """Fold intraday rows; return the number of rows that were newer than the stored ones."""
        columns = self.table.columns_of(batch.keys)
        rows: Indexer = np.arange(len(batch))
        if not _all_differ(columns, len(self.table.key_index)):
            order = np.lexsort((batch.revisions, batch.stamps, columns))
            rows = order[np.r_[np.diff(columns[order]) != 0, True]]
            columns = columns[rows]
        part = self.table.records[batch.topic.partition(".")[0]]
        stamps, revisions = batch.stamps[rows], batch.revisions[rows]
        stored = part["ts"][columns]
        newer = (stamps > stored) | ((stamps == stored) & (revisions > part["revision"][columns]))
        if not newer.any():
            return 0
        if not newer.all():
            rows, columns, stamps, revisions = rows[newer], columns[newer], stamps[newer], revisions[newer]
        days = batch.days[rows]
        joins = batch.topic == "margin.intraday" and bool((part["day"][columns] != days).any())
        part["day"][columns], part["ts"][columns], part["revision"][columns] = days, stamps, revisions
        for name, values in batch.figures.items():
            part[name][columns] = values[rows]
        self.table.touch(columns)
        newest_day = int(days.max())
        self.margin_version += joins or newest_day > self.day
        self.day = max(self.day, newest_day)
        return len(columns)

    def coverage(self, keys: Ids, balances: Floats) -> tuple[float, float]:
        """Return the balance of the securities with margin rows of the newest session, and of all securities, CNY.

        Parameters
        ----------
        keys, balances : (n,) securities and their last published balances, CNY.
        """
        margin = self.table.records[: len(self.table.key_index)]["margin"]
        covered = np.isin(keys, self.table.key_index.keys[margin["day"] == self.day])
        return float(np.nansum(balances[covered])), float(np.nansum(balances))

    def partial(self, partition: int, coverage: tuple[float, float]) -> Partial:
        """Return the sums of the newest session over the securities of the partition."""
        # In the order of the keys: a sum of floats depends on the order, and columns are in the order of arrival.
        order, prices, margin = self.table.key_index.by_key, self.table.records["prices"], self.table.records["margin"]
        priced, bought = (order[rows["day"][order] == self.day] for rows in (prices, margin))
        return Partial(
            partition=partition,
            day=self.day,
            ts=int(max(prices["ts"][priced].max(initial=0), margin["ts"][bought].max(initial=0))),
            fin_buy=float(margin["fin_buy"][bought].sum()),
            fin_repay=float(margin["fin_repay"][bought].sum()),
            covered_balance=coverage[0],
            balance=coverage[1],
            prices=len(priced),
            turnover=float(prices["turnover"][priced].sum()),
            bought_at=int(margin["ts"][bought].max(initial=0)),
            priced_at=int(prices["ts"].max(initial=0)),
        )

    def _loaded(self) -> None:
        records = self.table.records
        self.day = int(max(records["prices"]["day"].max(), records["margin"]["day"].max()))


def _all_differ(columns: Indexer, width: int) -> bool:
    """Return whether no column occurs twice: otherwise a later position overwrites an earlier one."""
    written, positions = np.empty(width, dtype=np.intp), np.arange(len(columns))
    written[columns] = positions
    return bool((written[columns] == positions).all())
