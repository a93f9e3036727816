"""excess_score 超额得分: where the balance ran ahead of the price, or the price ahead of the balance."""

from __future__ import annotations

import numpy as np

from processors.events import Floats
from processors.market_view import DETAIL, INDICES, MarketView
from processors.pack import Array
from processors.pricing import PRICES
from processors.signal import Level, Signal

INPUTS = (DETAIL, PRICES, INDICES)
_FORMULA = "s0 = rank(15-day return) / rank(15-day balance growth), ranks over the day's stocks with both (mean rank of equals); "

SIGNALS = (
    Signal(
        "excess_score",
        Level.SECURITY,
        "Excess score",
        "融资余额超额得分",
        "score",
        INPUTS,
        _FORMULA + "|s0 − median(s0)|",
        "[ZT21]",
        window_days=16,
        parameters=("score_days", "score_top"),
    ),
    Signal(
        "excess_kind",
        Level.SECURITY,
        "Early positioning (−1: the balance ran ahead of the price) or chasing (+1)",
        "提前布局/追涨",
        "side",
        INPUTS,
        _FORMULA + "−1 early_positioning where s0 < median(s0), +1 chasing where above, 0 at it",
        "[ZT21]",
        window_days=16,
    ),
    Signal(
        "excess_top",
        Level.SECURITY,
        "Among the 10% largest excess scores",
        "超额得分前10%",
        "flag",
        INPUTS,
        "1 for the ⌊10% n⌋ largest excess scores of the day, else 0",
        "[ZT21]",
        window_days=16,
        parameters=("score_top",),
    ),
)


def compute(view: MarketView) -> dict[str, Array]:
    """Return the columns over the day's margin detail."""
    keys = view.detail.keys
    gain = view.priced("return_15", keys)
    growth = view.detail.columns["growth_15"]
    used = ~np.isnan(gain) & ~np.isnan(growth) & view.stock
    score, kind, top = scores(gain[used], growth[used], view.parameters.score_top)
    out = {name: np.full(len(keys), np.nan) for name in ("excess_score", "excess_kind", "excess_top")}
    out["excess_score"][used], out["excess_kind"][used], out["excess_top"][used] = score, kind, top
    return out


def scores(gain: Floats, growth: Floats, share: float) -> tuple[Floats, Floats, Floats]:
    """Return score, kind and top flag of stocks with both figures; all NaN for fewer than two."""
    if len(gain) < 2:
        absent = np.full(len(gain), np.nan)
        return absent, absent, absent
    s0 = _mean_ranks(gain) / _mean_ranks(growth)
    middle = float(np.median(s0))
    score = np.abs(s0 - middle)
    top, count = np.zeros(len(gain)), int(share * len(gain) + 1e-9)
    if count:
        top[np.argsort(-score, kind="stable")[:count]] = 1.0
    return score, np.sign(s0 - middle), top


def _mean_ranks(values: Floats) -> Floats:
    """Rank 1 for the smallest; equals (to 10⁻¹²: a chain of returns has rounding) share the mean of their ranks."""
    _, inverse, counts = np.unique(values.round(12), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse])
