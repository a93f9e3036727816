"""Figures that move with a close: valuations and turnovers of indices, and the collateral ratio.

An index has a row a day, and most of its figures have no second source. Its close shows what they should be:

- PE and PB move with the close, the dividend yield against it. In 2005–2022 a PE of an index changed more than 1.3
  times as much in 5 of 35,000 rows, a dividend yield in 6, and a PB never more than 1.2 times. On no day were they
  those of the session before though the closes of several indices were not.
- Turnover / volume is an average price: in 2016–2021 it changed at most 1.5 times as much as the close, of Shenwan's
  industries 2.1 times.
- What secures margin accounts moves with the market: their collateral ratio was within 2.5% of that, at most.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import figure_of, over
from processors.arrays import Floats, Mask
from processors.block import TURNOVER_INDEX
from processors.codes import SHENWAN, exchange_of
from processors.days import to_date
from processors.events import RowBatch
from processors.needs import COLLATERAL, INDICES

#: Figure → the power of the close with which it moves, how far it may be from that as a ratio either way, and the move
#: of a close from which on it changes, too: its digits are few.
_VALUATIONS: dict[str, tuple[int, float, float]] = {
    "pe_ttm": (1, 1.3, 0.002),
    "pb": (1, 1.2, 0.005),
    "dividend_yield": (-1, 1.3, 0.01),
}
#: Of so many indices, and of this share of them, an equal figure is no chance; of two indices, all figures.
_STALE, _SHARE, _ROWS = 3, 0.8, 2
_MOVED = 0.002
#: How far turnover / volume may be from its move with the close, of Shenwan's industries, and of others.
_OF_SHENWAN, _OF_OTHERS = 2.2, 1.75
_COLLATERAL, _MARKET = 1.05, TURNOVER_INDEX["SSE"]


def moves_with_closes(day: ComparedDay) -> Iterator[Finding]:
    """Find figures that did not move with the closes of their indices, or of the market."""
    if INDICES in day.last and INDICES in day.rows:
        rows, last = day.rows[INDICES], day.last[INDICES]
        move = over(rows.figures["close"], figure_of(last, "close", rows.keys))
        yield from _valuations(rows, last, move)
        yield from _stale_valuations(rows, last, move)
        yield from _turnovers(rows, last, move)
    if COLLATERAL in day.last and INDICES in day.whole:
        yield from _collateral(day)


def _valuations(rows: RowBatch, last: RowBatch, move: Floats) -> Iterator[Finding]:
    for name, (power, most, _) in _VALUATIONS.items():
        change = over(rows.figures[name], figure_of(last, name, rows.keys))
        yield from _far(rows, change / move**power, np.full(len(rows), most), name)


def _stale_valuations(rows: RowBatch, last: RowBatch, move: Floats) -> Iterator[Finding]:
    """Find valuations of the session before: a column of several indices, or all figures of a part of them."""
    moved, count, same = np.abs(move - 1), np.zeros(len(rows)), np.ones(len(rows), dtype=bool)
    for name, (_, _, least) in _VALUATIONS.items():
        then, now = figure_of(last, name, rows.keys), rows.figures[name]
        known, equal = ~np.isnan(then) & ~np.isnan(now), now == then
        count += known
        same &= equal | ~known
        judged = known & (moved > least)
        if judged.sum() >= _STALE and (judged & equal).sum() > _SHARE * judged.sum():
            yield _stale(rows, last, judged & equal, name)
            same &= ~equal
    same &= (count >= _ROWS) & (moved > _MOVED)
    if same.sum() >= _ROWS:
        yield _stale(rows, last, same, "all of PE, PB and dividend yield")


def _stale(rows: RowBatch, last: RowBatch, which: Mask, what: str) -> Finding:
    text = (
        f"{what} of {which.sum()} indices whose closes moved is that of {to_date(int(last.days.max()))}: "
        f"{names_of(rows, rows.keys[which])}: a figure of another day; export it again"
    )
    return Finding(Severity.WARNING, "columns", INDICES, int(rows.days[0]), text)


def _turnovers(rows: RowBatch, last: RowBatch, move: Floats) -> Iterator[Finding]:
    now = over(rows.figures["turnover"], rows.figures["volume"])
    then = over(figure_of(last, "turnover", rows.keys), figure_of(last, "volume", rows.keys))
    most = np.where(exchange_of(rows.keys) == SHENWAN, _OF_SHENWAN, _OF_OTHERS)
    yield from _far(rows, over(now, then) / move, most, "turnover / volume")


def _collateral(day: ComparedDay) -> Iterator[Finding]:
    rows, index = day.rows[COLLATERAL], day.whole[INDICES].take(day.whole[INDICES].keys == _MARKET)
    if not len(index):
        return
    move = over(index.figures["close"], index.figures["prev_close"])
    change = over(rows.figures["collateral_ratio"], figure_of(day.last[COLLATERAL], "collateral_ratio", rows.keys))
    yield from _far(rows, change / move, np.full(len(rows), _COLLATERAL), "collateral_ratio")


def _far(rows: RowBatch, change: Floats, most: Floats, name: str) -> Iterator[Finding]:
    """Find changes that are far from the moves of their closes.

    Parameters
    ----------
    change : (n,) the figure over that of the session before and over its move; NaN where one is not known.
    """
    far = np.fmax(change, 1 / change) > most
    if far.any():
        text = (
            f"{name} of {names_of(rows, rows.keys[far])} is {change[np.argmax(far)]:,.3g} times what the close makes "
            "of that of the session before: check its column and its digits"
        )
        yield Finding(Severity.WARNING, "step", rows.topic, int(rows.days[0]), text)
