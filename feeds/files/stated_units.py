"""The units of a margin table without them in its headers: those that its title or a note states, or akshare documents.

A statement is what follows 单位 in a cell (单位：万元), units in brackets that end a title (明细(千元)), a cell of
units alone, and 以万元计. What akshare documents are the units of a table that states none, or states one of them; a
table of akshare that states other units, but not those of money and of shares, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pandas as pd

from feeds.cells.row_kinds import is_blank
from feeds.cells.sheet_tables import cells_above, find_header
from feeds.cells.units import UNITS, Kind, parse_unit, split_header
from feeds.errors import InputError
from feeds.files.akshare_tables import MONEY, SHARES, documented_table, tables_of, with_units

_UNIT = re.compile(r"[十百千万亿]*[元股份手]")
#: What stands for a unit behind 单位: 仟元 and 美元, too, which are not known.
_NAMED_UNIT = re.compile(r".{0,3}[元股份手]")
#: 单位 is also an organisation or a fund's unit; 以万元为单位 states the unit before it.
_AFTER_UNIT = re.compile(
    r"(?<!填报)(?<!报送)(?<!编制)(?<!制表)(?<!发布)(?<!提供)(?<!来源)(?<!为)单位(?!名称|代码|净值|面值)"
)
_IS = re.compile(r"[\s均都统一]*[:：为是]+")
_COUNTED_IN = re.compile(r"以(?:人民币)?([十百千万亿]*[元股份手])(?:为单位|计)")
_BRACKETS = re.compile(r"[(（]([^()（）]+)[)）]\s*$")
_BETWEEN = re.compile(r"[\s、,，/;；和及|:：。()（）]+")


def with_documented_units(grid: pd.DataFrame, where: str) -> pd.DataFrame:
    """Return a sheet with the units of its title or a note in its header, or those that akshare documents.

    Raises
    ------
    InputError : if title, note and header contradict each other, or a table of akshare states not all of its units.
    """
    header = find_header(grid, lambda texts: texts if "融资余额" in map(_figure_of, texts) else None)
    if header is None:
        return grid
    at, texts, _ = header
    rows = grid.iloc[at + 1 :]
    stated = [*_of_title(cells_above(grid, at)), *_of_notes(rows)]
    if unknown := [word for word in stated if _NAMED_UNIT.fullmatch(word) and word not in UNITS]:
        raise InputError(
            f"{where}: a title or a note states the unit {unknown[0]}, which is not known: convert the figures"
        )
    tables = tables_of(texts)
    if tables and stated:
        money, shares = (_only(_units_of(stated, kind), where) for kind in (Kind.MONEY, Kind.SHARES))
        alike = [one for one in tables if money in (None, one.money) and shares in (None, one.shares)]
        if money is not None and shares is not None:
            titled = with_units(texts, replace(tables[0], money=money, shares=shares))
        elif alike and all(word in UNITS for word in stated):
            titled = with_units(texts, documented_table(alike, texts, rows, where))
        else:
            raise InputError(
                f"{where}: the headers are akshare's, and a title or a note states {', '.join(stated)}, not a unit of "
                "money and one of shares: write the units into the headers, such as 融资余额(万元), 融券余量(股)"
            )
    elif tables:
        titled = with_units(texts, documented_table(tables, texts, rows, where))
    else:
        titled = [_titled(text, stated, where) for text in texts]
    if titled == texts:
        return grid
    grid = grid.copy()
    grid.iloc[at] = titled
    return grid


def _of_title(above: Iterable[object]) -> Iterator[str]:
    """Yield the units that the cells above a header state."""
    for text in map(str, above):
        yield from _statements(text)
        if (brackets := _BRACKETS.search(text)) and _are_units(_words(brackets[1])):
            yield from _words(brackets[1])


def _of_notes(rows: pd.DataFrame) -> Iterator[str]:
    """Yield the units that cells below a header state."""
    for cell in rows.to_numpy(object).ravel():
        if isinstance(cell, str) and not is_blank(cell):
            yield from _statements(cell)


def _statements(text: str) -> Iterator[str]:
    """Yield the units that a text states, or the first word after 单位 and a colon if it is none."""
    for part in _AFTER_UNIT.split(text)[1:]:
        is_one = _IS.match(part)
        words = _words(part[is_one.end() :] if is_one else part)
        yield from [word for word in words if _NAMED_UNIT.fullmatch(word)] or (words[:1] if is_one else [])
    yield from _COUNTED_IN.findall(text)
    if _are_units(words := _words(text)):
        yield from words


def _words(text: str) -> list[str]:
    return [word for part in _BETWEEN.split(text) if (word := part.removeprefix("人民币"))]


def _are_units(words: Sequence[str]) -> bool:
    return bool(words) and all(map(_UNIT.fullmatch, words))


def _units_of(stated: Iterable[str], kind: Kind) -> list[str]:
    return [word for word in stated if word in UNITS and kind in UNITS[word].kinds]


def _only(units: Sequence[str], where: str) -> str | None:
    """Return the stated unit, None without one; raises `InputError` for two of different size."""
    if len({UNITS[unit].times for unit in units}) > 1:
        raise InputError(
            f"{where}: title and notes state {' and '.join(dict.fromkeys(units))}: write the units into the headers"
        )
    return units[0] if units else None


def _figure_of(header: str) -> str:
    return split_header(header)[0].removeprefix("本日")


def _titled(header: str, stated: Sequence[str], where: str) -> str:
    """Return a header with its stated unit; raises `InputError` if it has another one."""
    name, unit = split_header(header)
    figure = _figure_of(header)
    kind = Kind.MONEY if figure in MONEY else Kind.SHARES
    units = _units_of(stated, kind) if figure in MONEY + SHARES else []
    if units and unit is None:
        return f"{name}({_only(units, where)})"
    if units and parse_unit(unit, kind, where).times not in {UNITS[one].times for one in units}:
        raise InputError(f"{where}: the title states {units[0]}, the header {header}: correct one of them")
    return header
