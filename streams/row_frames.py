"""Rows as Arrow frames: many rows of one topic in one message (Arrow IPC stream).

A column that is the same for all rows may be a constant of the schema's metadata instead. Whatever is missing or wrong
is a `RowError` that names the column; the checks that JSON events have too are in `streams.row_codec`.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from processors.codes import Ids, join_codes, parse_codes, to_codes
from processors.days import microseconds, moment, shanghai_days, to_date, to_day
from processors.errors import RowError
from processors.events import FIGURES, INPUT_ROWS, KEYS, Column, DailyRow, Ints, RowBatch, Sign


def decode_frame(topic: str, value: bytes) -> RowBatch:
    """Return the rows of a frame; raises `RowError` naming the column that is missing or wrong."""
    row = INPUT_ROWS[topic]
    try:
        table = pa.ipc.open_stream(pa.py_buffer(value)).read_all().combine_chunks()
        constants = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
    except (pa.ArrowException, OSError, ValueError) as error:
        raise RowError(f"{topic} frame is not an Arrow IPC stream: {error}") from error
    frame = _Frame(topic, table, constants)
    envelope = ("source", "revision", "trade_date", "available_at", "ts")
    known = {row.key_field, *envelope, *(c.name for c in FIGURES[topic]), *row.texts}
    strangers = [name for name in table.column_names if name not in known]
    if strangers:
        raise RowError(f"{topic} frame has unknown columns {', '.join(strangers)}")
    frame.require("source")
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

    def __init__(self, topic: str, table: pa.Table, constants: dict[str, str]) -> None:
        self._topic = topic
        self._table = table
        self._constants = constants
        self._columns = {name: table.column(i) for i, name in enumerate(table.column_names)}
        self._rows = table.num_rows

    def require(self, name: str) -> None:
        if name not in self._columns and name not in self._constants:
            raise RowError(f"{self._topic} frame lacks the column {name!r} (and its metadata has no constant)")

    def _array(self, name: str) -> Any:
        self.require(name)
        column = self._columns[name]
        array = column.chunk(0) if column.num_chunks else pa.array([], type=column.type)
        if array.null_count:
            raise RowError(f"{self._topic} frame: column {name!r} has nulls")
        return array

    def codes(self) -> Ids:
        array = self._array("code")
        if pa.types.is_dictionary(array.type):
            array = array.dictionary_decode()
        if not pa.types.is_string(array.type):
            raise RowError(f"{self._topic} frame: column 'code' must be text, it is {array.type}")
        _, offsets, data = array.buffers()
        if not self._rows:
            return np.empty(0, dtype=np.int32)
        ends = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + self._rows + 1]
        if (np.diff(ends) != 9).any():
            raise RowError(f"{self._topic} frame: codes must look like 600519.SH")
        return parse_codes(data[int(ends[0]) : int(ends[-1])].to_pybytes(), self._rows)

    def words(self, field: str) -> Ids:
        return np.asarray(self._places(field, self._array(field).to_pylist(), KEYS[field]), dtype=np.int32)

    def _places(self, field: str, found: list[str | None], known: tuple[str, ...]) -> Any:
        unknown = sorted({str(word) for word in found if word is not None} - set(known))
        if unknown:
            raise RowError(f"{self._topic} frame: unknown {field} {', '.join(unknown)}; known are {', '.join(known)}")
        return np.array([np.nan if word is None else known.index(word) for word in found], dtype=np.float64)

    def days(self, name: str) -> Any:
        if name in self._constants:
            return np.full(self._rows, to_day(_parse(date, self._constants[name], self._topic, name)), dtype=np.int32)
        array = self._array(name)
        if not pa.types.is_date32(array.type):
            raise RowError(f"{self._topic} frame: column {name!r} must be date32, it is {array.type}")
        return array.view(pa.int32()).to_numpy()

    def moments(self, name: str) -> Ints:
        if name in self._constants:
            when = _parse(datetime, self._constants[name], self._topic, name)
            return np.full(self._rows, microseconds(when), dtype=np.int64)
        array = self._array(name)
        if not pa.types.is_timestamp(array.type) or array.type.tz is None:
            raise RowError(
                f"{self._topic} frame: column {name!r} must be a timestamp with time zone, it is {array.type}"
            )
        values: Ints = array.cast(pa.timestamp("us", tz="UTC")).view(pa.int64()).to_numpy()
        return values

    def revisions(self) -> Any:
        if "revision" not in self._columns:
            text = self._constants.get("revision", "0")
            if not text.isdecimal():
                raise RowError(f"{self._topic} frame: revision {text!r} is not a whole number from 0 on")
            return np.full(self._rows, int(text), dtype=np.int32)
        array = self._array("revision")
        if not pa.types.is_integer(array.type):
            raise RowError(f"{self._topic} frame: column 'revision' must be an integer, it is {array.type}")
        values = array.to_numpy()
        if len(values) and (values.min() < 0 or values.max() > 1_000_000):
            raise RowError(f"{self._topic} frame: revisions must lie between 0 and 1,000,000")
        return values.astype(np.int32)

    def figures(self, wanted: Column) -> Any:
        name = wanted.name
        if name not in self._columns:
            if not wanted.optional:
                raise RowError(f"{self._topic} frame lacks the column {name!r}")
            return np.full(self._rows, wanted.default)
        column = self._columns[name]
        if wanted.labels and pa.types.is_string(column.type):
            places = self._places(name, column.to_pylist(), wanted.labels)
            return np.where(np.isnan(places), wanted.default, places)
        if not (
            pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
        ):
            raise RowError(f"{self._topic} frame: column {name!r} must be a number, it is {column.type}")
        array = column.chunk(0) if column.num_chunks else pa.array([], type=column.type)
        if array.null_count and not wanted.optional:
            raise RowError(f"{self._topic} frame: column {name!r} has nulls")
        if array.null_count and not np.isnan(wanted.default):
            array = array.fill_null(bool(wanted.default) if pa.types.is_boolean(array.type) else wanted.default)
        values = array.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)
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
    if isinstance(value, datetime) and value.tzinfo is None:
        raise RowError(f"{topic} frame: {name} {text!r} in the metadata has no time zone")
    return value


def key_texts(batch: RowBatch) -> list[str]:
    """Return the keys of rows as text: codes, or the words of an exchange or tenor."""
    field = INPUT_ROWS[batch.topic].key_field
    return to_codes(batch.keys) if field == "code" else [KEYS[field][k] for k in batch.keys.tolist()]
