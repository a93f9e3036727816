"""Statistics of the studies: regression (statsmodels), intervals, episodes, performance (empyrical)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import empyrical
import numpy as np
import numpy.typing as npt
import statsmodels.api as sm

from processors import shares
from processors.arrays import Array, Floats
from processors.shares import episodes
from processors.signal import number
from processors.studies.result import Finding, Kind, Unit

__all__ = [
    "RATIO_INTERVAL",
    "Interval",
    "Performance",
    "Regression",
    "block_interval",
    "compounded",
    "episodes",
    "falls",
    "hit_rate",
    "mean",
    "performance",
    "ratio_interval",
    "regression",
    "wilson",
]
Interval: TypeAlias = tuple[float | None, float | None]
_DRAWS, _SEED = 1_000, 20_140_801
_Z = 1.96  # of the 95% interval of a normal variable
#: The kind of the interval of `ratio_interval`.
RATIO_INTERVAL = "standard error [Lo02]"


@dataclass(frozen=True, slots=True)
class Regression:
    """y = α + βx with ordinary errors, and with heteroskedasticity and autocorrelation consistent ones (HAC, Newey-West)."""

    n: int
    alpha: float
    beta: float
    t_ols: float
    t_hac: float
    p_hac: float
    low: float  # 95%, HAC
    high: float
    correlation: float


def regression(x: Floats, y: Floats, lags: int) -> Regression | None:
    """Regress y on x where both are known; None for fewer than ten pairs or a constant x.

    Parameters
    ----------
    x, y : (n,) NaN where unknown.
    lags : lags of the HAC errors.
    """
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    if len(x) < 10 or not np.ptp(x):
        return None
    model: Any = sm.OLS(y, sm.add_constant(x))
    plain, hac = model.fit(), model.fit(cov_type="HAC", cov_kwds={"maxlags": lags})
    low, high = hac.conf_int()[1]
    return Regression(
        len(x),
        float(plain.params[0]),
        float(plain.params[1]),
        float(plain.tvalues[1]),
        float(hac.tvalues[1]),
        float(hac.pvalues[1]),
        float(low),
        float(high),
        float(np.corrcoef(x, y)[0, 1]),
    )


def wilson(hits: int, cases: int) -> Interval:
    """Return the 95% Wilson interval of a hit rate; (None, None) without cases."""
    return shares.wilson(hits / cases, cases) if cases else (None, None)


def hit_rate(
    what: str,
    hits: int,
    cases: int,
    published: float | None = None,
    apart: int | None = None,
    note: str = "",
    base: float | None = None,
) -> Finding:
    """Return a hit rate with its Wilson interval beside the published one; ``apart`` of its cases do not overlap."""
    rate = hits / cases if cases else None
    kind = Kind.NONE if published is None else Kind.EFFECT
    return Finding(what, rate, Unit.RATIO, published, *wilson(hits, cases), "Wilson", cases, apart, note, kind, base)


def block_interval(values: Floats, days: npt.NDArray[np.integer[Any]], block: int) -> Interval:
    """Return the 95% interval of a mean by a moving-block bootstrap of days: observations share days and overlap.

    Parameters
    ----------
    values, days : (n,) observations and their positions in the calendar.
    block : days in a block, the horizon of the returns.
    """
    if not len(values) or episodes(days, block) < 3:
        return None, None
    first, size = int(days.min()), int(days.max() - days.min()) + 1
    total = np.bincount(days - first, weights=values, minlength=size)
    count = np.bincount(days - first, minlength=size).astype(np.float64)
    block = min(block, size)
    blocks = -(-size // block)
    starts = np.random.default_rng(_SEED).integers(0, size - block + 1, (_DRAWS, blocks))
    totals, counts = (np.concatenate([[0.0], np.cumsum(v)]) for v in (total, count))
    drawn = (totals[starts + block] - totals[starts]).sum(axis=1)
    number = (counts[starts + block] - counts[starts]).sum(axis=1)
    means = drawn[number > 0] / number[number > 0]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Performance:
    """Performance of a series of returns, as fractions; None where too few of them differ from each other."""

    annual: float  # compounded
    cumulative: float
    volatility: float | None  # annualised
    sharpe: float | None  # without a risk-free rate
    drawdown: float  # positive


def performance(returns: Floats, per_year: int) -> Performance:
    """Return the performance of returns over equal periods.

    Parameters
    ----------
    returns : (n,) fractions, of the known periods alone.
    per_year : periods a year: 244 for days, 52 for weeks.

    Raises
    ------
    ValueError : if a return is NaN: whether it is left out or counts as 0 is the caller's to decide.
    """
    if np.isnan(returns).any():
        raise ValueError("a return is unknown: leave its period out")
    return Performance(
        float(empyrical.annual_return(returns, annualization=per_year)),
        float(empyrical.cum_returns_final(returns)),
        number(empyrical.annual_volatility(returns, annualization=per_year)),
        number(empyrical.sharpe_ratio(returns, annualization=per_year)) if len(np.unique(returns)) > 1 else None,
        abs(float(empyrical.max_drawdown(returns))),
    )


def ratio_interval(ratio: float | None, periods: int, per_year: int) -> Interval:
    """Return the 95% interval of a Sharpe or information ratio by its standard error; (None, None) below a year.

    SE = √((1 + r² / 2) / n) × √per_year, with r the ratio of a period: that of independent normal returns [Lo02].

    Parameters
    ----------
    ratio : annualised.
    periods : known returns.
    per_year : periods a year.

    Examples
    --------
    >>> [round(bound, 2) for bound in ratio_interval(2.0, 104, 52)], ratio_interval(4.0, 5, 52)
    ([0.59, 3.41], (None, None))
    """
    if ratio is None or periods < per_year:
        return None, None
    error = float(np.sqrt((per_year + ratio * ratio / 2) / periods))
    return ratio - _Z * error, ratio + _Z * error


def compounded(returns: Floats) -> float | None:
    """Return the compounded return of the known periods, None where none is known.

    Examples
    --------
    >>> compounded(np.array([0.5, np.nan, -0.5])), compounded(np.array([np.nan]))
    (-0.25, None)
    """
    known = returns[~np.isnan(returns)]
    return float(np.prod(1 + known) - 1) if len(known) else None


def falls(returns: Floats) -> Floats:
    """Return the drawdown after each period, 0 or negative, from the highest level so far; the level before is 1 (n,).

    Examples
    --------
    >>> falls(np.array([-0.2, 0.5, 0.5, -0.5])).round(6).tolist()
    [-0.2, 0.0, 0.0, -0.5]
    """
    level = np.cumprod(1 + returns)
    return np.asarray(level / np.maximum(np.maximum.accumulate(level), 1.0) - 1)


def mean(values: Array) -> float | None:
    """Return the mean, None for an empty array."""
    return float(np.mean(values)) if len(values) else None
