"""Reading a folder of market files into a dataset.

`market_folder.toml` describes the files: their names, columns, units, code styles and dates. Shenzhen publishes no
repayments; an absent figure stays absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path

from feeds.cells.file_names import valid_text
from feeds.cells.workbooks import files_of
from feeds.checks.findings import Severity
from feeds.daily.check_report import format_findings
from feeds.errors import InputError
from feeds.files import vendor
from feeds.files.dataset import Dataset, SourceTable, SourceTables, gather, require_days
from feeds.mappings import mapping
from feeds.mappings.mapping import Mapping, tables_of
from processors.days import TradingCalendar

MAPPING_FILE = Path(__file__).with_name("market_folder.toml")


@cache
def folder_mapping() -> Mapping:
    """Return the mapping of the files of a folder."""
    return mapping.load(MAPPING_FILE)


def require_files(folder: Path) -> None:
    """Raise `InputError` if a folder has no file whose name the mapping knows; none is read."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give one with files such as margin_detail_sse_2020.parquet")
    known, (files, _) = folder_mapping(), files_of(folder, vendor.SUFFIXES)
    if not any(tables_of(known, file.name) for file in files):
        patterns = ", ".join(dict.fromkeys(table.files for table in known.table))
        raise InputError(f"{folder} has no file with a known name: expected {patterns} ({', '.join(vendor.SUFFIXES)})")


def read_tables(folder: Path) -> SourceTables:
    """Read the files of a folder whose names the mapping knows; the findings name the others.

    Raises
    ------
    InputError : if the folder has no such file, or a file lacks a column.
    """
    require_files(folder)
    return vendor.read([folder], folder_mapping())


def source_of(folder: Path) -> str:
    """Return the name under which the rows of a folder are published."""
    return valid_text(f"files:{folder.name}")


def read(
    folder: Path,
    calendar: TradingCalendar,
    start: date | None = None,
    end: date | None = None,
    *,
    wanted_from: date | None = None,
) -> Dataset:
    """Read the files of a folder as `read_tables` does, and join them; the notes name what was refused of them.

    Parameters
    ----------
    start, end : the first and last trade date that is read; None for no limit.
    wanted_from : the first trade date of which the caller needs a row, where days before it are read, too.

    Raises
    ------
    InputError : if the folder has no such file, a file lacks a column, there is no row between the dates, or rows
        contradict each other.
    """
    found = read_tables(folder)
    require_days(found.tables, wanted_from or start, end)
    out = gather(_released(found.tables), calendar, source_of(folder), start, end)
    out.findings = [*found.findings, *out.findings]
    errors = [one for one in out.findings if one.severity is Severity.ERROR]
    if errors:
        more = f" (and {len(errors) - 1} more errors)" if len(errors) > 1 else ""
        raise InputError(f"the figures of {folder} can't be used: {errors[0]}{more}")
    out.notes += format_findings(one for one in out.findings if one.severity is Severity.REFUSED)
    out.files = found.files
    return out


def _released(tables: list[SourceTable]) -> Iterator[SourceTable]:
    """Yield tables, and drop each: years of a whole market fit into memory once, not twice."""
    while tables:
        yield tables.pop(0)
