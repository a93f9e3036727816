"""Which exchanges' rows a closed day of a topic lacks, wholly or in part.

A sum over securities is absent where one of its exchanges is missing. An exchange is missing on a day

- if the end-of-day counts name more of its rows than arrived, or an exchange that the topic requires has no count,
- if it has no row, although it had rows on an earlier day, and no count says that it has none here, or
- if it has far fewer rows than usual: less than `_SHARE` of those of the last day on which it was not missing.

A list that really became shorter is accepted after some days: while an exchange has too few rows, the usual number
falls by a tenth a day. An exchange without any row stays missing until it has rows again.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Container, Mapping
from typing import get_args

import msgspec
import numpy as np

from processors.codes import EXCHANGES, exchange_of
from processors.daily_store import ApplyResult, DailyStore
from processors.events import INPUT_ROWS, EndOfDay, Exchange, RowBatch
from processors.needs import CHARTS, DETAIL, FUNDS, PRICES, VALUATIONS
from processors.table import DAY, Table, TableSet, ValueCodec

#: In place of the number of missing rows, where no row of an exchange arrived.
EVERYTHING = -1
#: Smallest share of the usual rows. The published lists shrank by at most 1% a day in 2016–2021; in July 2015, trading
#: halts took more than a third of the prices away within two days.
_SHARE = {DETAIL: 0.8, FUNDS: 0.8, PRICES: 0.5, VALUATIONS: 0.5, CHARTS: 0.5}
#: An exchange with fewer usual rows is missing only without any row: a few of a handful may well be suspended.
_SMALLEST = 20


def by_exchange(rows: RowBatch) -> dict[Exchange, int]:
    """Return the number of rows by exchange, as in `EndOfDay`; empty for topics whose keys have no exchange."""
    field = INPUT_ROWS[rows.topic].key_field
    if field not in ("code", "exchange"):
        return {}
    exchanges = rows.keys if field == "exchange" else exchange_of(rows.keys)
    counts = np.bincount(exchanges, minlength=len(EXCHANGES))
    names: tuple[Exchange, ...] = get_args(Exchange)
    return {name: int(count) for name, count in zip(names, counts.tolist(), strict=False) if count}


class _Rows(msgspec.Struct, array_like=True):
    """Usual and missing rows of one day, by exchange."""

    usual: dict[str, int]
    missing: dict[str, int]


class Completeness:
    """The missing exchanges of the closed days of one topic.

    A day depends on the day before it, so days are updated in ascending order, and all later days after a changed one.
    """

    def __init__(self, topic: str) -> None:
        self.table: Table[int, _Rows] = Table(f"complete.{topic}", DAY, ValueCodec(_Rows))
        self.tables = TableSet(self.table, on_load=self._loaded)
        self._share = _SHARE[topic]
        self._days: list[int] = []

    def update(self, day: int, rows: Mapping[str, int], counted: Mapping[str, int], named: Container[str] = ()) -> None:
        """Determine what a day lacks.

        Parameters
        ----------
        rows : exchange → number of its rows.
        counted : exchange → rows that it lacks by its end-of-day counts, `EVERYTHING` where it has none.
        named : the exchanges with such a count: one with 0 rows has published, and none is of this partition.
        """
        at = bisect_left(self._days, day)
        before = self.table[self._days[at - 1]].usual if at else {}
        usual, missing = dict[str, int](), dict[str, int]()
        for exchange in sorted({*before, *rows, *counted}):
            expected, here = before.get(exchange, 0), rows.get(exchange, 0)
            if exchange in counted:
                missing[exchange] = counted[exchange]
            elif not here:
                if expected and exchange not in named:
                    missing[exchange] = EVERYTHING
            elif expected >= _SMALLEST and here < expected * self._share:
                missing[exchange] = expected - here
            shrunk = expected - expected // 10 if exchange in missing else 0
            usual[exchange] = max(here, shrunk) if here else expected
        if at == len(self._days) or self._days[at] != day:
            self._days.insert(at, day)
        self.table[day] = _Rows(usual, missing)

    def missing(self, day: int) -> dict[str, int] | None:
        """Return the missing exchanges of a day: exchange → missing rows, `EVERYTHING` where none arrived.

        None if the day was never updated.
        """
        found = self.table.get(day)
        return None if found is None else found.missing

    def retain_from(self, day: int, before: int = 0) -> None:
        """Delete the days before ``day`` but the last ``before`` of them."""
        gone = max(0, bisect_left(self._days, day) - before)
        for old in self._days[:gone]:
            del self.table[old]
        del self._days[:gone]

    def _loaded(self) -> None:
        self._days = sorted(self.table)


class CheckedStore(DailyStore):
    """A daily store without required exchanges that knows which exchanges its closed days lack."""

    def __init__(self, topic: str, *, late_days: int, history_days: int) -> None:
        super().__init__(topic, (), late_days=late_days, history_days=history_days)
        self._completeness = Completeness(topic)
        self.tables = TableSet(self.tables, self._completeness.tables)

    def apply(self, batch: RowBatch) -> ApplyResult:
        """Fold rows, as a `DailyStore` does."""
        return self._checked(super().apply(batch))

    def close(self, end_of_day: EndOfDay) -> ApplyResult:
        """Fold punctuation, as a `DailyStore` does."""
        return self._checked(super().close(end_of_day))

    def missing(self, day: int) -> dict[str, int]:
        """Return what a closed day lacks: exchange → missing rows."""
        return self._completeness.missing(day) or {}

    def _checked(self, applied: ApplyResult) -> ApplyResult:
        for day in self.closed_since(applied):
            counted, named = DailyStore.missing(self, day), self.days[day].expected
            self._completeness.update(day, self.counts(day), counted, named)
        # A row that opens a day may delete an old one, although it changes no closed day.
        if self.sorted_days:
            self._completeness.retain_from(self.sorted_days[0])
        return applied
