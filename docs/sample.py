"""The sample that the charts of the signal pages show: a simulated market of 420 sessions, folded by the processors.

The simulator draws what the demonstration needs. This module adds what it leaves out (valuations, yields, funds, more
indices), so that every registered signal has a value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache

import numpy as np

from feeds import simulate
from processors.arrays import Floats, Ids
from processors.chart_labels import HORIZONS
from processors.charts import CLOSE, SESSIONS, Heights, numbers
from processors.codes import to_codes, to_id
from processors.days import to_day
from processors.events import FIGURES, RowBatch, concat
from processors.history import History, blocks
from processors.industries import INDEX_OF, INDUSTRIES
from processors.kinds import is_fund, is_stock
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import DEFAULTS
from processors.signal import Level, Value
from streams.calendars import xshg

_LAST_DAY = date(2024, 6, 28)
_CSI300 = to_id("000300.SH")
#: Further indices follow the CSI 300, each at its own level: code → level relative to it.
_FOLLOWERS = {
    "000905.SH": 1.5, "399006.SZ": 0.6, "000852.SH": 1.6, "000016.SH": 0.7, "000985.SH": 1.3, "399106.SZ": 0.5,
    "399330.SZ": 0.9, "399372.SZ": 1.2, "399373.SZ": 1.4, "399376.SZ": 1.1, "399377.SZ": 1.7,
}  # fmt: skip
#: How far some of them sway around it, and since when: bear markets, and styles that lead in turn.
_SWAYS = {"399330.SZ": (0.25, 0), "000852.SH": (0.06, 30), "399372.SZ": (0.05, 10), "399373.SZ": (0.04, 60),
          "399376.SZ": (0.08, 20), "399377.SZ": (0.06, 80)}  # fmt: skip
_FLOAT_CAP_CNY, _PE = 3.2e13, 15.0


@dataclass(slots=True)
class Curve:
    """The values of a signal for one subject, in order of days; None where the signal is absent."""

    subject: str
    days: list[date] = field(default_factory=list)
    values: list[Value | None] = field(default_factory=list)

    def add(self, day: date, value: Value | None) -> None:
        """Append a day."""
        self.days.append(day)
        self.values.append(value)

    @property
    def weight(self) -> int:
        """How many values are known and not zero: of several subjects the page shows the one with most."""
        return sum(value not in (None, 0, 0.0, "") for value in self.values)


@lru_cache(maxsize=1)
def curves() -> Mapping[tuple[Level, str], Curve]:
    """Return for each level and signal the curve of the subject that has most to show."""
    found: dict[tuple[Level, str], dict[str, Curve]] = {}

    def add(level: Level, signal: str, subject: str, day: date, value: Value | None) -> None:
        found.setdefault((level, signal), {}).setdefault(subject, Curve(subject)).add(day, value)

    history = History(DEFAULTS, ("SSE", "SZSE"), xshg(), _Fallen())
    for block in blocks(feeds for _, feeds in days(market())):
        for output in history.fold_block(block):
            if isinstance(output, MarketSignal):
                add(Level.MARKET, output.signal, output.subject, output.trade_date, output.value)
            elif isinstance(output, SecuritySignals):
                codes, day = to_codes(output.keys), output.status.trade_date
                for name, column in output.columns.items():
                    for code, value in zip(codes, column.astype(float).tolist(), strict=True):
                        add(Level.SECURITY, name, code, day, None if np.isnan(value) else value)
            elif isinstance(output, IndustrySignals):
                day = output.status.trade_date
                for name, column in output.columns.items():
                    for industry, value in zip(INDUSTRIES, column.astype(float).tolist(), strict=True):
                        add(Level.INDUSTRY, name, industry, day, None if np.isnan(value) else value)
    return {key: max(subjects.values(), key=lambda curve: curve.weight) for key, subjects in found.items()}


def market() -> simulate.Market:
    """Return the market of the sample at its beginning."""
    return simulate.Market(simulate.Simulation(xshg(), to_day(_LAST_DAY), days=420, stocks=93, funds=6))


def days(market: simulate.Market) -> Iterator[tuple[int, dict[str, RowBatch]]]:
    """Yield each day of a simulated market with the figures that the simulator leaves out."""
    rng = np.random.default_rng(market.simulation.seed)
    stocks = market.keys[is_stock(market.keys)]
    funds = market.keys[is_fund(market.keys)]
    shares = np.full(len(funds), 1e9)
    yields = 0.027
    first: Floats | None = None
    for day, batches in market.history():
        indices = batches["indices.daily"]
        level = indices.figures["close"]
        first = level if first is None else first
        growth = level / first
        mean = float(growth.mean()) ** 0.5
        _value_indices(indices, growth)
        csi300 = indices.keys == _CSI300
        prices = batches["prices.daily"]
        close = prices.figures["close"][np.searchsorted(prices.keys, funds)]
        shares = shares * (1 + rng.normal(0.001, 0.01, len(funds)))
        yields += float(rng.normal(0, 0.0002))
        known = int(batches["margin.daily"].stamps[0])  # the margin figures are the last of a day
        yield (
            day,
            batches
            | {
                "indices.daily": concat([indices, _followers(indices, csi300, float(growth[csi300][0]), day, known)]),
                "rates.daily": _rows("rates.daily", np.zeros(1, dtype=np.int32), day, known, {"yield": [yields]}),
                "margin.collateral": _rows(
                    "margin.collateral", np.zeros(1, dtype=np.int32), day, known, {"collateral_ratio": [2.6 * mean]}
                ),
                "valuations.daily": _valuations(stocks, day, known, float(growth[csi300][0])),
                "etf.daily": _rows("etf.daily", funds, day, known, {"shares": shares, "price": close, "style": 0.0}),
            },
        )


def _value_indices(indices: RowBatch, growth: Floats) -> None:
    """Fill in what indices are worth: PE, PB, dividend yield, float cap, turnover rate."""
    whole = np.isin(indices.keys, [*INDEX_OF])
    cap = np.where(whole, _FLOAT_CAP_CNY / len(INDUSTRIES), _FLOAT_CAP_CNY) * growth
    place = np.linspace(0.6, 1.6, len(indices.keys))
    indices.figures["float_cap"] = cap
    indices.figures["pe_ttm"] = _PE * growth * place
    indices.figures["pb"] = 1.5 * growth * place
    indices.figures["dividend_yield"] = 0.025 / growth / place
    indices.figures["turnover_rate"] = indices.figures["turnover"] / cap


def _followers(indices: RowBatch, csi300: Floats, growth: float, day: int, known: int) -> RowBatch:
    scale = np.array([*_FOLLOWERS.values()])
    for code, (width, since) in _SWAYS.items():
        scale[[*_FOLLOWERS].index(code)] *= 1 + width * np.sin((day - since) / 40)
    figures = {name: values[csi300][0] * scale for name, values in indices.figures.items() if name in _LEVELS}
    figures |= {"turnover": np.full(len(scale), 2e11), "pe_ttm": _PE * growth * scale, "turnover_rate": 0.012}
    figures["float_cap"] = np.full(len(scale), _FLOAT_CAP_CNY * growth)
    keys = np.array([to_id(code) for code in _FOLLOWERS], dtype=np.int32)
    return _rows("indices.daily", keys, day, known, figures)


_LEVELS = ("open", "high", "low", "close", "prev_close")


class _Fallen:
    """Takes the place of a trained chart model: a stock that fell within the window has a high score."""

    digest, revision = "sample", 0

    def chances(self, _year: int, of: Heights) -> Floats:
        rise = numbers(of).reshape(len(of), SESSIONS, 5)[:, [0, -1], CLOSE]
        return np.repeat(0.5 - 0.1 * (rise[:, 1:] - rise[:, :1]), len(HORIZONS), axis=1)

    def rival(self, year: int, of: Heights) -> Floats:
        return self.chances(year, of)[:, 0]


def _valuations(stocks: Ids, day: int, known: int, growth: float) -> RowBatch:
    place = np.linspace(0.5, 2.0, len(stocks))
    return _rows(
        "valuations.daily",
        stocks,
        day,
        known,
        {
            "pe_ttm": 20 * growth * place,
            "pb": 2 * growth * place,
            "dividend_yield": 0.02 / growth / place,
            "turnover_rate": 0.01 * place,
            "float_cap": 3e11 * growth * place,
        },
    )


def _rows(topic: str, keys: Ids, day: int, known: int, figures: Mapping[str, object]) -> RowBatch:
    """Rows of one day; a figure may be one number for all of them, and is absent (NaN) where it is not given."""
    size = len(keys)
    order = np.argsort(keys)
    columns = {
        column.name: np.broadcast_to(np.asarray(figures.get(column.name, np.nan), dtype=np.float64), size)[order]
        for column in FIGURES[topic]
    }
    return RowBatch(
        topic,
        keys[order],
        np.full(size, day, dtype=np.int32),
        np.zeros(size, dtype=np.int32),
        np.full(size, known, dtype=np.int64),
        columns,
    )
