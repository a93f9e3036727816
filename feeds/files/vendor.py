"""Files of data vendors: tables known by their headers, any other file by a mapping file; and reading their cells.

A file is CSV (any encoding and separator of `feeds.cells.workbooks`), a workbook of several sheets, or parquet.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from feeds.cells import workbooks
from feeds.cells.file_dates import file_day, later_than_named, stated_days
from feeds.cells.file_names import unusable
from feeds.cells.formulas import evaluate
from feeds.cells.sheet_tables import (
    cells_above,
    find_header,
    first_cells_below,
    likely_headers,
    sheet_place,
    split_stacked,
    table_below,
)
from feeds.cells.workbooks import Grids, files_of, read_parquet, read_workbook, subfolders, unpacked
from feeds.checks.findings import Finding, Severity
from feeds.errors import InputError
from feeds.files.dataset import SourceTable, SourceTables
from feeds.files.exchange import Layout, layout_of, parse_sheets, unended, unread, unread_beside, unread_sheet
from feeds.files.index_codes import by_index, until_next_list
from feeds.files.stated_units import with_documented_units
from feeds.mappings.mapped_rows import map_rows
from feeds.mappings.mapping import Mapping, Table, columns_used, tables_of
from feeds.mappings.presets import (
    VENDOR_TABLES,
    detect_tables,
    has_dates,
    is_total_of_all,
    replace_component_turnover,
    unread_figures,
)
from processors.days import to_date

SUFFIXES = (*workbooks.SUFFIXES, ".parquet")
_PARQUET = b"PAR1"
_OF_ALL = (
    "Totals of all exchanges together belong to none: signals divide an exchange's totals by its turnover, and checks "
    "compare its detail with them. Give those of each exchange (a column 交易所), or name it in a mapping (--map)"
)
#: A file of so many spells has one of each kind.
_SPELLS = 100
#: A layout of an exchange, or the name of a vendor's table and its mapping.
_Meaning = Layout | tuple[str, list[Table]]


def read(paths: Sequence[Path], mapping: Mapping | None = None, day: date | None = None) -> SourceTables:
    """Read files, and the files of folders.

    Parameters
    ----------
    mapping : without one, each file must be recognised by its headers; with one, files of a folder that fit no table of
        the mapping are left out and reported.
    day : the trade date of files without a date.

    Raises
    ------
    InputError : if a file can't be read by the mapping, or by its headers.
    """
    out = SourceTables()
    for path in paths:
        files, others = _files_of(path)
        out.findings += unread([*others, *(subfolders(path) if path.is_dir() else [])], SUFFIXES)
        for file in files:
            read_before = len(out.tables)
            if mapping is None:
                out.extend(_known(file, day))
                out.findings += _older_than_its_rows(file.name, out.tables[read_before:])
                continue
            tables = tables_of(mapping, file.name)
            if tables:
                out.files += 1
                _add_mapped(file, tables, mapping, out)
                out.findings += _older_than_its_rows(file.name, out.tables[read_before:])
                continue
            text = f"{file.name} is not read: no table of the mapping file fits this name"
            if not path.is_dir():
                patterns = ", ".join(dict.fromkeys(table.files for table in mapping.table))
                raise InputError(f"{text}; its patterns: {patterns}")
            out.findings.append(Finding(Severity.WARNING, "file", "", None, text))
    if not out.files and not any(one.check == "file" for one in out.findings):
        where = ", ".join(map(str, paths))
        raise InputError(f"{where} has no file with figures ({', '.join(SUFFIXES)}): give files, or a folder of them")
    return out


def _older_than_its_rows(name: str, tables: Iterable[SourceTable]) -> Iterator[Finding]:
    """Report a file whose name has a date before the one day of all of its rows: the column or the name is wrong."""
    dated = [table for table in tables if "day" in table.frame and "until" not in table.frame]
    days = sorted({day for table in dated for day in table.frame["day"].unique().tolist()})
    if len(days) == 1 and later_than_named(days[0], name):
        text = f"{name}: its rows are of {to_date(days[0])}, after the date in its name: check the column of dates"
        yield Finding(Severity.WARNING, "date", dated[0].topic, days[0], text)


def _files_of(path: Path) -> tuple[list[Path], list[Path]]:
    if path.is_dir():
        return files_of(path, SUFFIXES)
    if not path.is_file():
        raise InputError(unusable(path, "a CSV file, a workbook or a parquet file"))
    return [path], []


def _add_mapped(file: Path, tables: Sequence[Table], mapping: Mapping, out: SourceTables) -> None:
    """Append the tables of a file by a mapping; its order decides whose figure counts if two tables have one."""
    content = _content(file)
    out.findings += unended(content, file.name)
    for where, raw in _tables(content, file.name, tables, out.findings):
        out.findings += _chosen_by_none(tables, raw, where)
        for table in tables:
            rank = mapping.table.index(table)
            for part, cells in by_index(table, raw, where, out.findings):
                rows = map_rows(part, cells, where)
                if table.spell is not None and table.spell.lists:
                    rows.frame = until_next_list(rows.frame, where)
                out.add(table.topic, where, rows, rank, fallback=table.fallback)


def _chosen_by_none(tables: Sequence[Table], raw: pd.DataFrame, where: str) -> Iterator[Finding]:
    """Report rows that no table of a file wants, such as spells of an unknown kind, and kinds that no spell has."""
    wanted = np.zeros(len(raw), dtype=bool)
    for table in tables:
        if table.rows is None:
            wanted |= True
            continue
        found, wrong = evaluate(table.rows, raw, where)
        chosen = found.to_numpy(bool)
        wanted |= chosen
        wanted[list(wrong)] = True  # they are refused
        if table.spell is not None and len(raw) >= _SPELLS and not chosen.any():
            text = f"{where}: none of {len(raw):,} spells has {table.rows}: has its column one value in all rows?"
            yield Finding(Severity.WARNING, "rows", table.topic, None, text)
    if not wanted.all():
        first = raw.iloc[int(np.argmin(wanted))].to_dict()
        text = f"{where}: {int((~wanted).sum())} rows are wanted by no table of the mapping, the first: {first}"
        yield Finding(Severity.WARNING, "rows", tables[0].topic, None, text)


def _known(file: Path, day: date | None) -> SourceTables:
    """Read a file by its headers.

    Raises
    ------
    InputError : if they are not known.
    """
    out, content = SourceTables(), _content(file)
    frame = _parquet(content, file.name) if content.startswith(_PARQUET) else None
    grids = read_workbook(content, file.name) if frame is None else {"": _with_headers(frame)}
    official: Grids = {}
    unknown: list[str] = []
    for sheet, grid in split_stacked(grids).items():
        where = sheet_place(file.name, sheet)
        grid = with_documented_units(grid, where)
        found: tuple[int, list[str], _Meaning] | None = find_header(grid, partial(_meaning, where=where))
        if found is None:
            out.findings += unread_sheet(grid, where)
            unknown += likely_headers(grid)
            continue
        at, texts, meaning = found
        if isinstance(meaning, Layout):
            official[sheet] = grid
            continue
        out.findings += unread_beside(grid, at, where)
        name, tables = meaning
        if left := unread_figures(name, list(filter(None, texts)), tables):
            text = f"{where}: the columns {', '.join(left)} are not read: name them in a mapping (--map) if they matter"
            out.findings.append(Finding(Severity.WARNING, "column", tables[0].topic, None, text))
        cells = table_below(grid, at, texts, where)
        if frame is not None:  # whose columns have types
            cells = frame.loc[cells.index].set_axis(texts, axis=1)[cells.columns]
        raw, findings = replace_component_turnover(cells, where)
        out.findings += findings
        of_sheet = None
        if tables[0].undated:
            stated = stated_days(cells_above(grid, at), first_cells_below(grid, at), sheet)
            of_sheet = file_day(stated, file.name, day, where)
        reported: set[str] = set()
        for table in tables:
            rows = map_rows(table, raw, where, day=of_sheet)
            rows.findings = _not_reported(rows.findings, table.topic, reported)
            out.add(table.topic, f"{where} ({name})", rows)
    if official:
        out.extend(parse_sheets(official, file.name, day))
    if not unknown and not out.tables and not out.findings:
        raise InputError(f"{file.name} is empty: export it again")
    if not out.tables and all(one.check == "sheet" for one in out.findings):
        if is_total_of_all(unknown):
            raise InputError(f"{file.name} has margin totals without an exchange. {_OF_ALL}")
        raise InputError(
            f"{file.name} is none of {', '.join(name for name, *_ in VENDOR_TABLES)} and has no known Chinese headers; "
            f"its headers are {', '.join(unknown)}: give a mapping file with --map (deploy/mapping.example.toml)"
        )
    out.findings += unended(content, file.name)
    out.files = 1
    return out


def _not_reported(findings: Iterable[Finding], topic: str, reported: set[str]) -> list[Finding]:
    """Leave out refused rows that another table of a sheet has reported: a code that can't be read is of no topic."""
    out = []
    for one in findings:
        text = one.text.replace(f" → {topic}", "")
        if one.severity is not Severity.REFUSED or one.lost or text not in reported:
            out.append(one)
        reported.add(text)
    return out


def _meaning(headers: list[str], where: str) -> _Meaning | None:
    """Return what a header is of: an exchange's layout, or a vendor's table; None for neither.

    Raises
    ------
    InputError : if it is a layout of an exchange that lacks a column.
    """
    vendor = detect_tables(headers, where)
    try:
        layout = layout_of(headers, where)
    except InputError as error:
        if vendor is not None:
            return vendor
        if is_total_of_all(headers):
            raise InputError(f"{error}. {_OF_ALL}") from error
        raise
    if layout is not None and layout.exchange != "SSE" and is_total_of_all(headers) and has_dates(headers):
        raise InputError(f"{where} has totals of several days without an exchange. {_OF_ALL}")
    dated = vendor is not None and not vendor[1][0].undated
    return layout if layout is not None and (layout.exchange == "SSE" or not dated) else vendor


def _content(file: Path) -> bytes:
    try:
        return unpacked(file.read_bytes(), file.name)
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}") from error


def _with_headers(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table as a sheet, whose first row are the headers."""
    columns = {place: [header, *frame[header].tolist()] for place, header in enumerate(frame)}
    return pd.DataFrame(columns, dtype=object, index=range(len(frame) + 1))


def _parquet(content: bytes, name: str) -> pd.DataFrame:
    raw = read_parquet(io.BytesIO(content), name)
    if any(name is not None for name in raw.index.names):  # pandas writes dates and codes that are an index
        raw = raw.reset_index()
    raw = raw.set_axis(np.arange(1, len(raw) + 1), axis=0).set_axis([str(column) for column in raw], axis=1)
    return raw.apply(_plain) if len(raw.columns) else raw


def _plain(column: pd.Series) -> pd.Series:
    """Return a column without what no comparison can take: categories, lists, and `pd.NA` in place of NaN or None."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if not all(map(pd.api.types.is_hashable, column[column.notna()].head(1))):  # lists and structs, as text
        return column.map(str)
    if getattr(column.dtype, "na_value", None) is not pd.NA or not column.hasnans:
        return column
    if pd.api.types.is_numeric_dtype(column):
        return pd.Series(column.to_numpy(np.float64, na_value=np.nan), column.index)
    return column.astype(object).where(column.notna(), None)


def load(path: Path, tables: Iterable[Table] | None = None) -> pd.DataFrame:
    """Read the table of a file: that of a mapping, or the first sheet with its first row as header.

    Raises
    ------
    InputError : if it has none, or a sheet beside it that is not read.
    """
    return parse_csv(_content(path), path.name, tables)


def parse_csv(content: bytes, name: str, tables: Iterable[Table] | None = None) -> pd.DataFrame:
    """Read the bytes of a file as `load` does; ``name`` is for errors."""
    findings: list[Finding] = []
    found = [raw for _, raw in _tables(unpacked(content, name), name, tuple(tables or ()), findings)]
    if findings:
        raise InputError(findings[0].text)
    if len(found) != 1:
        raise InputError(f"{name} has {len(found)} tables, expected one: remove the other sheets, or give them apart")
    return found[0]


def _tables(
    content: bytes, name: str, tables: Sequence[Table], findings: list[Finding]
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield the sheets that contain the columns of a mapping: their name and rows; report the others."""
    if content.startswith(_PARQUET):
        yield name, _parquet(content, name)
        return
    wanted = [frozenset(columns_used(table)) for table in tables]
    grids = read_workbook(content, name)
    found = 0
    for sheet, grid in grids.items():
        where = sheet_place(name, sheet)
        header = find_header(grid, lambda texts: any(one <= set(texts) for one in wanted) or None) if wanted else None
        if header is None and (len(grids) == 1 or not wanted):  # without it an error names the columns that there are
            header = find_header(grid, lambda texts: sum(map(bool, texts)) > 1 or None)
        if header is None:
            findings += unread_sheet(grid, where)
            continue
        at, texts, _ = header
        findings += unread_beside(grid, at, where)
        found += 1
        yield where, table_below(grid, at, texts, where)
    if not found:
        if all(grid.empty for grid in grids.values()):
            raise InputError(f"{name} is empty: export it again")
        columns = ", ".join(sorted(frozenset().union(*wanted)))
        raise InputError(f"{name} has no sheet with the columns {columns}: correct the mapping, or export the columns")
