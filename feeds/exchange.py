"""The exchanges' own margin files as published (融资融券), recognised by their headers, not by their names.

=====================  ==============================================================  ======================
file                   how it is recognised                                            topic
=====================  ==============================================================  ======================
Shanghai 汇总信息       信用交易日期 and 本日融资余额, no code                                 margin.market
Shanghai 明细信息       标的证券代码                                                       margin.daily
Shenzhen, Beijing 明细  证券代码 and 融资余额; the codes name the exchange                     margin.daily
Shenzhen, Beijing 总量  融资余额 and 融资买入额, no code; the units name the exchange          margin.market
=====================  ==============================================================  ======================

The headers contain the units; a header without a unit is refused. Only Shanghai publishes volumes without a unit: it
counts them in shares. Shenzhen publishes its totals in 亿元 and 亿股, Beijing in 万元 and 万股, unless a cell names the
exchange. Shenzhen's files contain no date, Beijing's have one in the last row; else the date comes from the name of the
file or from the command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pandas as pd

from feeds.code_styles import BY_NUMBER, PLAIN, by_number, plain_number
from feeds.dataset import SourceTable, SourceTables
from feeds.errors import InputError
from feeds.mapped_rows import map_rows
from feeds.mapping import CodeColumn, DateColumn, Figure, Table
from feeds.units import Kind, parse_unit, split_header
from feeds.validate import Finding, Severity
from feeds.workbooks import SUFFIXES, Grids, read_workbook
from processors.days import to_date, to_day

_HEADER_ROWS = 20  # titles and dates may precede the header
_NO_DATA = re.compile(r"没有(找到)?(符合条件的)?数据|暂无数据|无数据|没有相关数据")
_SUMS = ("合计", "总计", "小计", "汇总")
_DATE_NAMES = ("信用交易日期", "交易日期")
_DATE_BELOW = re.compile(r"(信用交易|交易|数据|业务)?日期\s*[:：]")
_SECURITY_NAMES = ("标的证券简称", "证券简称")
_DATE = re.compile(r"(?<!\d)(20\d{2})[-/.年]?(0[1-9]|1[0-2])[-/.月]?(0[1-9]|[12]\d|3[01])(?!\d)")


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
_NAMED = {"SZSE": re.compile(r"深圳证券交易所|深交所"), "BSE": re.compile(r"北京证券交易所|北交所")}

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
_SSE_MARKS, _SSE_TOTALS_MARKS = frozenset({"标的证券代码"}), frozenset({"信用交易日期", "本日融资余额"})
_SZSE_MARKS, _SZSE_TOTALS_MARKS = frozenset({"证券代码", "融资余额"}), frozenset({"融资余额", "融资买入额"})
_DETAIL, _TOTALS = "margin.daily", "margin.market"
LAYOUTS = (
    Layout("Shanghai detail", _DETAIL, "标的证券代码", "SSE", _SSE_DETAIL, _SSE_MARKS, _SSE_VOLUMES),
    Layout("Shanghai totals", _TOTALS, None, "SSE", _SSE_TOTALS, _SSE_TOTALS_MARKS, _SSE_VOLUMES),
    Layout("Shenzhen or Beijing detail", _DETAIL, "证券代码", BY_NUMBER, _SZSE_COLUMNS, _SZSE_MARKS),
    Layout("Shenzhen or Beijing totals", _TOTALS, None, _BY_UNIT, _SZSE_COLUMNS, _SZSE_TOTALS_MARKS),
)


def read(paths: Iterable[Path], day: date | None = None) -> SourceTables:
    """Read files, and the files of folders.

    Parameters
    ----------
    day : trade date of files without a date.

    Raises
    ------
    InputError : for a file of no known layout, without a column or a unit, or with an unknown date.
    """
    found = SourceTables()
    files = [file for path in paths for file in files_of(path)]
    if not files:
        raise InputError(f"there is no file ({', '.join(SUFFIXES)}): give the exchanges' files, or a folder of them")
    for file in files:
        found.extend(parse_sheets(read_workbook(file.read_bytes(), file.name), file.name, day))
    return found


def files_of(path: Path) -> list[Path]:
    """Return the file, or the workbooks and CSV files of a folder."""
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(("~", ".")))
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a file of an exchange, or a folder of them")
    return [path]


def parse_sheets(grids: Grids, name: str, day: date | None = None) -> SourceTables:
    """Return the rows of the sheets of one file.

    Raises
    ------
    InputError : if no sheet has a known layout, or the date is missing or contradictory.
    """
    found = SourceTables()
    tables = [
        (sheet, *known)
        for sheet, grid in grids.items()
        if (known := find_layout(grid, f"{name} {sheet}".strip())) is not None
    ]
    if not tables:
        heads = {sheet: _texts(grid.iloc[0]) for sheet, grid in grids.items() if len(grid)}
        raise InputError(
            f"{name} is no margin file of an exchange; known are {', '.join(x.name for x in LAYOUTS)}; its headers are "
            f"{heads}"
        )
    dates = _dates(name, grids, tables)
    if day is not None and dates - {to_day(day)}:
        raise InputError(
            f"{name} is of {_dates_text(dates)}, not of {day}: leave --date out, or give the file of that day"
        )
    dates = dates or ({to_day(day)} if day is not None else set())
    for sheet, layout, raw in tables:
        origin = f"{name}{f' [{sheet}]' if sheet else ''} ({layout.name})"
        table, placeholder = _rows(layout, raw, origin)
        if placeholder:
            text = f"{origin} contains {placeholder!r}: its figures are not published yet, or the day is no trading day"
            found.findings.append(Finding(Severity.ERROR, "placeholder", layout.topic, None, text))
        if not len(table):
            continue
        dated = next((n for n in _DATE_NAMES if n in _names(table)), None)
        frame = map_rows(_mapping(layout, table, dated, grids[sheet], origin), table, origin)
        if dated is None:
            if len(dates) != 1:
                problem = "contains several dates" if dates else "contains no date"
                raise InputError(f"{origin} {problem}: give --date, or a name with the trade date such as 2024-06-11")
            frame = frame.assign(day=next(iter(dates))).astype({"day": "int32"})
        found.tables.append(SourceTable(layout.topic, origin, frame))
    return found


def find_layout(grid: pd.DataFrame, where: str) -> tuple[Layout, pd.DataFrame] | None:
    """Find the header of a known layout; return the layout and the table below the header, None if there is none.

    Raises
    ------
    InputError : if a column of the layout is missing.
    """
    for at in range(min(_HEADER_ROWS, len(grid))):
        headers = _texts(grid.iloc[at])
        names = {split_header(text)[0] for text in headers if text}
        layout = next((one for one in LAYOUTS if one.signature <= names), None)
        if layout is None:
            continue
        if layout.code is None and names & {one.code for one in LAYOUTS if one.code}:
            continue
        lacking = [name for name in layout.columns if name not in names]
        if lacking:
            raise InputError(
                f"{where}: {layout.name} lacks {', '.join(lacking)}; its headers are {', '.join(headers)}: download it "
                "again"
            )
        table = grid.iloc[at + 1 :].reset_index(drop=True)
        table.columns = pd.Index(headers)
        return layout, table.loc[:, [bool(text) for text in headers]]
    return None


def _texts(row: pd.Series) -> list[str]:
    return ["" if _blank(cell) else re.sub(r"\s+", "", str(cell)) for cell in row.tolist()]


def _blank(cell: object) -> bool:
    return cell is None or cell != cell or not str(cell).replace("&nbsp;", "").strip()


def _numeric(text: str) -> bool:
    return re.fullmatch(r"[+-]?[\d,]+(\.\d*)?", text) is not None


def _names(table: pd.DataFrame) -> dict[str, str]:
    """Return name without unit → header."""
    return {split_header(str(header))[0]: str(header) for header in table.columns}


def _rows(layout: Layout, table: pd.DataFrame, origin: str) -> tuple[pd.DataFrame, str]:
    """Return the rows of figures, and the text of a placeholder for them (empty if there is none).

    Blank rows, footers (no figure after the first cell) and sums are left out.

    Raises
    ------
    InputError : with the first row that has figures but no code.
    """
    key = _names(table)[layout.code] if layout.code is not None else None
    kept, placeholder = [], ""
    for at, row in enumerate(table.to_dict("records")):
        filled = [str(cell).strip() for cell in row.values() if not _blank(cell)]
        no_data = next((text for text in filled if _NO_DATA.search(text)), "")
        if no_data:
            placeholder = no_data
        elif key is None:
            if len(filled) > len(layout.columns) - 1:
                kept.append(at)
        elif plain_number(row[key]) is not None and len(filled) > 1:
            kept.append(at)
        elif any(map(_numeric, filled[1:])) and not any(word in text for text in filled for word in _SUMS):
            raise InputError(
                f"{origin}: row {at + 1} below the header has no six-digit code but {filled[:3]}: correct the row"
            )
    return table.iloc[kept].reset_index(drop=True), placeholder


def _mapping(layout: Layout, table: pd.DataFrame, dated: str | None, grid: pd.DataFrame, origin: str) -> Table:
    """Return the mapping of a layout, with the units of this file's headers."""
    names = _names(table)
    columns = {}
    for name, figure in layout.columns.items():
        unit = split_header(names[name])[1]
        columns[figure] = Figure(column=names[name], unit=unit or ("股" if name in layout.shares else None))
    exchange = layout.exchange
    if exchange == BY_NUMBER and layout.code is not None:
        numbers = {by_number(str(plain_number(cell))) for cell in table[names[layout.code]]}
        if numbers - {"SZ"} and numbers - {"BJ"}:
            raise InputError(
                f"{layout.name}: the codes are of {', '.join(sorted(numbers))}: expected those of one exchange"
            )
        exchange = numbers.pop()
    elif exchange == _BY_UNIT:
        exchange = _exchange_of_totals(columns["fin_balance"].unit, grid, origin)
    named = next((names[n] for n in _SECURITY_NAMES if n in names), None)
    return Table(
        layout.topic,
        columns,
        date=DateColumn(names[dated], _date_format(table[names[dated]])) if dated is not None else None,
        undated=dated is None,
        code=CodeColumn(names[layout.code], PLAIN, exchange, name=named) if layout.code is not None else None,
        exchange=None if layout.code is not None else exchange,
    )


def _exchange_of_totals(unit: str | None, grid: pd.DataFrame, origin: str) -> str:
    cells = " ".join(str(cell) for cell in grid.to_numpy().ravel() if not _blank(cell))
    named = [exchange for exchange, words in _NAMED.items() if words.search(cells)]
    if len(named) == 1:
        return named[0]
    text = parse_unit(unit, Kind.MONEY, f"{origin}, fin_balance").text
    if text not in _UNIT_OF_TOTALS or named:
        raise InputError(
            f"{origin}: the exchange of these totals is not clear: Shenzhen's are in 亿元, Beijing's in 万元, these in "
            f"{text}; add a cell that names the exchange (北交所)"
        )
    return _UNIT_OF_TOTALS[text]


def _date_format(column: pd.Series) -> str:
    """Return ``%Y%m%d`` with the separator of the first cell; dates of a spreadsheet are text at this point."""
    found = re.match(r"\d{4}([-/.]?)\d{2}", str(column.iloc[0]) if len(column) else "")
    separator = found[1] if found else ""
    return f"%Y{separator}%m{separator}%d" + (" %H:%M:%S" if ":" in str(column.iloc[0]) else "")


def _dates(name: str, grids: Grids, tables: list[tuple[str, Layout, pd.DataFrame]]) -> set[int]:
    """Return the dates of a file: in a column, above its header or below its rows, else in its name."""
    in_columns = {
        found
        for _, _, table in tables
        for own, header in _names(table).items()
        if own in _DATE_NAMES
        for cell in table[header].tolist()
        for found in _dates_in(cell)
    }
    if in_columns:
        return in_columns
    above = {found for grid in grids.values() for cell in _cells_above_header(grid) for found in _dates_in(cell)}
    below = {
        found
        for grid in grids.values()
        for cell in grid.iloc[:, 0].tolist()
        if _DATE_BELOW.match(str(cell).strip())
        for found in _dates_in(cell)
    }
    return above or below or set(_dates_in(name))


def _cells_above_header(grid: pd.DataFrame) -> Iterator[object]:
    for at in range(min(_HEADER_ROWS, len(grid))):
        cells = grid.iloc[at].tolist()
        if sum(not _blank(cell) for cell in cells) > 2:  # the header itself
            return
        yield from cells


def _dates_in(cell: object) -> Iterator[int]:
    if isinstance(cell, datetime):
        yield to_day(cell.date())
    elif not _blank(cell):
        for year, month, number in _DATE.findall(str(cell)):
            try:
                yield to_day(date(int(year), int(month), int(number)))
            except ValueError:
                continue


def _dates_text(days: set[int]) -> str:
    return ", ".join(to_date(d).isoformat() for d in sorted(days))
