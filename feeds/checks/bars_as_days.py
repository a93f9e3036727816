"""Sessions of bars as the daily prices that they make up: what no prices of a day have, no bars of it have either.

In March and April 2025 the sessions of 1,001 securities had no error: none lost a tenth of its names, none changed its
turnover by a power of ten, and the closes before, which follow from adjusted closes, were those of the session before.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from feeds.checks.closes_before import closes_before
from feeds.checks.compared_day import ComparedDay
from feeds.checks.cut_lists import is_far_fewer
from feeds.checks.findings import Finding, Severity
from feeds.checks.magnitudes import magnitudes
from feeds.checks.slipped_days import slipped_days
from feeds.checks.validate import jumps, wrong_unit
from processors.arrays import Floats
from processors.days import TradingCalendar, to_date
from processors.events import FIGURES, RowBatch
from processors.needs import PRICES

_LIVE = "prices.intraday"
#: Fewer securities are a selection, of which several may be suspended at once.
_MANY = 20


def bars_as_days(bars: pd.DataFrame, calendar: TradingCalendar) -> Iterator[Finding]:
    """Find what no bars of whole sessions have beside those of the session before.

    Parameters
    ----------
    bars : ``key``, ``day``, ``open``, ``last`` and ``prev_close`` (CNY), ``volume`` (shares) and ``turnover`` (CNY) of
        each bar; by key and time.
    """
    days = bars.groupby(["day", "key"], sort=True).agg(
        open=("open", "first"),
        close=("last", "last"),
        prev_close=("prev_close", "first"),
        volume=("volume", "sum"),
        turnover=("turnover", "sum"),
    )
    then: RowBatch | None = None
    for day, rows in days.groupby(level="day"):
        batch = _batch(int(str(day)), rows)
        before = {} if then is None else {PRICES: then}
        compared = ComparedDay.of({PRICES: batch}, before, calendar, {})
        found = [*magnitudes(compared), *slipped_days(compared)]
        if (last := compared.last.get(PRICES)) is not None:
            found += [
                *wrong_unit(batch, last, follows=True),
                *jumps(batch, last),
                *closes_before(batch, last),
                *_fewer(batch, last),
            ]
        yield from (replace(one, topic=_LIVE) for one in found)
        then = batch


def _fewer(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    """Find a session that lacks many securities of the one before; those of a refused bar are missing, too."""
    lost = np.setdiff1d(last.keys, batch.keys)
    if len(last) >= _MANY and is_far_fewer(_LIVE, len(last) - len(lost), len(last)):
        text = (
            f"bars of {len(batch):,} securities lack {len(lost):,} of the {len(last):,} of "
            f"{to_date(int(last.days[0]))}: a part of them is missing; export all of them"
        )
        yield Finding(Severity.ERROR, "cut", batch.topic, int(batch.days[0]), text)


def _batch(day: int, rows: pd.DataFrame) -> RowBatch:
    size = len(rows)
    absent: Floats = np.full(size, np.nan)
    zeros = np.zeros(size, dtype=np.int32)
    figures = {c.name: rows[c.name].to_numpy(np.float64) if c.name in rows else absent for c in FIGURES[PRICES]}
    keys = rows.index.get_level_values("key").to_numpy(np.int32)
    return RowBatch(PRICES, keys, np.full(size, day, np.int32), zeros, zeros.astype(np.int64), figures)
