"""index_close 指数收盘: the closes that forward returns are measured by, so that who reads signals needs no prices."""

from __future__ import annotations

from processors.codes import to_id
from processors.market_view import INDICES, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

SIGNALS = (
    Signal(
        "index_close",
        Level.MARKET,
        "Close of an index",
        "指数收盘",
        "points",
        (INDICES,),
        "the index's close",
        "indices.daily",
        subjects=True,
        parameters=("timing_indices",),
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return one reading per index."""
    out: dict[str, Reading | Absent] = {}
    for code in view.parameters.timing_indices:
        try:
            out[f"index_close/{code}"] = Reading(view.index_close(to_id(code)))
        except Missing as missing:
            out[f"index_close/{code}"] = missing.absent()
    return out
