"""From the bytes of an input topic to columns: JSON events, Arrow frames, markers, barriers.

One message contains one JSON event, or an array of events (`streams.codecs.row_json`), or a frame of many rows
(`streams.codecs.row_frames`; header ``content-type: application/vnd.apache.arrow.stream``). All give the same
`RowBatch`. Whatever doesn't decode or validate becomes a `DeadLetter` with the reason: a message, or a row of an array
or frame. What is around it counts. An optional figure that is impossible is absent, and reported by
`Decoder.take_absent`.

A row, or an end of day, of a day after the one on which its message was written is refused: it would make a day to come
the newest one, behind which no running session counts. The moment of writing is Kafka's timestamp, not a clock, so that
a replay of the topic refuses the same rows. Only `reference` has rows that are known before their day.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date

import numpy as np

from processors.arrays import Mask
from processors.code_changes import NO_CHANGES, CodeChanges
from processors.codes import EXCHANGES, SHENWAN, to_code
from processors.days import FIRST_MOMENT, LAST_MOMENT, TradingCalendar, shanghai_day, to_date, to_day
from processors.errors import RowError
from processors.events import INPUT_ROWS, Barrier, EndOfDay, RowBatch, concat
from processors.needs import REFERENCE
from streams.codecs.row_frames import decode_frame
from streams.codecs.row_json import EventDecoder, events_of, key_of
from streams.codecs.total import total
from streams.records import (
    ARROW,
    BARRIER_TYPE,
    CE_TYPE,
    CLOSE_TYPE,
    CONTENT_TYPE,
    DeadLetter,
    PlainRecord,
    Record,
    barrier_of,
    punctuation_of,
)
from streams.topics import Partitioner, Topic

Item = RowBatch | EndOfDay | Barrier


class Decoder:
    """Decodes one input topic.

    Parameters
    ----------
    topic : the short name, e.g. ``margin.daily``.
    partitioner : for topics keyed by security: rows of another partition are refused, for they would be counted
        twice or never; None where any key may come.
    max_bytes : a larger message is refused before anything tries to decode it.
    changes : rows under an earlier code count for the newest code of the security.
    """

    def __init__(
        self,
        topic: str,
        calendar: TradingCalendar,
        exchanges: tuple[str, ...],
        partitioner: Partitioner | None,
        max_bytes: int,
        changes: CodeChanges = NO_CHANGES,
    ) -> None:
        self.topic = topic
        self._max_bytes = max_bytes
        self.row = INPUT_ROWS[topic]
        self._calendar = calendar
        self._exchanges = exchanges
        self._partitioner = partitioner
        self._events = EventDecoder(topic)
        self._changes = changes if self.row.key_field == "code" else NO_CHANGES
        self._absent: list[str] = []
        self._exchange_only = topic not in (Topic.INDICES_DAILY, Topic.INDICES_INTRADAY)

    def decode(self, records: Sequence[Record]) -> tuple[list[Item], list[DeadLetter]]:
        """Decode the messages of one partition, keeping their order; neighbouring JSON events become one batch."""
        items: list[Item] = []
        dead: list[DeadLetter] = []
        events: list[Record] = []
        for record in records:
            if not record.headers:
                events.append(record)
                continue
            headers = dict(record.headers)
            kind, frame = headers.get(CE_TYPE), headers.get(CONTENT_TYPE) == ARROW
            if not frame and kind not in (CLOSE_TYPE, BARRIER_TYPE):
                events.append(record)
                continue
            self._flush(events, items, dead)
            try:
                if frame:
                    batch, letters = self._frame(record)
                    items.append(batch)
                    dead += letters
                else:
                    items.append(self._marker(record) if kind == CLOSE_TYPE else barrier_of(record))
            except RowError as error:
                dead.append(DeadLetter(record, str(error)))
        self._flush(events, items, dead)
        return items, dead

    @total
    def _frame(self, record: Record) -> tuple[RowBatch, list[DeadLetter]]:
        """Return the right rows of a frame, and a letter for each of the others.

        Raises
        ------
        RowError : if no row is right; the frame is one letter then.
        """
        frame = decode_frame(self.topic, self._payload(record), self._max_bytes)
        flaws = self._flaws(frame.batch, record.partition, record.timestamp)
        refused = frame.refused | {int(frame.places[at]): why for at, why in flaws.items()}
        if refused and len(refused) == frame.table.rows:
            raise RowError(refused[min(refused)])
        self._absent += [cell for row, cell in frame.absent if row not in refused]
        batch = frame.batch
        if flaws:
            batch = batch.take(np.setdiff1d(np.arange(len(batch)), list(flaws)))
        headers = [(name, value) for name, value in record.headers or () if name != CONTENT_TYPE]
        place = (record.topic, record.partition, record.offset, record.timestamp)
        return self._changes.renamed(batch), [
            DeadLetter(PlainRecord(*place, frame.key(row), frame.event(row), headers), why, row=row)
            for row, why in sorted(refused.items())
        ]

    def take_absent(self) -> list[str]:
        """Return the cells of optional figures that were impossible, and are absent, since the last call.

        A refused row has none: its dead letter has all of its figures.
        """
        found, self._absent = self._absent, []
        return found

    @total
    def _marker(self, record: Record) -> EndOfDay:
        punctuation = punctuation_of(self._payload(record), EndOfDay)
        if punctuation.feed != self.topic or to_day(punctuation.trade_date) not in self._calendar:
            raise RowError(
                f"session_close of feed {punctuation.feed[:64]!r}, {punctuation.trade_date}: expected {self.topic} and "
                "a trading day"
            )
        if self._is_to_come(day := to_day(punctuation.trade_date), record.timestamp):
            raise RowError(f"session_close of {self.topic}: {_to_come(day, record.timestamp)}")
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
                    rows, letters = self._rows_of_array(record)
                    good += rows
                    dead += letters if rows else [DeadLetter(record, str(error))]
            if good:
                items.append(concat(good))
        events.clear()

    @total
    def _rows(self, events: list[Record]) -> RowBatch:
        values = [record.value for record in events]
        if not all(values) or max(map(len, values)) > self._max_bytes:  # type: ignore[arg-type]
            values = [self._payload(record) for record in events]
        batch, absent = self._events.decode(values)  # type: ignore[arg-type]
        earliest = min(record.timestamp for record in events)  # if it refuses a row, each event is read by itself
        for flaw in self._flaws(batch, events[0].partition, earliest).values():
            raise RowError(flaw)
        self._absent += absent
        return self._changes.renamed(batch)

    def _rows_of_array(self, record: Record) -> tuple[list[RowBatch], list[DeadLetter]]:
        """Return the right events of a JSON array, and a letter for each of the others; nothing of another message."""
        value = record.value or b""
        rows, letters = list[RowBatch](), list[DeadLetter]()
        for row, event in enumerate(events_of(value) if len(value) <= self._max_bytes else []):
            place = (record.topic, record.partition, record.offset, record.timestamp)
            alone = PlainRecord(*place, key_of(self.topic, event).encode(), event, record.headers or [])
            try:
                rows.append(self._rows([alone]))
            except RowError as error:
                letters.append(DeadLetter(alone, str(error), row=row))
        return rows, letters

    def _payload(self, record: Record) -> bytes:
        if not record.value:
            raise RowError("the message is empty")
        if len(record.value) > self._max_bytes:
            raise RowError(
                f"the message has {len(record.value):,} bytes, at most {self._max_bytes:,} are accepted: split it"
            )
        return record.value

    def frame(self, value: bytes) -> RowBatch:
        """Return the rows of a frame; raises `RowError` naming what is missing or wrong, be it one row."""
        frame = decode_frame(self.topic, value, self._max_bytes)
        for reason in (*frame.refused.values(), *self._flaws(frame.batch).values()):
            raise RowError(reason)
        return frame.batch

    def _is_to_come(self, day: int, written_ms: int) -> bool:
        """Whether a day lies after the one on which a message of this topic was written."""
        return self.topic != REFERENCE and written_ms > 0 and shanghai_day(written_ms * 1000) < day

    def _flaws(self, batch: RowBatch, partition: int | None = None, written_ms: int = 0) -> dict[int, str]:
        """Return the rows that do not belong here, with the reason: their day, key or partition is wrong.

        Parameters
        ----------
        written_ms : when the message was written, ms since the epoch; 0 or less where it does not say.
        """
        keys, out = batch.keys, dict[int, str]()

        def flaw(bad: Mask, reason: Callable[[int], str]) -> None:
            for row in bad.nonzero()[0].tolist():
                out.setdefault(row, f"{self.topic}: {reason(row)}")

        strange = (batch.stamps < FIRST_MOMENT) | (batch.stamps > LAST_MOMENT)
        flaw(strange, lambda at: f"{batch.stamps[at]:,} µs after 1970-01-01 is no moment between 1970 and 2199")
        flaw(~self._calendar.contains(batch.days), lambda at: self._no_trading_day(int(batch.days[at])))
        if len(batch) and self._is_to_come(int(batch.days.max()), written_ms):
            last = shanghai_day(written_ms * 1000)
            flaw(batch.days > last, lambda at: _to_come(int(batch.days[at]), written_ms))
        if self.row.key_field == "code" and self._exchange_only:
            shenwan = keys % 4 == SHENWAN
            flaw(shenwan, lambda at: f"{to_code(int(keys[at]))} is an index of Shenwan, this topic is for securities")
        if self.row.key_field == "exchange":
            known = [EXCHANGES.index(name) for name in self._exchanges]
            configured = ", ".join(self._exchanges)
            flaw(
                ~np.isin(keys, known),
                lambda at: f"exchange {EXCHANGES[keys[at]]} is not configured; configured are {configured}",
            )
        if self._partitioner is not None and partition is not None and len(batch):
            flaw(
                self._partitioner.of(keys) != partition,
                lambda at: (
                    f"{to_code(int(keys[at]))} arrived in partition {partition}, its key belongs to another: the "
                    "producer must use Kafka's default partitioner on the code"
                ),
            )
        return out

    def _no_trading_day(self, day: int) -> str:
        hint = f"; the calendar ends on {to_date(self._calendar.last)}" if day > self._calendar.last else ""
        return f"{_shown(day)} is no trading day{hint}"


def _to_come(day: int, written_ms: int) -> str:
    written = to_date(shanghai_day(written_ms * 1000))
    return f"{to_date(day)} is a day to come, the message was written on {written} (Shanghai): correct the date"


def _shown(day: int) -> str:
    """Return a day as a date, or as a number where a date cannot be so far away."""
    return str(to_date(day)) if to_day(date.min) <= day <= to_day(date.max) else f"day {day:,} after 1970-01-01"
