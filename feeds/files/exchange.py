"""The exchanges' own margin files as published (融资融券), recognised by their headers, not by their names.

=====================  ==============================================================  ======================
file                   how it is recognised                                            topic
=====================  ==============================================================  ======================
Shanghai 汇总信息       本日融资余额 and 本日融资买入额, no code                                margin.market
Shanghai 明细信息       标的证券代码                                                       margin.daily
Shenzhen, Beijing 明细  证券代码 and 融资余额; the codes name the exchange                     margin.daily
Shenzhen, Beijing 总量  融资余额 and 融资买入额, no code; the units name the exchange          margin.market
=====================  ==============================================================  ======================

The headers contain the units; a header without a unit is refused. Only Shanghai publishes volumes without a unit: it
counts them in shares. The exchange of totals follows from a name (of the file, the sheet, in a cell), from a detail in
the same file, or from size and unit: only Shenzhen's exceed 0.1 trillion CNY; it publishes 亿元 and 亿股, Beijing 万元
and 万股. A file without dates has that of its title or its name, see `feeds.cells.file_dates`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd

from feeds.cells.code_styles import BY_NUMBER, to_own
from feeds.cells.dates import NO_DAY, parse_days
from feeds.cells.file_dates import file_day, stated_days
from feeds.cells.file_names import unusable
from feeds.cells.row_kinds import is_blank
from feeds.cells.sheet_tables import (
    cells_above,
    find_header,
    first_cells_below,
    likely_headers,
    nameless_columns,
    rows_with_figures,
    sheet_place,
    split_stacked,
    table_below,
)
from feeds.cells.units import Kind, parse_numbers, parse_unit, split_header
from feeds.cells.workbooks import SUFFIXES, Grids, files_of, is_table, read_workbook, subfolders, unended_text
from feeds.checks.findings import Finding, Severity
from feeds.errors import InputError
from feeds.files.dataset import SourceTables
from feeds.files.stated_units import with_documented_units
from feeds.mappings.mapped_rows import MappedRows, map_rows
from feeds.mappings.mapping import CodeColumn, DateColumn, Figure, Table
from processors.codes import EXCHANGES
from processors.days import to_date, to_day
from processors.needs import DETAIL, TOTALS

_DATE_NAMES = ("信用交易日期", "交易日期")
_SECURITY_NAMES = ("标的证券简称", "证券简称")


@dataclass(frozen=True, slots=True)
class Layout:
    """A table as an exchange publishes it.

    Parameters
    ----------
    code : header of the column of codes, None for totals.
    exchange : a name; if two exchanges share the layout, `BY_NUMBER` or `_BY_UNIT`.
    columns : header without unit → figure; all are required.
    signature : the headers by which the layout is recognised.
    shares : headers that the exchange publishes without a unit and documents as shares.
    """

    name: str
    topic: str
    code: str | None
    exchange: str
    columns: dict[str, str]
    signature: frozenset[str]
    shares: frozenset[str] = frozenset()


#: In place of an exchange: derive it from the unit of the totals, unless a cell names it.
_BY_UNIT = "by unit"
_UNIT_OF_TOTALS = {"亿元": "SZSE", "万元": "BSE"}
#: CNY; Beijing's balance is below 0.01 trillion (2026), Shenzhen's was last below 0.1 trillion in 2013.
_TOO_MUCH_FOR_BEIJING = 1e11
#: Since its first day of margin trading small totals in 亿元 may be Beijing's, converted.
_FIRST_OF_BEIJING = to_day(date(2023, 2, 13))
_NAMED = {
    "SZSE": re.compile(r"深圳证券交易所|深交所|深市|深圳|(?<![a-z])(szse|sz)(?![a-z])", re.IGNORECASE),
    "BSE": re.compile(r"北京证券交易所|北交所|北证|(?<![a-z])(bse|bj)(?![a-z])", re.IGNORECASE),
}

_WHOLE_MARKET = re.compile(r"沪深|深沪|两市|三市|全市场|全部市场")

_SSE_VOLUMES = frozenset({"本日融券余量", "本日融券卖出量", "本日融券偿还量"})
_SZSE_COLUMNS = {
    "融资买入额": "fin_buy",
    "融资余额": "fin_balance",
    "融券卖出量": "short_sell",
    "融券余量": "short_volume",
    "融券余额": "short_balance",
}
_SSE_DETAIL = {
    "本日融资余额": "fin_balance",
    "本日融资买入额": "fin_buy",
    "本日融资偿还额": "fin_repay",
    "本日融券余量": "short_volume",
    "本日融券卖出量": "short_sell",
    "本日融券偿还量": "short_repay",
}
_SSE_TOTALS = {
    "本日融资余额": "fin_balance",
    "本日融资买入额": "fin_buy",
    "本日融券余量": "short_volume",
    "本日融券余量金额": "short_balance",
    "本日融券卖出量": "short_sell",
}
_SSE_MARKS, _SSE_TOTALS_MARKS = frozenset({"标的证券代码"}), frozenset({"本日融资余额", "本日融资买入额"})
_SZSE_MARKS, _SZSE_TOTALS_MARKS = frozenset({"证券代码", "融资余额"}), frozenset({"融资余额", "融资买入额"})
LAYOUTS = (
    Layout("Shanghai detail", DETAIL, "标的证券代码", "SSE", _SSE_DETAIL, _SSE_MARKS, _SSE_VOLUMES),
    Layout("Shanghai totals", TOTALS, None, "SSE", _SSE_TOTALS, _SSE_TOTALS_MARKS, _SSE_VOLUMES),
    Layout("Shenzhen or Beijing detail", DETAIL, "证券代码", BY_NUMBER, _SZSE_COLUMNS, _SZSE_MARKS),
    Layout("Shenzhen or Beijing totals", TOTALS, None, _BY_UNIT, _SZSE_COLUMNS, _SZSE_TOTALS_MARKS),
)


#: A table with one of these columns is none of totals of one exchange.
_KEYS_OF_DETAILS = frozenset({"证券代码", "标的证券代码", "股票代码", "代码", "交易所", "市场"})


def read(paths: Sequence[Path], day: date | None = None) -> SourceTables:
    """Read files, and the files of folders.

    Parameters
    ----------
    day : trade date of files without a date.

    Raises
    ------
    InputError : for a file of no known layout, without a column or a unit, or with an unknown date.
    """
    found = SourceTables()
    for path in paths:
        if path.is_dir():
            files, others = files_of(path)
            found.findings += unread([*others, *subfolders(path)])
        elif path.is_file():
            files = [path]
        else:
            raise InputError(unusable(path, "a file of an exchange"))
        for file in files:
            content = file.read_bytes()
            if not content.strip():
                raise InputError(f"{file.name} is empty: load it again")
            found.findings += unended(content, file.name)
            found.extend(parse_sheets(split_stacked(read_workbook(content, file.name)), file.name, day))
            found.files += 1
    if not found.files:
        where = ", ".join(map(str, paths))
        raise InputError(f"{where} has no file with figures ({', '.join(SUFFIXES)}): give the exchanges' files")
    return found


def unread(files: Iterable[Path], suffixes: Sequence[str] = SUFFIXES) -> Iterator[Finding]:
    """Report what no reader takes of a folder; a folder or a broken link that has the name of a table is refused."""
    for file in files:
        named, no_table = is_table(file, suffixes), f"it is no table ({', '.join(suffixes)})"
        why = "it is a folder, or a link that leads nowhere: remove or correct it" if named else no_table
        severity = Severity.REFUSED if named else Severity.WARNING
        yield Finding(severity, "file", "", None, f"{file.name} is not read: {why}")


def unended(content: bytes, name: str) -> list[Finding]:
    """Report a long text whose last row may be cut off."""
    text = unended_text(content, name)
    return [Finding(Severity.WARNING, "end", "", None, text)] if text else []


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A sheet with a known layout."""

    name: str
    origin: str
    grid: pd.DataFrame
    layout: Layout
    table: pd.DataFrame
    stated: set[int]

    @property
    def dated(self) -> str | None:
        """The header of the column of dates."""
        names = _names(self.table)
        return next((names[name] for name in _DATE_NAMES if name in names), None)


def parse_sheets(grids: Grids, name: str, day: date | None = None) -> SourceTables:
    """Return the rows of the sheets of one file.

    Raises
    ------
    InputError : if no sheet has a known layout, or the date is missing or contradictory.
    """
    found = SourceTables()
    sheets = []
    for title, grid in grids.items():
        where = sheet_place(name, title)
        grid = with_documented_units(grid, where)
        header = find_header(grid, partial(layout_of, where=where))
        if header is None:
            found.findings += unread_sheet(grid, where)
            continue
        at, headers, layout = header
        found.findings += unread_beside(grid, at, where)
        table = table_below(grid, at, headers, where)
        stated = stated_days(cells_above(grid, at), first_cells_below(grid, at), title)
        sheets.append(_Sheet(title, f"{where} ({layout.name})", grid, layout, table, stated))
    if not sheets:
        heads = ", ".join(text for grid in grids.values() for text in likely_headers(grid))
        raise InputError(
            f"{name} is no margin file of an exchange; known are {', '.join(x.name for x in LAYOUTS)}; its headers are "
            f"{heads}: give a file as the exchange publishes it, or use `marginwatch feed vendor`"
        )
    in_columns = {one for sheet in sheets if sheet.dated for one in _column_days(sheet)}
    if day is not None and in_columns - {to_day(day)}:
        days = ", ".join(to_date(one).isoformat() for one in sorted(in_columns))
        raise InputError(f"{name} is of {days}, not of {day}: leave --date out, or give the file of that day")
    of_file = in_columns | {one for sheet in sheets for one in sheet.stated}
    for sheet in sheets:
        of_sheet = None if sheet.dated else file_day(sheet.stated or of_file, name, day, sheet.origin)
        rows = map_rows(_mapping(sheet, sheets, name), sheet.table, sheet.origin, day=of_sheet)
        found.add(sheet.layout.topic, sheet.origin, rows)
        found.findings += _doubtful_exchange(sheet, sheets, name, rows)
    return found


def _doubtful_exchange(sheet: _Sheet, sheets: Iterable[_Sheet], file: str, rows: MappedRows) -> list[Finding]:
    """Report totals in 亿元 that nothing but their unit gives to Shenzhen, and that are of Beijing's size."""
    if sheet.layout.exchange != _BY_UNIT or _named_exchanges(sheet, sheets, file) or "day" not in rows.frame:
        return []
    small = (rows.frame["fin_balance"] < _TOO_MUCH_FOR_BEIJING) & (rows.frame["day"] >= _FIRST_OF_BEIJING)
    doubtful = small & (rows.frame["key"] == EXCHANGES.index("SZSE"))
    if not doubtful.any():
        return []
    first = rows.frame[doubtful].iloc[0]
    text = (
        f"{sheet.origin}: a balance of {first['fin_balance']:,.15g} CNY counts as Shenzhen's because it is in 亿元, "
        "and is of the size of Beijing's: name the exchange in the name of the file or in a cell (深交所, 北交所)"
    )
    return [Finding(Severity.WARNING, "exchange", sheet.layout.topic, None, text)]


def unread_sheet(grid: pd.DataFrame, where: str) -> list[Finding]:
    """Report a sheet of no known layout that contains figures."""
    rows = rows_with_figures(grid)
    text = (
        f"{where} is not read: {rows} rows with figures and no known header; remove the sheet, or give a mapping file"
    )
    return [Finding(Severity.REFUSED, "sheet", "", None, text)] if rows else []


def unread_beside(grid: pd.DataFrame, at: int, where: str) -> list[Finding]:
    """Report rows of figures above a header, with more than half as many cells as it, and columns without a header.

    A file that is sorted has such rows.
    """
    found = []
    filled = (~grid.iloc[: at + 1].map(is_blank)).sum(axis=1).to_numpy()
    rows = rows_with_figures(grid.iloc[:at][2 * filled[:at] > filled[at]])
    text = f"{where}: {rows} rows with figures above the header, which is row {grid.index[at]}, are not read"
    if rows:
        found.append(Finding(Severity.REFUSED, "sheet", "", None, f"{text}: move them below it, or remove them"))
    if columns := nameless_columns(grid, at):
        text = f"{where}: columns {', '.join(columns)} have figures and no header: name them, or remove them"
        found.append(Finding(Severity.WARNING, "column", "", None, text))
    return found


def layout_of(headers: list[str], where: str) -> Layout | None:
    """Return the layout of a header, None if it is no header.

    Raises
    ------
    InputError : if a column of the layout is missing.
    """
    names = {split_header(text)[0] for text in headers if text}
    layout = next((one for one in LAYOUTS if one.signature <= names), None)
    if layout is None or (layout.code is None and names & _KEYS_OF_DETAILS):
        return None
    twice = [name for name in layout.columns if sum(split_header(text)[0] == name for text in headers) > 1]
    if twice:
        raise InputError(f"{where}: two columns are headed {twice[0]}: remove one of them, or save two files")
    lacking = [name for name in layout.columns if name not in names]
    if lacking:
        raise InputError(
            f"{where}: {layout.name} lacks {', '.join(lacking)}; its headers are {', '.join(headers)}: download it "
            "again"
        )
    return layout


def _names(table: pd.DataFrame) -> dict[str, str]:
    """Return name without unit → header."""
    return {split_header(str(header))[0]: str(header) for header in table.columns}


def _column_days(sheet: _Sheet) -> set[int]:
    return set(parse_days(sheet.table[str(sheet.dated)])[0].tolist()) - {NO_DAY}


def _mapping(sheet: _Sheet, sheets: Iterable[_Sheet], file: str) -> Table:
    """Return the mapping of a sheet, with the units of its headers."""
    layout, names = sheet.layout, _names(sheet.table)
    columns = {}
    for name, figure in layout.columns.items():
        unit = split_header(names[name])[1]
        columns[figure] = Figure(column=names[name], unit=unit or ("股" if name in layout.shares else None))
    exchange = layout.exchange
    if layout.code is None and exchange == _BY_UNIT:
        exchange = _exchange_of_totals(columns["fin_balance"], sheet, sheets, file)
    elif layout.code is not None and len(places := _exchanges_of_codes(sheet)) > 1 and exchange == BY_NUMBER:
        raise InputError(
            f"{sheet.origin}: the codes are of {', '.join(sorted(places))}: expected those of one exchange"
        )
    named = next((names[n] for n in _SECURITY_NAMES if n in names), None)
    return Table(
        layout.topic,
        columns,
        date=DateColumn(sheet.dated) if sheet.dated else None,
        undated=sheet.dated is None,
        code=CodeColumn(names[layout.code], exchange=exchange, name=named) if layout.code is not None else None,
        exchange=None if layout.code is not None else exchange,
    )


def _exchanges_of_codes(sheet: _Sheet) -> set[str]:
    """Return the exchanges that the codes of a detail name."""
    found = set()
    for cell in sheet.table[_names(sheet.table)[str(sheet.layout.code)]].unique():
        try:
            found.add(to_own(cell, None, BY_NUMBER)[-2:])
        except InputError:
            continue
    return found


def _exchange_of_totals(balance: Figure, sheet: _Sheet, sheets: Iterable[_Sheet], file: str) -> str:
    """Return the exchange of totals; raises `InputError` if nothing names it, or two are named."""
    named = _named_exchanges(sheet, sheets, file)
    unit = parse_unit(balance.unit, Kind.MONEY, f"{sheet.origin}, fin_balance")
    large = bool((unit.apply(parse_numbers(sheet.table[str(balance.column)], unit)[0]) >= _TOO_MUCH_FOR_BEIJING).any())
    if not named and sheet.dated is None and (large or unit.text in _UNIT_OF_TOTALS):
        return "SZSE" if large else _UNIT_OF_TOTALS[unit.text]
    if len(named) != 1:
        raise InputError(
            f"{sheet.origin}: the exchange of these totals is not clear: Shenzhen's are in 亿元, Beijing's in 万元, "
            f"these in {unit.text}; name one exchange in the name of the file or in a cell (深交所, 北交所). Totals of "
            "all exchanges together belong to none: give those of each exchange"
        )
    return named.pop()


def _named_exchanges(sheet: _Sheet, sheets: Iterable[_Sheet], file: str) -> set[str]:
    """Return the exchanges that a cell, a name or a detail in the same file names; all for those of a whole market."""
    cells = " ".join(str(cell) for cell in sheet.grid.to_numpy().ravel() if not is_blank(cell))
    if _WHOLE_MARKET.search(f"{cells} {file} {sheet.name}"):
        return set(_NAMED)
    for hints in (cells, f"{file} {sheet.name}"):
        named = {exchange for exchange, words in _NAMED.items() if words.search(hints)}
        if named:
            return named
    siblings = {place for one in sheets if one.layout.exchange == BY_NUMBER for place in _exchanges_of_codes(one)}
    return {exchange for exchange in _NAMED if siblings == {exchange[:2] if exchange == "SZSE" else "BJ"}}
