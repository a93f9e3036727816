"""Special treatment (ST 风险警示) in prices whose source does not name it: from spells or master data.

Without a previous close, the daily limit separates a corporate action from a fall; it is 5% for ST stocks of the main
boards.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from processors.events import RowBatch


def with_special_treatment(prices: RowBatch, reference: RowBatch) -> RowBatch:
    """Return prices with the flag of the newest master data of each security; prices that have any flag as they are.

    Parameters
    ----------
    reference : sorted by day and key.
    """
    flags = prices.figures["st"]
    if (flags == 1.0).any() or not (reference.figures["st"] == 1.0).any():
        return prices
    order = np.lexsort((reference.days, reference.keys))
    known = reference.keys[order].astype(np.int64) * 2**32 + reference.days[order]
    at = np.searchsorted(known, prices.keys.astype(np.int64) * 2**32 + prices.days, side="right") - 1
    row = order[np.maximum(at, 0)]
    special = (at >= 0) & (reference.keys[row] == prices.keys) & (reference.figures["st"][row] == 1.0)
    return replace(prices, figures=prices.figures | {"st": np.where(special, 1.0, flags)})
