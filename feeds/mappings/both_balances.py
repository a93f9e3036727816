"""The sum of both balances (融资融券余额) that a table states beside them: where it is another one, a cell is wrong.

In the published totals of 2018–2025 it is the sum of both on every day, in 元 exactly, in 亿元 within a step of the
last decimal.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from feeds.cells.units import KINDS, Unit, parse_numbers, parse_unit, split_header
from feeds.checks.validate import Finding, Severity
from feeds.errors import InputError
from feeds.mappings.mapping import Table, unit_of

_NAMES = {"融资融券余额", "融资融券余额合计", "两融余额"}
#: tushare's, in 元.
_TUSHARE = "rzrqye"
_PARTS = ("fin_balance", "short_balance")
#: Tables in 万 and 亿 have two decimals.
_ROUNDED = 1e4
#: A table may have seven digits.
_DIGITS = 1e-6


def broken_sums(raw: pd.DataFrame, frame: pd.DataFrame, table: Table, where: str) -> Iterator[Finding]:
    """Find rows whose stated sum is not that of both balances.

    Parameters
    ----------
    raw : the cells of the rows.
    frame : the same rows in CNY.
    """
    stated = _stated(raw, where)
    if stated is None or not set(_PARTS) <= set(frame.columns) or not len(frame):
        return
    header, unit = stated
    total = unit.apply(parse_numbers(raw[header], unit)[0])
    parts = np.sum([frame[name].to_numpy(np.float64) for name in _PARTS], axis=0)
    units = [unit, *(unit_of(name, table.columns[name], where) for name in _PARTS)]
    step = sum((one.times / 100 if one.times >= _ROUNDED else 1.0) for one in units if one is not None)
    broken = np.flatnonzero(np.abs(total - parts) > step + _DIGITS * np.abs(total))
    if len(broken):
        at = int(broken[0])
        text = (
            f"{where}: {header} is not the sum of both balances in {len(broken)} of {len(frame)} rows, the first: row "
            f"{raw.index[at]} has {total[at]:,.15g} and {parts[at]:,.15g} CNY: correct the cell that is wrong"
        )
        day = int(frame["day"].iloc[at]) if "day" in frame else None
        yield Finding(Severity.WARNING, "sum", table.topic, day, text)


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
