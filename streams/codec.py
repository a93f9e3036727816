"""From the bytes of a message to columns and back: JSON events, Arrow frames, markers.

One message holds one JSON event, or a *frame*: many rows of one topic (Arrow IPC stream, header
``content-type: application/vnd.apache.arrow.stream``). In a frame, a column that is the same for all rows may stand in
the schema's metadata instead. Both give the same `RowBatch`. Whatever doesn't decode or validate becomes a
`DeadLetter` with the reason, and the messages around it count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, Protocol, TypeVar, get_type_hints

import msgspec
import numpy as np
import pyarrow as pa

from processors.codes import EXCHANGES, SHENWAN, Ids, join_codes, parse_codes, to_code, to_codes, to_id
from processors.days import TradingCalendar, microseconds, moment, shanghai_days, to_date, to_day
from processors.errors import RowError
from processors.events import (
    FIGURES,
    INPUT_ROWS,
    KEYS,
    Barrier,
    Code,
    Column,
    DailyRow,
    EndOfDay,
    IndexCode,
    Ints,
    Moment,
    Row,
    RowBatch,
    Sign,
    concat,
)
from streams.topics import Partitioner

ARROW = b"application/vnd.apache.arrow.stream"
CONTENT_TYPE, CE_TYPE = "content-type", "ce_type"
CLOSE_TYPE, BARRIER_TYPE = b"marginwatch.session_close.v1", b"marginwatch.barrier.v1"
Headers = Sequence[tuple[str, bytes]]
_T = TypeVar("_T")


class Record(Protocol):
    """What a consumer hands over (aiokafka's and kafka-python's records both fit)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def is_barrier(record: Record) -> bool:
    """Whether a record is a barrier, and neither row nor marker, signal or alert."""
    return any(name == CE_TYPE and value == BARRIER_TYPE for name, value in record.headers or ())


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was not understood, with the reason."""

    record: Record
    reason: str


Item = RowBatch | EndOfDay | Barrier


class Decoder:
    """Decodes one input topic.

    Parameters
    ----------
    topic : the short name, e.g. ``margin.daily``.
    partitioner : for topics keyed by security: rows of another partition are refused, for they would be counted
        twice or never; None where any key may come.
    max_bytes : a larger message is refused before anything tries to decode it.
    """

    def __init__(
        self,
        topic: str,
        calendar: TradingCalendar,
        exchanges: tuple[str, ...],
        partitioner: Partitioner | None,
        max_bytes: int,
    ) -> None:
        self.topic = topic
        self._max_bytes = max_bytes
        self.row = INPUT_ROWS[topic]
        self.daily = issubclass(self.row, DailyRow)
        self._calendar = calendar
        self._exchanges = exchanges
        self._partitioner = partitioner
        self._strict = msgspec.json.Decoder(self.row)
        self._texts = msgspec.json.Decoder(list[_with_texts(self.row)])  # type: ignore[misc]
        self._names = tuple(c.name for c in FIGURES[topic])
        self._exchange_only = not topic.startswith("indices.")

    def decode(self, records: Sequence[Record]) -> tuple[list[Item], list[DeadLetter]]:
        """Decode the messages of one partition, keeping their order; neighbouring JSON events become one batch."""
        items: list[Item] = []
        dead: list[DeadLetter] = []
        events: list[Record] = []
        for record in records:
            headers = dict(record.headers) if record.headers else {}
            kind, frame = headers.get(CE_TYPE), headers.get(CONTENT_TYPE) == ARROW
            if not frame and kind not in (CLOSE_TYPE, BARRIER_TYPE):
                events.append(record)
                continue
            self._flush(events, items, dead)
            try:
                if frame:
                    items.append(self._placed(self.frame(self._payload(record)), record.partition))
                else:
                    items.append(self._marker(record) if kind == CLOSE_TYPE else self._json(record, Barrier))
            except RowError as error:
                dead.append(DeadLetter(record, str(error)))
        self._flush(events, items, dead)
        return items, dead

    def _marker(self, record: Record) -> EndOfDay:
        marker = self._json(record, EndOfDay)
        if marker.feed != self.topic or to_day(marker.trade_date) not in self._calendar:
            raise RowError(
                f"session_close of feed {marker.feed!r}, {marker.trade_date}: expected {self.topic} and a trading day"
            )
        return marker

    def _flush(self, events: list[Record], items: list[Item], dead: list[DeadLetter]) -> None:
        if not events:
            return
        try:
            items.append(self._placed(self._events([self._payload(r) for r in events]), events[0].partition))
        except RowError:
            # One of them is bad: take them one by one, so that the good rows around it count.
            good = []
            for record in events:
                try:
                    good.append(self._placed(self._events([self._payload(record)]), record.partition))
                except RowError as error:
                    dead.append(DeadLetter(record, str(error)))
            if good:
                items.append(concat(good))
        events.clear()

    def _payload(self, record: Record) -> bytes:
        if not record.value:
            raise RowError("the message is empty")
        if len(record.value) > self._max_bytes:
            raise RowError(
                f"the message has {len(record.value):,} bytes, at most {self._max_bytes:,} are taken: cut it"
            )
        return record.value

    def _json(self, record: Record, kind: type[_T]) -> _T:
        try:
            return msgspec.json.decode(self._payload(record), type=kind)
        except msgspec.DecodeError as error:
            raise RowError(f"{kind.__name__}: {error}") from error

    # -- JSON ------------------------------------------------------------------------------------------------

    def _events(self, payloads: list[bytes]) -> RowBatch:
        try:
            rows = self._texts.decode(b"[" + b",".join(payloads) + b"]")
            batch = _columns_of(self.topic, rows, daily=self.daily)
        except (msgspec.DecodeError, UnicodeDecodeError, RowError) as error:
            raise RowError(self._why(payloads, error)) from error
        if len(batch) != len(payloads):
            raise RowError(f"{self.topic}: a message must hold one JSON object")
        return self._checked(batch)

    def _why(self, payloads: list[bytes], error: Exception) -> str:
        """What is wrong with events, in the words of the row type itself where there is only one."""
        if len(payloads) == 1:
            try:
                self._strict.decode(payloads[0])
            except (msgspec.DecodeError, UnicodeDecodeError) as strict:
                error = strict
        return str(error) if isinstance(error, RowError) else f"{self.topic} event: {error}"

    # -- frames ----------------------------------------------------------------------------------------------

    def frame(self, value: bytes) -> RowBatch:
        """Decode a frame; raises `RowError` naming the column that is missing or wrong."""
        try:
            table = pa.ipc.open_stream(pa.py_buffer(value)).read_all().combine_chunks()
            constants = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        except (pa.ArrowException, OSError, ValueError) as error:
            raise RowError(f"{self.topic} frame is not an Arrow IPC stream: {error}") from error
        frame = _Frame(self.topic, table, constants)
        known = {
            self.row.key_field,
            "source",
            "revision",
            "trade_date",
            "available_at",
            "ts",
            *self._names,
            *self.row.texts,
        }
        strangers = [name for name in table.column_names if name not in known]
        if strangers:
            raise RowError(f"{self.topic} frame has unknown columns {', '.join(strangers)}")
        frame.require("source")
        keys = frame.codes() if self.row.key_field == "code" else frame.words(self.row.key_field)
        if self.daily:
            days, stamps = frame.days("trade_date"), frame.moments("available_at")
        else:
            stamps = frame.moments("ts")
            days = shanghai_days(stamps)
        return self._checked(
            RowBatch(
                self.topic,
                keys,
                days,
                frame.revisions(),
                stamps,
                {column.name: frame.figures(column) for column in FIGURES[self.topic]},
            )
        )

    # -- checks of both --------------------------------------------------------------------------------------

    def _checked(self, batch: RowBatch) -> RowBatch:
        inside = self._calendar.contains(batch.days)
        if not inside.all():
            day = int(batch.days[int(np.argmin(inside))])
            hint = f"; the calendar ends on {to_date(self._calendar.last)}" if day > self._calendar.last else ""
            raise RowError(f"{self.topic}: {to_date(day)} is no trading day{hint}")
        if self.row.key_field == "code" and self._exchange_only and (batch.keys % 4 == SHENWAN).any():
            stray = int(batch.keys[int(np.argmax(batch.keys % 4 == SHENWAN))])
            raise RowError(f"{self.topic}: {to_code(stray)} is an index of Shenwan, here stand securities")
        if self.row.key_field == "exchange":
            for key in np.unique(batch.keys).tolist():
                if EXCHANGES[key] not in self._exchanges:
                    raise RowError(
                        f"{self.topic}: exchange {EXCHANGES[key]} is not configured; configured are "
                        f"{', '.join(self._exchanges)}"
                    )
        return batch

    def _placed(self, batch: RowBatch, partition: int) -> RowBatch:
        if self._partitioner is not None and len(batch):
            places = self._partitioner.of(batch.keys)
            if not (places == partition).all():
                stray = int(batch.keys[int(np.argmax(places != partition))])
                raise RowError(
                    f"{self.topic}: {to_code(stray)} came in partition {partition}, its key belongs to "
                    f"another: the producer must use Kafka's default partitioner on the code"
                )
        return batch


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
        if wanted.words and pa.types.is_string(column.type):
            places = self._places(name, column.to_pylist(), wanted.words)
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


def _with_texts(row: type[Row]) -> type[msgspec.Struct]:
    """The same row, but codes, dates and moments are text still.

    Matching a pattern takes as long as all the rest of a row, and thousands of rows share a few dates: so these are
    parsed once each. What such a row takes and `_columns_of` understands, the row type takes, and nothing else.
    """
    hints = get_type_hints(row, include_extras=True)
    texts = (Code, IndexCode, date, Moment)
    fields = [
        (
            field.name,
            str if hints[field.name] in texts else hints[field.name],
            msgspec.field(name=field.encode_name)
            if field.required
            else msgspec.field(name=field.encode_name, default=field.default),
        )
        for field in msgspec.structs.fields(row)
    ]
    return msgspec.defstruct(f"{row.__name__}Texts", fields, kw_only=True, forbid_unknown_fields=True, gc=False)


@lru_cache(maxsize=16_384)
def _day_of(text: str) -> int:
    return to_day(msgspec.convert(text, date))


@lru_cache(maxsize=65_536)
def _stamp_of(text: str) -> int:
    return microseconds(msgspec.convert(text, Moment))


def _columns_of(topic: str, rows: Sequence[Any], *, daily: bool) -> RowBatch:
    field = INPUT_ROWS[topic].key_field

    def column(name: str, parse: Callable[[Any], int] | None, kind: type[np.integer[Any]]) -> Any:
        values = map(attrgetter(name), rows)
        return np.fromiter(values if parse is None else map(parse, values), dtype=kind, count=len(rows))

    keys = column(field, to_id if field == "code" else KEYS[field].index, np.int32)
    revisions = column("revision", None, np.int32)
    if daily:
        days, stamps = column("trade_date", _day_of, np.int32), column("available_at", _stamp_of, np.int64)
    else:
        stamps = column("ts", _stamp_of, np.int64)
        days = shanghai_days(stamps)
    figures = {}
    for wanted in FIGURES[topic]:
        values = list(map(attrgetter(wanted.attribute), rows))
        if wanted.words:
            values = [None if word is None else wanted.words.index(word) for word in values]
        figures[wanted.name] = np.array(values, dtype=np.float64)
    return RowBatch(topic, keys, days, revisions, stamps, figures)


# -- encoding ----------------------------------------------------------------------------------------------------


def encode_frame(batch: RowBatch, source: str) -> bytes:
    """Return the rows of a batch as one frame; what is the same for all rows goes to the metadata."""
    daily = issubclass(INPUT_ROWS[batch.topic], DailyRow)
    constants = {"source": source}
    columns: dict[str, pa.Array] = {}
    field = INPUT_ROWS[batch.topic].key_field
    columns[field] = code_array(batch.keys) if field == "code" else pa.array(_key_texts(batch), type=pa.string())
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
        if column.words:
            words = [None if v != v else column.words[int(v)] for v in values.tolist()]
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


def _key_texts(batch: RowBatch) -> list[str]:
    field = INPUT_ROWS[batch.topic].key_field
    return to_codes(batch.keys) if field == "code" else [KEYS[field][k] for k in batch.keys.tolist()]


def encode_events(batch: RowBatch, source: str) -> list[tuple[str, bytes]]:
    """Return each row of a batch as ``(key, JSON)``."""
    row: type[Row] = INPUT_ROWS[batch.topic]
    daily = issubclass(row, DailyRow)
    names = list(batch.figures)
    columns = [batch.figures[n].tolist() for n in names]
    words = {c.name: c.words for c in FIGURES[batch.topic] if c.words}
    flags = {c.name for c in FIGURES[batch.topic] if c.flag}
    out = []
    for i, text in enumerate(_key_texts(batch)):
        event: dict[str, Any] = {row.key_field: text, "source": source, "revision": int(batch.revisions[i])}
        when = moment(int(batch.stamps[i]))
        if daily:
            event |= {"trade_date": to_date(int(batch.days[i])), "available_at": when}
        else:
            event["ts"] = when
        for name, values in zip(names, columns, strict=True):
            if values[i] == values[i]:  # not NaN: an absent figure is left out
                event[name] = (
                    bool(values[i]) if name in flags else words[name][int(values[i])] if name in words else values[i]
                )
        out.append((text, msgspec.json.encode(event)))
    return out


def headers_of(
    kind: str, *, identity: str, source: str, subject: str, time: str, content_type: bytes = b"application/json"
) -> list[tuple[str, bytes]]:
    """Return CloudEvents headers (binary mode)."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", identity.encode()),
        (CE_TYPE, kind.encode()),
        ("ce_source", source.encode()),
        ("ce_time", time.encode()),
        ("ce_subject", subject.encode()),
        (CONTENT_TYPE, content_type),
    ]
