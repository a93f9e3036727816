"""Rows as Arrow frames: many rows of one topic in one message (Arrow IPC stream).

A column that is the same for all rows may be a constant of the schema's metadata instead. A column that is missing or
of a wrong type is a `RowError` that names it. A wrong cell costs its row, or is absent if the figure is optional. The
checks that JSON events have too are in `streams.codecs.row_codec`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from math import isfinite
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from processors import index_members
from processors.arrays import Ids, Ints, Mask
from processors.codes import CODE_LENGTH, join_codes, parse_codes, to_codes, to_id
from processors.days import FIRST_MOMENT, LAST_MOMENT, microseconds, moment, shanghai_days, to_date, to_day
from processors.errors import RowError
from processors.events import FIGURES, INPUT_ROWS, KEYS, MAX_REVISION, Column, DailyRow, Moment, RowBatch
from processors.row_rules import expected, impossible
from streams.codecs.arrow_schema import UNITS_US
from streams.codecs.arrow_stream import Column as ArrowColumn
from streams.codecs.arrow_stream import Table, Text, read_stream

_NO_ID = -1
#: Days that a date can be.
DAY_RANGE = to_day(date.min), to_day(date.max)
_REVISION_DIGITS = len(str(MAX_REVISION))


@dataclass(frozen=True, slots=True)
class DecodedFrame:
    """The rows of a frame.

    Attributes
    ----------
    batch : (n,) the rows that are right.
    places : (n,) their row numbers in the frame.
    refused : row number → cell and reason of a row that is wrong.
    absent : optional figures that were impossible, and are absent: row number, cell and value.
    """

    batch: RowBatch
    places: Ints
    refused: dict[int, str]
    absent: list[tuple[int, str]]
    table: Table

    def key(self, row: int) -> bytes:
        """Return the key of a row of the frame as it is."""
        return str(_cell(self.table.columns[INPUT_ROWS[self.batch.topic].key_field], row) or "").encode()

    def event(self, row: int) -> bytes:
        """Return a row of the frame as it is, as a JSON event."""
        cells = {name: _cell(column, row) for name, column in self.table.columns.items()}
        known = {"source", "revision", "trade_date", "available_at", "ts"}
        constants = {name: text for name, text in self.table.constants.items() if name in known}
        if "revision" in constants:
            cells["revision"] = int(constants.pop("revision"))
        return msgspec.json.encode({name: cell for name, cell in (constants | cells).items() if cell is not None})


def _cell(column: ArrowColumn, row: int) -> Any:
    """Return a cell as JSON has it, None where it is null; what JSON has no number for is text."""
    if column.valid is not None and not column.valid[row]:
        return None
    if isinstance(column.values, Text):
        text = column.values
        at = row if text.index is None else int(text.index[row])
        return text.data[text.ends[at] : text.ends[at + 1]].decode()
    value = column.values[row].item()
    if column.type == "date32":
        return to_date(value) if DAY_RANGE[0] <= value <= DAY_RANGE[1] else f"day {value}"
    if column.unit:
        times, parts = UNITS_US[column.unit]
        stamp = value * times // parts
        return moment(stamp) if FIRST_MOMENT <= stamp <= LAST_MOMENT else f"{value} {column.unit}"
    return value if not isinstance(value, float) or isfinite(value) else str(value)


def decode_frame(topic: str, value: bytes, max_bytes: int) -> DecodedFrame:
    """Return the rows of a frame. A wrong row costs that row; an impossible optional figure is absent.

    Parameters
    ----------
    max_bytes : the most that a frame may have, compressed or not.

    Raises
    ------
    RowError : naming the column that is missing or of a wrong type.
    """
    row = INPUT_ROWS[topic]
    try:
        table = read_stream(value, max_bytes)
    except RowError as error:
        raise RowError(f"{topic} frame: {error}") from error
    frame = _Frame(topic, table)
    envelope = ("source", "revision", "trade_date", "available_at", "ts")
    known = {row.key_field, *envelope, *(c.name for c in FIGURES[topic]), *row.texts}
    strangers = [name for name in table.columns if name not in known]
    if strangers:
        raise RowError(f"{topic} frame has unknown columns {', '.join(strangers)}")
    frame.require("source")
    for name in ("source", *row.texts):
        frame.check_text(name)
    keys = frame.codes() if row.key_field == "code" else frame.words(row.key_field)
    if issubclass(row, DailyRow):
        days, stamps = frame.days("trade_date"), frame.moments("available_at")
    else:
        stamps = frame.moments("ts")
        days = shanghai_days(stamps)
    revisions, figures = frame.revisions(), {column.name: frame.figures(column) for column in FIGURES[topic]}
    if index_members.FIELD in row.texts:
        figures |= frame.members()
    places = np.arange(table.rows)
    batch = RowBatch(topic, keys, days, revisions, stamps, figures)
    if frame.refused:
        places = np.setdiff1d(places, list(frame.refused))
        batch = batch.take(places)
    return DecodedFrame(batch, places, dict(sorted(frame.refused.items())), frame.absent, table)


def encode_frame(batch: RowBatch, source: str) -> bytes:
    """Return the rows of a batch as one frame; what is the same for all rows goes to the metadata."""
    daily = issubclass(INPUT_ROWS[batch.topic], DailyRow)
    constants = {"source": source}
    columns: dict[str, pa.Array] = {}
    field = INPUT_ROWS[batch.topic].key_field
    columns[field] = code_array(batch.keys) if field == "code" else pa.array(key_texts(batch), type=pa.string())
    if daily:
        if (batch.days == batch.days[0]).all():
            constants["trade_date"] = to_date(int(batch.days[0])).isoformat()
        else:
            columns["trade_date"] = pa.array(batch.days, type=pa.int32()).view(pa.date32())
    if (batch.stamps == batch.stamps[0]).all():
        constants["available_at" if daily else "ts"] = moment(int(batch.stamps[0])).isoformat()
    else:
        columns["available_at" if daily else "ts"] = pa.array(batch.stamps, type=pa.timestamp("us", tz="UTC"))
    if (batch.revisions == 0).all():
        constants["revision"] = "0"
    else:
        columns["revision"] = pa.array(batch.revisions, type=pa.int32())
    for column in FIGURES[batch.topic]:
        values = batch.figures[column.name]
        if column.labels:
            words = [None if v != v else column.labels[int(v)] for v in values.tolist()]
            columns[column.name] = pa.array(words, type=pa.string())
        elif not np.isnan(values).all():
            columns[column.name] = pa.array(values, type=pa.float64(), from_pandas=True)
    if any(texts := index_members.texts_of(batch.figures, len(batch))):
        columns[index_members.FIELD] = pa.array(texts, type=pa.string())
    table = pa.RecordBatch.from_arrays(
        list(columns.values()), schema=pa.schema([(n, a.type) for n, a in columns.items()], metadata=constants)
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table)
    return bytes(sink.getvalue())


def code_array(securities: Ids) -> pa.Array:
    """Return the codes of many ids as a column of text."""
    ends = np.arange(len(securities) + 1, dtype=np.int32) * 9
    return pa.StringArray.from_buffers(len(securities), pa.py_buffer(ends), pa.py_buffer(join_codes(securities)))


class _Frame:
    """Columns of a frame, or constants of its schema's metadata, checked and converted."""

    def __init__(self, topic: str, table: Table) -> None:
        self._topic = topic
        self._constants = table.constants
        self._columns = table.columns
        self._rows = table.rows
        self.refused: dict[int, str] = {}  # row → cell and reason
        self.absent: list[tuple[int, str]] = []  # row, and its optional figure that is impossible

    def refuse(self, bad: Mask, reason: Callable[[int], str]) -> None:
        """Refuse rows, with the reason of each (the first one, if a row has several)."""
        for row in bad.nonzero()[0].tolist():
            self.refused.setdefault(row, f"{self._topic} frame, row {row}: {reason(row)}")

    def require(self, name: str) -> None:
        if name not in self._columns and name not in self._constants:
            raise RowError(f"{self._topic} frame lacks the column {name!r} (and its metadata has no constant)")

    def _column(self, name: str) -> ArrowColumn:
        self.require(name)
        if name not in self._columns:
            raise RowError(f"{self._topic} frame: {name!r} must be a column")
        column = self._columns[name]
        if column.valid is not None:
            self.refuse(~column.valid, lambda _row: f"{name} is null")
        return column

    def check_text(self, name: str) -> None:
        """Refuse a column for readers that is no text; a batch does not contain it."""
        column = self._columns.get(name)
        if column is not None and not isinstance(column.values, Text):
            raise RowError(f"{self._topic} frame: column {name!r} must be text, it is {column.type}")

    def codes(self) -> Ids:
        column = self._column("code")
        self.check_text("code")
        text: Text = column.values  # type: ignore[assignment]
        ids = _ids_of(text)
        if ids is None:
            ids = np.array([_id_or_none(word) for word in text.words()], dtype=np.int32)
        if text.index is not None:
            ids = np.append(ids, np.int32(_NO_ID))[text.index]  # a null of an empty dictionary names its place 0
        words = text.words() if (ids == _NO_ID).any() else []
        at = text.index if text.index is not None else np.arange(len(words))
        self.refuse(ids == _NO_ID, lambda row: f"code {words[at[row]][:64]!r} does not look like 600519.SH")
        return np.where(ids == _NO_ID, 0, ids).astype(np.int32)

    def words(self, field: str) -> Ids:
        column = self._column(field)
        self.check_text(field)
        places = self._places(field, column, KEYS[field])
        return np.where(np.isnan(places), 0, places).astype(np.int32)

    def _places(self, field: str, column: ArrowColumn, known: tuple[str, ...]) -> Any:
        """Return the positions of words among the known ones (n,), NaN where a word is null."""
        text: Text = column.values  # type: ignore[assignment]
        at = {word.encode(): place for place, word in enumerate(known)}
        out = np.array([at.get(word, -1) for word in text.raw()], dtype=np.float64)
        if text.index is not None:
            out = np.append(out, np.nan)[text.index]  # a null of an empty dictionary names its place 0
        if column.valid is not None:
            out = np.where(column.valid, out, np.nan)
        unknown = out < 0
        if unknown.any():
            words = text.words()
            spot = np.arange(len(words)) if text.index is None else text.index
            self.refuse(unknown, lambda row: f"unknown {field} {words[spot[row]][:64]}; known are {', '.join(known)}")
        return np.where(unknown, 0, out)

    def members(self) -> dict[str, Any]:
        column = self._columns.get(index_members.FIELD)
        if column is None:
            return {}
        text: Text = column.values  # type: ignore[assignment]
        words, at = [*text.words(), ""], np.arange(self._rows) if text.index is None else text.index
        bad = np.array([not index_members.is_text(word) for word in words])[at]
        if column.valid is not None:
            bad &= column.valid
        self.refuse(bad, lambda row: f"{index_members.FIELD} {words[at[row]][:64]!r}: {index_members.EXPECTED}")
        known = ~bad if column.valid is None else column.valid & ~bad
        return index_members.flags_of([words[place] if ok else "" for place, ok in zip(at, known, strict=True)])

    def days(self, name: str) -> Any:
        if name in self._constants:
            return np.full(self._rows, to_day(_parse(date, self._constants[name], self._topic, name)), dtype=np.int32)
        column = self._column(name)
        if column.type != "date32":
            raise RowError(f"{self._topic} frame: column {name!r} must be date32, it is {column.type}")
        return column.values

    def moments(self, name: str) -> Ints:
        if name in self._constants:
            when = _parse(Moment, self._constants[name], self._topic, name)
            return np.full(self._rows, microseconds(when), dtype=np.int64)
        column = self._column(name)
        if not column.unit:
            raise RowError(
                f"{self._topic} frame: column {name!r} must be a timestamp with time zone, it is {column.type}"
            )
        values: Ints = column.values  # type: ignore[assignment]
        times, parts = UNITS_US[column.unit]
        if times > 1 and ((values < 0) | (values > LAST_MOMENT // times)).any():
            strange = (values < 0) | (values > LAST_MOMENT // times)
            self.refuse(strange, lambda row: f"{name} {values[row]} {column.unit} is no moment between 1970 and 2199")
            values = np.where(strange, 0, values)
        # A JSON event is rounded to microseconds, half up, too.
        return (values // parts + (values % parts * 2 >= parts) if parts > 1 else values * times).astype(np.int64)

    def revisions(self) -> Any:
        if "revision" not in self._columns:
            text = self._constants.get("revision", "0")
            if not (text.isascii() and text.isdecimal() and len(text) <= _REVISION_DIGITS):
                raise RowError(f"{self._topic} frame: revision {text[:64]!r} is not a whole number from 0 on")
            values: Any = np.full(self._rows, int(text))
        else:
            column = self._column("revision")
            if not column.type.startswith(("int", "uint")):
                raise RowError(f"{self._topic} frame: column 'revision' must be an integer, it is {column.type}")
            values = column.values
        wrong = (values < 0) | (values > MAX_REVISION)
        self.refuse(wrong, lambda row: f"revision {values[row]} does not lie between 0 and {MAX_REVISION:,}")
        return np.where(wrong, 0, values).astype(np.int32)

    def figures(self, wanted: Column) -> Any:
        name = wanted.name
        if name not in self._columns:
            if not wanted.optional:
                raise RowError(f"{self._topic} frame lacks the column {name!r}")
            return np.full(self._rows, wanted.default)
        column = self._columns[name]
        if wanted.labels:
            self.check_text(name)
            places = self._places(name, column, wanted.labels)
            return np.where(np.isnan(places), wanted.default, places)
        if isinstance(column.values, Text) or not column.type.startswith(("int", "uint", "float", "bool")):
            raise RowError(f"{self._topic} frame: column {name!r} must be a number, it is {column.type}")
        values = column.values.astype(np.float64, copy=False)
        if column.valid is not None:
            values = np.where(column.valid, values, wanted.default)
        bad = impossible(wanted, values)
        if not bad.any():
            return values
        must = expected(wanted)
        if not wanted.optional:
            self.refuse(
                bad,
                lambda row: f"{name} is {values[row]}: {must}" if values[row] == values[row] else f"{name} is null",
            )
            return values
        keys = self._columns.get(INPUT_ROWS[self._topic].key_field)
        for row in np.flatnonzero(bad).tolist():
            key = "" if keys is None else f" of {_cell(keys, row)}"
            self.absent.append((row, f"{self._topic} frame, row {row}: {name}{key} is {values[row]}: {must}"))
        return np.where(bad, wanted.default, values)


def _ids_of(text: Text) -> Ids | None:
    """Return the ids of strings all of which are codes; None if one of them is not."""
    if (np.diff(text.ends) != CODE_LENGTH).any():
        return None
    try:
        return parse_codes(text.data[text.ends[0] : text.ends[-1]], len(text.ends) - 1)
    except RowError:
        return None


def _id_or_none(word: str) -> int:
    try:
        return to_id(word)
    except RowError:
        return _NO_ID


def _parse(kind: type[Any], text: str, topic: str, name: str) -> Any:
    try:
        value = msgspec.convert(text, kind)
    except msgspec.ValidationError as error:
        raise RowError(f"{topic} frame: {name} {text!r} in the metadata: {error}") from error
    return value


def key_texts(batch: RowBatch) -> list[str]:
    """Return the keys of rows as text: codes, or the words of an exchange, tenor or market."""
    field = INPUT_ROWS[batch.topic].key_field
    return to_codes(batch.keys) if field == "code" else [KEYS[field][k] for k in batch.keys.tolist()]
