"""The history that the studies evaluate: outputs of the processors as tables.

Securities are one long table (a row per margin row), prices a matrix of adjusted levels (days × securities).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from processors.arrays import Days, Floats, Ids, Indexer, Ints, Mask
from processors.days import DAY_US, MINUTE_US, SHANGHAI_OFFSET_US, TradingCalendar, to_date, to_day
from processors.studies.chart_rows import ChartRows
from processors.studies.result import Line, Mode
from processors.studies.samples import SAMPLES

FACTORS = ("MKT", "SMB", "HML", "RMW", "CMA")
SSE, CSI300 = "000001.SH", "000300.SH"
#: Names of the indices whose prices and valuations the studies read.
INDICES = {
    SSE: "SSE Composite", "000016.SH": "SSE 50", CSI300: "CSI 300", "000905.SH": "CSI 500",
    "000852.SH": "CSI 1000", "399006.SZ": "ChiNext",
}  # fmt: skip
_OPEN, _CLOSE = 9 * 60 + 30, 15 * 60


@dataclass(frozen=True, slots=True)
class SecurityRows:
    """One row per security and day, ordered by day; ``at`` (n,) is the position of the day in `Panel.days`."""

    at: npt.NDArray[np.int32]
    keys: Ids
    columns: dict[str, npt.NDArray[np.generic]]

    def of(self, name: str) -> Floats:
        """Return a column as floats (n,)."""
        return self.columns[name].astype(np.float64)


class Trait(IntFlag):
    """What keeps a stock from being traded on a day."""

    ST = 1
    UP_AT_CLOSE = 2  # at the upper limit: there is no seller
    UP_AT_OPEN = 4
    DOWN_AT_CLOSE = 8
    DOWN_AT_OPEN = 16


@dataclass(frozen=True, slots=True)
class IndexHistory:
    """An index on every day of the folder that has its close, also before the margin figures: (n,) each."""

    days: Days
    close: Floats
    pe: Floats
    turnover_rate: Floats


@dataclass(slots=True)
class Panel:
    """Signals and prices by trading day; arrays over days are in the order of ``days``.

    Parameters
    ----------
    days : the sessions from the first to the last with margin figures or an index's open, ascending, days since 1970-01-01.
    market : one row per day, one column per market signal.
    available : when the margin figures of a day were known, µs since the epoch; 0 where there are none.
    opens, closes : index code or industry → (days,) prices.
    levels, open_levels : (days, len(level_keys)) adjusted levels of close and open, NaN without a price of that day.
    traits : (days, len(level_keys)) the `Trait` of each stock.
    industries : column → (days, 31).
    in_period : (days,) whether a day belongs to the studied period.
    histories : index code → its closes and valuations.
    factors : daily returns of `FACTORS` by date, fractions; None if there are none.
    cost : of a trade, a fraction of its value; the published figures have none.
    charts : the charts of every week with their scores.
    """

    calendar: TradingCalendar
    days: Days
    market: pd.DataFrame
    available: Ints
    opens: dict[str, Floats]
    closes: dict[str, Floats]
    securities: SecurityRows
    level_keys: Ids
    levels: Floats
    open_levels: Floats
    traits: npt.NDArray[np.uint8]
    industries: dict[str, Floats]
    in_period: Mask
    notes: list[str]
    histories: dict[str, IndexHistory] = field(default_factory=dict)
    factors: pd.DataFrame | None = None
    cost: float = 0.0
    charts: ChartRows = field(default_factory=ChartRows)

    def dates(self) -> list[str]:
        """Return all days as ISO text."""
        return [to_date(day).isoformat() for day in self.days.tolist()]

    def years(self) -> npt.NDArray[np.int_]:
        """Return the year of every day (days,)."""
        return np.array([to_date(day).year for day in self.days.tolist()], dtype=np.int_)

    def used(self) -> Indexer:
        """Return the positions of the period's days with margin figures."""
        return np.flatnonzero(self.in_period & (self.available > 0))

    def sample(self, source: str) -> Mask:
        """Return which days of the period lie in the sample of a source (days,); all of them where none do."""
        inside = self._inside(source)
        return inside if self.reaches(source) else self.in_period

    def reaches(self, source: str) -> bool:
        """Return whether any day of the period with margin figures lies in the sample of a source."""
        return bool((self._inside(source) & (self.available > 0)).any())

    def _inside(self, source: str) -> Mask:
        if source not in SAMPLES:
            return self.in_period
        first, last = (to_day(day) for day in SAMPLES[source])
        return self.in_period & (self.days >= first) & (self.days <= last)

    def period(self) -> tuple[str, str]:
        """Return the first and last day of the period with margin figures, as ISO text."""
        used = self.days[self.used()]
        if not len(used):
            return "", ""
        return to_date(int(used[0])).isoformat(), to_date(int(used[-1])).isoformat()

    def contains(self, first: str, last: str) -> bool:
        """Return whether the days with margin figures begin and end outside two dates, by ISO dates."""
        begin, end = self.period()
        return bool(begin) and begin <= first and last <= end

    def cumulative(self, label: str, positions: npt.NDArray[np.integer[Any]], returns: Floats) -> Line:
        """Return the compounded returns of some days (n,) as the line of a chart."""
        dates = self.dates()
        return Line(label, [dates[i] for i in positions.tolist()], (np.cumprod(1 + returns) - 1).tolist())

    # -- entries and forward returns -----------------------------------------------------------

    def entry(self, mode: Mode, *, at_open: bool, known: Ints | None = None) -> Indexer:
        """Return the position of the session at whose open (or close) a figure of each day is traded; len(days) if none.

        Parameters
        ----------
        known : (days,) when the figure of each day was known, µs since the epoch; default: the margin figures.
        """
        here = np.arange(len(self.days))
        if mode is Mode.AS_SOURCE:
            return here
        moments = self.moments(_OPEN if at_open else _CLOSE)
        moment = self.available if known is None else known
        return np.where(moment > 0, np.searchsorted(moments, moment, side="right"), len(self.days))

    def moments(self, minute: int) -> Ints:
        """Return the moment of a minute of every day in Shanghai, µs since the epoch (days,)."""
        return np.asarray(self.days.astype(np.int64) * DAY_US + minute * MINUTE_US - SHANGHAI_OFFSET_US)

    def index_forward(self, index: str, entry: Indexer, horizon: int, mode: Mode) -> Floats:
        """Return the index's return to ``horizon`` days after each day (days,), a fraction.

        It starts at the close of the day (as the source), else at the open of the entry session.
        """
        price = self.closes[index] if mode is Mode.AS_SOURCE else self.opens[index]
        exit_ = np.arange(len(self.days)) + horizon
        return np.asarray(_take_known(self.closes[index], exit_) / _take_known(price, entry) - 1)

    def security_forward(self, entry: Indexer, horizon: int) -> Floats:
        """Return the excess return of every row over ``horizon`` days from the close of the entry session (n,), a fraction.

        The benchmark is the compounded equal-weight mean return of the stocks in the margin list. NaN without both prices,
        and where the benchmark is unknown on a day of the horizon.
        """
        column = np.searchsorted(self.level_keys, self.securities.keys)
        column[column == len(self.level_keys)] = 0
        priced = (
            self.level_keys[column] == self.securities.keys
            if len(self.level_keys)
            else np.zeros(len(column), dtype=bool)
        )
        start = entry[self.securities.at]
        end = start + horizon
        inside = priced & (end < len(self.days))
        out = np.full(len(start), np.nan)
        s, e, c = start[inside], end[inside], column[inside]
        out[inside] = self.levels[e, c] / self.levels[s, c] - self._equal_weight_growth(s, e)
        return out

    def _equal_weight_growth(self, start: Indexer, end: Indexer) -> Floats:
        """Return 1 plus the compounded equal-weight mean return of the stocks in the margin list between days (n,).

        NaN where it is unknown on a day after ``start`` up to ``end``.
        """
        returns = self.column("equal_weight_return")
        level, unknown = np.cumprod(1 + np.nan_to_num(returns)), np.cumsum(np.isnan(returns))
        return np.asarray(np.where(unknown[end] == unknown[start], level[end] / level[start], np.nan))

    def column(self, name: str) -> Floats:
        """Return a numeric market signal (days,), NaN where absent."""
        if name not in self.market:
            return np.full(len(self.days), np.nan)
        return self.market[name].to_numpy(dtype=np.float64, na_value=np.nan)

    def text(self, name: str) -> npt.NDArray[np.object_]:
        """Return a market signal whose values are labels (days,); "" where absent."""
        if name not in self.market:
            return np.full(len(self.days), "", dtype=object)
        return self.market[name].fillna("").astype(str).to_numpy(dtype=object)

    def week_ends(self) -> Indexer:
        """Return the positions of the period's days that end a trading week."""
        ends = [i for i, day in enumerate(self.days.tolist()) if self.calendar.ends_week(day)]
        return np.array([i for i in ends if self.in_period[i]], dtype=np.int_)


def _take_known(values: Floats, positions: Indexer) -> Floats:
    out = np.full(len(positions), np.nan)
    inside = positions < len(values)
    out[inside] = values[positions[inside]]
    return out
