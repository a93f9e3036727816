"""What a market indicator may see of one trade date: totals, turnover, index closes, earlier results.

Look-backs count sessions of the exchange calendar, never the rows at hand. A figure that isn't there raises
`Missing` with the reason, so an indicator can't mistake it for zero.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.codes import EXCHANGES, Ids, aligned, is_fund, to_code, to_id
from processors.daily_store import DailyStore
from processors.days import TradingCalendar, to_date
from processors.events import INPUT_ROWS, KEYS, Floats
from processors.industries import INDEX_OF
from processors.outputs import Detail
from processors.parameters import Parameters
from processors.partition_join import PartitionJoin
from processors.pricing import PRICES
from processors.reference import UNKNOWN, Members
from processors.securities import VALUATIONS
from processors.signal import Absent, Reading, Value

TOTALS, INDICES, DETAIL = "margin.market", "indices.daily", "margin.daily"
SSE_COMPOSITE = to_id("000001.SH")
#: The index whose published turnover is that of its whole exchange.
TURNOVER_INDEX = {"SSE": SSE_COMPOSITE, "SZSE": to_id("399001.SZ"), "BSE": to_id("899050.BJ")}

#: The index whose row carries the float cap of its whole exchange.
FLOAT_CAP_INDEX = {"SSE": SSE_COMPOSITE, "SZSE": to_id("399106.SZ"), "BSE": to_id("899050.BJ")}
_INDUSTRY_ROW = {key: row for row, key in enumerate(INDEX_OF)}
_CARRIED = "~"
_WHY = "(window not full, or the feed is late)"

Results = Mapping[str, Reading | Absent]


class Missing(Exception):  # noqa: N818 - not an error: a signal that can't be computed yet
    """A figure that an indicator needs is not known."""

    def absent(self) -> Absent:
        """Return the absence with this reason."""
        return Absent(str(self))


class CalendarSeries:
    """Daily figures as lines over the trading calendar, NaN where unknown: a window is a slice.

    A line is as long as the calendar, whatever the history: memory and time per day do not grow with it. The lines of
    the industries' indices lie side by side, so that a figure of all of them is one slice.
    """

    def __init__(self, calendar: TradingCalendar) -> None:
        self.calendar = calendar
        self._lines: dict[tuple[str, int, str], Floats] = {}
        self._nothing = np.full(len(calendar), np.nan)
        self._nothing.flags.writeable = False
        self._blocks: dict[str, Floats] = {}
        self._no_block = np.broadcast_to(self._nothing, (len(INDEX_OF), len(calendar)))

    def put(self, topic: str, keys: Ids, name: str, day: int, values: Floats) -> None:
        """Set one figure of several keys."""
        at = self.calendar.position(day)
        known = ~np.isnan(values)
        for key, value in zip(keys[known].tolist(), values[known].tolist(), strict=True):
            line = self._lines.get((topic, key, name))
            if line is None:
                line = self._lines[topic, key, name] = self._new_line(topic, key, name)
            line[at] = value
        for key in keys[~known].tolist():
            line = self._lines.get((topic, key, name))
            if line is not None:
                line[at] = np.nan

    def _new_line(self, topic: str, key: int, name: str) -> Floats:
        if topic != INDICES or key not in _INDUSTRY_ROW:
            return self._nothing.copy()
        if name not in self._blocks:
            self._blocks[name] = self._no_block.copy()
        line: Floats = self._blocks[name][_INDUSTRY_ROW[key]]
        return line

    def industries(self, name: str) -> Floats:
        """All values of a figure of the industries' indices: (31, calendar)."""
        return self._blocks.get(name, self._no_block)

    def line(self, topic: str, key: int, name: str) -> Floats:
        """All values of a figure, by position in the calendar."""
        return self._lines.get((topic, key, name), self._nothing)


@dataclass(slots=True)
class ProvisionalInputs:
    """Live figures that stand for a day that isn't published yet (provisional values)."""

    totals: dict[str, float | str]
    turnover: float | str
    closes: dict[int, float]


class MarketView:
    """One trade date as an indicator sees it. ``back`` counts trading days before it."""

    def __init__(
        self,
        day: int,
        *,
        series: CalendarSeries,
        exchanges: tuple[str, ...],
        books: Mapping[str, DailyStore],
        frames: Mapping[str, PartitionJoin],
        members: Callable[[int], Members],
        results: Mapping[int, Results],
        parameters: Parameters,
        overlay: ProvisionalInputs | None = None,
    ) -> None:
        self.day = day
        self.parameters = parameters
        self.computed: dict[str, Reading | Absent] = {}
        self._calendar = series.calendar
        self._at = self._calendar.position(day)
        self._series = series
        self.exchanges = exchanges
        self.carries: dict[str, dict[str, float]] = {}
        self.calendar = series.calendar
        self._books = books
        self._frames = frames
        self._make_members = members
        self._results = results
        self._overlay = overlay

    # -- figures ---------------------------------------------------------------------------------------------

    def total(self, name: str, back: int = 0) -> float:
        """Σ of a margin figure over the exchanges, CNY or shares; raises `Missing`."""
        if back == 0 and self._overlay is not None:
            return _live(self._overlay.totals.get(name), f"{TOTALS} {name}", self.day)
        lines = {e: self._series.line(TOTALS, EXCHANGES.index(e), name) for e in self.exchanges}
        return self._sum(lines, f"{TOTALS} {name}", back)

    def turnover(self, back: int = 0) -> float:
        """Σ turnover of the same exchanges, CNY; raises `Missing`."""
        if back == 0 and self._overlay is not None:
            return _live(self._overlay.turnover, f"{INDICES} turnover", self.day)
        lines = {e: self._series.line(INDICES, TURNOVER_INDEX[e], "turnover") for e in self.exchanges}
        return self._sum(lines, f"{INDICES} turnover", back)

    def float_cap(self, back: int = 0) -> float:
        """Σ float capitalisation 流通市值 of the same exchanges' A shares, CNY; raises `Missing`."""
        lines = {e: self._series.line(INDICES, FLOAT_CAP_INDEX[e], "float_cap") for e in self.exchanges}
        return self._sum(lines, f"{INDICES} float_cap", back)

    def total_window(self, name: str, days: int) -> Floats:
        """The last ``days`` values of `total`, oldest first, NaN where unknown."""
        return self._sums([self._series.line(TOTALS, EXCHANGES.index(e), name) for e in self.exchanges], days)

    def turnover_window(self, days: int) -> Floats:
        """The last ``days`` values of `turnover`, oldest first, NaN where unknown."""
        return self._sums([self._series.line(INDICES, TURNOVER_INDEX[e], "turnover") for e in self.exchanges], days)

    def float_cap_window(self, days: int) -> Floats:
        """The last ``days`` values of `float_cap`, oldest first, NaN where unknown."""
        return self._sums([self._series.line(INDICES, FLOAT_CAP_INDEX[e], "float_cap") for e in self.exchanges], days)

    def exchange_window(self, exchange: str, name: str, days: int) -> Floats:
        """The last ``days`` values of one exchange's total, oldest first, NaN where unknown."""
        return self._slice(self._series.line(TOTALS, EXCHANGES.index(exchange), name), days)

    def book_day(self, topic: str, back: int) -> dict[str, npt.NDArray[Any]]:
        """All rows of a topic on one day, as columns in the order of their keys: ``key`` and its figures."""
        book, day = self._books[topic], self._calendar.shift(self.day, -back)
        columns = book.places.by_key[:0] if day is None else book.columns_on(day)
        out: dict[str, npt.NDArray[Any]] = {"key": book.keys[columns]}
        return out | {name: book.figure(day, name)[columns] for name in book.names if day is not None}

    def index_close(self, index: int, back: int = 0) -> float:
        """Close of an index; raises `Missing`."""
        if back == 0 and self._overlay is not None:
            return _live(self._overlay.closes.get(index), f"{INDICES} {to_code(index)}", self.day)
        return self.value(INDICES, index, "close", back)

    def value(self, topic: str, key: int, name: str, back: int = 0) -> float:
        """One figure of one key; raises `Missing`."""
        at = self._back(back)
        value = float(self._series.line(topic, key, name)[at])
        if np.isnan(value):
            raise Missing(f"{topic} {key_text(topic, key)} {name} of {self._date(at)} is not known {_WHY}")
        return value

    def window(self, topic: str, key: int, name: str, days: int) -> Floats:
        """The last ``days`` values of a figure, oldest first, NaN where unknown."""
        return self._slice(self._series.line(topic, key, name), days)

    def full_window(self, topic: str, key: int, name: str, days: int) -> Floats:
        """The last ``days`` values of a figure, oldest first; raises `Missing` unless all of them are known."""
        found = self.window(topic, key, name, days)
        known = int((~np.isnan(found)).sum())
        if known < days:
            raise Missing(f"{topic} {key_text(topic, key)} {name}: {days} days are needed, {known} are known")
        return found

    def industry_window(self, name: str, days: int) -> Floats:
        """The last ``days`` values of a figure of every industry's index: (31, days), NaN where unknown."""
        return self._series.industries(name)[:, max(0, self._at + 1 - days) : self._at + 1]

    def at_date(self, topic: str, key: int, name: str, day: int, days: int) -> Floats:
        """The ``days`` values of a figure up to another, earlier day; none if that is no trading day."""
        if day not in self._calendar:
            return self._series.line(topic, key, name)[:0]
        at = self._calendar.position(day) + 1
        return self._series.line(topic, key, name)[max(0, at - days) : at]

    # -- all securities --------------------------------------------------------------------------------------

    @cached_property
    def detail(self) -> Detail:
        """All securities of the day; only for indicators that read ``margin.daily``."""
        return self._frames[DETAIL].detail(self.day)

    @cached_property
    def stock(self) -> npt.NDArray[np.bool_]:
        """Which rows of the margin detail are stocks, not funds."""
        return ~is_fund(self.detail.keys)

    @cached_property
    def industry(self) -> npt.NDArray[np.intp]:
        """The industry of every row of the margin detail; `reference.UNKNOWN` for funds and where there is none."""
        return np.where(self.stock, self.members.industry_of(self.detail.keys), UNKNOWN)

    @cached_property
    def prices(self) -> Detail:
        """Prices of all securities; only for indicators that read ``prices.daily``."""
        return self._frames[PRICES].detail(self.day)

    def priced(self, name: str, keys: Ids, back: int = 0) -> Floats:
        """A column of the prices some days back, for the given securities; NaN where there is none."""
        day = self._calendar.shift(self.day, -back)
        if day is None or not self._frames[PRICES].is_closed(day):
            return np.full(len(keys), np.nan)
        found = self.prices if not back else self._frames[PRICES].detail(day)
        return aligned(keys, found.keys, found.columns[name])

    def valued(self, name: str, keys: Ids) -> Floats:
        """A column of the day's valuations for the given securities; NaN where there is none."""
        held = self._frames[VALUATIONS]
        if not held.is_closed(self.day):
            return np.full(len(keys), np.nan)
        found = held.detail(self.day)
        return aligned(keys, found.keys, found.columns[name])

    @cached_property
    def members(self) -> Members:
        """What each security is on the day; only for indicators that read ``reference``."""
        return self._make_members(self.day)

    # -- results ---------------------------------------------------------------------------------------------

    def today(self, signal: str) -> Value | None:
        """The value of a signal computed before on the same day, None if absent."""
        return _value(self.computed.get(signal))

    def today_of(self, signal: str) -> Value | None:
        """The value of a signal of the same day that was computed from other inputs, None if absent."""
        return self.result(signal, 0)

    def yesterday(self, signal: str) -> Value | None:
        """The value of a signal on the trading day before, None if absent."""
        return self.result(signal, 1)

    def result(self, signal: str, back: int) -> Value | None:
        """The value of a signal ``back`` trading days before, None if absent."""
        return _value(self._reading(signal, back))

    def carry(self, signal: str, state: dict[str, float]) -> None:
        """Leave the state of a recursion to the next trading day, whether the signal has a value yet or not."""
        self.carries[_CARRIED + signal] = state

    def carried(self, signal: str) -> Mapping[str, float] | None:
        """What the trading day before has left; None if nothing: the recursion begins anew."""
        reading = self._reading(_CARRIED + signal, 1)
        if not isinstance(reading, Reading) or reading.details is None:
            return None
        return {name: float(value) for name, value in reading.details.items()}

    def latest_before(self, signal: str) -> Value | None:
        """The newest known value before this day: a state machine pauses over days without a value."""
        for back in range(1, self.parameters.late_days):
            value = self.result(signal, back)
            if value is not None:
                return value
        return None

    def _reading(self, signal: str, back: int) -> Reading | Absent | None:
        day = self._calendar.shift(self.day, -back)
        return None if day is None else self._results.get(day, {}).get(signal)

    def _back(self, back: int) -> int:
        if self._at < back:
            raise Missing(f"the calendar does not reach {back} trading days before {to_date(self.day)}")
        return self._at - back

    def _date(self, at: int) -> date:
        return to_date(self._calendar.day_at(at))

    def _slice(self, line: Floats, days: int) -> Floats:
        return line[max(0, self._at + 1 - days) : self._at + 1]

    def _sums(self, lines: list[Floats], days: int) -> Floats:
        return np.asarray(sum(self._slice(line, days) for line in lines))

    def _sum(self, lines: Mapping[str, Floats], what: str, back: int) -> float:
        at = self._back(back)
        figures = {exchange: float(line[at]) for exchange, line in lines.items()}
        absent = [exchange for exchange, figure in figures.items() if np.isnan(figure)]
        if not absent:
            return sum(figures.values())
        if len(absent) == len(figures):
            raise Missing(f"{what} of {self._date(at)} is not known {_WHY}")
        raise Missing(f"{what} of {self._date(at)} lacks {', '.join(absent)}")


def _value(reading: Reading | Absent | None) -> Value | None:
    return reading.value if isinstance(reading, Reading) else None


def _live(figure: float | str | None, what: str, day: int) -> float:
    if isinstance(figure, str):
        raise Missing(figure)
    if figure is None:
        raise Missing(f"{what} of {to_date(day)} is not known {_WHY}")
    return figure


def key_text(topic: str, key: int) -> str:
    """A key as people read it."""
    words = KEYS.get(INPUT_ROWS[topic].key_field)
    return to_code(key) if words is None else words[key]
