"""The sum of both balances (融资融券余额) that a table states beside them: where it is another one, a cell is wrong.

In the published totals of 2018–2025 it is the sum of both on every day, in 元 exactly, in 亿元 within a step of the
last decimal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from feeds.cells.units import KINDS, Unit, parse_numbers, parse_unit, split_header
from feeds.errors import InputError
from feeds.mappings.mapping import Table, unit_of
from processors.arrays import Floats

_NAMES = {"融资融券余额", "融资融券余额合计", "两融余额"}
#: tushare's, in 元.
_TUSHARE = "rzrqye"
_PARTS = ("fin_balance", "short_balance")
#: Of a figure in 元, the most digits that two decimals of 亿元 leave at 0.
_MOST_ROUNDED = 6
#: So many digits are left of a rounded figure.
_LEFT = 3
#: A table may have seven digits.
_DIGITS = 1e-6


def broken_sums(
    raw: pd.DataFrame, figures: Mapping[str, Floats], table: Table, where: str
) -> Iterator[tuple[int, str]]:
    """Yield the rows whose stated sum is not that of both balances, by place, and the reason.

    Parameters
    ----------
    raw : the cells of the rows.
    figures : the figures of the same rows (n,) in CNY.
    """
    stated = _stated(raw, where) if table.topic.startswith("margin.") and set(_PARTS) <= figures.keys() else None
    if stated is None or not len(raw):
        return
    header, unit = stated
    total = unit.apply(parse_numbers(raw[header], unit)[0])
    balances = [figures[name] for name in _PARTS]
    parts = np.sum(balances, axis=0)
    units = [unit, *(unit_of(name, table.columns[name], where) for name in _PARTS)]
    step = sum(one.rounded_to or 1.0 for one in units if one is not None)
    tolerance = step + np.sum([_rounding(values) for values in (total, *balances)], axis=0) + _DIGITS * np.abs(total)
    for place in np.flatnonzero(np.abs(total - parts) > tolerance).tolist():
        yield (
            place,
            f"{header} is {total[place]:,.15g} CNY, the sum of both balances is {parts[place]:,.15g}: correct the cell "
            "that is wrong",
        )


def _rounding(figures: Floats) -> Floats:
    """Return the power of ten to which each figure is rounded (n,): a source in 元 may have taken it from 亿元."""
    out = np.ones(len(figures))
    for power in range(1, _MOST_ROUNDED + 1):
        rounded = (np.round(figures) % 10.0**power == 0) & (np.abs(figures) >= 10.0 ** (power + _LEFT))
        out[rounded] = 10.0**power
    return out


def _stated(raw: pd.DataFrame, where: str) -> tuple[str, Unit] | None:
    """Return the column of the sum and its unit; None without a column, or without a known unit."""
    for header in map(str, raw.columns):
        name, text = split_header(header)
        if header == _TUSHARE or name.removeprefix("本日") in _NAMES:
            try:
                return header, parse_unit("元" if header == _TUSHARE else text, KINDS["fin_balance"], where)
            except InputError:
                return None
    return None
