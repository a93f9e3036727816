"""Indices in files of master data: their codes and names, and tables of members cut by index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pandas as pd

from feeds.cells.code_styles import clean_code, plain_number, to_own
from feeds.cells.distinct_cells import read_distinct
from feeds.cells.index_names import index_named
from feeds.cells.row_kinds import RowKind
from feeds.checks.findings import Finding, Severity
from feeds.errors import InputError
from feeds.mappings.mapped_keys import NO_KEY, column_of
from feeds.mappings.mapping import Figure, Table
from feeds.mappings.refused_rows import kind_in
from processors.codes import to_code, to_id
from processors.days import to_date
from processors.index_members import FIELDS, is_code
from processors.kinds import is_index

#: Shenzhen's codes of indices of the index company.
_TWINS = {f"399{number}.SZ": f"000{number}.SH" for number in (300, 852, 903, 904, 905, 906, 907)}
#: More members fewer than this, and than this share, are no revision of an index.
_LEFT, _LEFT_SHARE = 5, 0.10
#: Column of ``reference`` → how many members its index has, by its rules. In 2007–2021 the spells of the CSI 300 and
#: the CSI 500 never had more.
_SIZES = {
    "csi300": 300, "csi500": 500, "chinext_index": 100, "000016.SH": 50, "000688.SH": 50, "399330.SZ": 100,
    "000852.SH": 1_000, "932000.SH": 2_000,
}  # fmt: skip
#: The index company's suffix for indices of all exchanges; Shanghai publishes them.
_OF_COMPANY = re.compile(r"\.?CSI$")
#: First three digits of numbers that Shenzhen and Beijing allot to indices; all others are Shanghai's.
_SHENZHEN, _BEIJING = (*range(390, 400), *range(970, 990)), (899,)


def index_code(cell: object) -> str:
    """Return the code of an index of an exchange.

    Raises
    ------
    InputError : for anything else.

    Examples
    --------
    >>> [index_code(cell) for cell in (852, "sh000016", "932000.CSI", "000852.XSHG", "科创50", "399330")]
    ['000852.SH', '000016.SH', '932000.SH', '000852.SH', '000688.SH', '399330.SZ']
    """
    if (named := index_named(cell)) is not None:
        return named
    number = plain_number(cell if not isinstance(cell, str) else _OF_COMPANY.sub("", clean_code(cell).upper()))
    if number is not None:
        head = int(number[:3])
        code = f"{number}.{'SZ' if head in _SHENZHEN else 'BJ' if head in _BEIJING else 'SH'}"
    else:
        code = to_own(cell)
    if code.endswith(".SI") or not is_index(np.array([to_id(code)], np.int32))[0]:
        raise InputError(f"{cell!r} is no index of an exchange: write its code, such as 000852.SH")
    return _TWINS.get(code, code)


def member_columns(cell: object) -> list[str]:
    """Return the columns of ``reference`` for a cell with indices, separated by blanks, commas or semicolons.

    Raises
    ------
    InputError : for a word that is no index.
    """
    return [member_column(index_code(word)) for word in re.split(r"[\s,;|/，；、]+", str(cell).strip()) if word]


def member_column(code: str) -> str:
    """Return the column of ``reference`` for the members of an index: a field, or the code."""
    return FIELDS.get(code, code)


def is_cut_off(count: int, known: int) -> bool:
    """Whether a list of so many members of an index is a part of it, by the number of members of another day."""
    return known - count > max(_LEFT, _LEFT_SHARE * known)


def crowded(name: str, count: int) -> int | None:
    """Return how many members an index has if so many are far more; else None, also for an index of unknown size.

    Parameters
    ----------
    name : the column of ``reference``.

    Examples
    --------
    >>> crowded("csi300", 300), crowded("csi300", 500), crowded("000010.SH", 500)
    (None, 300, None)
    """
    size = _SIZES.get(name)
    return size if size is not None and is_cut_off(size, count) else None


def lacks_members(name: str, count: int) -> int | None:
    """Return how many members an index has if so many are most of them, and far fewer; else None.

    Examples
    --------
    >>> lacks_members("csi300", 300), lacks_members("csi300", 200), lacks_members("csi300", 20)
    (None, 300, None)
    """
    size = _SIZES.get(name)
    return size if size is not None and 2 * count > size and is_cut_off(count, size) else None


def by_index(
    table: Table, raw: pd.DataFrame, where: str, findings: list[Finding]
) -> Iterator[tuple[Table, pd.DataFrame]]:
    """Yield the rows of each index of a table of members, with the table of its column; any other table as it is.

    Parameters
    ----------
    findings : gets the rows whose index can't be read, which are refused.
    """
    if table.members_of is None:
        yield table, raw
        return
    ids, reasons = read_distinct(column_of(raw, table.members_of, where), lambda cell: to_id(index_code(cell)), NO_KEY)
    for place, reason in reasons.items():
        if kind_in(raw.iloc[place].to_dict(), table) is RowKind.FIGURES:
            text = f"{where}, row {raw.index[place]}, column {table.members_of!r}: {reason}"
            findings.append(Finding(Severity.REFUSED, "row", table.topic, None, text))
    for index in np.unique(ids[ids != NO_KEY]).tolist():
        columns = table.columns | {member_column(to_code(index)): Figure(value=1)}
        yield msgspec.structs.replace(table, columns=columns), raw[ids == index]


def until_next_list(frame: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return the rows of lists of all members of an index as spells that last until the next list.

    The column ``listed_from`` is the day of the first list, from which on nobody else is a member.

    Raises
    ------
    InputError : for a list that is far shorter than the one before or behind it.
    """
    if frame.empty:
        return frame
    days, place, counts = np.unique(frame["day"].to_numpy(), return_inverse=True, return_counts=True)
    for one, other in (*pairwise(range(len(days))), *((b, a) for a, b in pairwise(range(len(days))))):
        if is_cut_off(int(counts[one]), int(counts[other])):
            (index,) = [column for column in frame.columns if column in FIELDS.values() or is_code(column)]
            raise InputError(
                f"{where}: {counts[one]} members of {index} on {to_date(int(days[one]))}, {counts[other]} on "
                f"{to_date(int(days[other]))}: the list is cut off; load all of it"
            )
    return frame.assign(until=np.append(days[1:] - 1.0, np.nan)[place], listed_from=int(days[0]))
