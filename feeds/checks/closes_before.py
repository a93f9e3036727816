"""Previous closes that are not ex-right, and opens and closes that have changed places.

On an ex-right day (除权除息) the previous close is lower than the close of the session before. A source that repeats
that close turns the dividend or the bonus shares into a fall: beyond the daily limit it shows itself. In 2016–2021 no
stock fell beyond it from the close of the session before (2,469 did on ex-right days, 13,095 in all), but for new
listings of boards without a limit, seven a day at most.

An open is nearer to the close before than the close is: its mean distance was twice as large at most (2016-02-15).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import figure_of, masks_of, over
from processors.arrays import Mask
from processors.days import to_date
from processors.events import RowBatch
from processors.kinds import LIMIT_TOLERANCE, daily_limits, is_stock

#: CNY: a limit is rounded to a cent, and so are prices.
_CENT, _ROUNDED = 0.01, 0.006
#: More stocks than this are no new listings.
_LISTINGS = 10
#: No previous close of a stock is so many times the close of the session before, or less than its inverse: 30 bonus
#: shares for 10 were the most in 2016–2021.
_FAR = 8.0
#: So many stocks of an exchange are a market, and so many times as far from the closes before are no opens.
_LIST, _FARTHER = 200, 2.5


def closes_before(batch: RowBatch, last: RowBatch | None) -> Iterator[Finding]:
    """Find previous closes that the other prices of their rows contradict.

    Parameters
    ----------
    batch : prices of a day.
    last : those of the session before; None if they are not known.
    """
    if last is not None:
        yield from _not_ex_right(batch, last)
        yield from _far_from_last(batch, last)
    yield from _swapped(batch)


def _not_ex_right(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    day, figures = int(batch.days[0]), batch.figures
    then, before = figure_of(last, "close", batch.keys), figures["prev_close"]
    lowest = then * (1 - daily_limits(batch.keys, day, figures["st"] == 1.0) - LIMIT_TOLERANCE) - _CENT
    raw = (np.abs(before - then) < _ROUNDED) & (figures["close"] < lowest)
    if raw.any():
        text = (
            f"{raw.sum()} closes are below the daily limit, and their previous closes are those of "
            f"{to_date(int(last.days.max()))}: {names_of(batch, batch.keys[raw])}: a previous close must be "
            "ex-right (除权除息); only new listings and the last days of one have no limit"
        )
        severity = Severity.ERROR if raw.sum() > _LISTINGS else Severity.WARNING
        yield Finding(severity, "ex-right", batch.topic, day, text)


def _far_from_last(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    ratios = over(batch.figures["prev_close"], figure_of(last, "close", batch.keys))
    far = is_stock(batch.keys) & ((ratios > _FAR) | (ratios < 1 / _FAR))
    if far.any():
        text = (
            f"previous closes of {names_of(batch, batch.keys[far])} are more than {_FAR:g} times the closes of "
            f"{to_date(int(last.days.max()))}, or less than 1/{_FAR:g}: correct the cells"
        )
        yield Finding(Severity.ERROR, "cell", batch.topic, int(batch.days[0]), text)


def _swapped(batch: RowBatch) -> Iterator[Finding]:
    moves = [np.abs(batch.figures[name] / batch.figures["prev_close"] - 1) for name in ("open", "close")]
    known: Mask = is_stock(batch.keys) & ~np.isnan(moves[0]) & ~np.isnan(moves[1])
    for name, mask in masks_of(batch):
        opens, closes = (float(one[mask & known].sum()) for one in moves)
        if (mask & known).sum() >= _LIST and opens > _FARTHER * closes:
            text = (
                f"opens of {name} are {opens / closes if closes else np.inf:.2g} times as far from the previous closes "
                "as the closes are: are both columns swapped?"
            )
            yield Finding(Severity.ERROR, "columns", batch.topic, int(batch.days[0]), text)
