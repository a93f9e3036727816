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


def index_cycle(data: Data, p: Any) -> Tables:
    """The last bear market that has ended, seen from every day, by index."""
    out: dict[str, dict[str, pd.Series]] = {}
    for code in p.cycle_indices:
        close = of_index(data, code, "close")
        history = close.where(data.days >= pd.Timestamp(p.valuation_since))
        rows = [{} if np.isnan(now) else row for now, row in zip(history, _cycles(history, p.bear_market), strict=True)]
        for name in ("", "peak", "trough", "fall", "rise", "bears"):
            values = [row.get(name) for row in rows]
            kind = object if name in ("peak", "trough") else float
            out.setdefault(name, {})[code] = pd.Series(values, index=data.days, dtype=kind)
    return {name: pd.DataFrame(columns) for name, columns in out.items()}


def _cycles(history: pd.Series, depth: float) -> list[dict[str, Any]]:
    """What is known on each day, close by close: a fall of the depth from a peak, then a rise of it from the trough."""
    out: list[dict[str, Any]] = []
    ended: list[dict[str, Any]] = []
    peak, low = (pd.NaT, -np.inf), (pd.NaT, np.inf)
    falling = False
    for day, close in zip(history.index, history, strict=True):
        if falling and close < low[1]:
            low = day, close
        if not falling and close > peak[1]:
            peak = day, close
        if falling and close >= low[1] * (1 + depth):
            ended.append({"peak": f"{peak[0]:%Y-%m-%d}", "low": low, "fall": low[1] / peak[1] - 1})
            falling, peak = False, (day, close)
        elif not falling and close <= peak[1] * (1 - depth):
            falling, low = True, (day, close)
        out.append({})
        if ended:
            (since, level), last = ended[-1]["low"], ended[-1]
            out[-1] = {
                "": (day - since).days / 365.25, "peak": last["peak"], "trough": f"{since:%Y-%m-%d}",
                "fall": last["fall"], "rise": close / level - 1, "bears": float(len(ended)),
            }  # fmt: skip
    return out
