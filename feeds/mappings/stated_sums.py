"""The sums (合计) that a table states below its rows: where the rows have another sum, some of them are missing."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping

import numpy as np
import pandas as pd

from feeds.cells.dates import NO_DAY, parse_days
from feeds.cells.row_kinds import is_blank
from feeds.cells.units import parse_numbers
from feeds.checks.findings import Finding, Severity
from feeds.mappings.mapping import DateColumn, Table, unit_of
from processors.arrays import Days, Floats

#: The cells of the rows of sums (header → cell), by the number of the row.
Sums = Mapping[int, Mapping[Hashable, object]]
_TOLERANCE = 1e-3
#: The sum of a page or of a part.
_PART = "小计"


def broken_totals(sums: Sums, table: Table, figures: Mapping[str, Floats], days: Days, where: str) -> Iterator[Finding]:
    """Find sums of all rows, or of all rows of a day, that the rows do not have.

    Parameters
    ----------
    figures : the figures of the rows (n,) in CNY, shares and fractions.
    days : the days of the rows (n,).
    """
    if table.only is not None or not len(days):
        return
    whole = {row: cells for row, cells in sums.items() if not any(_PART in str(cell) for cell in cells.values())}
    by_day: dict[int | None, list[int]] = {}
    for row, cells in (whole or sums).items():
        by_day.setdefault(day_in(cells, table), []).append(row)
    for day, (row, *others) in by_day.items():
        of_day = np.ones(len(days), dtype=bool) if day is None else days == day
        if others or (day is None and len(np.unique(days)) > 1):
            continue
        for name, figure in table.columns.items():
            unit = unit_of(name, figure, where)
            if figure.column is None or unit is None:
                continue
            stated = float(unit.apply(parse_numbers(pd.Series([sums[row][figure.column]], dtype=object), unit)[0])[0])
            total = float(np.nansum(figures[name][of_day]))
            if abs(total - stated) > _TOLERANCE * abs(stated):
                text = f"{where}, row {row} states a sum of {stated:,.15g}, the rows of {name} have {total:,.15g}"
                yield Finding(Severity.WARNING, "sum", table.topic, None, f"{text}: check that the file is complete")


def day_in(cells: Mapping[Hashable, object], table: Table) -> int | None:
    """Return the day that a row names in its column of dates, or of first days of spells; None for none."""
    when = table.date if table.spell is None else DateColumn(table.spell.start)
    if when is None or is_blank(cell := cells.get(when.column)):
        return None
    day = int(parse_days(pd.Series([cell], dtype=object), when.format)[0][0])
    return None if day == NO_DAY else day
