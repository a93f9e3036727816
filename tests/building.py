"""Builders of small inputs: rows, punctuation, trading days; and of frames of signals."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from processors.arrays import Array, Ids
from processors.codes import EXCHANGES, to_id
from processors.days import TradingCalendar, to_date, to_day
from processors.events import INPUT_ROWS, KEYS, EndOfDay, RowBatch
from processors.index_members import columns_of
from processors.industries import INDUSTRIES
from processors.outputs import FINANCING, DayStatus, IndustrySignals, SecuritySignals
from processors.registry import INDUSTRY_SIGNALS
from streams.calendars import xshg
from streams.codecs import signal_codec

#: Trading days of the first weeks of 2020.
DAYS = [date(2020, 1, d) for d in (2, 3, 6, 7, 8, 9, 10, 13, 14, 15, 16, 17, 20, 21, 22, 23)]


def batch(topic: str, day: date, figures: dict[str, dict[str, float]], revision: int = 0) -> RowBatch:
    """Return rows by code or label: ``{"600000.SH": {"fin_balance": 1e9}}``; other required figures are 0, prices 1."""
    size = len(figures)
    hours = 2 if topic.endswith(".intraday") else 24  # UTC: in the session, or the next morning
    labels = KEYS.get(INPUT_ROWS[topic].key_field)
    keys = [to_id(k) if labels is None else labels.index(k) for k in figures]
    columns = {}
    for column in columns_of(topic, {name for row in figures.values() for name in row}):
        default = 0.0 if column.labels or not column.optional else np.nan
        default = 1.0 if column.sign == "positive" and not column.optional else default
        columns[column.name] = np.array([row.get(column.name, default) for row in figures.values()], dtype=np.float64)
    return RowBatch(
        topic,
        np.array(keys, dtype=np.int32),
        np.full(size, to_day(day), dtype=np.int32),
        np.full(size, revision, dtype=np.int32),
        np.full(size, to_day(day) * 86_400_000_000 + hours * 3_600_000_000, dtype=np.int64),
        columns,
    )


def balances(day: date, values: dict[str, float], revision: int = 0) -> RowBatch:
    """Return rows of margin.daily with the given balances, CNY."""
    return batch("margin.daily", day, {code: {"fin_balance": v} for code, v in values.items()}, revision)


def end_of_day(rows: RowBatch, day: date | None = None, **expected: int) -> EndOfDay:
    """Return the punctuation that closes a day with exactly the given rows; ``expected`` overrides counts."""
    named = rows.keys if rows.topic == "margin.market" else rows.keys % 4
    counts = {EXCHANGES[e]: int((named == e).sum()) for e in range(2)}
    when = day if day is not None else date.fromordinal(int(rows.days[0]) + date(1970, 1, 1).toordinal())
    return EndOfDay(feed=rows.topic, trade_date=when, expected=counts | expected, source="test")


def with_half_days(*days: date) -> TradingCalendar:
    """The exchange's sessions, some of which end at 11:30."""
    return TradingCalendar(map(to_date, xshg().days_from(0, len(xshg()))), half_days=days)


def security_signals(
    status: DayStatus, keys: Ids, columns: Mapping[str, Array], family: str = FINANCING
) -> SecuritySignals:
    """Return a frame as it is read from the topic: with every column of its family, absent where it is not given."""
    absent = {name: np.full(len(keys), np.nan) for name in sorted(signal_codec.columns_of(family))}
    return SecuritySignals(status, keys, absent | dict(columns), family)


def industry_signals(status: DayStatus, columns: Mapping[str, Array]) -> IndustrySignals:
    """Return a frame of industries as it is read from the topic, with every column, absent where it is not given."""
    absent = {name: np.full(len(INDUSTRIES), np.nan) for name in INDUSTRY_SIGNALS}
    return IndustrySignals(status, absent | dict(columns), {})
