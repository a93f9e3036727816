"""bottom_panel 底部观察: the figures that past bottoms had in common, side by side and without a combined verdict."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats, Indexer
from processors.bears import bear_markets, current_drawdowns
from processors.block import Block
from processors.indicators.fin_buy_ratio import trailing_ratio
from processors.indicators.index_pe import pe_percentiles
from processors.needs import index, total, turnover
from processors.signal import Column, Level, Signal, Values
from processors.statistics import percentiles, rolling_sums

_MONTH = 20
BUYS = total("fin_buy", days="ratio_window_days", optional=True)
TURNOVERS = turnover(days="ratio_window_days", optional=True)
CLOSES = index("close", each="bottom_indices", since="valuation_since", optional=True)
RATES = index("turnover_rate", each="bottom_indices", since="valuation_since", optional=True)
PES = index("pe_ttm", each="bottom_indices", since="valuation_since", optional=True)

SIGNALS = (
    Signal(
        "bottom_panel",
        Level.MARKET,
        "How many of the panel's figures are known; the figures are in the details",
        "底部观察面板",
        "count",
        (BUYS, TURNOVERS, CLOSES, RATES, PES),
        "side by side: ratio and whether it is in the cold zone (no bottom signal by itself: 6 of 11); of each of six indices the drawdown from its peak since the last "
        "bear market ended (≥ <bear_market:%> from a peak, ended by +<bear_market:%> from the trough) and its rank among the falls of its past bear markets, "
        "20-day mean of the turnover rate and PE with their percentiles, all over the whole known history (the PE's as "
        "index_pe_percentile)",
        "[DG22], ranks ours",
        parameters=("ratio_cold", "bear_market", "percentile_least"),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the number of known figures; the details contain the figures."""
    p = block.parameters
    ratio = trailing_ratio(block[BUYS], block[TURNOVERS])
    details: dict[str, Values] = {
        "fin_buy_ratio_5d": ratio,
        "cold_zone": [None if value != value else int(value <= p.ratio_cold) for value in ratio.tolist()],
    }
    for code in p.bottom_indices:
        details |= _falls(block.get(CLOSES, code), block.positions, code, p.bear_market)
        details |= _valuation(block.get(RATES, code), block.get(PES, code), code, p.percentile_least)
    counts = np.zeros(len(block), dtype=int)
    for values in details.values():
        counts += np.array([value is not None and value == value for value in values], dtype=int)
    values = [int(count) if count else None for count in counts]
    return {"bottom_panel": Column(values, details, "none of the panel's figures is known")}


def _valuation(rates: Floats, pes: Floats, code: str, least: int) -> dict[str, Values]:
    """Return turnover rate and PE of an index with their percentiles over its known history, by name."""
    months = rolling_sums(rates, _MONTH) / _MONTH if rates.shape[1] >= _MONTH else np.full((len(rates), 1), np.nan)
    return {
        f"{code} turnover_rate_month": months[:, -1],
        f"{code} turnover_rate_percentile": percentiles(months, least),
        f"{code} pe_ttm": pes[:, -1],
        f"{code} pe_percentile": pe_percentiles(pes, least),
    }


def _falls(closes: Floats, positions: Indexer, code: str, depth: float) -> dict[str, Values]:
    """Return the drawdown of an index and its rank among past bear markets, by name; None where there were none."""
    # The window of the block's last day contains those of its other days: a bear market that has ended stays as it is.
    behind = positions[-1] - positions
    series = np.concatenate([np.full(max(int(behind[0]) + 1 - closes.shape[1], 0), np.nan), closes[-1]])
    bears, at = bear_markets(series, depth), len(series) - 1 - behind
    current, falls = current_drawdowns(series, bears)[at], np.array([bear.fall for bear in bears])
    ended = np.searchsorted([bear.end for bear in bears], at, side="right")
    counts = [int(count) if count and now == now else None for count, now in zip(ended, current, strict=True)]
    return {
        f"{code} drawdown": current,
        f"{code} bear_markets": counts,
        f"{code} deeper_than": [
            None if count is None else float((now <= falls[:count]).mean())
            for count, now in zip(counts, current, strict=True)
        ],
    }
