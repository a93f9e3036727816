"""Reading a folder of market files into a dataset.

`market_folder.toml` describes the files: their names, columns, units, code styles and dates. Shenzhen publishes no
repayments; an absent figure stays absent.
"""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path

import msgspec
import pandas as pd

from feeds import mapping, vendor
from feeds.dataset import Dataset, batch_of, between, undated_note, with_first_day
from feeds.errors import InputError
from feeds.mapped_rows import map_rows
from feeds.mapping import Mapping, Table
from feeds.presets import date_format
from processors.days import TradingCalendar

MAPPING_FILE = Path(__file__).with_name("market_folder.toml")


@cache
def folder_mapping() -> Mapping:
    """Return the mapping of the files of a folder."""
    return mapping.load(MAPPING_FILE)


def read(folder: Path, calendar: TradingCalendar, start: date | None = None, end: date | None = None) -> Dataset:
    """Read the files of a folder whose names the mapping knows.

    Parameters
    ----------
    start, end : the first and last trade date wanted; None for no limit.

    Raises
    ------
    InputError : if the folder has no such file, or a file lacks a column.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: give one with files such as margin_detail_sse_2020.parquet")
    rules = folder_mapping()
    dated: dict[str, list[pd.DataFrame]] = {}
    undated: dict[str, list[pd.DataFrame]] = {}
    unknown: list[str] = []
    out = Dataset(source=f"files:{folder.name}")
    for path in sorted(folder.iterdir()):
        tables = mapping.tables_of(rules, path.name)
        if path.suffix not in vendor.SUFFIXES:
            continue
        if not tables:
            unknown.append(path.name)
            continue
        raw = vendor.load(path, tables)
        out.files.append(path)
        for table in tables:
            frame = map_rows(_of_file(table, raw, path.name), raw, path.name)
            if table.undated:
                undated.setdefault(table.topic, []).append(frame)
                out.notes.append(undated_note(f"{path.name} → {table.topic}"))
            else:
                dated.setdefault(table.topic, []).append(between(frame, start, end))
    if not dated:
        patterns = ", ".join(dict.fromkeys(table.files for table in rules.table))
        raise InputError(f"{folder} has no file with a known name: expected {patterns} (.parquet or .csv)")
    if unknown:
        out.notes.append(f"not read, as their names are not known: {', '.join(unknown)}")
    out.batches = {
        topic: batch_of(topic, pd.concat(frames, ignore_index=True), calendar)
        for topic, frames in with_first_day(dated, undated, calendar).items()
        if any(len(frame) for frame in frames)
    }
    return out


def _of_file(table: Table, raw: pd.DataFrame, file: str) -> Table:
    """Return a table as this file needs it: without names of securities, with the format of dates that are text."""
    if table.code is not None and table.code.name is not None:
        table = msgspec.structs.replace(table, code=msgspec.structs.replace(table.code, name=None))
    when = table.date
    if when is None or when.column not in raw or not len(raw) or pd.api.types.is_datetime64_any_dtype(raw[when.column]):
        return table
    form = date_format(raw[when.column].iloc[0], file)
    return msgspec.structs.replace(table, date=msgspec.structs.replace(when, format=form))
