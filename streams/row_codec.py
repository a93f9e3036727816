"""From the bytes of an input topic to columns: JSON events, Arrow frames, markers, barriers.

One message holds one JSON event (`streams.row_json`), or a frame of many rows (`streams.row_frames`; header
``content-type: application/vnd.apache.arrow.stream``). Both give the same `RowBatch`. Whatever doesn't decode or
validate becomes a `DeadLetter` with the reason, and the messages around it count.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np

from processors.codes import EXCHANGES, SHENWAN, to_code
from processors.days import FIRST_MOMENT, LAST_MOMENT, TradingCalendar, to_date, to_day
from processors.errors import RowError
from processors.events import INPUT_ROWS, Barrier, EndOfDay, RowBatch, concat
from streams.records import (
    ARROW,
    BARRIER_TYPE,
    CE_TYPE,
    CLOSE_TYPE,
    CONTENT_TYPE,
    DeadLetter,
    Record,
    barrier_of,
    punctuation_of,
)
from streams.row_frames import decode_frame
from streams.row_json import EventDecoder
from streams.topics import Partitioner, Topic
from streams.total import total

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
        self._calendar = calendar
        self._exchanges = exchanges
        self._partitioner = partitioner
        self._events = EventDecoder(topic)
        self._exchange_only = topic not in (Topic.INDICES_DAILY, Topic.INDICES_INTRADAY)

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
                    items.append(self._frame(record))
                else:
                    items.append(self._marker(record) if kind == CLOSE_TYPE else barrier_of(record))
            except RowError as error:
                dead.append(DeadLetter(record, str(error)))
        self._flush(events, items, dead)
        return items, dead

    @total
    def _frame(self, record: Record) -> RowBatch:
        return self._placed(self.frame(self._payload(record)), record.partition)

    @total
    def _marker(self, record: Record) -> EndOfDay:
        punctuation = punctuation_of(self._payload(record), EndOfDay)
        if punctuation.feed != self.topic or to_day(punctuation.trade_date) not in self._calendar:
            raise RowError(
                f"session_close of feed {punctuation.feed[:64]!r}, {punctuation.trade_date}: expected {self.topic} and "
                "a trading day"
            )
        return punctuation

    def _flush(self, events: list[Record], items: list[Item], dead: list[DeadLetter]) -> None:
        if not events:
            return
        try:
            items.append(self._rows(events))
        except RowError:
            # One of them is bad: decode them one by one, so that the good rows around it count.
            good = []
            for record in events:
                try:
                    good.append(self._rows([record]))
                except RowError as error:
                    dead.append(DeadLetter(record, str(error)))
            if good:
                items.append(concat(good))
        events.clear()

    @total
    def _rows(self, events: list[Record]) -> RowBatch:
        batch = self._events.decode([self._payload(record) for record in events])
        return self._placed(self._checked(batch), events[0].partition)

    def _payload(self, record: Record) -> bytes:
        if not record.value:
            raise RowError("the message is empty")
        if len(record.value) > self._max_bytes:
            raise RowError(
                f"the message has {len(record.value):,} bytes, at most {self._max_bytes:,} are accepted: split it"
            )
        return record.value

    def frame(self, value: bytes) -> RowBatch:
        """Return the checked rows of a frame; raises `RowError` naming what is missing or wrong."""
        return self._checked(decode_frame(self.topic, value, self._max_bytes))

    def _checked(self, batch: RowBatch) -> RowBatch:
        strange = (batch.stamps < FIRST_MOMENT) | (batch.stamps > LAST_MOMENT)
        if strange.any():
            stamp = int(batch.stamps[int(np.argmax(strange))])
            raise RowError(f"{self.topic}: {stamp:,} µs after 1970-01-01 is no moment between 1970 and 2199")
        inside = self._calendar.contains(batch.days)
        if not inside.all():
            day = int(batch.days[int(np.argmin(inside))])
            hint = f"; the calendar ends on {to_date(self._calendar.last)}" if day > self._calendar.last else ""
            raise RowError(f"{self.topic}: {_shown(day)} is no trading day{hint}")
        if self.row.key_field == "code" and self._exchange_only and (batch.keys % 4 == SHENWAN).any():
            stray = int(batch.keys[int(np.argmax(batch.keys % 4 == SHENWAN))])
            raise RowError(f"{self.topic}: {to_code(stray)} is an index of Shenwan, this topic is for securities")
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
                    f"{self.topic}: {to_code(stray)} arrived in partition {partition}, its key belongs to "
                    f"another: the producer must use Kafka's default partitioner on the code"
                )
        return batch


def _shown(day: int) -> str:
    """Return a day as a date, or as a number where a date cannot be so far away."""
    return str(to_date(day)) if to_day(date.min) <= day <= to_day(date.max) else f"day {day:,} after 1970-01-01"
