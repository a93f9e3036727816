"""The history that the studies evaluate: outputs of the processors as tables.

Securities are one long table (a row per margin row), prices a matrix of adjusted levels (days × securities).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from processors.codes import Ids, to_id
from processors.days import DAY_US, MINUTE_US, SHANGHAI_OFFSET_US, TradingCalendar, microseconds, to_date, to_day
from processors.events import Floats, RowBatch
from processors.history import History
from processors.industries import INDEX_OF, INDUSTRIES
from processors.needs import INDICES, PRICES
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.studies.result import Line, Mode

SSE, CSI300 = "000001.SH", "000300.SH"
_OPEN, _CLOSE = 9 * 60 + 30, 15 * 60
#: Columns of the long table and their dtypes.
_COLUMNS: dict[str, type[np.generic]] = {
    "fin_change": np.float32, "fin_streak": np.int16, "extreme": np.float32, "consecutive_extreme": np.float32,
    "excess_score": np.float32, "excess_kind": np.float32, "streak_excess": np.float32, "divergence": np.float32,
    "csi300": np.int8, "csi500": np.int8,
}  # fmt: skip
_MARKET_DETAILS = {"fin_buy_ratio": ("fin_buy_cny", "turnover_cny")}
_POSITIONS = ("gftd",)


@dataclass(frozen=True, slots=True)
class SecurityRows:
    """One row per security and day, ordered by day; ``at`` (n,) is the position of the day in `Panel.days`."""

    at: npt.NDArray[np.int32]
    keys: Ids
    columns: dict[str, npt.NDArray[np.generic]]

    def of(self, name: str) -> Floats:
        """Return a column as floats (n,)."""
        return self.columns[name].astype(np.float64)


@dataclass(slots=True)
class Panel:
    """Signals and prices by trading day; arrays over days are in the order of ``days``.

    Parameters
    ----------
    days : trade dates with margin figures or index prices, ascending, days since 1970-01-01.
    market : one row per day, one column per market signal.
    available : when the margin figures of a day were known, µs since the epoch; 0 where there are none.
    opens, closes : index code or industry → (days,) prices.
    levels : (days, len(level_keys)) adjusted levels, NaN without a price of that day.
    industries : column → (days, 31).
    in_period : (days,) whether a day belongs to the studied period.
    """

    calendar: TradingCalendar
    days: npt.NDArray[np.int32]
    market: pd.DataFrame
    available: npt.NDArray[np.int64]
    opens: dict[str, Floats]
    closes: dict[str, Floats]
    securities: SecurityRows
    level_keys: Ids
    levels: Floats
    industries: dict[str, Floats]
    in_period: npt.NDArray[np.bool_]
    notes: list[str]

    def dates(self) -> list[str]:
        """Return all days as ISO text."""
        return [to_date(day).isoformat() for day in self.days.tolist()]

    def period(self) -> tuple[str, str]:
        """Return the first and last day of the period with margin figures, as ISO text."""
        used = self.days[self.in_period & (self.available > 0)]
        if not len(used):
            return "", ""
        return to_date(int(used[0])).isoformat(), to_date(int(used[-1])).isoformat()

    def cumulative(self, label: str, positions: npt.NDArray[np.integer[Any]], returns: Floats) -> Line:
        """Return the compounded returns of some days (n,) as the line of a chart."""
        dates = self.dates()
        return Line(label, [dates[i] for i in positions.tolist()], (np.cumprod(1 + returns) - 1).tolist())

    # -- entries and forward returns -----------------------------------------------------------

    def entry(self, mode: Mode, *, at_open: bool, known: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int_]:
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

    def moments(self, minute: int) -> npt.NDArray[np.int64]:
        """Return the moment of a minute of every day in Shanghai, µs since the epoch (days,)."""
        return np.asarray(self.days.astype(np.int64) * DAY_US + minute * MINUTE_US - SHANGHAI_OFFSET_US)

    def index_forward(self, index: str, entry: npt.NDArray[np.int_], horizon: int, mode: Mode) -> Floats:
        """Return the index's return to ``horizon`` days after each day (days,), a fraction.

        It starts at the close of the day (as the source), else at the open of the entry session.
        """
        price = self.closes[index] if mode is Mode.AS_SOURCE else self.opens[index]
        exit_ = np.arange(len(self.days)) + horizon
        return np.asarray(_take_known(self.closes[index], exit_) / _take_known(price, entry) - 1)

    def security_forward(self, entry: npt.NDArray[np.int_], horizon: int) -> Floats:
        """Return the excess return of every row over ``horizon`` days from the close of the entry session (n,), a fraction.

        The benchmark is the compounded equal-weight mean return of the stocks in the margin list. NaN without both prices.
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
        growth = self.levels[e, c] / self.levels[s, c]
        mean = self.equal_weight()
        out[inside] = growth - mean[e] / mean[s]
        return out

    def equal_weight(self) -> Floats:
        """Return the level of the equal-weight mean of the stocks in the margin list (days,); NaN before its first day."""
        returns = self.column("equal_weight_return")
        level = np.asarray(np.cumprod(1 + np.nan_to_num(returns)), dtype=np.float64)
        first = int(np.argmax(~np.isnan(returns))) if (~np.isnan(returns)).any() else len(level)
        level[:first] = np.nan
        return level

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

    def week_ends(self) -> npt.NDArray[np.int_]:
        """Return the positions of the period's days that end a trading week."""
        ends = [i for i, day in enumerate(self.days.tolist()) if self.calendar.ends_week(day)]
        return np.array([i for i in ends if self.in_period[i]], dtype=np.int_)


def collect(
    days: Iterable[Mapping[str, RowBatch]],
    parameters: Parameters,
    exchanges: tuple[str, ...],
    calendar: TradingCalendar,
    *,
    start: date | None = None,
    notes: Iterable[str] = (),
) -> Panel:
    """Fold every day and collect the outputs that the studies need.

    Parameters
    ----------
    days : topic → rows, by day.
    start : first day of the period. Earlier days are folded, too, so that windows are full.
    """
    history = History(parameters, exchanges, calendar)
    market: dict[int, dict[str, object]] = {}
    available: dict[int, int] = {}
    indices: dict[int, RowBatch] = {}
    parts: dict[int, dict[str, SecuritySignals]] = {}
    prices: dict[int, tuple[Ids, Floats]] = {}
    industries: dict[int, IndustrySignals] = {}
    members: dict[int, list[npt.NDArray[np.bool_]]] = {}
    for feeds in days:
        if INDICES in feeds:
            indices[int(feeds[INDICES].days[0])] = feeds[INDICES]
        for output in history.fold(feeds):
            if isinstance(output, MarketSignal):
                _add_market(market, available, output)
            elif isinstance(output, SecuritySignals):
                day = to_day(output.status.trade_date)
                parts.setdefault(day, {})[output.family] = _select_columns(output)
                if day not in members:
                    reference = history.market.reference
                    known = reference.members(day) if reference.is_closed(day) else None
                    nobody = np.zeros(len(output.keys), dtype=bool)
                    names = ("csi300", "csi500")
                    members[day] = [nobody if known is None else known.in_index(output.keys, n) for n in names]
            else:
                industries[to_day(output.status.trade_date)] = output
        for frame in history.frames:
            if frame.topic == PRICES:
                prices[frame.day] = frame.keys, frame.columns["level"]
    every = np.array(sorted({*market, *indices, *parts}), dtype=np.int32)
    position = {day: i for i, day in enumerate(every.tolist())}
    opens, closes = _index_prices(indices, position)
    level_keys, levels = _levels(prices, position)
    in_period = np.ones(len(every), dtype=bool) if start is None else every >= to_day(start)
    return Panel(
        calendar,
        every,
        pd.DataFrame([market.get(day, {}) for day in every.tolist()], index=every),
        np.array([available.get(day, 0) for day in every.tolist()], dtype=np.int64),
        opens,
        closes,
        _long(parts, members, position),
        level_keys,
        levels,
        _industry_matrices(industries, position),
        in_period,
        list(notes),
    )


def _add_market(market: dict[int, dict[str, object]], available: dict[int, int], output: MarketSignal) -> None:
    day = to_day(output.trade_date)
    row = market.setdefault(day, {})
    if output.value is None or output.provisional:
        return
    row[output.name] = output.value
    for detail in _MARKET_DETAILS.get(output.signal, ()):
        row[detail] = output.details[detail]
    if output.signal in _POSITIONS:
        row[f"{output.name}/position"] = output.details["position"]
    if output.signal == "fin_balance":
        available[day] = microseconds(output.available_at)


def _select_columns(output: SecuritySignals) -> SecuritySignals:
    columns = {name: v.astype(_COLUMNS[name]) for name, v in output.columns.items() if name in _COLUMNS}
    return SecuritySignals(output.status, output.keys, columns, output.family)


def _index_prices(indices: Mapping[int, RowBatch], position: Mapping[int, int]) -> tuple[dict[str, Floats], ...]:
    """Return opens and closes by index code and industry name (days,)."""
    names = dict(zip(INDEX_OF, INDUSTRIES, strict=True))
    names |= {to_id(code): code for code in (SSE, CSI300, "000905.SH", "399006.SZ")}
    out: tuple[dict[str, Floats], ...] = tuple(
        {name: np.full(len(position), np.nan) for name in names.values()} for _ in range(2)
    )
    for day, rows in indices.items():
        for key, opened, closed in zip(
            rows.keys.tolist(), rows.figures["open"].tolist(), rows.figures["close"].tolist(), strict=True
        ):
            if key in names:
                out[0][names[key]][position[day]] = opened
                out[1][names[key]][position[day]] = closed
    return out


def _levels(prices: Mapping[int, tuple[Ids, Floats]], position: Mapping[int, int]) -> tuple[Ids, Floats]:
    if not prices:
        return np.empty(0, dtype=np.int32), np.full((len(position), 1), np.nan)
    keys = np.unique(np.concatenate([k for k, _ in prices.values()]))
    levels = np.full((len(position), len(keys)), np.nan)
    for day, (priced, values) in prices.items():
        levels[position[day], np.searchsorted(keys, priced)] = values
    return keys, levels


def _long(
    parts: Mapping[int, Mapping[str, SecuritySignals]],
    members: Mapping[int, list[npt.NDArray[np.bool_]]],
    position: Mapping[int, int],
) -> SecurityRows:
    days = sorted(parts)
    sizes = [len(parts[day]["financing"].keys) for day in days]
    total = sum(sizes)
    columns: dict[str, npt.NDArray[np.generic]] = {
        name: np.full(total, np.nan, dtype=kind) if np.issubdtype(kind, np.floating) else np.zeros(total, dtype=kind)
        for name, kind in _COLUMNS.items()
    }
    keys = np.empty(total, dtype=np.int32)
    at = np.empty(total, dtype=np.int32)
    start = 0
    for day, size in zip(days, sizes, strict=True):
        rows = slice(start, start + size)
        keys[rows], at[rows] = parts[day]["financing"].keys, position[day]
        for signals in parts[day].values():
            for name, values in signals.columns.items():
                columns[name][rows] = values
        columns["csi300"][rows], columns["csi500"][rows] = members[day]
        start += size
    return SecurityRows(at, keys, columns)


def _industry_matrices(industries: Mapping[int, IndustrySignals], position: Mapping[int, int]) -> dict[str, Floats]:
    out: dict[str, Floats] = {}
    for day, output in industries.items():
        for name, values in output.columns.items():
            if name not in out:
                out[name] = np.full((len(position), len(INDUSTRIES)), np.nan)
            out[name][position[day]] = values
    return out


def _take_known(values: Floats, positions: npt.NDArray[np.int_]) -> Floats:
    out = np.full(len(positions), np.nan)
    inside = positions < len(values)
    out[inside] = values[positions[inside]]
    return out
