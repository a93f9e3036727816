"""Feature frames and partial sums as messages: what the securities stage hands to the market stage."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

import msgspec
import numpy as np

from processors.charts import WORDS
from processors.days import FIRST_MOMENT, LAST_MOMENT, TradingCalendar
from processors.errors import RowError
from processors.needs import CHARTS, DETAIL, PRICES, VALUATIONS
from processors.outputs import ChartFrame, FeatureFrame, Partial
from processors.parameters import Parameters
from processors.partition_join import dump_frame, load_frame
from processors.registry import frame_columns, state_digest
from streams.records import CE_TYPE, FEATURE_KIND, PARTIAL_TYPE, Message, ce_type
from streams.tables import Output

#: The types of a frame's columns.
_COLUMN_TYPES = ("<f8", "<i4")
#: Raise it when feature frames are computed or encoded in another way: state is rebuilt, and older frames are skipped.
_VERSION = 5


class FeatureCodec:
    """Encodes and decodes the messages between the stages.

    Parameters
    ----------
    parameters, calendar : they and the release determine the version of the features.
    code_changes : digest of the changes of codes; the keys of all state depend on them.
    partitions : frames and sums of other partitions are refused, as are those of days that are no sessions.
    """

    def __init__(
        self, parameters: Parameters, partitions: int, calendar: TradingCalendar, code_changes: str = ""
    ) -> None:
        self._partitions = partitions
        self._calendar = calendar
        self._columns = {topic: {*frame_columns(topic, parameters)} for topic in (DETAIL, PRICES, VALUATIONS, CHARTS)}
        self.version = f"v{_VERSION}.{state_digest(parameters)}{calendar.digest}{code_changes}"
        self._type = FEATURE_KIND + self.version.encode()

    def encode(self, feature: FeatureFrame | ChartFrame | Partial, topic: str) -> Output:
        """Return a frame, or the partial sums of the running session, as a message."""
        if not isinstance(feature, Partial):
            key = f"{feature.topic}/{feature.partition}/{feature.day}"
            return Output(topic, 0, key.encode(), dump_frame(feature), [(CE_TYPE, self._type)])
        key = f"{feature.partition}/live"
        return Output(topic, 0, key.encode(), msgspec.msgpack.encode(feature), [(CE_TYPE, PARTIAL_TYPE)])

    def decode_charts(self, message: Message) -> ChartFrame | None:
        """Return the charts of a partition, as `decode` does.

        Raises
        ------
        RowError, StateError, msgspec.DecodeError : if the message is of any other type, or contradicts itself.
        """
        if ce_type(message) == PARTIAL_TYPE:
            raise RowError("sums of a session are in the topic of charts; only marginwatch may write there")
        found = self._decode(message, {CHARTS: {*WORDS}})
        if not isinstance(found, FeatureFrame):
            return None
        return ChartFrame(found.topic, found.partition, found.day, found.header, found.keys, found.columns)

    def decode(self, message: Message) -> FeatureFrame | Partial | None:
        """Return what `encode` was given; None for a frame of another version, which is published again in this one.

        Raises
        ------
        RowError, StateError, msgspec.DecodeError : if the message is of any other type, or contradicts itself.
        """
        return self._decode(message, self._columns)

    def _decode(self, message: Message, columns: Mapping[str, set[str]]) -> FeatureFrame | Partial | None:
        kind, value = ce_type(message), message.value or b""
        if kind == PARTIAL_TYPE:
            return self._checked_partial(msgspec.msgpack.decode(value, type=Partial))
        if kind == self._type:
            return self._checked(load_frame(value), columns)
        if kind.startswith(FEATURE_KIND):
            return None
        raise RowError(f"unknown ce_type {kind!r} in the topic of features; only marginwatch may write there")

    def _checked_partial(self, partial: Partial) -> Partial:
        sums = (partial.fin_buy, partial.fin_repay, partial.covered_balance, partial.balance, partial.turnover)
        if not all(map(isfinite, sums)) or not 0 <= partial.prices < 2**31:
            raise RowError("a sum of the session is no finite number")
        for moment in (partial.ts, partial.bought_at, partial.priced_at):
            self._check_place(partial.partition, partial.day, moment)
        return partial

    def _checked(self, frame: FeatureFrame, wanted: Mapping[str, set[str]]) -> FeatureFrame:
        if wanted.get(frame.topic) != {*frame.columns}:
            raise RowError(f"a frame of {frame.topic!r} has the columns {', '.join(sorted(frame.columns))[:200]}")
        self._check_place(frame.partition, frame.day, frame.header.available_at)
        keys, columns = frame.keys, frame.columns.values()
        if any(values.dtype.str not in _COLUMN_TYPES or len(values) != len(keys) for values in columns):
            raise RowError("the columns of a frame differ in length, or are no numbers")
        if keys.dtype.str != "<i4" or (np.diff(keys) <= 0).any() or (len(keys) and keys[0] < 0):
            raise RowError("the securities of a frame do not ascend")
        return frame

    def _check_place(self, partition: int, day: int, moment: int) -> None:
        if not 0 <= partition < self._partitions:
            raise RowError(f"partition {partition} of {self._partitions}")
        if not FIRST_MOMENT <= moment <= LAST_MOMENT or (day and day not in self._calendar):
            raise RowError(f"day {day} is no trading day, or {moment} µs no moment between 1970 and 2199")
