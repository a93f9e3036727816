"""Columns of a list that are no figures of a market: one value in most rows, none in a part of them, or another column.

In 2016–2025 the most frequent figure of a column was in at most 14% of the rows of an exchange (short sales of 100
shares), two columns of prices were equal in at most 88% of the rows (low and open of Shenzhen on 2020-02-03, when most
stocks opened at their limit), and no column of the exchanges' lists was absent in a part of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np

from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import masks_of
from feeds.checks.slipped_days import FEW_LOTS, SHARES
from processors.arrays import Mask
from processors.events import FIGURES, RowBatch
from processors.needs import DETAIL, PRICES

_LISTS = {
    DETAIL: (
        "fin_balance",
        "fin_buy",
        "fin_repay",
        "short_volume",
        "short_sell",
        "short_repay",
        "short_balance",
    ),
    PRICES: ("open", "high", "low", "close", "prev_close", "volume", "turnover"),
}
#: So many rows are the list of an exchange. The same figure in so many of them, and this share of those that have one,
#: is none of a market, unless it is a few lots (shares): little is sold short in some years.
_LIST, _ROWS, _SHARE = 200, 20, 0.5

#: Columns that are equal in this share of the rows are one column twice; on the first day of a list its balances are
#: what was bought, and its lent shares what was sold.
_COPIED, _OF_A_FIRST_DAY = 0.99, (("fin_balance", "fin_buy"), ("short_volume", "short_sell"))


def column_gaps(batch: RowBatch) -> Iterator[Finding]:
    """Find columns of an exchange with one figure in most rows, and those that are absent in a part of the rows."""
    traded, optional = _traded(batch), {column.name for column in FIGURES[batch.topic] if column.optional}
    for figure in _LISTS.get(batch.topic, ()):
        values, least = batch.figures[figure], FEW_LOTS if figure in SHARES else 0
        for name, mask in masks_of(batch):
            found, counts = np.unique(values[mask & (values > least)], return_counts=True)
            if mask.sum() >= _LIST and counts.sum() >= _ROWS and counts.max() > _SHARE * counts.sum():
                text = (
                    f"{figure} of {name} is {found[counts.argmax()]:,.15g} in {counts.max():,} of {counts.sum():,} "
                    "rows: a placeholder, or one cell that was copied into the others; export the file again"
                )
                yield Finding(Severity.ERROR, "placeholder", batch.topic, int(batch.days[0]), text)
            lacking = mask & traded & np.isnan(values)
            if figure in optional and lacking.any() and not np.isnan(values[mask]).all():
                text = (
                    f"{figure} of {name} is absent in {lacking.sum():,} of {(mask & traded).sum():,} rows: "
                    f"{names_of(batch, batch.keys[lacking])}: fill in the cells, or export the file again"
                )
                yield Finding(Severity.WARNING, "absent", batch.topic, int(batch.days[0]), text)

    yield from _copied_columns(batch, traded)


def _copied_columns(batch: RowBatch, traded: Mask) -> Iterator[Finding]:
    """Find columns of an exchange that repeat another one."""
    for one, other in combinations(_LISTS.get(batch.topic, ()), 2):
        first, second = batch.figures[one], batch.figures[other]
        known = traded & (first > 0) & (second > 0)
        for name, mask in masks_of(batch) if (one, other) not in _OF_A_FIRST_DAY else ():
            rows, equal = int((mask & known).sum()), int((mask & known & (first == second)).sum())
            if rows >= _LIST and equal > _COPIED * rows:
                text = (
                    f"{one} of {name} is {other} in {equal:,} of {rows:,} rows: one column is exported twice, or "
                    "mapped to both; leave out the one that the source does not have"
                )
                yield Finding(Severity.ERROR, "columns", batch.topic, int(batch.days[0]), text)


def _traded(batch: RowBatch) -> Mask:
    """Return which rows should have every figure (n,): a security that does not trade has no prices."""
    if batch.topic != PRICES:
        return np.ones(len(batch), dtype=bool)
    return np.asarray((batch.figures["volume"] > 0) | (batch.figures["turnover"] > 0))
