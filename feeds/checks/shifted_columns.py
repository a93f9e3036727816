"""Columns that are shifted by a row against the codes, on a first day, too.

Neither a ratio nor the published totals show it: the median and the sum of a column are the same in any order. But
large securities have large figures: in every list of 2016–2025 the logarithms of two figures of a row correlate more
than those of a row and of the one beside it, by 0.16 at least.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import masks_of
from processors.arrays import Floats
from processors.events import RowBatch
from processors.needs import DETAIL, PRICES

#: Topic → pairs of figures, and half of the least correlation that any list had.
_PAIRS = {
    DETAIL: (
        ("fin_buy", "fin_balance", 0.24),
        ("fin_repay", "fin_buy", 0.36),
        ("short_volume", "fin_balance", 0.12),
        ("short_sell", "short_volume", 0.18),
        ("short_repay", "short_volume", 0.17),
        ("short_balance", "short_volume", 0.43),
    ),
    PRICES: (("volume", "float_shares", 0.24),),
}
#: So much larger a correlation with the row beside is no chance, in so many rows of an exchange with both figures.
_MORE, _ROWS = 0.1, 200


def shifted_columns(batch: RowBatch) -> Iterator[Finding]:
    """Find pairs of figures that correlate more with those of the row beside."""
    for first, second, least in _PAIRS.get(batch.topic, ()):
        for name, mask in masks_of(batch):
            order = np.argsort(batch.keys[mask], kind="stable")
            one, other = (_logarithms(batch.figures[figure][mask][order]) for figure in (first, second))
            here = _correlation(one, other)
            beside = np.fmax(_correlation(one[1:], other[:-1]), _correlation(one[:-1], other[1:]))
            if beside > least and beside > here + _MORE:
                text = (
                    f"{first} and {second} of {name} correlate by {here:.2f} in a row, and by {beside:.2f} with the "
                    "row beside: check that no column is shifted against the codes"
                )
                yield Finding(Severity.ERROR, "columns", batch.topic, int(batch.days[0]), text)


def _logarithms(values: Floats) -> Floats:
    return np.log(values, out=np.full(len(values), np.nan), where=values > 0)


def _correlation(one: Floats, other: Floats) -> float:
    """Return the correlation of two columns where both are known; NaN for too few of them."""
    known = ~np.isnan(one) & ~np.isnan(other)
    if known.sum() < _ROWS or not np.ptp(one[known]) or not np.ptp(other[known]):
        return float("nan")
    return float(np.corrcoef(one[known], other[known])[0, 1])
