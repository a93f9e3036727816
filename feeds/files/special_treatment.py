"""Special treatment (ST 风险警示) in prices whose source does not name it: from spells or master data.

Without a previous close, the daily limit separates a corporate action from a fall; it is 5% for ST stocks of the main
boards. Master data of the same files count, or else those that are published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from feeds.files.master_data import MasterData
from processors.code_changes import CodeChanges
from processors.events import RowBatch, concat
from processors.needs import PRICES, REFERENCE


def add_to(years: Sequence[dict[str, RowBatch]], changes: CodeChanges, published: MasterData, notes: list[str]) -> None:
    """Replace prices by those with the flag of each security, and append a note on what is published.

    Parameters
    ----------
    years : topic → rows, sorted by day and key, of ascending years.
    published : the published master data, which are read where the files have none and a price has no previous close.
    """
    prices, masters = ([year[topic] for year in years if topic in year] for topic in (PRICES, REFERENCE))
    master = concat(masters) if masters else None
    if not prices:
        if master is not None and (special := len(np.unique(master.keys[master.figures["st"] == 1.0]))):
            notes.append(
                f"ST of {special} securities counts for prices that are fed from now on; feed earlier prices without a "
                "previous close again"
            )
        return
    if any((rows.figures["st"] == 1.0).any() for rows in prices):
        return
    if (master is None or not (master.figures["st"] == 1.0).any()) and any(
        np.isnan(rows.figures["prev_close"]).any() for rows in prices
    ):
        master = published()
        known = 0 if master is None else len(np.unique(master.keys[master.figures["st"] == 1.0]))
        if known:
            notes.append(f"prices take ST from the published master data, which name {known} securities")
    if master is not None:
        for year in years:
            if PRICES in year:
                year[PRICES] = with_special_treatment(year[PRICES], master, changes)


def with_special_treatment(prices: RowBatch, reference: RowBatch, changes: CodeChanges) -> RowBatch:
    """Return prices with the flag of the newest master data of each security.

    Parameters
    ----------
    reference : sorted by day and key.
    """
    order = np.lexsort((reference.days, changes.newest(reference.keys)))
    keys, newest = changes.newest(reference.keys[order]), changes.newest(prices.keys)
    known = keys.astype(np.int64) * 2**32 + reference.days[order]
    at = np.searchsorted(known, newest.astype(np.int64) * 2**32 + prices.days, side="right") - 1
    row = np.maximum(at, 0)
    special = (at >= 0) & (keys[row] == newest) & (reference.figures["st"][order[row]] == 1.0)
    return replace(prices, figures=prices.figures | {"st": np.where(special, 1.0, prices.figures["st"])})
