"""Publishing rows: partitions, frames or events, session_close markers, barriers; with kafka-python.

Rows of a day go out first, then the end-of-day punctuation into every partition behind them, so that each partition
knows by itself that its day is complete.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

import msgspec
import numpy as np
from kafka.errors import KafkaError

from alerts import commands
from alerts.commands import FeedRun
from feeds.checks.findings import Severity
from feeds.feed_report import FeedReport
from processors.completeness import by_exchange
from processors.days import shanghai_date, to_date
from processors.events import INPUT_ROWS, Barrier, DailyRow, EndOfDay, Exchange, RowBatch
from streams import code_changes
from streams.clients import abandon, kafka_producer
from streams.codecs.row_frames import encode_frame
from streams.codecs.row_json import encode_array, encode_events
from streams.errors import PublishError, TopicError
from streams.form import Form
from streams.kafka.refusals import why_refused
from streams.records import ARROW, BARRIER_TYPE, CE_TYPE, CLOSE_TYPE, CONTENT_TYPE, Headers
from streams.settings import Settings
from streams.topics import BY_CODE, MARKET_INPUTS, SECURITIES_INPUTS, Partitioner, Topic, Topics, dead_letters

_CLOSE_S = 5.0
_ARRAY_ROWS = 1_000  # about 250 kB of JSON
_LONGEST_REASON = 1000  # a command has a largest size


class Publisher:
    """Publishes rows of input topics; a context manager that flushes at its end.

    Parameters
    ----------
    timeout_s : how long the broker may take to acknowledge.

    Raises
    ------
    PublishError : if no broker answers, it lacks a topic, or it refuses a message; nothing is dropped silently.
    """

    def __init__(self, settings: Settings, *, source: str, form: Form = Form.FRAMES, timeout_s: float = 60.0) -> None:
        self.settings = settings
        self.source = source
        self.form = form
        self._timeout_s = timeout_s
        self.topics = Topics(settings)
        self.rows = 0
        self.messages = 0
        self._partitioner = Partitioner(settings.partitions, code_changes.load(settings.code_changes_file))
        self._failures: list[tuple[str, BaseException]] = []  # with the topic on the cluster
        self._existing: dict[str, int] = {}
        self._required: set[str] = set()
        self._producer = kafka_producer(settings)

    def __enter__(self) -> Publisher:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def rows_of(self, batch: RowBatch, note: str = "") -> None:
        """Publish rows, each to the partition of its key; a note is added to the name of their source."""
        if not len(batch):
            return
        self.rows += len(batch)
        source = f"{self.source} {note}".rstrip()
        if self.form is Form.EVENTS:
            for key, value in encode_events(batch, source):
                self.raw(batch.topic, value, key=key.encode(), partition=self._partition(batch.topic, key))
            return
        for partition, part in self.split(batch):
            if self.form is Form.ARRAYS:
                for start in range(0, len(part), _ARRAY_ROWS):
                    rows = part.take(slice(start, start + _ARRAY_ROWS))
                    self.raw(batch.topic, encode_array(rows, source), partition=partition)
                continue
            frame = encode_frame(part, source)
            self.raw(batch.topic, frame, partition=partition, headers=[(CONTENT_TYPE, ARROW)])

    def split(self, batch: RowBatch) -> list[tuple[int, RowBatch]]:
        """Cut a batch into its partitions."""
        if batch.topic not in BY_CODE:
            return [(0, batch)]
        places = self._partitioner.of(batch.keys)
        return [(int(p), batch.take(places == p)) for p in np.unique(places)]

    def close_day(self, batch: RowBatch) -> None:
        """Publish the end-of-day punctuation of a day whose rows are ``batch``, into every partition of its topic."""
        parts = dict(self.split(batch))
        whole = dict.fromkeys(by_exchange(batch), 0)
        for partition in range(self.topics.partitions(batch.topic)):
            part = parts.get(partition)
            # Every exchange of the whole day, so that a partition without any of it knows so.
            expected = whole | (by_exchange(part) if part is not None else {})
            self._punctuate(batch.topic, int(batch.days[0]), partition, expected)

    def lapse(self, topic: str, day: int) -> None:
        """Publish the punctuation of a day whose deadline has passed without a row, into every partition."""
        for partition in range(self.topics.partitions(topic)):
            self._punctuate(topic, day, partition, {}, deadline=True)

    def _punctuate(
        self, topic: str, day: int, partition: int, expected: dict[Exchange, int], *, deadline: bool = False
    ) -> None:
        end = EndOfDay(feed=topic, trade_date=to_date(day), source=self.source, expected=expected, deadline=deadline)
        self.raw(topic, msgspec.json.encode(end), partition=partition, headers=[(CE_TYPE, CLOSE_TYPE)])

    def day(self, batches: dict[str, RowBatch], counted: dict[str, RowBatch] | None = None) -> None:
        """Publish all rows of a day, then the markers of its daily feeds.

        Parameters
        ----------
        counted : by topic, the rows that the markers count, where some of them were published before.
        """
        for batch in batches.values():
            self.rows_of(batch)
        for topic, batch in (batches if counted is None else counted).items():
            if issubclass(INPUT_ROWS[topic], DailyRow) and len(batch):
                self.close_day(batch)

    def barrier(self, at: datetime | None = None) -> str:
        """Publish a barrier behind everything so far; return its id.

        Parameters
        ----------
        at : the moment of a replay up to which all rows are published; it sets the market's clock.
        """
        identity = f"{time.time_ns():020d}"
        value = msgspec.json.encode(Barrier(barrier=identity, at=at))
        for topic in dict.fromkeys((*SECURITIES_INPUTS, *(t for t in MARKET_INPUTS if t in INPUT_ROWS))):
            for partition in range(self.topics.partitions(topic)):
                self.raw(topic, value, partition=partition, headers=[(CE_TYPE, BARRIER_TYPE)])
        self.flush()
        return identity

    def report(self, report: FeedReport) -> None:
        """Publish the report of a feed run: its sums, and the first thing that was refused."""
        wrong = [one for one in report.findings if one.severity is not Severity.WARNING]
        rows: dict[str, dict[str, dict[str, int]]] = {}
        for topic, exchange, _, counts in report.totals():
            rows.setdefault(topic, {})[exchange] = msgspec.structs.asdict(counts)
        at = datetime.now(UTC)
        days = report.trade_dates
        run = FeedRun(
            source=report.source,
            trade_date=days[-1] if days else shanghai_date(at),
            at=at,
            rows=rows,
            refused=report.refused,
            errors=report.errors,
            reason=wrong[0].text[:_LONGEST_REASON] if wrong else "",
        )
        self.raw(Topic.ALERT_COMMANDS, commands.encode(run))

    def dead_letter(self, topic: str, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        """Publish a refused message to the dead letters of an input topic."""
        self.raw(dead_letters(topic), value, headers=headers)

    def raw(
        self, topic: str, value: bytes, *, key: bytes | None = None, partition: int = 0, headers: Headers = ()
    ) -> None:
        """Publish bytes as they are."""
        self._check()
        self.messages += 1
        name = self.topics.name(topic)
        self._require(name)
        try:
            sent = self._producer.send(name, value=value, key=key, partition=partition, headers=list(headers))
            sent.add_errback(lambda error: self._failures.append((name, error)))
        except KafkaError as error:
            raise PublishError(f"{name}[{partition}]: {error}") from error

    def close(self) -> None:
        """Flush and close; the producer is closed, too, where the broker does not acknowledge everything."""
        try:
            self.flush()
            self._producer.close(timeout=_CLOSE_S)
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Close; what the broker has not acknowledged may be lost."""
        abandon(self._producer, _CLOSE_S)

    def flush(self) -> None:
        """Wait until the broker has acknowledged everything."""
        try:
            self._producer.flush(timeout=self._timeout_s)
        except KafkaError as error:
            raise PublishError(f"the broker did not acknowledge within {self._timeout_s:.0f} s: {error}") from error
        self._check()

    def _partition(self, topic: str, key: str) -> int:
        return 0 if topic not in BY_CODE else self._partitioner.of_code(key)

    def _require(self, name: str) -> None:
        """Raise `PublishError` if the cluster lacks a topic, which no feed creates, or it has other partitions."""
        if name in self._required:
            return
        if name not in self._existing:
            self._existing = self.topics.on_cluster()
        try:
            self.topics.require_in(self._existing, name)
        except TopicError as error:
            raise PublishError(str(error)) from error
        self._required.add(name)

    def _check(self) -> None:
        if self._failures:
            name, error = self._failures[0]
            raise PublishError(
                f"the broker refused a message of {name}, {why_refused(error) or repr(error)}"
            ) from error
