"""Feature frames and partial sums as messages: what the securities stage hands to the market stage."""

from __future__ import annotations

import msgspec

from processors.errors import StateError
from processors.outputs import FeatureFrame, Partial
from processors.parameters import Parameters
from processors.partition_join import dump_frame, load_frame
from processors.registry import state_digest
from streams.records import CE_TYPE, FEATURE_KIND, PARTIAL_TYPE, Message, ce_type
from streams.tables import Output

#: Raise it when feature frames are computed or encoded in another way: state is rebuilt, and older frames are skipped.
_VERSION = 3


class FeatureCodec:
    """Encodes and decodes the messages between the stages.

    Parameters
    ----------
    parameters : they and the release determine the version of the features.
    """

    def __init__(self, parameters: Parameters) -> None:
        self.version = f"v{_VERSION}.{state_digest(parameters)}"
        self._type = FEATURE_KIND + self.version.encode()

    def encode(self, feature: FeatureFrame | Partial, topic: str) -> Output:
        """Return a frame, or the partial sums of the running session, as a message."""
        if isinstance(feature, FeatureFrame):
            key = f"{feature.topic}/{feature.partition}/{feature.day}"
            return Output(topic, 0, key.encode(), dump_frame(feature), [(CE_TYPE, self._type)])
        key = f"{feature.partition}/live"
        return Output(topic, 0, key.encode(), msgspec.msgpack.encode(feature), [(CE_TYPE, PARTIAL_TYPE)])

    def decode(self, message: Message) -> FeatureFrame | Partial | None:
        """Return what `encode` was given; None for a frame of another version, which is published again in this one.

        Raises
        ------
        StateError : for any other type of message.
        """
        kind, value = ce_type(message), message.value or b""
        if kind == PARTIAL_TYPE:
            return msgspec.msgpack.decode(value, type=Partial)
        if kind == self._type:
            return load_frame(value)
        if kind.startswith(FEATURE_KIND):
            return None
        raise StateError(f"unknown ce_type {kind!r} in the topic of features; only marginwatch may write there")
