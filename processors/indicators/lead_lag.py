"""lead_lag 领先滞后: whether the margin balance moves before the index or after it, and whose peak comes first.

[DG22] finds that the balance lags tops. Correlations are those of day returns and day growth, so that two series with a
common trend do not look related.
"""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.days import to_date
from processors.needs import index, total
from processors.signal import Column, Level, Signal, Value
from processors.statistics import means

LAGS = range(-10, 11)
CLOSES = index("close", "000001.SH", days="lead_lag_days", plus=1, min_periods="lead_lag_least")
BALANCES = total("fin_balance", days="lead_lag_days", plus=1, min_periods="lead_lag_least")

SIGNALS = (
    Signal(
        "lead_lag",
        Level.MARKET,
        "Days by which the balance follows the index",
        "融资余额滞后指数的天数",
        "days",
        (CLOSES, BALANCES),
        "the k in −10…10 with the highest correlation of the SSE Composite's return on day t with the balance's growth on "
        "day t + k over the last <lead_lag_days> days (above 0: the balance follows); details: the correlation at each k, from at "
        "least <lead_lag_least> pairs of days",
        "[DG22], days of a pair ours",
    ),
    Signal(
        "peak_lag",
        Level.MARKET,
        "Days from the index's peak to the balance's",
        "融资余额高点滞后指数高点的天数",
        "days",
        (CLOSES, BALANCES),
        "trading days from the highest close of the SSE Composite to the highest balance of the last <lead_lag_days> days, the later "
        "day where two are equal (above 0: the balance's peak is later); absent where one is the first known day behind days that "
        "are not known; details: both dates",
        "[DG22]",
        parameters=("lead_lag_days",),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return both lags in trading days."""
    p = block.parameters
    closes, balances = block[CLOSES], block[BALANCES]
    returns, growth = (values[:, 1:] / values[:, :-1] - 1 for values in (closes, balances))
    correlations = np.stack([_correlations(returns, growth, k, p.lead_lag_least) for k in LAGS], axis=1)
    known = ~np.isnan(correlations)
    best = np.where(known, correlations, -np.inf).argmax(axis=1)
    highest = np.where(known.any(axis=1), np.array(LAGS)[best], np.nan)
    index_peak, balance_peak = (_last_peaks(values[:, 1:]) for values in (closes, balances))
    return {
        "lead_lag": Column(
            highest,
            {f"k={k}": correlations[:, i] for i, k in enumerate(LAGS)},
            f"fewer than {p.lead_lag_least} pairs of days are known, or a series does not change",
        ),
        "peak_lag": Column(
            balance_peak - index_peak,
            {
                "index_peak": _dates(block, index_peak, p.lead_lag_days),
                "balance_peak": _dates(block, balance_peak, p.lead_lag_days),
            },
            "the highest known day is the first one: a higher one may be before it",
        ),
    }


def _correlations(returns: Floats, growth: Floats, k: int, least: int) -> Floats:
    """Return the correlation of returns on day t with growth on day t + k (n,); NaN from fewer than ``least`` pairs.

    Parameters
    ----------
    returns, growth : (n, days), NaN where unknown.
    """
    days = returns.shape[1] - abs(k)
    if days <= 0:
        return np.full(len(returns), np.nan)
    # Copies: a sum over a contiguous window adds the same numbers in the same order whatever n is.
    x, y = returns[:, max(-k, 0) :][:, :days].copy(), growth[:, max(k, 0) :][:, :days].copy()
    pairs = ~(np.isnan(x) | np.isnan(y))
    x, y = np.where(pairs, x, np.nan), np.where(pairs, y, np.nan)
    x, y = x - means(x)[:, None], y - means(y)[:, None]
    scale = np.sqrt(means(x * x) * means(y * y))
    return np.where((pairs.sum(axis=1) >= least) & (scale > 0), means(x * y) / np.where(scale > 0, scale, 1.0), np.nan)


def _last_peaks(values: Floats) -> Floats:
    """Return the place of the highest known value of each window, the last one where several are equal (n,).

    NaN where it is the first known value behind unknown ones: a series that falls from its first day on has its peak
    before it.
    """
    known = ~np.isnan(values)
    highest = np.where(known, values, -np.inf)
    places = values.shape[1] - 1 - highest[:, ::-1].argmax(axis=1)
    first = known.argmax(axis=1)
    return np.where((places == first) & (first > 0), np.nan, places)


def _dates(block: Block, places: Floats, days: int) -> list[Value | None]:
    """Return the dates of places in the windows of ``days`` days that end on the days of the block; None for NaN."""
    shown = [None if np.isnan(place) else int(place) for place in places.tolist()]
    there = [
        None if at is None else block.calendar.shift(day, at + 1 - days)
        for day, at in zip(block.days, shown, strict=True)
    ]
    return [None if day is None else to_date(day).isoformat() for day in there]
