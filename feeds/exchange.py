"""The exchanges' own margin files as published (融资融券), recognised by what they hold, not by their names.

=====================  ==============================================================  ======================
file                   how it is recognised                                            topic
=====================  ==============================================================  ======================
Shanghai 汇总信息       信用交易日期 and 本日融资余额, no code                                 margin.market
Shanghai 明细信息       标的证券代码                                                       margin.daily
Shenzhen, Beijing 明细  证券代码 and 融资余额; which exchange is told by the codes             margin.daily
Shenzhen, Beijing 总量  融资余额 and 融资买入额, no code; which exchange is told by the units  margin.market
=====================  ==============================================================  ======================

Units stand in the headers; one without a unit is refused. Only Shanghai's volumes have none as published: the exchange
counts them in shares. Shenzhen publishes its totals in 亿元 and 亿股, Beijing in 万元 and 万股; a cell that names one
of them says it better. Shenzhen's files hold no date, Beijing's one in the last row: else it comes from the file's name
or the command.
"""

from __future__ import annotations

import importlib
import io
import re
import struct
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from feeds.code_styles import BY_NUMBER, PLAIN, by_number, plain_number
from feeds.dataset import SourceTable, SourceTables
from feeds.folder import FeedError
from feeds.mapping import Codes, Figure, Table, When, apply
from feeds.units import Kind, parse_unit, split_header
from feeds.validate import Finding, Severity
from processors.days import to_date, to_day

#: Sheet name → cells as they stand, without any header.
Grids = dict[str, pd.DataFrame]
SUFFIXES = (".xls", ".xlsx", ".csv")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_HEADER_ROWS = 20  # titles and dates may stand above the header
_NOTHING = re.compile(r"没有(找到)?(符合条件的)?数据|暂无数据|无数据|没有相关数据")
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
    exchange : a name; where two exchanges share the layout, `BY_NUMBER` or `_BY_UNIT`.
    columns : header without unit → figure; all are required.
    shares : headers that the exchange publishes without a unit and that are documented as shares.
    marks : headers by which it is told from others.
    """

    name: str
    topic: str
    code: str | None
    exchange: str
    columns: dict[str, str]
    marks: frozenset[str]
    shares: frozenset[str] = frozenset()


#: Instead of an exchange: the unit of its totals tells it, unless a cell names it.
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
LAYOUTS = (
    Layout(
        "Shanghai detail",
        "margin.daily",
        "标的证券代码",
        "SSE",
        {
            "本日融资余额": "fin_balance",
            "本日融资买入额": "fin_buy",
            "本日融资偿还额": "fin_repay",
            "本日融券余量": "short_volume",
            "本日融券卖出量": "short_sell",
            "本日融券偿还量": "short_repay",
        },
        frozenset({"标的证券代码"}),
        _SSE_VOLUMES,
    ),
    Layout(
        "Shanghai totals",
        "margin.market",
        None,
        "SSE",
        {
            "本日融资余额": "fin_balance",
            "本日融资买入额": "fin_buy",
            "本日融券余量": "short_volume",
            "本日融券余量金额": "short_balance",
            "本日融券卖出量": "short_sell",
        },
        frozenset({"信用交易日期", "本日融资余额"}),
        _SSE_VOLUMES,
    ),
    Layout(
        "Shenzhen or Beijing detail",
        "margin.daily",
        "证券代码",
        BY_NUMBER,
        _SZSE_COLUMNS,
        frozenset({"证券代码", "融资余额"}),
    ),
    Layout(
        "Shenzhen or Beijing totals",
        "margin.market",
        None,
        _BY_UNIT,
        _SZSE_COLUMNS,
        frozenset({"融资余额", "融资买入额"}),
    ),
)


def read(paths: Iterable[Path], day: date | None = None) -> SourceTables:
    """Read files, and the files of folders.

    Parameters
    ----------
    day : trade date of files that tell none.

    Raises
    ------
    FeedError : for a file that is none of the exchanges', lacks a column or a unit, or whose date is not known.
    """
    found = SourceTables()
    files = [file for path in paths for file in files_of(path)]
    if not files:
        raise FeedError(f"there is no file ({', '.join(SUFFIXES)}): give the exchanges' files, or a folder of them")
    for file in files:
        one = adapt(open_book(file.read_bytes(), file.name), file.name, day)
        found.parts += one.parts
        found.findings += one.findings
    return found


def files_of(path: Path) -> list[Path]:
    """Return the file, or the workbooks and CSV files of a folder."""
    if path.is_dir():
        return sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith(("~", ".")))
    if not path.is_file():
        raise FeedError(f"{path} does not exist: give a file of an exchange, or a folder of them")
    return [path]


def open_book(content: bytes, name: str) -> Grids:
    """Return the sheets of a workbook, by its content (xlsx, xls, else CSV in UTF-8 or GB18030).

    Raises
    ------
    FeedError : if it is neither, or the library that reads it is not installed.
    """
    if content.startswith((_ZIP, _OLE)):
        library, opened = ("openpyxl", _xlsx) if content.startswith(_ZIP) else ("xlrd", _xls)
        try:
            return opened(content)
        except ImportError as error:
            raise FeedError(f"{name}: {library} is needed: pip install 'marginwatch[excel]'") from error
        except (ValueError, OSError, KeyError, BadZipFile, struct.error) as error:
            raise FeedError(f"{name} is a damaged workbook ({error}): download it again") from error
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "<html" in text[:2000].lower() or "<table" in text[:2000].lower():
            raise FeedError(f"{name} is a web page, not a workbook: save it as xlsx")
        try:
            return {"": pd.read_csv(io.StringIO(text), header=None, dtype=object, names=_width(text))}
        except pd.errors.ParserError as error:
            raise FeedError(f"{name} is no CSV file: {error}") from error
    raise FeedError(f"{name} is no workbook and no text: expected {', '.join(SUFFIXES)}")


def _xlsx(content: bytes) -> Grids:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # openpyxl misses the default style in Shenzhen's workbooks
        sheets = pd.read_excel(
            io.BytesIO(content), sheet_name=None, header=None, dtype=np.dtype(object), engine="openpyxl"
        )
    return {str(sheet): grid for sheet, grid in sheets.items()}


def _xls(content: bytes) -> Grids:
    """Read a workbook of before 2007 by xlrd itself: pandas is about to drop it."""
    xlrd = importlib.import_module("xlrd")
    try:
        book = xlrd.open_workbook(file_contents=content)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError) as error:
        raise ValueError(str(error)) from error

    def value(cell: Any) -> object:
        if cell.ctype == xlrd.XL_CELL_DATE:
            return xlrd.xldate_as_datetime(cell.value, book.datemode)
        return None if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK, xlrd.XL_CELL_ERROR) else cell.value

    return {
        sheet.name: pd.DataFrame([[value(cell) for cell in row] for row in sheet.get_rows()], dtype=object)
        for sheet in book.sheets()
    }


def _width(text: str) -> range:
    return range(max((line.count(",") for line in text.splitlines()), default=0) + 1)


def adapt(grids: Grids, name: str, day: date | None = None) -> SourceTables:
    """Turn the sheets of one file into rows.

    Raises
    ------
    FeedError : if no sheet is known, or the date is missing or told in two ways.
    """
    found = SourceTables()
    tables = [
        (sheet, *known)
        for sheet, grid in grids.items()
        if (known := locate(grid, f"{name} {sheet}".strip())) is not None
    ]
    if not tables:
        heads = {sheet: _texts(grid.iloc[0]) for sheet, grid in grids.items() if len(grid)}
        raise FeedError(
            f"{name} is no margin file of an exchange: known are {', '.join(x.name for x in LAYOUTS)}; it holds {heads}"
        )
    dates = _dates(name, grids, tables)
    if day is not None and dates - {to_day(day)}:
        raise FeedError(f"{name} is of {_told(dates)}, not of {day}: leave --date out, or give the file of that day")
    dates = dates or ({to_day(day)} if day is not None else set())
    for sheet, layout, whole in tables:
        origin = f"{name}{f' [{sheet}]' if sheet else ''} ({layout.name})"
        table, empty = _rows(layout, whole, origin)
        if empty:
            text = f"{origin} says {empty!r}: its figures are not published yet, or the day is no trading day"
            found.findings.append(Finding(Severity.ERROR, "placeholder", layout.topic, None, text))
        if not len(table):
            continue
        dated = next((n for n in _DATE_NAMES if n in _names(table)), None)
        frame = apply(_mapping(layout, table, dated, grids[sheet], origin), table, origin)
        if dated is None:
            if len(dates) != 1:
                told = "holds several dates" if dates else "holds no date"
                raise FeedError(f"{origin} {told}: give --date, or a name with the trade date such as 2024-06-11")
            frame = frame.assign(day=next(iter(dates))).astype({"day": "int32"})
        found.parts.append(SourceTable(layout.topic, origin, frame))
    return found


def locate(grid: pd.DataFrame, where: str) -> tuple[Layout, pd.DataFrame] | None:
    """Find the header of a known layout; return the table below it with the headers as its columns.

    Raises
    ------
    FeedError : if it is a known layout that lacks columns.
    """
    for at in range(min(_HEADER_ROWS, len(grid))):
        headers = _texts(grid.iloc[at])
        names = {split_header(text)[0] for text in headers if text}
        layout = next((one for one in LAYOUTS if one.marks <= names), None)
        if layout is None:
            continue
        if layout.code is None and names & {one.code for one in LAYOUTS if one.code}:
            continue
        lacking = [name for name in layout.columns if name not in names]
        if lacking:
            raise FeedError(f"{where}: {layout.name} lacks {', '.join(lacking)}; its headers are {', '.join(headers)}")
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
    """Name without unit → header as it stands."""
    return {split_header(str(header))[0]: str(header) for header in table.columns}


def _rows(layout: Layout, table: pd.DataFrame, origin: str) -> tuple[pd.DataFrame, str]:
    """Keep the rows of figures; also return what stands in place of them, if anything does.

    Blank rows, footers (no figure behind the first cell) and sums are left out; figures without a code are refused.

    Raises
    ------
    FeedError : naming the first row that is neither.
    """
    key = _names(table)[layout.code] if layout.code is not None else None
    kept, placeholder = [], ""
    for at, row in enumerate(table.to_dict("records")):
        filled = [str(cell).strip() for cell in row.values() if not _blank(cell)]
        said = next((text for text in filled if _NOTHING.search(text)), "")
        if said:
            placeholder = said
        elif key is None:
            if len(filled) > len(layout.columns) - 1:
                kept.append(at)
        elif plain_number(row[key]) is not None and len(filled) > 1:
            kept.append(at)
        elif any(map(_numeric, filled[1:])) and not any(word in text for text in filled for word in _SUMS):
            raise FeedError(f"{origin}: row {at + 1} below the header has no six-digit code but {filled[:3]}")
    return table.iloc[kept].reset_index(drop=True), placeholder


def _mapping(layout: Layout, table: pd.DataFrame, dated: str | None, grid: pd.DataFrame, origin: str) -> Table:
    """Say how a layout's columns become figures, with the units of this file's headers."""
    names = _names(table)
    columns = {}
    for name, figure in layout.columns.items():
        unit = split_header(names[name])[1]
        columns[figure] = Figure(column=names[name], unit=unit or ("股" if name in layout.shares else None))
    exchange = layout.exchange
    if exchange == BY_NUMBER and layout.code is not None:
        numbers = {by_number(str(plain_number(cell))) for cell in table[names[layout.code]]}
        if numbers - {"SZ"} and numbers - {"BJ"}:
            raise FeedError(
                f"{layout.name}: the codes are of {', '.join(sorted(numbers))}: expected Shenzhen's or Beijing's alone"
            )
        exchange = numbers.pop()
    elif exchange == _BY_UNIT:
        exchange = _exchange_of_totals(columns["fin_balance"].unit, grid, origin)
    return Table(
        layout.topic,
        columns,
        date=When(names[dated], _date_format(table[names[dated]])) if dated is not None else None,
        undated=dated is None,
        code=Codes(
            names[layout.code], PLAIN, exchange, name=next((names[n] for n in _SECURITY_NAMES if n in names), None)
        )
        if layout.code is not None
        else None,
        exchange=None if layout.code is not None else exchange,
    )


def _exchange_of_totals(unit: str | None, grid: pd.DataFrame, origin: str) -> str:
    cells = " ".join(str(cell) for cell in grid.to_numpy().ravel() if not _blank(cell))
    named = [exchange for exchange, words in _NAMED.items() if words.search(cells)]
    if len(named) == 1:
        return named[0]
    text = parse_unit(unit, Kind.MONEY, f"{origin}, fin_balance").text
    if text not in _UNIT_OF_TOTALS or named:
        raise FeedError(
            f"{origin}: whose totals these are is not clear: Shenzhen's are in 亿元, Beijing's in 万元, these in "
            f"{text}; a cell that names one exchange (北交所) says it better"
        )
    return _UNIT_OF_TOTALS[text]


def _date_format(column: pd.Series) -> str:
    """``%Y%m%d`` or with the separator that the first cell has; a spreadsheet's own dates are text by then."""
    found = re.match(r"\d{4}([-/.]?)\d{2}", str(column.iloc[0]) if len(column) else "")
    separator = found[1] if found else ""
    return f"%Y{separator}%m{separator}%d" + (" %H:%M:%S" if ":" in str(column.iloc[0]) else "")


def _dates(name: str, grids: Grids, tables: list[tuple[str, Layout, pd.DataFrame]]) -> set[int]:
    """Return the dates that a file tells: in a column, above its header or below its rows, else in its name."""
    in_columns = {
        found
        for _, _, table in tables
        for own, header in _names(table).items()
        if own in _DATE_NAMES
        for cell in table[header].tolist()
        for found in _found(cell)
    }
    if in_columns:
        return in_columns
    above = {found for grid in grids.values() for cell in _above(grid) for found in _found(cell)}
    below = {
        found
        for grid in grids.values()
        for cell in grid.iloc[:, 0].tolist()
        if _DATE_BELOW.match(str(cell).strip())
        for found in _found(cell)
    }
    return above or below or set(_found(name))


def _above(grid: pd.DataFrame) -> Iterator[object]:
    for at in range(min(_HEADER_ROWS, len(grid))):
        cells = grid.iloc[at].tolist()
        if sum(not _blank(cell) for cell in cells) > 2:  # the header itself
            return
        yield from cells


def _found(cell: object) -> Iterator[int]:
    if isinstance(cell, datetime):
        yield to_day(cell.date())
    elif not _blank(cell):
        for year, month, number in _DATE.findall(str(cell)):
            try:
                yield to_day(date(int(year), int(month), int(number)))
            except ValueError:
                continue


def _told(days: set[int]) -> str:
    return ", ".join(to_date(d).isoformat() for d in sorted(days))
