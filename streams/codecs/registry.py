"""The registry of codecs: how the messages of every topic are encoded and decoded, found by the topic.

`CODECS` has every topic that anybody may read without further knowledge. Input topics need the calendar and the
exchanges of the settings, features their parameters: `Codecs` has these too. Barriers travel through all topics: sort
them out first (`streams.records.is_barrier`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import structlog

from alerts.commands import decode as decode_command
from processors.code_changes import NO_CHANGES
from processors.days import TradingCalendar
from processors.errors import RowError
from streams import code_changes
from streams.codecs import alert_codec, signal_codec
from streams.codecs.feature_codec import FeatureCodec
from streams.codecs.row_codec import Decoder
from streams.codecs.total import total
from streams.records import Message, Record
from streams.settings import Settings
from streams.tables import Output
from streams.topics import BY_CODE, Partitioner, Topic

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Codec:
    """How messages of one topic are read and written.

    Parameters
    ----------
    decode : content of a message; raises `RowError` if it is not of the topic, whatever its bytes are.
    encode : message of a content and the topic's name on the cluster; None where only others write.
    """

    decode: Callable[[Message], Any]
    encode: Callable[[Any, str], Output] | None = None


def _of(decode: Callable[[bytes], Any], encode: Callable[[Any, str], Output] | None = None) -> Codec:
    return Codec(total(lambda message: decode(message.value or b"")), encode)


CODECS: dict[str, Codec] = {
    Topic.SIGNALS_MARKET: _of(signal_codec.decode_market, signal_codec.encode_market),
    Topic.SIGNALS_SECURITY: _of(signal_codec.decode_security, signal_codec.encode_security),
    Topic.SIGNALS_INDUSTRY: _of(signal_codec.decode_industry, signal_codec.encode_industry),
    Topic.ALERTS: _of(alert_codec.decode_alert, alert_codec.encode_alert),
    Topic.ALERTS_LOG: _of(alert_codec.decode_event, alert_codec.encode_event),
    Topic.ALERT_COMMANDS: _of(decode_command),
}


def decode(topic: str, message: Message) -> Any:
    """Return the content of a message of one of the `CODECS`; errors as of `Codec`."""
    return CODECS[topic].decode(message)


def readable(topic: str, record: Record) -> Any | None:
    """Return the content of a record of one of the `CODECS`; None if it has none of the topic, with a line in the log.

    For those who follow a topic: one damaged message must not hide all others.
    """
    try:
        return decode(topic, record)
    except RowError as error:
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        log.warning("a message can't be read", place=place, error=str(error))
        return None


class Codecs:
    """The codecs of all topics under some settings; errors as of `Codec`.

    Parameters
    ----------
    calendar : rows of other days are refused.
    """

    def __init__(self, settings: Settings, calendar: TradingCalendar) -> None:
        self._changes = code_changes.load(settings.code_changes_file)
        features = FeatureCodec(settings.parameters, settings.partitions, calendar, self._changes.digest)
        #: Of the feature frames: how they are computed, and the columns that the registered signals need.
        self.features_version = features.version
        self._settings = settings
        self._calendar = calendar
        self._codecs = CODECS | {
            Topic.FEATURES: Codec(total(features.decode), features.encode),
            Topic.CHARTS: Codec(total(features.decode_charts), features.encode),
        }

    def decode(self, topic: str, message: Message) -> Any:
        """Return the content of a message of a topic that is no input."""
        return self._codecs[topic].decode(message)

    def encode(self, topic: str, content: Any, name: str) -> Output:
        """Return a content as a message of a topic that the stages write, by the topic's name on the cluster."""
        encoder = self._codecs[topic].encode
        if encoder is None:
            raise ValueError(f"the stages write no messages of {topic}")
        return encoder(content, name)

    def row_decoders(self, topics: Iterable[str], *, as_published: bool = False) -> dict[str, Decoder]:
        """Return a decoder for each of some input topics; those keyed by security share a partitioner.

        Parameters
        ----------
        as_published : keep earlier codes of securities, which the stream replaces by the newest ones.
        """
        settings = self._settings
        partitioner = Partitioner(settings.partitions, self._changes)
        return {
            topic: Decoder(
                topic,
                self._calendar,
                settings.exchanges,
                partitioner if topic in BY_CODE else None,
                settings.max_message_bytes,
                NO_CHANGES if as_published else self._changes,
            )
            for topic in topics
        }
