"""Reading what the stream has published, from the beginning of a topic to a known end; for commands and tests.

**The end** is a barrier of the stream, or the end that the topic had when its first fetch was answered.
It is the high watermark in that answer, not what the broker lists as the newest offset: for a partition whose last
batch has n messages, the embedded broker lists an offset that is n − 1 too low, while the high watermark of its fetch
answers is right. Apache Kafka answers the same to both. Silence is never the end: a busy machine or a slow broker
can be silent for seconds. Where a broker serves nothing before the end for `PATIENCE_S`, that is an error.

**The newest message of a key** is the one with the highest sequence, not always the last one in the topic: a worker
that was stopped between storing and publishing may publish an older message later. `NewestByKey` leaves it out.

Readers use kafka-python, assign their partitions themselves and commit nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from alerts.model import Alert
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from streams.clients import answered, kafka_reader
from streams.codecs import registry as codecs
from streams.errors import ReadError, TopicError
from streams.kafka import batches as kafka_batches
from streams.records import Record, barrier_of, is_barrier, key_text, sequence_of
from streams.settings import Settings
from streams.topics import Topic, Topics, missing

if TYPE_CHECKING:
    from streams.clients import Reader

log = structlog.get_logger()
#: How long a broker may serve nothing before a known end until a reader reports it.
PATIENCE_S = 15.0
_POLL_MS, _ASK_MS = 200, 3000
#: Whether a reader is interested in a key; without it, in all of them.
Wanted: TypeAlias = Callable[[str], bool]


class Ends:
    """The ends of partitions at the moment when reading began; each is known once its first fetch was answered.

    Parameters
    ----------
    listed : the newest offsets as the broker lists them; they may be too low, never too high.
    """

    def __init__(self, listed: Mapping[Any, int]) -> None:
        self._listed = dict(listed)
        self._known: dict[Any, int] = {}

    def learn(self, partition: Any, high_watermark: int | None) -> None:
        """Take the high watermark of a fetch answer (None before the first); the first one counts."""
        if high_watermark is not None and partition not in self._known:
            self._known[partition] = max(high_watermark, self._listed[partition])

    def get(self, partition: Any) -> int | None:
        """Return the offset behind the last message that counts; None while it is not known."""
        return self._known.get(partition)

    def reached(self, partition: Any, position: int) -> bool:
        """Whether a reader at ``position`` has read everything before the end."""
        end = self._known.get(partition)
        return end is not None and position >= end


class NewestByKey:
    """Decides which messages of a topic are newer than all before them with the same key."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, bytes], int] = {}

    def accepts(self, record: Record) -> bool:
        """Whether no message of this topic and key with a higher sequence was accepted before."""
        at, sequence = (record.topic, record.key or b""), sequence_of(record)
        if sequence < self._newest.get(at, 0):
            return False
        self._newest[at] = sequence
        return True


@contextmanager
def consumer(settings: Settings) -> Iterator[Reader]:
    """Yield a consumer without a group that is closed at the end; raises `TopicError` where no broker answers it."""
    with answered(settings, TopicError), closing(kafka_reader(settings)) as reader:
        yield reader


def read_to_end(
    reader: Reader,
    partitions: Iterable[TopicPartition],
    starts: Mapping[TopicPartition, int] | None = None,
    wanted: Wanted | None = None,
) -> Iterator[tuple[TopicPartition, list[ConsumerRecord]]]:
    """Yield all records of partitions, as they come, up to the ends that the partitions had at the beginning.

    A partition that the caller pauses meanwhile is not read further.

    Parameters
    ----------
    starts : where to begin; without it, at the first record.
    wanted : whether a key is of interest; most records with other keys are left out, and cost little.

    Raises
    ------
    TopicError : if the cluster lacks a topic or a partition.
    ReadError : if the broker serves nothing for `PATIENCE_S` before an end.
    """
    left = set(partitions)
    if not left:
        return
    _assign(reader, left)
    if starts is None:
        reader.seek_to_beginning()
    else:
        for tp, offset in starts.items():
            reader.seek(tp, offset)
    ends = Ends(reader.end_offsets(list(left)))
    progress, positions = time.monotonic(), dict[TopicPartition, int]()
    while left:
        with nullcontext() if wanted is None else kafka_batches.only(lambda key: wanted(key_text(key))):
            polled = reader.poll(timeout_ms=_POLL_MS)
        for tp in left:
            ends.learn(tp, reader.highwater(tp))
        for tp, records in polled.items():
            end = ends.get(tp)
            inside = [record for record in records if end is None or record.offset < end]
            if inside and tp in left:
                yield tp, inside
        left -= reader.paused()
        before, positions = positions, {tp: reader.position(tp) for tp in left}
        done = {tp for tp, position in positions.items() if ends.reached(tp, position)}
        if done:
            reader.pause(*done)
            left -= done
        if positions != before or done:
            progress = time.monotonic()  # after the caller has taken the records, however long that took
        elif time.monotonic() - progress > PATIENCE_S:
            raise ReadError(_silent(reader, min(left), ends))


def _assign(reader: Reader, partitions: Collection[TopicPartition]) -> None:
    """Assign partitions to a reader; raises `TopicError` if the cluster lacks one, which no reader creates."""
    existing = reader.topics()
    for tp in sorted(partitions):
        if tp.topic not in existing:
            raise TopicError(missing(tp.topic))
        if tp.partition not in (known := reader.partitions_for_topic(tp.topic) or ()):
            raise TopicError(f"{tp.topic} has no partition {tp.partition}: its partitions are 0 to {len(known) - 1}")
    reader.assign(list(partitions))


def _silent(reader: Reader, tp: TopicPartition, ends: Ends) -> str:
    end = ends.get(tp)
    return (
        f"the broker served nothing of {tp.topic}[{tp.partition}] from offset {reader.position(tp)} for "
        f"{PATIENCE_S:.0f} s, though its end is {'not known yet' if end is None else end}: check the broker and run "
        "the command again"
    )


def read(
    settings: Settings, topic: str, *, until: str | None = None, wanted: Wanted | None = None
) -> Iterator[ConsumerRecord]:
    """Yield the records of a topic's first partition, barriers left out, oldest first.

    Parameters
    ----------
    topic : its short name.
    until : the barrier to stop at, which may yet come: it is waited for without a limit. Without it, the end that the
        topic has now.
    wanted : whether a key is of interest; records with other keys are left out.

    Raises
    ------
    TopicError : if no broker answers, or the cluster lacks the topic.
    ReadError : if the broker serves nothing for `PATIENCE_S` before the end; not while a barrier is waited for.
    """
    if until is not None:
        for record in follow(settings, topic):
            if isinstance(record, str):
                if record == until:
                    return
            elif wanted is None or wanted(key_text(record.key)):
                yield record
        return
    with consumer(settings) as reader:
        for _, records in read_to_end(reader, [TopicPartition(Topics(settings).name(topic), 0)], wanted=wanted):
            for record in records:
                if not is_barrier(record) and (wanted is None or wanted(key_text(record.key))):
                    yield record


def follow(
    settings: Settings, topic: str, *, stop: Callable[[], bool] = lambda: False
) -> Iterator[ConsumerRecord | str]:
    """Yield the records of a topic's first partition, oldest first, and continue with new ones.

    A barrier is yielded as its id.

    Parameters
    ----------
    stop : asked after every poll; ends the reading when true.
    """
    with consumer(settings) as reader:
        partition = TopicPartition(Topics(settings).name(topic), 0)
        _assign(reader, [partition])
        reader.seek_to_beginning(partition)
        silence = _Silence(reader, partition)
        while not stop():
            records = reader.poll(timeout_ms=_POLL_MS).get(partition, [])
            silence.check(served=bool(records))
            for record in records:
                if is_barrier(record):
                    yield barrier_of(record).barrier
                else:
                    yield record


class _Silence:
    """Tells a topic without news from a broker that does not serve it, which a consumer waits for without a word."""

    def __init__(self, reader: Reader, partition: TopicPartition) -> None:
        self._reader, self._partition = reader, partition
        self._heard, self._away = time.monotonic(), False

    def check(self, *, served: bool) -> None:
        """Ask the broker after `PATIENCE_S` without a record; log once that it is away, and once that it is back."""
        if not served:
            if time.monotonic() - self._heard < PATIENCE_S:
                return
            try:
                self._reader.end_offsets([self._partition], timeout_ms=_ASK_MS)
            except KafkaError as error:
                if not self._away:
                    log.warning("Kafka does not serve a topic: waiting", topic=self._partition.topic, error=str(error))
                self._heard, self._away = time.monotonic(), True
                return
        if self._away:
            log.warning("Kafka serves the topic again", topic=self._partition.topic)
        self._heard, self._away = time.monotonic(), False


def record_at(settings: Settings, name: str, partition: int, offset: int) -> ConsumerRecord | None:
    """Return the record at an offset; None if the topic does not keep it any more, or never had it.

    Parameters
    ----------
    name : the topic's name on the cluster.
    """
    with consumer(settings) as reader:
        tp = TopicPartition(name, partition)
        for _, records in read_to_end(reader, [tp], {tp: offset}):
            return records[0] if records[0].offset == offset else None
    return None


def messages(
    settings: Settings, topic: str, *, until: str | None = None, wanted: Wanted | None = None
) -> Iterator[Any]:
    """Yield the content of every message of a topic that can be read; other parameters and errors as of `read`.

    Of messages with one key each is newer than the one before; an older one that was published late is left out.

    Parameters
    ----------
    wanted : whether a key is of interest; only messages with such a key are decoded.
    """
    newest = NewestByKey()
    for record in read(settings, topic, until=until, wanted=wanted):
        content = codecs.readable(topic, record) if newest.accepts(record) else None
        if content is not None:
            yield content


def market_signals(
    settings: Settings, *, until: str | None = None, wanted: Wanted | None = None
) -> Iterator[MarketSignal]:
    """Yield every market signal as it was published, provisional ones included; parameters as of `messages`."""
    return messages(settings, Topic.SIGNALS_MARKET, until=until, wanted=wanted)


def security_signals(
    settings: Settings, *, until: str | None = None, wanted: Wanted | None = None
) -> Iterator[SecuritySignals]:
    """Yield every day's frame of security signals as it was published; parameters as of `messages`."""
    return messages(settings, Topic.SIGNALS_SECURITY, until=until, wanted=wanted)


def industry_signals(
    settings: Settings, *, until: str | None = None, wanted: Wanted | None = None
) -> Iterator[IndustrySignals]:
    """Yield every day's frame of industry signals as it was published; parameters as of `messages`."""
    return messages(settings, Topic.SIGNALS_INDUSTRY, until=until, wanted=wanted)


def alerts(settings: Settings, *, until: str | None = None) -> Iterator[Alert]:
    """Yield every alert as it was published, one message per change of state; parameters as of `read`."""
    return messages(settings, Topic.ALERTS, until=until)


def follow_alerts(settings: Settings) -> Iterator[Alert]:
    """Yield every newer state of every alert, and continue with new ones."""
    newest = NewestByKey()
    for record in follow(settings, Topic.ALERTS):
        alert = alert_of(record) if not isinstance(record, str) and newest.accepts(record) else None
        if alert is not None:
            yield alert


def alert_of(record: ConsumerRecord) -> Alert | None:
    """Return the alert of a record of the alerts topic; None, with a line in the log, if it can't be read."""
    return codecs.readable(Topic.ALERTS, record)


def newest_alerts(settings: Settings, *, until: str | None = None) -> list[Alert]:
    """Return every alert in its last state, by date, rule and subject; parameters and errors as of `read`.

    Only the newest message of an alert is decoded: before compaction a topic contains many of each.
    """
    newest, last = NewestByKey(), dict[bytes | None, ConsumerRecord]()
    for record in read(settings, Topic.ALERTS, until=until):
        if newest.accepts(record):
            last[record.key] = record
    found = [alert for record in last.values() if (alert := alert_of(record)) is not None]
    return sorted(found, key=lambda a: (a.trade_date, a.rule, a.subject, a.revision))
