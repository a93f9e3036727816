"""Files of data vendors: tushare tables, CSV with Chinese headers, and anything else by a mapping file."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pyarrow as pa

from feeds.dataset import SourceTable, SourceTables
from feeds.folder import FeedError
from feeds.mapping import Mapping, Table, apply, columns_used, tables_of
from feeds.presets import recognise, whole_turnover
from feeds.validate import Finding

SUFFIXES = (".csv", ".parquet")


def read(paths: Iterable[Path], mapping: Mapping | None = None) -> SourceTables:
    """Read files, and the files of folders.

    Parameters
    ----------
    mapping : without one, each file must be recognised by its columns; with one, a folder's files that no table of the
        mapping names are left alone.

    Raises
    ------
    FeedError : if a file can't be read as the mapping, or its columns, say.
    """
    found: list[tuple[int, SourceTable]] = []
    findings: list[Finding] = []
    files = [(file, path.is_dir()) for path in paths for file in _files_of(path)]
    if not files:
        raise FeedError(f"there is no file ({', '.join(SUFFIXES)}): give files of a vendor, or a folder of them")
    for file, of_folder in files:
        if mapping is None:
            raw = load(file)
            name, tables = recognise(raw, file.name)
            raw, told = whole_turnover(raw, file.name)
            findings += told
            origin = f"{file.name} ({name})"
        else:
            tables = tables_of(mapping, file.name)
            if not tables:
                if of_folder:
                    continue
                patterns = ", ".join(table.files for table in mapping.table)
                raise FeedError(f"{file.name}: no table of the mapping file fits this name; its patterns: {patterns}")
            raw, origin = load(file, tables), file.name
        for place, table in enumerate(tables):
            order = mapping.table.index(table) if mapping is not None else place
            frame = apply(table, raw, file.name)
            if len(frame):
                found.append((order, SourceTable(table.topic, origin, frame)))
    if mapping is not None:
        # The order of the mapping decides which of two files' figures stands where both have one.
        found.sort(key=lambda one: one[0])
    return SourceTables([part for _, part in found], findings)


def _files_of(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.suffix in SUFFIXES)
    if not path.is_file():
        raise FeedError(f"{path} does not exist: give a CSV or parquet file, or a folder of them")
    return [path]


def load(path: Path, tables: Iterable[Table] | None = None) -> pd.DataFrame:
    """Read a CSV (UTF-8 or GB18030) or parquet file; of a CSV, columns that a mapping reads as codes stay text.

    Raises
    ------
    FeedError : if it is neither.
    """
    if path.suffix == ".parquet":
        try:
            return pd.read_parquet(path)
        except (pa.ArrowException, OSError) as error:
            raise FeedError(f"{path.name} is no parquet file: {error}") from error
    return parse_csv(path.read_bytes(), path.name, tables)


def parse_csv(content: bytes, name: str, tables: Iterable[Table] | None = None) -> pd.DataFrame:
    """Read the bytes of a CSV file as `load` does; ``name`` is for errors."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        # Without a mapping all cells stay text: which columns are codes is not known before.
        kinds = str if tables is None else dict.fromkeys((n for t in tables for n in columns_used(t)), str)
        try:
            frame = pd.read_csv(io.StringIO(text), dtype=kinds)
        except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
            raise FeedError(f"{name} is no CSV file: {error}") from error
        if len(frame) and not isinstance(frame.index, pd.RangeIndex):  # pandas would take the first cells as an index
            raise FeedError(
                f"{name}: its rows have more cells than its header, so all would slip: is there a comma within the "
                "numbers, or behind the last cell?"
            )
        return frame
    raise FeedError(f"{name} is neither UTF-8 nor GB18030: save it as UTF-8")
