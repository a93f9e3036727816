"""The valuation of indices against their own history."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.oracle.data import Data
from tests.oracle.market import Tables, of_index


def index_pe_percentile(data: Data, p: Any) -> Tables:
    """Share of the history's days whose PE is not above the day's, by index."""
    ranks, levels, counts = {}, {}, {}
    for code in p.valuation_indices:
        pe = of_index(data, code, "pe_ttm")
        history = pe.where((pe > 0) & (data.days >= pd.Timestamp(p.valuation_since)))
        count = history.expanding(min_periods=0).count()
        shown = history.notna() & (count >= p.percentile_least)
        below = [float((history.iloc[: i + 1] <= now).sum()) for i, now in enumerate(history)]
        ranks[code] = (pd.Series(below, index=data.days) / count.replace(0, np.nan)).where(shown)
        levels[code], counts[code] = pe.where(shown), count.where(shown)
    return {"": pd.DataFrame(ranks), "pe_ttm": pd.DataFrame(levels), "days": pd.DataFrame(counts)}
