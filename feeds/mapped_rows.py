"""Applying a mapping: the rows of a file in CNY, shares and fractions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from feeds.code_styles import EXCHANGE_NAMES, PLAIN, exchange_name, is_index, to_own
from feeds.errors import InputError
from feeds.formulas import evaluate
from feeds.mapping import DateColumn, Figure, Table, unit_of
from feeds.units import Unit, parse_number
from processors.codes import is_fund, to_id
from processors.days import DAY_US, SHANGHAI_OFFSET_US
from processors.errors import RowError
from processors.events import FIGURES, KEYS, Column, Floats, Ints

_DATE_PARTS = ("%d", "%j", "%x", "%c")
_EXCHANGE_OF = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}


@dataclass(frozen=True, slots=True)
class TableLocation:
    """What an error message names: the file, and the topic of the table."""

    file: str
    topic: str

    def __str__(self) -> str:
        return f"{self.file} → {self.topic}"


def map_rows(table: Table, raw: pd.DataFrame, file: str, today: int | None = None) -> pd.DataFrame:
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


def _column(raw: pd.DataFrame, name: str, where: object) -> pd.Series:
    if name not in raw:
        raise InputError(
            f"{where}: column {name!r} is missing; there are {', '.join(map(str, raw.columns))}: correct the "
            "mapping, or export the column"
        )
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
            raise InputError(f"{where}: column {when.column!r} has times without a date: add the date to the column")
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
            raise InputError(
                f"{where}: column {when.column!r} is not written as {when.format} ({error}): correct the `format`"
            ) from error
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
    else:
        values = _column(raw, str(figure.column), where)
    if column.labels:
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
        elif own in column.labels:
            places[word] = float(column.labels.index(own))
        else:
            raise InputError(
                f"{where}: {own!r} is none of {', '.join(column.labels)}: translate it by `words`, or give `otherwise`"
            )
    return values.map(places).to_numpy(np.float64)
