"""oversold 超卖: drawdown of an index, beside that of a reference date (the low of 2018 by default); no verdict."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.days import to_day
from processors.indicators.index_pe import pe_percentiles
from processors.needs import index, reference_date
from processors.signal import Column, Level, Signal, Values
from processors.statistics import distances, drawdowns, rsi

_RSI_DAYS = 14
CLOSES = index("close", each="timing_indices", days="oversold_days")
PES = index("pe_ttm", each="timing_indices", since="valuation_since", optional=True)
REFERENCE_CLOSES = index("close", each="timing_indices", days="oversold_days", at="oversold_reference", optional=True)

SIGNALS = (
    Signal(
        "oversold",
        Level.MARKET,
        "Drawdown from the <oversold_days>-day high, with RSI, distance to the mean and PE percentile",
        "指数超卖（回撤、RSI、乖离、PE分位）",
        "ratio",
        (CLOSES, PES, REFERENCE_CLOSES),
        "per index: close / max close of <oversold_days> days − 1; details: RSI(14), close / <oversold_days>-day mean − 1, percentile of the PE "
        "as index_pe_percentile, and all four on the reference date (<oversold_reference>), its PE among those up to it",
        "[GF25]",
        subjects=True,
        parameters=("percentile_least",),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return one column per index."""
    return {f"oversold/{code}": _index(block, code) for code in block.parameters.timing_indices}


def _index(block: Block, code: str) -> Column:
    closes, then, pes = block.get(CLOSES, code), block.get(REFERENCE_CLOSES, code), block.get(PES, code)
    least = block.parameters.percentile_least
    details: dict[str, Values] = {
        "rsi_14": rsi(closes, _RSI_DAYS),
        "mean_distance": distances(closes),
        "pe_percentile": pe_percentiles(pes, least),
        "reference_pe_percentile": _reference_percentiles(block, pes, least),
    }
    known = ~np.isnan(then).any(axis=1)
    for name, values in (
        ("rsi_14", rsi(then, _RSI_DAYS)),
        ("mean_distance", distances(then)),
        ("drawdown", drawdowns(then)),
    ):
        details[f"reference_{name}"] = np.where(known, values, np.nan)
    return Column(drawdowns(closes), details)


def _reference_percentiles(block: Block, pes: Floats, least: int) -> Floats:
    """Return the percentile of the PE on the reference date in the history up to it (k,); NaN until that date is over."""
    day = to_day(reference_date(REFERENCE_CLOSES, block.parameters))
    if day not in block.calendar:
        return np.full(len(block), np.nan)
    # The window of the block's last day contains those of its other days and of the reference date.
    end = pes.shape[1] - int(block.positions[-1]) + block.calendar.position(day)
    found = pe_percentiles(pes[-1, :end], least) if end > 0 else np.nan
    return np.where(np.array(block.days) > day, found, np.nan)
