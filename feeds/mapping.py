"""A mapping: how the columns of a CSV or parquet file become rows of a topic.

A mapping file is TOML with one ``[[table]]`` for each topic that a kind of file contains. A table of daily figures
names a ``date``, one of the running session (prices.intraday, …) a ``ts``. Units are given, never guessed.
`feeds/market_folder.toml` explains every key, and maps a whole folder.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pandas as pd

from feeds.code_styles import BY_NUMBER, EXCHANGE_NAMES, PLAIN, STYLES, exchange_name, is_index, to_own
from feeds.errors import ConfigurationError, InputError
from feeds.formulas import evaluate
from feeds.units import KINDS, Unit, parse_number, parse_unit
from processors.codes import is_fund, to_id
from processors.days import DAY_US, SHANGHAI_OFFSET_US
from processors.errors import RowError
from processors.events import FIGURES, INPUT_ROWS, KEYS, Column, DailyRow, Floats, Ints, Row

_DATE_PARTS = ("%d", "%j", "%x", "%c")
_EXCHANGE_OF = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}


class DateColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The trade date or moment: a column, and its format (``%Y%m%d``) if the column contains text or numbers."""

    column: str
    format: str | None = None


class CodeColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The security: a column in one of `STYLES`, or a translation of its values (rows of other values are left out).

    Parameters
    ----------
    name : column of the security's name (证券简称): no figure, but it shows whether codes and rows belong together.
    """

    column: str
    style: str | None = None
    exchange: str | None = None
    exchange_column: str | None = None
    codes: dict[str, str] | None = None
    name: str | None = None


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure: a column, a formula or a constant, in a unit.

    Parameters
    ----------
    where : a formula; the figure is absent in rows for which it is false.
    decimals, decimals_of_funds : the number of decimal places to round to.
    words : the file's word → the word of the topic; ``otherwise`` for all other words.
    """

    column: str | None = None
    formula: str | None = None
    value: float | None = None
    unit: str | None = None
    where: str | None = None
    decimals: int | None = None
    decimals_of_funds: int | None = None
    words: dict[str, str] | None = None
    otherwise: str | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a kind of file becomes rows of one topic.

    Parameters
    ----------
    files : a pattern of file names, ``margin_detail_sse_*``.
    date : None with ``undated``: the rows are valid from the first date of all files on.
    ts : of rows of the running session: the moment of the figures, in Shanghai's time unless the format has ``%z``. A
        format without a date means the day on which the file was written. Without ``ts``, the moment of writing counts.
    code : for topics keyed by a security or an index.
    exchange, exchange_column : for topics keyed by an exchange.
    tenor : for ``rates.daily``.
    rows : a formula; only rows for which it is true are used.
    only : ``securities`` or ``indices`` of a table with both, by code range.
    """

    topic: str
    columns: dict[str, Figure]
    files: str = "*"
    date: DateColumn | None = None
    undated: bool = False
    code: CodeColumn | None = None
    exchange: str | None = None
    exchange_column: str | None = None
    tenor: str | None = None
    rows: str | None = None
    only: Literal["securities", "indices"] | None = None
    ts: DateColumn | None = None


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tables of a mapping file."""

    table: list[Table]


@dataclass(frozen=True, slots=True)
class TableLocation:
    """What an error message names: the file, and the topic of the table."""

    file: str
    topic: str

    def __str__(self) -> str:
        return f"{self.file} → {self.topic}"


def load(path: Path, kind: type[Row] = DailyRow) -> Mapping:
    """Read and check a mapping file.

    Parameters
    ----------
    kind : the kind of rows that its tables may become: `DailyRow` or `IntradayRow`.

    Raises
    ------
    ConfigurationError : with the table and the key that is wrong.
    """
    try:
        mapping = msgspec.toml.decode(path.read_bytes(), type=Mapping)
    except OSError as error:
        raise ConfigurationError(f"{path}: the mapping file can't be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}; see deploy/mapping.example.toml") from error
    for number, table in enumerate(mapping.table, start=1):
        check(table, f"{path}, table {number} ({table.files} → {table.topic})", kind)
    return mapping


def check(table: Table, where: str, kind: type[Row] = DailyRow) -> None:
    """Check that a table can be applied to a file.

    Raises
    ------
    ConfigurationError : for an unknown topic or figure, a missing key, or a missing unit.
    """
    row = INPUT_ROWS.get(table.topic)
    if row is None or not issubclass(row, kind):
        fitting = [topic for topic, one in INPUT_ROWS.items() if issubclass(one, kind)]
        raise ConfigurationError(f"{where}: topic {table.topic!r} is not known; expected one of {', '.join(fitting)}")
    if not issubclass(row, DailyRow):
        if table.date is not None or table.undated:
            raise ConfigurationError(f"{where}: rows of the running session have no date but `ts = {{ column = … }}`")
    elif (table.date is None) != table.undated or table.ts is not None:
        raise ConfigurationError(f"{where}: give either `date = {{ column = … }}` or `undated = true`, and no `ts`")
    given = {
        "code": table.code is not None,
        "exchange": table.exchange is not None or table.exchange_column is not None,
        "tenor": table.tenor is not None,
    }
    if not given[row.key_field]:
        raise ConfigurationError(
            f"{where}: rows of {table.topic} are keyed by {row.key_field}: add the key `{row.key_field}`"
        )
    if table.code is not None:
        _check_codes(table.code, table.topic, where)
    known = {column.name: column for column in FIGURES[table.topic]}
    for name, figure in table.columns.items():
        here = f"{where}, {name}"
        if name not in known:
            raise ConfigurationError(f"{here}: {table.topic} has no such figure; it has {', '.join(known)}")
        if sum(given is not None for given in (figure.column, figure.formula, figure.value)) != 1:
            raise ConfigurationError(f"{here}: give one of `column`, `formula` and `value`")
        unit_of(name, figure, here)


def _check_codes(code: CodeColumn, topic: str, where: str) -> None:
    if code.codes is not None:
        return
    if code.style not in STYLES:
        raise ConfigurationError(
            f"{where}: code style {code.style!r} is not known; expected one of {', '.join(STYLES)}"
        )
    if code.style != PLAIN:
        return
    if (code.exchange is None) == (code.exchange_column is None):
        raise ConfigurationError(f"{where}: codes like {PLAIN} need `exchange` or `exchange_column`")
    if code.exchange == BY_NUMBER and topic.startswith("indices."):
        raise ConfigurationError(f"{where}: the number of an index does not tell its exchange (000001 is also a stock)")
    if code.exchange not in (None, BY_NUMBER):
        exchange_name(code.exchange, where)


def unit_of(name: str, figure: Figure, where: str) -> Unit | None:
    """Return the unit of a figure, None for words and flags; raises `InputError` for a unit that does not fit."""
    kind = KINDS.get(name)
    if kind is None:
        if figure.unit is not None:
            raise ConfigurationError(f"{where}: a word or a flag has no unit")
        return None
    return parse_unit(figure.unit, kind, where)


def tables_of(mapping: Mapping, file: str) -> list[Table]:
    """Return the tables whose pattern fits the name of a file."""
    return [table for table in mapping.table if fnmatch(file, table.files)]


def columns_used(table: Table) -> list[str]:
    """Return the columns that must stay text when a CSV file is read: codes, dates, exchanges."""
    code = (table.code.column, table.code.exchange_column, table.code.name) if table.code is not None else ()
    when = [one.column for one in (table.date, table.ts) if one is not None]
    return [name for name in (*code, *when, table.exchange_column) if name is not None]


def apply(table: Table, raw: pd.DataFrame, file: str, today: int | None = None) -> pd.DataFrame:
    """Return the rows of a table.

    Parameters
    ----------
    file : the name of the file in messages.
    today : the day of a ``ts`` without a date, days since 1970-01-01.

    Returns
    -------
    ``key`` (int32), ``day`` (int32; missing if undated), ``name`` if the table names its column, and figures in CNY,
    shares and fractions. Rows of the running session have ``ts`` (int64, µs since the epoch) instead of a day, if the
    table names it.

    Raises
    ------
    InputError : with file, topic, column and row of what can't be read.
    """
    where = TableLocation(file, table.topic)
    if table.rows is not None:
        raw = raw[evaluate(table.rows, raw, f"{where}, rows").astype(bool)]
    if table.code is not None and table.code.codes is not None:
        raw = raw[_column(raw, table.code.column, where).astype(str).isin(table.code.codes)]
    keys = _keys(table, raw, where)
    if table.only is not None:
        wanted = is_index(keys) == (table.only == "indices")
        raw, keys = raw[wanted], keys[wanted]
    out: dict[str, object] = {}
    if table.date is not None:
        out["day"] = _days(_column(raw, table.date.column, where), table.date, where)
    if table.ts is not None:
        out["ts"] = _moments(_column(raw, table.ts.column, where), table.ts, today, where)
    out["key"] = keys
    if table.code is not None and table.code.name is not None:
        out["name"] = _column(raw, table.code.name, where).to_numpy(object)
    known = {column.name: column for column in FIGURES[table.topic]}
    for name, figure in table.columns.items():
        out[name] = _figure(known[name], figure, raw, keys, f"{where}, {name}")
    frame = pd.DataFrame(out, index=range(len(raw)))
    return frame.drop_duplicates("key", ignore_index=True) if table.undated else frame


def _column(raw: pd.DataFrame, name: str, where: TableLocation) -> pd.Series:
    if name not in raw:
        raise InputError(f"{where}: column {name!r} is missing; there are {', '.join(map(str, raw.columns))}")
    return raw[name]


def _keys(table: Table, raw: pd.DataFrame, where: TableLocation) -> np.ndarray:
    if table.tenor is not None:
        return np.full(len(raw), _place("tenor", table.tenor, where), dtype=np.int32)
    code = table.code
    if code is None:
        if table.exchange is not None:
            return np.full(len(raw), _exchange(table.exchange, where), dtype=np.int32)
        names = _column(raw, str(table.exchange_column), where).astype(str)
        return names.map({name: _exchange(name, where) for name in names.unique()}).to_numpy(np.int32)
    texts = _column(raw, code.column, where)
    if code.codes is not None:
        return texts.astype(str).map({t: _id(c, where) for t, c in code.codes.items()}).to_numpy(np.int32)
    if code.exchange_column is not None:
        both = pd.Series(list(zip(texts, _column(raw, code.exchange_column, where).astype(str), strict=True)))
        known = {pair: _id(to_own(pair[0], PLAIN, pair[1], str(where)), where) for pair in both.unique()}
        return both.map(known).to_numpy(np.int32)
    style = str(code.style)
    own = {text: _id(to_own(text, style, code.exchange, str(where)), where) for text in texts.unique()}
    return texts.map(own).to_numpy(np.int32)


def _id(code: str, where: TableLocation) -> int:
    try:
        return to_id(code)
    except RowError as error:
        raise InputError(f"{where}: {error}") from error


def _exchange(name: str, where: TableLocation) -> int:
    if name.strip().upper() not in EXCHANGE_NAMES:
        exchange_name(name, str(where))
    suffix = EXCHANGE_NAMES[name.strip().upper()]
    return _place("exchange", _EXCHANGE_OF.get(suffix, suffix), where)


def _place(field: str, word: str, where: TableLocation) -> int:
    if word not in KEYS[field]:
        raise InputError(f"{where}: {field} {word!r} is not known; expected one of {', '.join(KEYS[field])}")
    return KEYS[field].index(word)


def _days(column: pd.Series, when: DateColumn, where: TableLocation) -> np.ndarray:
    return _stamps(column, when, where).to_numpy("datetime64[D]").astype(np.int32)


def _moments(column: pd.Series, when: DateColumn, today: int | None, where: TableLocation) -> Ints:
    stamps = _stamps(column, when, where)
    zoned = stamps.dt.tz is not None
    if zoned:
        stamps = stamps.dt.tz_convert("UTC").dt.tz_localize(None)
    moments: Ints = stamps.to_numpy("datetime64[us]").astype(np.int64)
    if zoned:
        return moments
    if when.format is not None and not any(part in when.format for part in _DATE_PARTS):
        if today is None:
            raise InputError(f"{where}: column {when.column!r} has times without a date, and their day is not known")
        moments = moments % DAY_US + today * DAY_US
    return moments - SHANGHAI_OFFSET_US


def _stamps(column: pd.Series, when: DateColumn, where: TableLocation) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(column):
        stamps = column
    elif when.format is None:
        first = column.iloc[0] if len(column) else ""
        raise InputError(
            f"{where}: column {when.column!r} contains no dates but {first!r}: give its `format`, such as %Y%m%d"
        )
    else:
        texts = column.astype(str).str.removesuffix(".0")
        try:
            stamps = pd.to_datetime(texts, format=when.format)
        except ValueError as error:
            raise InputError(f"{where}: column {when.column!r} is not written as {when.format}: {error}") from error
    if stamps.isna().any():
        raise InputError(
            f"{where}: row {stamps.index[int(np.argmax(stamps.isna()))] + 1} has no date in column {when.column!r}"
        )
    return stamps


def _figure(column: Column, figure: Figure, raw: pd.DataFrame, keys: np.ndarray, where: str) -> np.ndarray:
    if figure.value is not None:
        values = pd.Series(float(figure.value), index=raw.index)
    elif figure.formula is not None:
        values = evaluate(figure.formula, raw, where)
    elif figure.column not in raw:
        raise InputError(f"{where}: column {figure.column!r} is missing; there are {', '.join(map(str, raw.columns))}")
    else:
        values = raw[figure.column]
    if column.words:
        return _words(column, figure, values, where)
    unit = unit_of(column.name, figure, where)
    numbers = pd.Series(_numbers(values, where, unit), index=raw.index)
    if figure.where is not None:
        numbers = numbers.where(evaluate(figure.where, raw, where).astype(bool))
    if unit is not None:
        numbers = pd.Series(unit.apply(np.asarray(numbers, dtype=np.float64)), index=raw.index)
    if figure.decimals is not None:
        funds = numbers.round(figure.decimals if figure.decimals_of_funds is None else figure.decimals_of_funds)
        numbers = funds.where(pd.Series(is_fund(keys), index=raw.index), numbers.round(figure.decimals))
    return numbers.to_numpy(np.float64)


def _numbers(values: pd.Series, where: str, unit: Unit | None) -> Floats:
    if pd.api.types.is_numeric_dtype(values):
        return values.to_numpy(np.float64, na_value=np.nan)
    cells = [parse_number(c, f"{where}, row {row + 1}", unit) for row, c in zip(values.index, values, strict=True)]
    return np.array(cells, dtype=np.float64)


def _words(column: Column, figure: Figure, values: pd.Series, where: str) -> np.ndarray:
    places: dict[object, float] = {}
    for word in values.unique():
        own = (figure.words or {}).get(word, word if figure.otherwise is None else figure.otherwise)
        if pd.isna(own):
            places[word] = np.nan
        elif own in column.words:
            places[word] = float(column.words.index(own))
        else:
            raise InputError(
                f"{where}: {own!r} is none of {', '.join(column.words)}: translate it by `words`, or give `otherwise`"
            )
    return values.map(places).to_numpy(np.float64)
