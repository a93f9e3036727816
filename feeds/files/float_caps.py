"""Float caps that follow from a turnover rate: volume / rate is the float, and the float times the close its value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from processors.arrays import Days, Ids, Keys
from processors.events import RowBatch


def with_float_caps(valuations: RowBatch, prices: RowBatch) -> RowBatch:
    """Return valuations with the float cap of rows that have a turnover rate and none, by the price of the same day.

    The rate of a day is its volume over the float. Two figures with four digits give the float within 0.1% or so.

    Parameters
    ----------
    prices : sorted by day and key.
    """
    rate, cap = valuations.figures["turnover_rate"], valuations.figures["float_cap"].copy()
    wanted = np.flatnonzero(np.isnan(cap) & (rate > 0))
    have, ask = _places(prices.days, prices.keys), _places(valuations.days[wanted], valuations.keys[wanted])
    at = np.minimum(np.searchsorted(have, ask), len(have) - 1)
    traded = prices.figures["close"][at] * prices.figures["volume"][at]
    cap[wanted] = np.where((have[at] == ask) & (traded > 0), traded / rate[wanted], np.nan)
    return replace(valuations, figures=valuations.figures | {"float_cap": cap})


def _places(days: Days, keys: Ids) -> Keys:
    return days.astype(np.int64) * 2**32 + keys
