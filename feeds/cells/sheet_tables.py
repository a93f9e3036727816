"""The table within a sheet: its header below titles and blank rows, and the rows below the header."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pandas as pd

from feeds.cells.row_kinds import END_OF_ROW, TOO_MANY, RowKind, is_blank, row_kind
from feeds.cells.units import UNITS, parse_numbers, split_header
from feeds.cells.workbooks import Grids
from feeds.errors import InputError

_CODE_HEADERS = ("证券代码", "标的证券代码", "股票代码", "代码", "ts_code")
#: pandas writes it in place of an empty header.
_NAMELESS = re.compile(r"Unnamed: \d+")
HEADER_ROWS = 20  # titles and dates may precede the header
FoundT = TypeVar("FoundT")


def sheet_place(file: str, sheet: str) -> str:
    """Return the place of a sheet in messages; a file of one table has a sheet without a name."""
    return f"{file} [{sheet}]" if sheet else file


def header_texts(row: pd.Series) -> list[str]:
    """Return the headers of a row; an empty text for an empty cell."""
    return [
        "" if is_blank(cell) else re.sub(r"\s*\n\s*", "", str(cell)).strip("\ufeff \t\u3000'") for cell in row.tolist()
    ]


def find_header(
    grid: pd.DataFrame, recognise: Callable[[list[str]], FoundT | None]
) -> tuple[int, list[str], FoundT] | None:
    """Return the place, the texts and the meaning of the first row that is recognised as a header; None without one."""
    for at in range(min(HEADER_ROWS, len(grid))):
        texts = header_texts(grid.iloc[at])
        if any(texts):
            found = recognise(texts)
            if found is not None:
                return at, texts, found
    return None


def likely_headers(grid: pd.DataFrame) -> list[str]:
    """Return the texts of the first row of a sheet, if possible one with more than one cell, for messages."""
    found = find_header(grid, lambda texts: sum(map(bool, texts)) > 1 or None) or find_header(grid, lambda _: True)
    return [text for text in found[1] if text] if found is not None else []


def split_stacked(grids: Grids) -> Grids:
    """Cut sheets in which one table lies below another, such as a detail below its totals, at the header of codes."""
    out: Grids = {}
    for title, grid in grids.items():
        headers = np.flatnonzero(grid.isin(_CODE_HEADERS).any(axis=1)).tolist()
        first = headers[:1]
        cuts = [at for at in first if rows_with_figures(grid.iloc[:at])]
        cuts += [at for at in headers[1:] if header_texts(grid.iloc[at]) != header_texts(grid.iloc[first[0]])]
        for number, (start, end) in enumerate(pairwise([0, *cuts, len(grid)]), start=1):
            out[title if number == 1 else f"{title} ({number})".strip()] = grid.iloc[start:end]
    return out


def table_below(grid: pd.DataFrame, at: int, headers: list[str], where: str) -> pd.DataFrame:
    """Return the rows below a header; cells of columns without a header are left out.

    A row with more cells than the header may be shifted: `TOO_MANY` takes the place of its cells. A blank cell counts
    unless most rows have one: they end with a separator.

    Raises
    ------
    InputError : if two columns have one header, or a row is a header of other columns or units.
    """
    named = [place for place, text in enumerate(headers) if text]
    twice = sorted({headers[place] for place in named if headers.count(headers[place]) > 1})
    if twice:
        raise InputError(f"{where}: two columns are headed {twice[0]!r}: rename or remove one of them")
    if (other := _other_header(grid, at, headers)) is not None:
        raise InputError(
            f"{where}: row {other} is a header of other columns, another order or other units than that of row "
            f"{grid.index[at]}: two tables are joined; save the rows from it on as a file of their own"
        )
    width = named[-1] + 1
    table = grid.iloc[at + 1 :, named].set_axis([headers[place] for place in named], axis=1)
    beyond = grid.iloc[at + 1 :, width:]
    if beyond.shape[1]:
        longer = ~beyond.map(is_blank).all(axis=1)
        reaches = grid.iloc[at + 1 :, width - 1 : width + 1] != END_OF_ROW
        if 2 * reaches.iloc[:, 1].sum() <= reaches.iloc[:, 0].sum():
            longer |= reaches.iloc[:, 1]
        for row in longer.index[longer]:
            if row_kind(grid.loc[row].to_dict()) is RowKind.FIGURES:
                table.loc[row] = TOO_MANY
    return table


def _other_header(grid: pd.DataFrame, at: int, headers: list[str]) -> int | None:
    """Return the number of the first row below a header that is another header, None without one.

    Most of its cells are headers, and some are not that of their column. A cell without a unit is that of its column: a
    title may have given the unit.
    """
    own = [split_header(text) for text in headers]
    names = {name for name, _ in own if name}
    units = ["", *map("({})".format, UNITS), *map("（{}）".format, UNITS)]
    spellings = {f"{name}{unit}" for name in names for unit in units}
    below = grid.iloc[at + 1 :]
    for row in np.flatnonzero(below.isin(spellings | set(headers) - {""}).any(axis=1)).tolist():
        cells = {place: split_header(text) for place, text in enumerate(header_texts(below.iloc[row])) if text}
        known = sum(name in names for name, _ in cells.values())
        same = all(name == own[place][0] and unit in (None, own[place][1]) for place, (name, unit) in cells.items())
        if known > 1 and 2 * known > len(cells) and not same:
            return int(below.index[row])
    return None


def nameless_columns(grid: pd.DataFrame, at: int) -> list[str]:
    """Return the numbers of the columns of figures without a header; the first one may number the rows."""
    texts = header_texts(grid.iloc[at])
    last = max(place for place, text in enumerate(texts) if text)
    found = []
    for place in range(1, last):
        if not texts[place] or _NAMELESS.fullmatch(texts[place]):
            figures, _ = parse_numbers(grid.iloc[at + 1 :, place])
            if 2 * np.isfinite(figures).sum() > len(figures):
                found.append(str(place + 1))
    return found


def rows_with_figures(grid: pd.DataFrame) -> int:
    """Return in how many rows of a sheet there are figures."""
    return sum(row_kind(row) is RowKind.FIGURES for row in grid.to_dict("records"))


def cells_above(grid: pd.DataFrame, at: int) -> Iterator[object]:
    """Yield the cells above a header."""
    for place in range(at):
        yield from (cell for cell in grid.iloc[place].tolist() if not is_blank(cell) and cell != END_OF_ROW)


def first_cells_below(grid: pd.DataFrame, at: int) -> Iterator[object]:
    """Yield the first cell of each row below a header."""
    yield from (cell for cell in grid.iloc[at + 1 :, 0].tolist() if not is_blank(cell))
