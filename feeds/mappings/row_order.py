"""The figure in whose order the rows of a file are: gains, prices, turnovers, as quotes of a page are sorted.

A file of a whole market is in the order of its codes. An order of names, or of a column of row numbers, is none of a
figure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from math import lgamma, log

import numpy as np
import pandas as pd

from feeds.cells.units import FACTORS
from feeds.mappings.mapping import Table
from processors.arrays import Days, Floats, Ids, Indexer

#: Fewer rows are in an order by accident; and the largest probability of one, of figures in a random order.
FEWEST = 20
_ACCIDENT = log(1e-9)
#: Where a page ends, the next one or that of the next board may begin again: one row of so many.
_SHORTEST_PAGE = 20
#: Lists in the order of codes have a few places where the next exchange or board begins, as a share of their rows.
_BORDERS = 0.1
#: Sources sort by gains in percent with two decimals.
_GAIN_STEP = 1e-4
_TOPICS = ("prices.daily", "valuations.daily")
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)(%|‰|万亿|亿|万|手|元|股)?")
#: Headers of figures of quotes that no topic has.
_QUOTE = re.compile(
    "涨|跌|振幅|价|收盘|成交|换手|量比|市值|市盈|市净|流入|股本|pct|chg|change|gain|amount|turnover|vol|mv|cap|price|last|close",
    re.IGNORECASE,
)


def sorted_days(table: Table, raw: pd.DataFrame, frame: pd.DataFrame) -> dict[int, str]:
    """Return the days whose rows are in the order of a figure, with its column; nothing for a list by codes.

    Parameters
    ----------
    raw : the cells of a file, of which any column may be the figure; its index are the numbers of the rows.
    frame : its rows, as `feeds.mappings.mapped_rows.map_rows` returns them.
    """
    if table.topic not in _TOPICS or "day" not in frame or not raw.index.is_unique:
        return {}
    names = [str(one) for one in raw if _QUOTE.search(str(one))]
    found = {}
    for day, places in _without_order_of_codes(frame["day"].to_numpy(), frame["key"].to_numpy()):
        rows = frame.iloc[places]
        cells = raw.loc[rows["row"]]
        figures = {one: rows[one].to_numpy(np.float64) for one in table.columns if one in rows}
        order = order_of([*((one, _numbers(cells[one])) for one in names), *figures.items(), *derived(figures)])
        if order is not None:
            found[day] = order
    return found


def order_of(columns: Iterable[tuple[str, Floats]]) -> str | None:
    """Return the first column whose figures are in ascending or descending order; None for none.

    Parameters
    ----------
    columns : names, and figures by row (n,).
    """
    return next((name for name, values in columns if _is_sorted(values, _GAIN_STEP if name == _GAIN else 0.0)), None)


def is_by_code(keys: Ids) -> bool:
    """Whether rows are in the order of their codes, of each exchange or board its own, or are few."""
    return not any(_without_order_of_codes(np.zeros(len(keys), np.int32), keys))


_GAIN, _CHANGE, _AMPLITUDE = "gain (close / prev_close)", "change (close - prev_close)", "amplitude"


def derived(figures: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
    """Yield what sources compute of prices: the gain, the change, and the amplitude."""
    if not {"close", "prev_close"} <= figures.keys():
        return
    close, before = figures["close"], figures["prev_close"]
    yield _GAIN, close / before - 1
    yield _CHANGE, np.round(close - before, 4)
    if {"high", "low"} <= figures.keys():
        yield _AMPLITUDE, (figures["high"] - figures["low"]) / before


def _without_order_of_codes(days: Days, keys: Ids) -> Iterator[tuple[int, Indexer]]:
    """Yield the days that have enough rows, and not in the order of codes; with the places of their rows."""
    if len(days) < FEWEST:
        return
    order = np.argsort(days, kind="stable")
    starts = np.flatnonzero(np.diff(days[order], prepend=days[order][:1] - 1))
    ends = np.append(starts[1:], len(days))
    steps = np.sign(np.diff(keys[order] // 4, append=0))
    steps[ends - 1] = 0  # from one day to the next
    up, down = (np.add.reduceat(steps == sign, starts) for sign in (1, -1))
    mixed = np.minimum(up, down) > _BORDERS * (up + down)
    for at in np.flatnonzero(mixed & (ends - starts >= FEWEST)).tolist():
        yield int(days[order[starts[at]]]), order[starts[at] : ends[at]]


def _is_sorted(values: Floats, step: float) -> bool:
    """Whether figures are in an order, but for a few breaks, that they do not have by accident.

    Parameters
    ----------
    step : so far out of the order a figure may be.
    """
    known = values[np.isfinite(values)]
    if len(known) < max(FEWEST, len(values) / 2):
        return False
    steps = np.diff(known)
    breaks = int(min((steps > step).sum(), (steps < -step).sum()))
    if breaks > len(known) // _SHORTEST_PAGE:
        return False
    _, counts = np.unique(np.round(known / step) if step else known, return_counts=True)
    # Of n! orders of the figures, those are alike in which equal ones change places; at most (k + 1)^n have k breaks.
    alike = sum(lgamma(count + 1) for count in counts.tolist()) + len(known) * log(breaks + 1)
    return alike - lgamma(len(known) + 1) < _ACCIDENT


def _numbers(cells: pd.Series) -> Floats:
    """Return the figures of a column (n,), NaN for cells that are none; all of them NaN where they are in no order."""
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(np.float64)
    first = np.diff(_parsed(cells.iloc[:FEWEST]))
    mixed = min((first > 0).sum(), (first < 0).sum()) > 1
    return np.full(len(cells), np.nan) if mixed else _parsed(cells)  # texts are slow to read


def _parsed(cells: pd.Series) -> Floats:
    found = [_NUMBER.fullmatch(str(cell).replace(",", "").strip()) for cell in cells.tolist()]
    return np.array([np.nan if one is None else float(one[1]) * FACTORS.get(one[2], 1.0) for one in found])
