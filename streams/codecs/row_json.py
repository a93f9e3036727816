"""Rows as JSON: a message is one event, or an array of events; many messages are decoded at once.

Thousands of rows share a few dates and codes, so these are parsed once each; see `_with_texts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cache, lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Any, get_type_hints

import msgspec
import numpy as np

from processors import index_members
from processors.codes import to_id
from processors.days import microseconds, moment, shanghai_days, to_date, to_day
from processors.errors import RowError
from processors.events import FIGURES, INPUT_ROWS, KEYS, Code, DailyRow, IndexCode, Moment, Row, RowBatch
from processors.row_rules import expected, impossible
from streams.codecs.row_frames import key_texts

#: Length of a moment with nanoseconds and an offset.
_SHORT = len("2020-01-03T00:30:00.123456789+08:00")
#: Events that are decoded together: their bytes stay in the cache of a core between joining and decoding.
_TOGETHER = 512
#: The most events of an array: a day of the whole market has 5,500, and where one is wrong each is decoded by itself.
MAX_ARRAY_ROWS = 10_000
_ONE = "a message must be one JSON object, or an array of them"


class EventDecoder:
    """Decodes the JSON events of one input topic.

    Parameters
    ----------
    topic : its short name.
    """

    def __init__(self, topic: str) -> None:
        self._topic = topic
        row = INPUT_ROWS[topic]
        self._daily = issubclass(row, DailyRow)
        self._strict = msgspec.json.Decoder(row)
        self._texts = msgspec.json.Decoder(list[_with_texts(row)])  # type: ignore[misc]

    def decode(self, payloads: list[bytes]) -> tuple[RowBatch, list[str]]:
        """Return the rows of many messages in their order, and the cells of impossible optional figures.

        Such a figure is absent.

        Parameters
        ----------
        payloads : each an event, or an array of at most `MAX_ARRAY_ROWS` events.

        Raises
        ------
        RowError : if one of the events is wrong.
        """
        payloads = [payload.strip() for payload in payloads]
        rows: list[Any] = []
        try:
            for found in self._decoded(payloads):
                rows += found
            batch = _columns_of(self._topic, rows, daily=self._daily)
            return batch, _leave_out_impossible(batch)
        except (msgspec.DecodeError, UnicodeDecodeError, RowError) as error:
            raise RowError(self._reason(payloads, error)) from error

    def _decoded(self, payloads: list[bytes]) -> Iterator[list[Any]]:
        """Yield the rows of the messages in their order, some at a time."""
        # A line break inside of a string is an error, and a row contains no other object. So between "}" and "{" on two
        # lines one row ends and another begins: no message completes its neighbour, and none contains two rows.
        all_events = {payload[:1] for payload in payloads} == {b"{"}
        groups = [(False, payloads)] if all_events else groupby(payloads, key=lambda payload: payload[:1] == b"[")
        for is_array, neighbours in groups:
            found = list(neighbours)
            if not is_array and {payload[:1] + payload[-1:] for payload in found} != {b"{}"}:
                raise RowError(f"{self._topic}: {_ONE}")
            together = 1 if is_array else _TOGETHER
            for start in range(0, len(found), together):
                events = found[start : start + together]
                rows = self._texts.decode(events[0] if is_array else b"[" + b",\n".join(events) + b"]")
                if not is_array and len(rows) != len(events):
                    raise RowError(f"{self._topic}: {_ONE}")
                if len(rows) > MAX_ARRAY_ROWS:
                    raise RowError(
                        f"{self._topic}: an array has {len(rows):,} events, at most {MAX_ARRAY_ROWS:,} are accepted: "
                        "split it"
                    )
                yield rows

    def _reason(self, payloads: list[bytes], error: Exception) -> str:
        """What is wrong with events, as the row type itself reports it where there is only one."""
        if len(payloads) == 1 and payloads[0][:1] != b"[":
            try:
                self._strict.decode(payloads[0])
            except (msgspec.DecodeError, UnicodeDecodeError) as strict:
                error = strict
        return str(error) if isinstance(error, RowError) else f"{self._topic} event: {error}"


def events_of(payload: bytes) -> list[bytes]:
    """Return the events of a JSON array; none if it is no array of objects, or has more than `MAX_ARRAY_ROWS`."""
    try:
        found = msgspec.json.decode(payload, type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    events = [bytes(one) for one in found] if len(found) <= MAX_ARRAY_ROWS else []
    return events if all(event[:1] == b"{" for event in events) else []


def key_of(topic: str, event: bytes) -> str:
    """Return the key of an event that may be wrong; empty if it has none."""
    try:
        key = msgspec.json.decode(event, type=dict[str, Any]).get(INPUT_ROWS[topic].key_field)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    return key if isinstance(key, str) else ""


def encode_array(batch: RowBatch, source: str) -> bytes:
    """Return the rows of a batch, at most `MAX_ARRAY_ROWS`, as one JSON array of events."""
    return b"[" + b",".join([event for _, event in encode_events(batch, source)]) + b"]"


def encode_events(batch: RowBatch, source: str) -> list[tuple[str, bytes]]:
    """Return each row of a batch as ``(key, JSON)``."""
    row: type[Row] = INPUT_ROWS[batch.topic]
    daily = issubclass(row, DailyRow)
    indices = index_members.texts_of(batch.figures, len(batch))
    names = [name for name in batch.figures if not index_members.is_code(name)]
    columns = [batch.figures[n].tolist() for n in names]
    words = {c.name: c.labels for c in FIGURES[batch.topic] if c.labels}
    flags = {c.name for c in FIGURES[batch.topic] if c.flag}
    out = []
    for i, text in enumerate(key_texts(batch)):
        event: dict[str, Any] = {row.key_field: text, "source": source, "revision": int(batch.revisions[i])}
        when = moment(int(batch.stamps[i]))
        if daily:
            event |= {"trade_date": to_date(int(batch.days[i])), "available_at": when}
        else:
            event["ts"] = when
        if indices[i]:
            event[index_members.FIELD] = indices[i]
        for name, values in zip(names, columns, strict=True):
            if values[i] == values[i]:  # not NaN: an absent figure is left out
                event[name] = (
                    bool(values[i]) if name in flags else words[name][int(values[i])] if name in words else values[i]
                )
        out.append((text, msgspec.json.encode(event)))
    return out


@cache
def _with_texts(row: type[Row]) -> type[msgspec.Struct]:
    """Return the same row type with codes, dates and moments as text.

    Matching a pattern takes as long as all the rest of a row, and thousands of rows share a few dates, so these are
    parsed once each. What such a row accepts and `_columns_of` understands, the row type accepts, and nothing else but
    impossible optional figures, which `_leave_out_impossible` judges.
    """
    hints = get_type_hints(row, include_extras=True)
    texts = (Code, IndexCode, date, Moment)
    numbers = {c.attribute for c in FIGURES[row.topic] if c.optional and not c.labels and not c.flag}
    fields = [
        (
            field.name,
            str if hints[field.name] in texts else float | None if field.name in numbers else hints[field.name],
            msgspec.field(name=field.encode_name)
            if field.required
            else msgspec.field(name=field.encode_name, default=field.default),
        )
        for field in msgspec.structs.fields(row)
    ]
    return msgspec.defstruct(f"{row.__name__}Texts", fields, kw_only=True, forbid_unknown_fields=True, gc=False)


def _leave_out_impossible(batch: RowBatch) -> list[str]:
    """Make impossible optional figures absent; return their cells. Required ones are refused by the row type."""
    out = []
    for column in FIGURES[batch.topic]:
        values = batch.figures[column.name]
        bad = impossible(column, values) if column.optional else np.zeros(0, dtype=bool)
        if bad.any():
            keys = key_texts(batch.take(bad))
            cells = zip(keys, values[bad].tolist(), strict=True)
            out += [f"{batch.topic} event: {column.name} of {key} is {v}: {expected(column)}" for key, v in cells]
            batch.figures[column.name] = np.where(bad, column.default, values)
    return out


@lru_cache(maxsize=16_384)
def _day_of(text: str) -> int:
    return to_day(msgspec.convert(text, date))


def _stamp_of(text: str) -> int:
    # A fraction of a second may have a million digits, and a cache would keep them.
    return _short_stamp_of(text) if len(text) <= _SHORT else microseconds(msgspec.convert(text, Moment))


@lru_cache(maxsize=65_536)
def _short_stamp_of(text: str) -> int:
    return microseconds(msgspec.convert(text, Moment))


def _columns_of(topic: str, rows: Sequence[Any], *, daily: bool) -> RowBatch:
    field = INPUT_ROWS[topic].key_field

    def column(name: str, parse: Callable[[Any], int] | None, kind: type[np.integer[Any]]) -> Any:
        values = map(attrgetter(name), rows)
        return np.fromiter(values if parse is None else map(parse, values), dtype=kind, count=len(rows))

    def moments(name: str) -> Any:
        texts = list(map(attrgetter(name), rows))
        known = {text: _stamp_of(text) for text in set(texts)}
        return np.fromiter(map(known.__getitem__, texts), dtype=np.int64, count=len(rows))

    keys = column(field, to_id if field == "code" else KEYS[field].index, np.int32)
    revisions = column("revision", None, np.int32)
    if daily:
        days, stamps = column("trade_date", _day_of, np.int32), moments("available_at")
    else:
        stamps = moments("ts")
        days = shanghai_days(stamps)
    figures = {}
    for wanted in FIGURES[topic]:
        values: list[Any] = list(map(attrgetter(wanted.attribute), rows))
        if wanted.labels:
            values = [None if word is None else wanted.labels.index(word) for word in values]
        figures[wanted.name] = np.array(values, dtype=np.float64)
    if index_members.FIELD in INPUT_ROWS[topic].texts:
        figures |= index_members.flags_of(list(map(attrgetter(index_members.FIELD), rows)))
    return RowBatch(topic, keys, days, revisions, stamps, figures)
