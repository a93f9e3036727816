"""Weekly returns of the industries from the entry of one week's end to the close of the next, for rotation and sorts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats, Indexer
from processors.industries import INDUSTRIES
from processors.studies.panel import Panel
from processors.studies.result import Mode

WEEKS_A_YEAR = 52


@dataclass(frozen=True, slots=True)
class IndustryWeeks:
    """Returns of the industries by week.

    Parameters
    ----------
    starts, stops : (weeks,) positions of the day of the selection, and of the exit.
    returns : (weeks, 31) NaN where an industry has no price at the entry or the exit.
    market : (weeks,) the mean return of all industries with a price.
    years : (weeks,) the year of the exit.
    """

    starts: Indexer
    stops: Indexer
    returns: Floats
    market: Floats
    years: npt.NDArray[np.int_]


def industry_weeks(panel: Panel, mode: Mode) -> IndustryWeeks:
    """Return the weeks of the period at whose end margin figures can be acted upon."""
    ends = panel.week_ends()
    opens, closes = (np.array([p[name] for name in INDUSTRIES]).T for p in (panel.opens, panel.closes))
    entry = panel.entry(mode, at_open=True)
    starts, stops = ends[:-1], ends[1:]
    inside = (entry[starts] < len(panel.days)) & (panel.available[starts] > 0)
    starts, stops = starts[inside], stops[inside]
    price = (closes if mode is Mode.AS_SOURCE else opens)[entry[starts]]
    returns = closes[stops] / np.where(price > 0, price, np.nan) - 1
    return IndustryWeeks(starts, stops, returns, mean_of(returns, np.ones_like(returns)), panel.years()[stops])


def mean_of(returns: Floats, flags: Floats) -> Floats:
    """Return the mean return of the flagged industries by week (weeks,); NaN where no flagged industry has a price."""
    chosen = (flags == 1) & ~np.isnan(returns)
    count = chosen.sum(axis=1)
    return np.asarray(np.where(chosen, returns, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan))


def held(returns: Floats, flags: Floats) -> float:
    """Return the mean number of industries that are flagged and have a price, of weeks with at least one."""
    count = ((flags == 1) & ~np.isnan(returns)).sum(axis=1)
    return float(count[count > 0].mean()) if (count > 0).any() else 0.0
