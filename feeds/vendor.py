"""Files of data vendors: tushare tables, CSV files with Chinese headers, any other file by a mapping file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from feeds.dataset import SourceTable, SourceTables
from feeds.errors import InputError
from feeds.mapped_rows import map_rows
from feeds.mapping import Mapping, Table, columns_used, tables_of
from feeds.presets import detect_tables, replace_component_turnover
from feeds.validate import Finding

SUFFIXES = (".csv", ".parquet")


def read(paths: Iterable[Path], mapping: Mapping | None = None) -> SourceTables:
    """Read files, and the files of folders.

    Parameters
    ----------
    mapping : without one, each file must be recognised by its columns; with one, files of a folder that fit no table of
        the mapping are left out.

    Raises
    ------
    InputError : if a file can't be read by the mapping, or by its columns.
    """
    found: list[tuple[int, SourceTable]] = []
    findings: list[Finding] = []
    files = [(file, path.is_dir()) for path in paths for file in _files_of(path)]
    if not files:
        raise InputError(f"there is no file ({', '.join(SUFFIXES)}): give files of a vendor, or a folder of them")
    for file, of_folder in files:
        if mapping is None:
            raw = load(file)
            name, tables = detect_tables(raw, file.name)
            raw, found_here = replace_component_turnover(raw, file.name)
            findings += found_here
            origin = f"{file.name} ({name})"
        else:
            tables = tables_of(mapping, file.name)
            if not tables:
                if of_folder:
                    continue
                patterns = ", ".join(table.files for table in mapping.table)
                raise InputError(f"{file.name}: no table of the mapping file fits this name; its patterns: {patterns}")
            raw, origin = load(file, tables), file.name
        for place, table in enumerate(tables):
            order = mapping.table.index(table) if mapping is not None else place
            frame = map_rows(table, raw, file.name)
            if len(frame):
                found.append((order, SourceTable(table.topic, origin, frame)))
    if mapping is not None:
        # The order of the mapping decides which file's figure counts if two files have one.
        found.sort(key=lambda one: one[0])
    return SourceTables([part for _, part in found], findings)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not path.is_file():
        raise InputError(f"{path} does not exist: give a CSV or parquet file, or a folder of them")
    return [path]


def load(path: Path, tables: Iterable[Table] | None = None) -> pd.DataFrame:
    """Read a CSV (UTF-8 or GB18030) or parquet file; columns that a mapping reads as codes stay text.

    Raises
    ------
    InputError : if it is neither.
    """
    if path.suffix == ".parquet":
        try:
            return pd.read_parquet(path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path.name} is no parquet file ({error}): export it again") from error
    return parse_csv(path.read_bytes(), path.name, tables)


def parse_csv(content: bytes, name: str, tables: Iterable[Table] | None = None) -> pd.DataFrame:
    """Read the bytes of a CSV file as `load` does; ``name`` is for errors."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Without a mapping all cells stay text, because the columns of codes are not known yet.
        kinds = str if tables is None else dict.fromkeys((n for t in tables for n in columns_used(t)), str)
        try:
            frame = pd.read_csv(io.StringIO(text), dtype=kinds)
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise InputError(f"{name} is no CSV file ({error}): export it again") from error
        if len(frame) and not isinstance(frame.index, pd.RangeIndex):  # pandas would read the first cells as an index
            raise InputError(
                f"{name}: its rows have more cells than its header, which would shift all columns: look for a comma "
                "within the numbers, or after the last cell"
            )
        return frame
    raise InputError(f"{name} is neither UTF-8 nor GB18030: save it as UTF-8")
