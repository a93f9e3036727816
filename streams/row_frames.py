"""Rows as Arrow frames: many rows of one topic in one message (Arrow IPC stream).

A column that is the same for all rows may be a constant of the schema's metadata instead. Whatever is missing or wrong
is a `RowError` that names the column; the checks that JSON events have too are in `streams.row_codec`.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from processors.codes import CODE_LENGTH, Ids, join_codes, parse_codes, to_codes
from processors.days import LAST_MOMENT, microseconds, moment, shanghai_days, to_date, to_day
from processors.errors import RowError
from processors.events import (
    FIGURES,
    INPUT_ROWS,
    KEYS,
    MAX_REVISION,
    Column,
    DailyRow,
    Ints,
    Moment,
    RowBatch,
    Sign,
)
from streams.arrow_stream import UNITS_US, Table, Text, read_stream
from streams.arrow_stream import Column as ArrowColumn

_REVISION_DIGITS = len(str(MAX_REVISION))


def decode_frame(topic: str, value: bytes, max_bytes: int) -> RowBatch:
    """Return the rows of a frame.

    Parameters
    ----------
    max_bytes : the most that a frame may have, compressed or not.

    Raises
    ------
    RowError : naming the column that is missing or wrong.
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
    return RowBatch(topic, keys, days, revisions, stamps, figures)


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

    def require(self, name: str) -> None:
        if name not in self._columns and name not in self._constants:
            raise RowError(f"{self._topic} frame lacks the column {name!r} (and its metadata has no constant)")

    def _column(self, name: str) -> ArrowColumn:
        self.require(name)
        if name not in self._columns:
            raise RowError(f"{self._topic} frame: {name!r} must be a column")
        column = self._columns[name]
        if column.valid is not None:
            raise RowError(f"{self._topic} frame: column {name!r} has nulls")
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
        if (np.diff(text.ends) != CODE_LENGTH).any():
            raise RowError(f"{self._topic} frame: codes must look like 600519.SH")
        ids = parse_codes(text.data[text.ends[0] : text.ends[-1]], len(text.ends) - 1)
        return ids if text.index is None else ids[text.index]

    def words(self, field: str) -> Ids:
        column = self._column(field)
        self.check_text(field)
        return np.asarray(self._places(field, column, KEYS[field]), dtype=np.int32)

    def _places(self, field: str, column: ArrowColumn, known: tuple[str, ...]) -> Any:
        """Return the positions of words among the known ones (n,), NaN where a word is null."""
        text: Text = column.values  # type: ignore[assignment]
        at = {word.encode(): place for place, word in enumerate(known)}
        out = np.array([at.get(word, -1) for word in text.raw()], dtype=np.float64)
        if text.index is not None:
            out = np.append(out, np.nan)[text.index]  # a null of an empty dictionary names its place 0
        if column.valid is not None:
            out = np.where(column.valid, out, np.nan)
        if (out < 0).any():
            row = int(np.argmax(out < 0))
            word = text.words()[row if text.index is None else int(text.index[row])][:64]
            raise RowError(f"{self._topic} frame: unknown {field} {word}; known are {', '.join(known)}")
        return out

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
            raise RowError(f"{self._topic} frame: column {name!r} has moments before 1970 or after 2199")
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
        if len(values) and (values.min() < 0 or values.max() > MAX_REVISION):
            raise RowError(f"{self._topic} frame: revisions must lie between 0 and {MAX_REVISION:,}")
        return values.astype(np.int32)

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
        if column.valid is not None and not wanted.optional:
            raise RowError(f"{self._topic} frame: column {name!r} has nulls")
        values = column.values.astype(np.float64, copy=False)
        if column.valid is not None:
            values = np.where(column.valid, values, wanted.default)
        bad = np.isinf(values)
        if wanted.flag:
            bad |= ~np.isin(values, (0.0, 1.0)) & ~np.isnan(values)
        if wanted.sign is Sign.POSITIVE:
            bad |= values <= 0
        elif wanted.sign is Sign.NOT_NEGATIVE:
            bad |= values < 0
        if not wanted.optional:
            bad |= np.isnan(values)
        if bad.any():
            row = int(np.argmax(bad))
            raise RowError(
                f"{self._topic} frame: {name} of row {row} is {values[row]}: expected a {wanted.sign.value} number"
            )
        return values


def _parse(kind: type[Any], text: str, topic: str, name: str) -> Any:
    try:
        value = msgspec.convert(text, kind)
    except msgspec.ValidationError as error:
        raise RowError(f"{topic} frame: {name} {text!r} in the metadata: {error}") from error
    return value


def key_texts(batch: RowBatch) -> list[str]:
    """Return the keys of rows as text: codes, or the words of an exchange or tenor."""
    field = INPUT_ROWS[batch.topic].key_field
    return to_codes(batch.keys) if field == "code" else [KEYS[field][k] for k in batch.keys.tolist()]
