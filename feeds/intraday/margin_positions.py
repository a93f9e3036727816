"""The desk's own margin positions: the formats of their rows, and publishing the files of a drop folder.

A row has a security, a moment, and the amounts bought and repaid on margin since the open. Its columns are ``code, ts,
fin_buy, fin_repay`` in CNY, or Chinese headers with their unit: ``证券代码, 时间, 融资买入额(元), 融资偿还额(元)``. Any
other format needs a mapping file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import pandas as pd
import structlog

from feeds.cells.code_styles import BY_NUMBER
from feeds.cells.row_kinds import is_blank
from feeds.cells.units import split_header
from feeds.errors import ConfigurationError, InputError, Refusal, RowsRefusedError
from feeds.files import vendor
from feeds.intraday.deduplicator import AcceptancePolicy
from feeds.intraday.intraday_outlet import IntradayOutlet, PublishResult
from feeds.mappings import mapping as mappings
from feeds.mappings.mapped_keys import misplaced
from feeds.mappings.mapped_rows import map_rows
from feeds.mappings.mapping import CodeColumn, DateColumn, Figure, Mapping, Table
from feeds.plan import MarginPositions, PositionsFolder
from processors.arrays import Floats, Ids, Ints
from processors.codes import to_code, to_id
from processors.days import microseconds, shanghai_day, shanghai_days
from processors.events import FIGURES, Amount, Code, IntradayRow, Moment, RowBatch, concat
from processors.row_rules import impossible

log = structlog.get_logger()
TOPIC = "margin.intraday"
#: No security has had such a turnover in a day: amounts in 万元 that are read as 元, the other way round.
MOST_CNY = 1e11
_CODES = ("code", "证券代码", "股票代码", "标的证券代码", "代码")
_MOMENTS = ("ts", "时间", "数据时间", "更新时间", "时间戳")
_FIGURES = {"fin_buy": ("fin_buy", "融资买入额", "买入额"), "fin_repay": ("fin_repay", "融资偿还额", "偿还额")}
_FORMATS = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:?\d\d)", "%Y-%m-%dT%H:%M:%S%z"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:?\d\d)", "%Y-%m-%dT%H:%M:%S.%f%z"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", "%Y-%m-%dT%H:%M:%S"),
    (r"\d{4}-\d\d-\d\d \d\d?:\d\d:\d\d", "%Y-%m-%d %H:%M:%S"),
    (r"\d{4}/\d\d?/\d\d? \d\d?:\d\d:\d\d", "%Y/%m/%d %H:%M:%S"),
    (r"\d{4}-\d\d-\d\d \d\d?:\d\d", "%Y-%m-%d %H:%M"),
    (r"\d{4}/\d\d?/\d\d? \d\d?:\d\d", "%Y/%m/%d %H:%M"),
    (r"\d{8} \d\d:\d\d:\d\d", "%Y%m%d %H:%M:%S"),
    (r"\d{14}", "%Y%m%d%H%M%S"),
    (r"\d\d?:\d\d:\d\d", "%H:%M:%S"),
    (r"\d\d?:\d\d", "%H:%M"),
)
_Amount = Annotated[Amount, msgspec.Meta(lt=MOST_CNY)]


class PositionRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row as a JSON object; amounts are CNY, cumulative since the open."""

    code: Code
    ts: Moment
    fin_buy: _Amount
    fin_repay: _Amount


def load_mapping(feed_map: Path | None) -> Mapping | None:
    """Read the mapping file of a feed, if it has one; raises `ConfigurationError` if the file can't be used."""
    return mappings.load(feed_map, IntradayRow) if feed_map is not None else None


def detect_table(raw: pd.DataFrame, where: str) -> Table:
    """Return the mapping of a table by its headers.

    Raises
    ------
    InputError : if a column is missing, or a Chinese header has no unit.
    """
    names: dict[str, str] = {}
    for header in map(str, raw.columns):
        name = split_header(header)[0].removeprefix("本日")
        if name in names:
            raise InputError(f"{where}: {names[name]!r} and {header!r} are both {name}: give a mapping file")
        names[name] = header

    def column(wanted: Sequence[str]) -> str:
        found = next((names[name] for name in wanted if name in names), None)
        if found is None:
            raise InputError(
                f"{where}: no column {' or '.join(wanted[:2])}; there are {', '.join(map(str, raw.columns))}: rename "
                "it, or give a mapping file"
            )
        return found

    code, ts = column(_CODES), column(_MOMENTS)
    figures = {}
    for name, wanted in _FIGURES.items():
        header = column(wanted)
        unit = split_header(header)[1]
        figures[name] = Figure(header, unit="元" if header == name else unit)  # our own header means CNY
    if not len(raw):
        raise InputError(f"{where} has no row: check what wrote it")
    table = Table(TOPIC, figures, code=CodeColumn(code, exchange=BY_NUMBER), ts=DateColumn(ts, _format(raw[ts], where)))
    mappings.check(table, where, IntradayRow)
    return table


def _format(column: pd.Series, where: str) -> str | None:
    """Return the format of the first moment of a column, None for a column of moments."""
    if pd.api.types.is_datetime64_any_dtype(column):
        return None
    text = next((str(cell).strip() for cell in column if not is_blank(cell)), "")
    for pattern, form in _FORMATS:
        if re.fullmatch(pattern, text):
            return form
    raise InputError(f"{where}: time {text!r} is ambiguous or unknown: give its format in a mapping file")


def rows_of(raw: pd.DataFrame, where: str, tables: Sequence[Table], today: int) -> RowBatch:
    """Return the rows of a table.

    Parameters
    ----------
    tables : the tables of a mapping file; none to detect the table by its headers.
    today : the day of times without a date, days since 1970-01-01.

    Raises
    ------
    InputError : with the row and the figure that is wrong.
    """
    batches = []
    for table in tables or [detect_table(raw, where)]:
        if table.topic != TOPIC or table.ts is None:
            raise ConfigurationError(
                f"{where}: a mapping of margin positions gives {TOPIC} and has `ts`; this one gives {table.topic}"
            )
        batches.append(_batch(map_rows(table, raw, where, today).whole(), where))
    return concat(batches)


def _batch(frame: pd.DataFrame, where: str) -> RowBatch:
    if not len(frame):
        raise InputError(f"{where} has no row: check what wrote it")
    figures = {}
    for column in FIGURES[TOPIC]:
        values = frame[column.name].to_numpy(np.float64)
        bad = impossible(column, values) | (values >= MOST_CNY)
        if bad.any():
            place = int(np.argmax(bad))
            row, code = frame["row"].iloc[place], to_code(int(frame["key"].iloc[place]))
            found = "absent" if np.isnan(values[place]) else values[place]
            raise InputError(
                f"{where}, row {row}: {column.name} of {code} is {found}: expected an amount below {MOST_CNY:g}"
            )
        figures[column.name] = values
    stamps = frame["ts"].to_numpy(np.int64)
    return batch_of(frame["key"].to_numpy(np.int32), stamps, figures)


def batch_of(keys: Ids, stamps: Ints, figures: dict[str, Floats]) -> RowBatch:
    """Return columns as rows of `TOPIC`; ``keys`` are security ids, ``stamps`` µs since the epoch."""
    return RowBatch(TOPIC, keys, shanghai_days(stamps), np.zeros(len(keys), dtype=np.int32), stamps, figures)


def batch_of_rows(rows: Sequence[PositionRow]) -> RowBatch:
    """Return JSON rows as a batch; raises `RowsRefusedError` for codes of another exchange."""
    keys = np.array([to_id(row.code) for row in rows], dtype=np.int32)
    if wrong := misplaced(keys, indices=False):
        raise RowsRefusedError([Refusal(row, "code", f"code {reason}") for row, reason in wrong.items()])
    stamps = np.array([microseconds(row.ts) for row in rows], dtype=np.int64)
    figures = {c.name: np.array([getattr(row, c.name) for row in rows], dtype=np.float64) for c in FIGURES[TOPIC]}
    return batch_of(keys, stamps, figures)


def read_files(name: str, feed: PositionsFolder, files: Sequence[Path]) -> RowBatch:
    """Read files of a drop folder; a time without a date belongs to the day on which its file was written.

    Raises
    ------
    InputError : with the file that is wrong.
    """
    rules = load_mapping(feed.map)
    batches = []
    for path in files:
        tables = mappings.tables_of(rules, path.name) if rules is not None else []
        if rules is not None and not tables:
            log.warning("file left out: no table of the mapping fits", feed=name, file=path.name)
            continue
        today = shanghai_day(int(path.stat().st_mtime * 1e6))
        batches.append(rows_of(vendor.load(path, tables or None), path.name, tables, today))
    if not batches:
        raise InputError(f"no table of the mapping file fits {', '.join(path.name for path in files)}")
    return concat(batches)


def publish_whole(outlet: IntradayOutlet, name: str, feed: PositionsFolder, rows: RowBatch) -> int:
    """Publish the rows of files, all or none of them, and log the result; raises `RowsRefusedError` for none.

    Returns
    -------
    the number of refused rows, which is 0.
    """
    log_result(name, outlet.publish(rows, acceptance(feed), whole=True))
    return 0


def acceptance(feed: MarginPositions, *, last_wins: bool = False) -> AcceptancePolicy:
    """Return which rows of a feed are accepted."""
    return AcceptancePolicy(last_wins=last_wins or feed.force, may_fall=feed.force)


def log_result(name: str, result: PublishResult) -> None:
    """Log what happened to the rows of a feed."""
    log.info(
        "published",
        feed=name,
        rows=result.published,
        unchanged=result.unchanged,
        late=result.late,
        refused=len(result.refused),
    )
