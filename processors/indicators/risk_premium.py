"""risk_premium 股权风险溢价: earnings yield of stocks less the ten-year government bond yield, and how rare its level is."""

from __future__ import annotations

import numpy as np

from processors.arrays import Counts, Floats, Mask
from processors.block import Block
from processors.needs import Need, index, rate
from processors.signal import Column, Level, Signal
from processors.statistics import deviations, means

YIELD = rate("CN10Y")
YIELDS = rate("CN10Y", days="risk_premium_days", optional=True)
YIELDS_SINCE = rate("CN10Y", since="expanding_since", optional=True)


def _multiples(parameter: str) -> tuple[Need, Need, Need]:
    """Return the needs of the PE of an index: of the day, of the bands, of the count of episodes."""
    return (
        index("pe_ttm", each=parameter),
        index("pe_ttm", each=parameter, days="risk_premium_days", optional=True),
        index("pe_ttm", each=parameter, since="expanding_since", optional=True),
    )


MULTIPLES, OTHER_MULTIPLES = _multiples("risk_premium_index"), _multiples("risk_premium_others")
_PARAMETERS = ("percentile_least", "risk_premium_high", "risk_premium_gap_days")

SIGNALS = (
    Signal(
        "risk_premium",
        Level.MARKET,
        "Equity risk premium",
        "股权风险溢价",
        "ratio",
        (*MULTIPLES, YIELD, YIELDS, YIELDS_SINCE),
        "1 / PE of the CSI All Share (or the index given) − 10-year yield; details: trailing mean ± 2σ with the distance to "
        "both, days at <risk_premium_high:%> or above since <expanding_since> and their episodes (an episode ends with <risk_premium_gap_days> sessions below <risk_premium_high:%>; published: 5 "
        "from 2016 to 2025-07)",
        "[GF25], window of the bands and end of an episode ours",
        parameters=_PARAMETERS,
    ),
    Signal(
        "risk_premium_by_index",
        Level.MARKET,
        "Equity risk premium of further indices",
        "股权风险溢价（其他指数）",
        "ratio",
        (*OTHER_MULTIPLES, YIELD, YIELDS, YIELDS_SINCE),
        "the same of each index in risk_premium_others (CSI 300): large caps are cheaper, so their level is another one",
        "[GF25]",
        subjects=True,
        parameters=_PARAMETERS,
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the premium of the whole market's index and of the others; see `_premium` for the details."""
    p = block.parameters
    others = {f"risk_premium_by_index/{code}": _premium(block, OTHER_MULTIPLES, code) for code in p.risk_premium_others}
    return {"risk_premium": _premium(block, MULTIPLES, p.risk_premium_index), **others}


def _premium(block: Block, needs: tuple[Need, Need, Need], code: str) -> Column:
    """Return the premium of an index; the details contain its parts, the episodes at a high level, and the bands.

    The bands are there once ``percentile_least`` days are known.
    """
    p = block.parameters
    multiple, multiples, multiples_since = (block.get(need, code) for need in needs)
    bond = block[YIELD]
    premium = _earnings_yield(multiple) - bond
    history = _earnings_yield(multiples) - block[YIELDS]
    enough = (~np.isnan(history)).sum(axis=1) >= p.percentile_least
    mean, sigma = (np.where(enough, values, np.nan) for values in (means(history), deviations(history)))
    upper, lower = mean + 2 * sigma, mean - 2 * sigma
    since = _earnings_yield(multiples_since) - block[YIELDS_SINCE]
    high = since >= p.risk_premium_high
    details = {
        "pe_ttm": multiple,
        "yield": bond,
        "mean": mean,
        "sigma": sigma,
        "upper": upper,
        "lower": lower,
        "to_upper": premium - upper,
        "to_lower": premium - lower,
        "days_since_start": (~np.isnan(since)).sum(axis=1),
        "days_high": high.sum(axis=1),
        "episodes": episodes(high, p.risk_premium_gap_days),
    }
    return Column(premium, details, f"the PE of {code} is not positive: no earnings yield")


def _earnings_yield(multiple: Floats) -> Floats:
    return np.asarray(1 / np.where(multiple > 0, multiple, np.nan))


def episodes(high: Mask, gap_days: int) -> Counts:
    """Return how many episodes began in each window (k,).

    Parameters
    ----------
    high : (k, days) whether the level is high on a day.
    gap_days : an episode ends when as many days in a row are not high.

    Examples
    --------
    >>> episodes(np.array([[True, False, True, False, False, True]]), 2).tolist()
    [2]
    """
    at = np.arange(1, high.shape[1] + 1)
    last = np.maximum.accumulate(np.where(high, at, 0), axis=1)
    before = np.concatenate([np.zeros((len(high), 1), dtype=last.dtype), last[:, :-1]], axis=1)
    begins = high & ((before == 0) | (at - before > gap_days))
    return np.asarray(begins.sum(axis=1))
