"""bottom_panel 底部观察: what past bottoms had in common, side by side and never one verdict."""

from __future__ import annotations

import numpy as np

from processors.block import Block
from processors.events import Floats
from processors.indicators.fin_buy_ratio import trailing_ratio
from processors.needs import index, total, turnover
from processors.signal import Column, Level, Signal, Values
from processors.statistics import drawdowns, percentiles, rolling_sums

_MONTH = 20
BUYS = total("fin_buy", days="ratio_window_days", optional=True)
TURNOVERS = turnover(days="ratio_window_days", optional=True)
CLOSES = index("close", each="timing_indices", days="percentile_days", optional=True)
RATES = index("turnover_rate", "000001.SH", days="percentile_days", plus=_MONTH, optional=True)
PES = index("pe_ttm", "000001.SH", days="percentile_days", optional=True)

SIGNALS = (
    Signal(
        "bottom_panel",
        Level.MARKET,
        "How many of the panel's figures are known; the figures are in the details",
        "底部观察面板",
        "count",
        (BUYS, TURNOVERS, CLOSES, RATES, PES),
        "side by side: ratio and whether it is in the cold zone; each index's drawdown and its rank among the deepest falls "
        "of its own past bear markets (≥ 20%); month-average turnover rate and PE of the SSE Composite with percentiles",
        "[DG22], ranks ours",
        parameters=("ratio_cold", "bear_market", "percentile_least"),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the panel."""
    p = block.parameters
    ratio = trailing_ratio(block[BUYS], block[TURNOVERS])
    details: dict[str, Values] = {
        "fin_buy_ratio_5d": ratio,
        "cold_zone": [None if value != value else int(value <= p.ratio_cold) for value in ratio.tolist()],
    }
    for code in p.timing_indices:
        details |= _index(block.get(CLOSES, code), code, p.bear_market)
    # A month before the window holds no whole month: the first mean of 20 days is the window's first.
    months = rolling_sums(block[RATES], _MONTH) / _MONTH
    pes = block[PES]
    details |= {
        "turnover_rate_month": months[:, -1],
        "turnover_rate_percentile": percentiles(months, p.percentile_least),
        "pe_ttm": pes[:, -1],
        "pe_percentile": percentiles(pes, p.percentile_least),
    }
    counts = np.zeros(len(block), dtype=int)
    for values in details.values():
        counts += np.array([value is not None and value == value for value in values], dtype=int)
    values = [int(count) if count else None for count in counts]
    return {"bottom_panel": Column(values, details, "none of the panel's figures is known")}


def _index(closes: Floats, code: str, depth: float) -> dict[str, Values]:
    """Drawdown of an index, and its rank among its past bear markets where there are any."""
    known = ~np.isnan(closes[:, -1])
    now = np.where(known, drawdowns(closes), np.nan)
    rows, falls = bear_markets(closes, depth)
    count = np.bincount(rows, minlength=len(closes))
    deeper = np.bincount(rows[now[rows] <= falls], minlength=len(closes))
    shown = (known & (count > 0)).tolist()
    return {
        f"{code} drawdown": now,
        f"{code} bear_markets": [int(n) if here else None for n, here in zip(count, shown, strict=True)],
        f"{code} deeper_than": [
            float(d / n) if here else None for d, n, here in zip(deeper, count, shown, strict=True)
        ],
    }


def bear_markets(closes: Floats, depth: float) -> tuple[np.ndarray, Floats]:
    """Return every finished fall of at least ``depth`` in each window: the window's row, and its deepest drawdown.

    A fall begins at a high and is finished by the next close that is not below it.

    Parameters
    ----------
    closes : (k, days), NaN where unknown.
    """
    known = ~np.isnan(closes)
    highs = np.maximum.accumulate(np.where(known, closes, -np.inf), axis=1)
    drops = np.where(known, closes / np.where(known, highs, 1.0) - 1, 0.0)
    begins = known & (closes >= highs)
    begins[:, 0] = True  # a window's first fall is its own
    starts = np.flatnonzero(begins)
    worst = np.minimum.reduceat(drops.ravel(), starts)
    rows = starts // closes.shape[1]
    last = np.r_[rows[1:] != rows[:-1], True]  # not finished inside the window
    found = (worst <= -depth) & ~last
    return rows[found], worst[found]
