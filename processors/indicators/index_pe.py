"""index_pe_percentile 指数市盈率分位: where the PE of an index is in its whole known history."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.needs import index
from processors.signal import Column, Level, Signal
from processors.statistics import percentiles

PE = index("pe_ttm", each="valuation_indices")
PES = index("pe_ttm", each="valuation_indices", since="valuation_since", min_periods="percentile_least")

SIGNALS = (
    Signal(
        "index_pe_percentile",
        Level.MARKET,
        "Percentile of an index's PE over its whole known history",
        "指数市盈率历史分位",
        "ratio",
        (PE, PES),
        "per index: share of the known PE (TTM) since <valuation_since> that are not above today's; at least <percentile_least> of them, losses "
        "left out; details: the PE and the days known (published for 2022-10: CSI 1000 7.77%, ChiNext 9.78%, SSE 50 10.01%, "
        "CSI 300 14.24%, SSE Composite 15.98%)",
        "[DG22]",
        subjects=True,
        parameters=("percentile_least",),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return one column per index; the details contain the PE and the number of known days."""
    return {f"index_pe_percentile/{code}": _index(block, code) for code in block.parameters.valuation_indices}


def _index(block: Block, code: str) -> Column:
    least = block.parameters.percentile_least
    pes = block.get(PES, code)
    details = {"pe_ttm": block.get(PE, code), "days": (pes > 0).sum(axis=1)}
    return Column(pe_percentiles(pes, least), details, f"the index has a loss, or a PE on fewer than {least} days")


def pe_percentiles(pes: Floats, least: int) -> Floats:
    """Return the share of each window's PE that are not above its last one (…,), losses left out; also of other signals.

    NaN where the last one is a loss or unknown, or where fewer than ``least`` are known.

    Examples
    --------
    >>> pe_percentiles(np.array([[-5.0, 10.0, 30.0, 20.0], [10.0, 20.0, 30.0, -5.0]]), 3)
    array([0.66666667,        nan])
    """
    return percentiles(np.where(pes > 0, pes, np.nan), least)
