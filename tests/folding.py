"""Histories folded by the stages of the stream, and what comes out as tables of day × subject."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import numpy as np
import pandas as pd

from processors.chart_scores import scored
from processors.codes import to_codes
from processors.days import TradingCalendar, to_date, to_day
from processors.events import FIGURES, INPUT_ROWS, KEYS, RowBatch, concat
from processors.history import end_of_day
from processors.industries import INDUSTRIES
from processors.market import INPUTS, Market
from processors.outputs import ChartFrame, IndustrySignals, MarketSignal, SecuritySignals, StageOutput
from processors.parameters import Parameters
from processors.securities import INPUTS as SECURITIES_INPUTS
from processors.securities import Securities
from processors.signal import Level, Signal
from streams.calendars import xshg
from tests import oracle
from tests.charts import MadeModel
from tests.made_market import SMALL, small_market
from tests.oracle import Data

EXCHANGES = ("SSE", "SZSE")
#: Rows by day and topic.
Days = Mapping[int, Mapping[str, RowBatch]]
Detail = str
_TABLES = {"prices.daily": "prices", "valuations.daily": "valuations", "etf.daily": "funds", "rates.daily": "rates",
           "margin.collateral": "collateral",
           "reference": "reference"}  # fmt: skip


def stamp(day: int) -> pd.Timestamp:
    """A day as pandas has it."""
    return pd.Timestamp(to_date(day))


@dataclass
class Folded:
    """What the stages published of a history; the newest of each day."""

    market: dict[tuple[int, str], MarketSignal] = field(default_factory=dict)
    securities: dict[tuple[int, str], SecuritySignals] = field(default_factory=dict)
    industries: dict[int, IndustrySignals] = field(default_factory=dict)
    stages: tuple[Securities, Market] | None = None
    _compared: dict[Signal, object] = field(default_factory=dict)

    def add(self, outputs: Iterable[StageOutput]) -> None:
        """Take outputs, a later one instead of an earlier one of the same day."""
        for one in outputs:
            if isinstance(one, MarketSignal):
                if not one.provisional:
                    self.market[to_day(one.trade_date), one.name] = one
            elif isinstance(one, SecuritySignals):
                self.securities[to_day(one.status.trade_date), one.family] = one
            else:
                self.industries[to_day(one.status.trade_date)] = one

    @cached_property
    def _by_signal(self) -> dict[str, list[MarketSignal]]:
        out: dict[str, list[MarketSignal]] = {}
        for one in self.market.values():
            out.setdefault(one.signal, []).append(one)
        return out

    def published(self, signal: Signal) -> list[pd.Timestamp]:
        """The days on which something was published of a signal, ascending."""
        if signal.level is Level.MARKET:
            days = {to_day(one.trade_date) for one in self._by_signal.get(signal.id, [])}
        elif signal.level is Level.SECURITY:
            days = {day for (day, _), frame in self.securities.items() if signal.id in frame.columns}
        else:
            days = {day for day, frame in self.industries.items() if signal.id in frame.columns}
        return [stamp(day) for day in sorted(days)]

    def table(self, signal: Signal, detail: Detail = "") -> pd.DataFrame:
        """Values, or one detail, by day and subject; None or NaN where absent."""
        if signal.level is Level.MARKET:
            outputs = self._by_signal.get(signal.id, [])
            row = {day: place for place, day in enumerate(sorted({one.trade_date for one in outputs}))}
            column = {subject: place for place, subject in enumerate(dict.fromkeys(one.subject for one in outputs))}
            cells = np.full((len(row), len(column)), np.nan, dtype=object)
            for one in outputs:
                cells[row[one.trade_date], column[one.subject]] = one.details.get(detail) if detail else one.value
            return pd.DataFrame(cells, index=pd.to_datetime(list(row)), columns=list(column)).infer_objects()
        if signal.level is Level.SECURITY:
            parts = [
                (stamp(day), frame.keys, frame.columns[signal.id])
                for (day, _), frame in sorted(self.securities.items())
                if signal.id in frame.columns
            ]
            every = np.unique(np.concatenate([keys for _, keys, _ in parts])) if parts else np.empty(0, np.int64)
            values = np.full((len(parts), len(every)), np.nan)
            for row, (_, keys, column) in zip(values, parts, strict=True):
                row[np.searchsorted(every, keys)] = column
            return pd.DataFrame(values, index=[day for day, *_ in parts], columns=to_codes(every))
        name = f"{signal.id}_{detail}" if detail else signal.id
        rows = {stamp(day): frame.columns[name] for day, frame in sorted(self.industries.items())}
        return pd.DataFrame.from_dict(rows, orient="index", columns=list(INDUSTRIES))

    def everything(self, signal: Signal) -> object:
        """All that is published of a signal, comparable: values, details and reasons."""
        if signal not in self._compared:
            self._compared[signal] = self._everything(signal)
        return self._compared[signal]

    def _everything(self, signal: Signal) -> object:
        if signal.level is Level.MARKET:
            return [
                (one.trade_date, one.subject, one.value, one.reason, one.details)
                for one in self._by_signal.get(signal.id, [])
            ]
        frames: Mapping[Any, SecuritySignals | IndustrySignals] = (
            self.securities if signal.level is Level.SECURITY else self.industries
        )
        return [
            (key, [v.tobytes() for name, v in frame.columns.items() if f"{name}_".startswith(f"{signal.id}_")])
            for key, frame in frames.items()
            if signal.id in frame.columns
        ]


def fold_history(
    days: Days,
    parameters: Parameters | None = None,
    *,
    block_days: int = 64,
    days_per_fold: int = 64,
    calendar: TradingCalendar | None = None,
) -> Folded:
    """Fold a history in its order, every topic closed behind its rows of a day."""
    given, sessions = parameters or Parameters(), calendar or xshg()
    securities = Securities(0, given, EXCHANGES, sessions)
    market = Market(1, given, EXCHANGES, sessions, block_days=block_days)
    out = Folded(stages=(securities, market))
    order = sorted(days)
    for start in range(0, len(order), days_per_fold):
        items: list[object] = []
        for day in order[start : start + days_per_fold]:
            items += market_items(securities, days[day])
        out.add(market.fold(items))  # type: ignore[arg-type]
    return out


def market_items(securities: Securities, feeds: Mapping[str, RowBatch]) -> list[object]:
    """What the market stage is given of a day: its own rows and markers, and the frames of the securities stage."""
    own, rest = (
        [item for topic in topics if topic in feeds for item in (feeds[topic], end_of_day(feeds[topic]))]
        for topics in (SECURITIES_INPUTS, INPUTS)
    )
    frames = [scored(one, MadeModel()) if isinstance(one, ChartFrame) else one for one in securities.fold(own)]
    return [*rest, *frames]


# -- as the oracle sees it -------------------------------------------------------------------------------


def rows_of(batch: RowBatch) -> pd.DataFrame:
    """The rows of a batch with codes and words as text."""
    field_name = INPUT_ROWS[batch.topic].key_field
    words = KEYS.get(field_name)
    keys = to_codes(batch.keys) if words is None else [words[k] for k in batch.keys]
    table = pd.DataFrame(
        {"trade_date": pd.to_datetime([to_date(day) for day in batch.days.tolist()]), field_name: keys} | batch.figures
    )
    for column in FIGURES[batch.topic]:
        if column.labels:
            values = batch.figures[column.name]
            table[column.name] = [None if np.isnan(v) else column.labels[int(v)] for v in values]
    return table


def _no_rows(topic: str) -> pd.DataFrame:
    names = ["trade_date", INPUT_ROWS[topic].key_field, *(column.name for column in FIGURES[topic])]
    return pd.DataFrame({name: pd.Series(dtype="datetime64[us]" if name == "trade_date" else str) for name in names})


def oracle_data(days: Days, calendar: TradingCalendar | None = None) -> Data:
    """The same rows as the oracle reads them."""
    topics = {topic for feeds in days.values() for topic in feeds}
    tables = {
        topic: rows_of(concat([feeds[topic] for _, feeds in sorted(days.items()) if topic in feeds]))
        for topic in topics
    }
    sessions = (calendar or xshg()).between(min(days), max(days))
    return Data(
        tables["margin.daily"],
        tables["margin.market"],
        tables["indices.daily"],
        {name: tables.get(topic, _no_rows(topic)) for topic, name in _TABLES.items()},
        pd.DatetimeIndex([stamp(day) for day in sessions.tolist()], name="trade_date"),
    )


def compare(ours: pd.DataFrame, theirs: pd.DataFrame, what: str) -> int:
    """Assert equal values and absences on every day that we have; return how many values there are."""
    columns = sorted({*ours.columns, *theirs.columns})
    ours, theirs = ours.reindex(columns=columns), theirs.reindex(index=ours.index, columns=columns)
    if all(pd.api.types.is_numeric_dtype(dtype) for dtype in (*ours.dtypes, *theirs.dtypes)):
        left, right = ours.to_numpy(dtype=float), theirs.to_numpy(dtype=float)
    else:
        left, right = ours.to_numpy(dtype=object), theirs.to_numpy(dtype=object)
    no_left, no_right = pd.isna(left), pd.isna(right)
    known, apart = ~(no_left | no_right), no_left != no_right
    if known.any() and isinstance(left[known][0], str):
        apart |= known & (left != right)
    else:
        one, other = np.where(known, left, 0).astype(float), np.where(known, right, 0).astype(float)
        # What remains of a difference of large figures is no value: a flat balance's net buy is 0 or 10⁻⁸ CNY.
        apart |= ~np.isclose(one, other, rtol=1e-9, atol=1e-11 * max(1.0, float(np.abs(other).max(initial=0.0))))
    if apart.any():
        i, j = np.argwhere(apart)[0]
        raise AssertionError(
            f"{what} differs from the oracle in {apart.sum()} of {apart.size} places, first on {ours.index[i]:%F} of "
            f"{columns[j]}: {left[i, j]} here, {right[i, j]} there"
        )
    return int(known.sum())


def check_signal(signal: Signal, folded: Folded, data: Data, parameters: object) -> int:
    """Compare a signal with its entry in the oracle; return how many values it has.

    Raises
    ------
    AssertionError : if the oracle has no entry, or a value or an absence differs.
    """
    entries = oracle.ENTRIES[str(signal.level)]
    assert signal.id in entries, f"{signal.id} has no entry in tests/oracle: compute it there once more"
    count = 0
    for detail, theirs in entries[signal.id](data, parameters).items():
        found = compare(folded.table(signal, detail), theirs, f"{signal.id} {detail}".strip())
        count = count if detail else found
    return count


@dataclass
class Case:
    """A history, folded, and as the oracle sees it."""

    days: Days
    folded: Folded
    data: Data


@cache
def small_case() -> Case:
    """The small market, folded once for all tests."""
    days = small_market()
    return Case(days, fold_history(days, SMALL), oracle_data(days))
