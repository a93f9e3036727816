"""Reading what the stream has published: tools and tests, by assigned partitions, with kafka-python.

An end is never guessed from end offsets (the embedded broker answers them too low): a reader stops at a barrier that
came through the stream, or when it is told to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
from kafka import TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from alerts.model import Alert
from processors.events import Barrier
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from streams.clients import kafka_reader
from streams.codec import is_barrier
from streams.settings import Settings
from streams.signal_codec import decode_industry, decode_security
from streams.topics import ALERTS, SIGNALS_INDUSTRY, SIGNALS_MARKET, SIGNALS_SECURITY, Topics

if TYPE_CHECKING:
    from streams.clients import Reader


@contextmanager
def consumer(settings: Settings) -> Iterator[Reader]:
    """A consumer without a group, closed at the end; raises `TopicError` if no broker answers."""
    reader = kafka_reader(settings)
    try:
        yield reader
    finally:
        reader.close()


def records_with_barriers(
    settings: Settings,
    short: str,
    *,
    from_end: bool = False,
    stop: Callable[[], bool] = lambda: False,
    poll_ms: int = 200,
) -> Iterator[ConsumerRecord | str]:
    """Yield the records of a topic's first partition, oldest first; a barrier is yielded as its id.

    Parameters
    ----------
    from_end : begin with what comes from now on.
    stop : asked whenever nothing has come for ``poll_ms``.
    """
    with consumer(settings) as reader:
        partition = TopicPartition(Topics(settings).name(short), 0)
        reader.assign([partition])
        if from_end:
            reader.seek_to_end(partition)
        else:
            reader.seek_to_beginning(partition)
        while True:
            found = reader.poll(timeout_ms=poll_ms)
            for record in found.get(partition, []):
                if is_barrier(record):
                    yield msgspec.json.decode(record.value, type=Barrier).barrier
                else:
                    yield record
            if not found and stop():
                return


def read(
    settings: Settings,
    short: str,
    *,
    until: str | None = None,
    from_end: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[ConsumerRecord]:
    """Yield the records of a topic's first partition up to the barrier ``until`` (or until ``stop`` says so)."""
    for record in records_with_barriers(settings, short, from_end=from_end, stop=stop):
        if not isinstance(record, str):
            yield record
        elif record == until:
            return


def market_signals(
    settings: Settings, *, until: str | None = None, stop: Callable[[], bool] = lambda: False
) -> Iterator[MarketSignal]:
    """Yield every market signal as it was published, provisional ones included."""
    for record in read(settings, SIGNALS_MARKET, until=until, stop=stop):
        yield msgspec.json.decode(record.value, type=MarketSignal)


def security_signals(
    settings: Settings, *, until: str | None = None, stop: Callable[[], bool] = lambda: False
) -> Iterator[SecuritySignals]:
    """Yield every day's frame of security signals as it was published."""
    for record in read(settings, SIGNALS_SECURITY, until=until, stop=stop):
        yield decode_security(record.value)


def industry_signals(
    settings: Settings, *, until: str | None = None, stop: Callable[[], bool] = lambda: False
) -> Iterator[IndustrySignals]:
    """Yield every day's frame of industry signals as it was published."""
    for record in read(settings, SIGNALS_INDUSTRY, until=until, stop=stop):
        yield decode_industry(record.value)


def alerts(
    settings: Settings, *, until: str | None = None, from_end: bool = False, stop: Callable[[], bool] = lambda: False
) -> Iterator[Alert]:
    """Yield every alert as it was published: one message per change of state."""
    for record in read(settings, ALERTS, until=until, from_end=from_end, stop=stop):
        yield alert_of(record)


def alert_of(record: ConsumerRecord) -> Alert:
    """Decode a record of the alerts topic."""
    return msgspec.json.decode(record.value, type=Alert)


def final_alerts(published: Iterable[Alert]) -> list[Alert]:
    """Return every alert in its last state, by date, rule and subject."""
    newest: dict[str, Alert] = {}
    for alert in published:
        if alert.replaces(newest.get(alert.id)):
            newest[alert.id] = alert
    return sorted(newest.values(), key=lambda a: (a.trade_date, a.rule, a.subject, a.revision))
