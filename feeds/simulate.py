"""A simulated market: plausible daily and intraday figures with known episodes, published as source ``simulated``.

The financing-buy ratio follows a script (calm, a hot phase, a breakdown, a cold spell, recovery). Turnover, indices,
balances and the securities' figures are drawn around it, so that every alert rule fires. The same seed gives the same
market.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from feeds.errors import ConfigurationError
from feeds.publication_times import available_at
from processors.arrays import Floats, Ids
from processors.block import SSE_COMPOSITE, TURNOVER_INDEX
from processors.codes import to_codes, to_id
from processors.days import TradingCalendar, shanghai_moment, to_date
from processors.events import FIGURES, RowBatch
from processors.industries import INDEX_OF, INDUSTRIES
from processors.kinds import is_chinext, is_stock

SOURCE = "simulated"
_CSI300 = to_id("000300.SH")
#: The script of the ratio: share of the period, and the level at its end.
_SCRIPT = ((0.25, 0.084), (0.12, 0.108), (0.08, 0.109), (0.06, 0.094), (0.20, 0.070), (0.10, 0.061), (0.19, 0.083))
#: The share of a day's move that has happened at its open.
_OPENING_SHARE = 0.3
_SESSION_MINUTES = (*range(9 * 60 + 30, 11 * 60 + 31), *range(13 * 60 + 1, 15 * 60 + 1))


@dataclass(frozen=True, slots=True)
class Simulation:
    """The size of a simulated market, and its seed.

    Parameters
    ----------
    last_day : the last day of the history, days since 1970-01-01.
    days : the number of trading days of daily history.
    stocks, funds : the number of securities in the margin list.
    """

    calendar: TradingCalendar
    last_day: int
    days: int = 300
    stocks: int = 400
    funds: int = 20
    seed: int = 7

    def dates(self) -> list[int]:
        """Return the trading days of the history."""
        first = self.calendar.shift(self.last_day, 1 - self.days)
        if first is None or self.calendar.shift(self.last_day, 2) is None:
            raise ConfigurationError(
                f"the trading calendar does not contain {self.days} days up to {to_date(self.last_day)} and two after "
                "it: choose another end"
            )
        return [int(day) for day in self.calendar.between(first, self.last_day)]


@dataclass(slots=True)
class _State:
    balance: Floats  # CNY, by security
    close: Floats
    index: dict[int, float]


class Market:
    """Draws a simulated market day by day: first `history`, then `session`s that begin at its end."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        self._rng = np.random.default_rng(simulation.seed)
        self.keys = _universe(simulation)
        size = len(self.keys)
        weights = self._rng.lognormal(0, 1, size)
        self._weight = weights / weights.sum()
        self._sse = self.keys % 4 == 0
        self._state = _State(
            1.0e12 * self._weight,
            self._rng.uniform(5, 80, size).round(2),
            {
                SSE_COMPOSITE: 3200.0,
                TURNOVER_INDEX["SZSE"]: 10500.0,
                _CSI300: 3900.0,
                **dict.fromkeys(INDEX_OF, 3000.0),
            },
        )
        self._slices = _normalised(np.random.default_rng(simulation.seed).lognormal(0, 0.5, len(INDEX_OF)))
        self._ratios = _ratios(simulation.days, self._rng)

    def history(self) -> Iterator[tuple[int, dict[str, RowBatch]]]:
        """Yield each day of the history with its rows by topic."""
        for number, (day, ratio) in enumerate(zip(self.simulation.dates(), self._ratios, strict=True)):
            yield day, (self._reference(day) if number == 0 else {}) | self._day(day, float(ratio))

    def _reference(self, day: int) -> dict[str, RowBatch]:
        """Return industries and index members of all stocks, valid for the whole history."""
        stocks = self.keys[is_stock(self.keys)]
        size = np.argsort(-self._weight[is_stock(self.keys)])
        large, middle = np.zeros(len(stocks)), np.zeros(len(stocks))
        large[size[: len(stocks) // 4]] = 1.0
        middle[size[len(stocks) // 4 : len(stocks) // 2]] = 1.0
        industry = (np.arange(len(stocks)) % len(INDUSTRIES)).astype(np.float64)
        chinext = (is_chinext(stocks) & ((large + middle) > 0)).astype(np.float64)
        figures: dict[str, Floats] = {
            "industry": industry, "csi300": large, "csi500": middle, "chinext_index": chinext,
        }  # fmt: skip
        return {"reference": self._batch("reference", stocks, day, figures)}

    def _day(self, day: int, ratio: float) -> dict[str, RowBatch]:
        rng, state, size = self._rng, self._state, len(self.keys)
        heat = (ratio - 0.084) / 0.084
        market_return = float(rng.normal(0.0006 + 0.004 * heat, 0.010))
        before = dict(state.index)
        for index in state.index:
            state.index[index] *= 1 + market_return + float(rng.normal(0, 0.008 if index in INDEX_OF else 0.002))
        turnover = 9e11 * float(np.exp(0.8 * heat + rng.normal(0, 0.06)))
        buys = ratio * turnover * _normalised(self._weight * rng.lognormal(0, 0.35, size))
        drift = 0.0009 + 0.010 * heat + rng.normal(0, 0.010, size)
        shocked = rng.random(size) < 0.01
        growth = np.where(shocked, drift + rng.normal(0, 0.08, size), drift)
        growth = np.maximum(growth, -0.3)
        balance = state.balance * (1 + growth)
        repay = np.maximum(state.balance + buys - balance, 0.0)
        state.balance = (state.balance + buys - repay).round(0)
        previous = state.close.copy()
        state.close = np.maximum((state.close * (1 + market_return + rng.normal(0, 0.018, size))).round(2), 0.5)
        lent = (state.balance * 0.008 / state.close).round(-2)
        margin = {
            "fin_balance": state.balance,
            "fin_buy": buys.round(0),
            "fin_repay": repay.round(0),
            "short_volume": lent,
            "short_sell": (lent * 0.1).round(-2),
            "short_repay": (lent * 0.1).round(-2),
            "short_balance": (lent * state.close).round(0),
        }
        share = {"SSE": 0.45, "SZSE": 0.55}
        traded = _normalised(self._weight * rng.lognormal(0, 0.3, size)) * turnover * 0.8
        totals = {
            name: np.array([values[self._sse].sum(), values[~self._sse].sum()]) for name, values in margin.items()
        }
        indices = {
            "close": np.array([round(v, 2) for v in state.index.values()]),
            "prev_close": np.array([round(before[i], 2) for i in state.index]),
            "open": np.array([round(before[i] + _OPENING_SHARE * (v - before[i]), 2) for i, v in state.index.items()]),
            "high": np.array([round(max(v, before[i]) * 1.005, 2) for i, v in state.index.items()]),
            "low": np.array([round(min(v, before[i]) * 0.995, 2) for i, v in state.index.items()]),
            "turnover": (turnover * np.array([share["SSE"], share["SZSE"], 0.25, *self._slices])).round(0),
        }
        prices = {
            "close": state.close,
            "prev_close": previous,
            "open": (previous + _OPENING_SHARE * (state.close - previous)).round(2),
            "turnover": traded.round(0),
            "volume": (traded / state.close).round(-2),
            "float_shares": (40 * state.balance / state.close).round(0),
        }
        return {
            "indices.daily": self._batch("indices.daily", np.array([*state.index], dtype=np.int32), day, indices),
            "prices.daily": self._batch("prices.daily", self.keys, day, prices),
            "margin.daily": self._batch("margin.daily", self.keys, day, margin),
            "margin.market": self._batch("margin.market", np.array([0, 1], dtype=np.int32), day, totals),
        }

    def session(self, day: int, *, ratio: float, every_minutes: int = 1) -> Iterator[tuple[int, dict[str, RowBatch]]]:
        """Yield the snapshots of a running session, ``(minute of the day, rows by topic)``; cumulative figures."""
        rng, state, size = self._rng, self._state, len(self.keys)
        last, level = state.close.copy(), dict(state.index)
        turnover = 9e11 * float(np.exp(rng.normal(0, 0.06)))
        spread = _normalised(self._weight * rng.lognormal(0, 0.3, size))
        minutes = _SESSION_MINUTES[every_minutes - 1 :: every_minutes]
        step = np.sqrt(every_minutes / len(_SESSION_MINUTES))
        for i, minute in enumerate(minutes, start=1):
            done = i / len(minutes)
            drift = float(rng.normal(0, 0.008 * step))
            last = np.maximum((last * (1 + drift + rng.normal(0, 0.015 * step, size))).round(2), 0.5)
            level = {k: v * (1 + drift) for k, v in level.items()}
            ts = shanghai_moment(day, minute)
            traded = spread * turnover * done
            buys = ratio * turnover * done * spread
            indices = {
                "last": np.array([round(v, 2) for v in level.values()]),
                "prev_close": np.array([round(v, 2) for v in state.index.values()]),
                "volume": np.zeros(len(level)),
                "turnover": np.array([0.45, 0.55, 0.25, *self._slices]) * turnover * done,
            }
            prices = {
                "last": last,
                "prev_close": state.close,
                "volume": (traded / last).round(-2),
                "turnover": traded.round(0),
            }
            margin = {"fin_buy": buys.round(0), "fin_repay": (buys * 0.97).round(0)}
            ids = np.array([*level], dtype=np.int32)
            yield (
                minute,
                {
                    "indices.intraday": _rows("indices.intraday", ids, day, ts, indices),
                    "prices.intraday": _rows("prices.intraday", self.keys, day, ts, prices),
                    "margin.intraday": _rows("margin.intraday", self.keys, day, ts, margin),
                },
            )

    def _batch(self, topic: str, keys: Ids, day: int, figures: dict[str, Floats]) -> RowBatch:
        return _rows(topic, keys, day, available_at(topic, day, self.simulation.calendar), figures)


def _rows(topic: str, keys: Ids, day: int, stamp: int, figures: dict[str, Floats]) -> RowBatch:
    size = len(keys)
    return RowBatch(
        topic,
        keys,
        np.full(size, day, dtype=np.int32),
        np.zeros(size, dtype=np.int32),
        np.full(size, stamp, dtype=np.int64),
        {c.name: np.asarray(figures.get(c.name, np.full(size, np.nan)), dtype=np.float64) for c in FIGURES[topic]},
    )


def _universe(simulation: Simulation) -> Ids:
    half = simulation.stocks // 2
    codes = [f"{600000 + i:06d}.SH" for i in range(half)]
    codes += [f"{300001 + i:06d}.SZ" for i in range(simulation.stocks - half)]
    codes += [f"{510000 + 10 * i:06d}.SH" for i in range(simulation.funds // 2)]
    codes += [f"{159901 + i:06d}.SZ" for i in range(simulation.funds - simulation.funds // 2)]
    return np.sort(np.array([to_id(c) for c in codes], dtype=np.int32))


def _ratios(days: int, rng: np.random.Generator) -> Floats:
    """Return the script of the ratio over a number of days, with noise too small to hide its episodes."""
    ends = np.cumsum([share for share, _ in _SCRIPT]) * (days - 1)
    path = np.interp(np.arange(days), [0.0, *ends], [0.080, *(level for _, level in _SCRIPT)])
    noise: Floats = rng.normal(0, 0.0012, days)
    return np.asarray(path + noise)


def _normalised(weights: Floats) -> Floats:
    return np.asarray(weights / weights.sum())


def names(keys: Ids) -> dict[str, str]:
    """Return invented names of simulated securities, by code: a stock's industry and number, or a fund's number."""
    stocks, funds = keys[is_stock(keys)], keys[~is_stock(keys)]
    out = {
        code: f"模拟{INDUSTRIES[number % len(INDUSTRIES)][:2]}{number // len(INDUSTRIES) + 1}"
        for number, code in enumerate(to_codes(stocks))
    }
    return out | {code: f"模拟ETF{number}" for number, code in enumerate(to_codes(funds), 1)}


def last_session(calendar: TradingCalendar, today: int) -> int:
    """Return the session before the newest one up to ``today``, which is followed by at least ten known sessions.

    The simulated history ends with it, and the simulated session is that newest one: the stream refuses a day to come.
    """
    limit = calendar.shift(calendar.last, -9) or calendar.first
    return int(calendar.between(calendar.first, min(today, limit))[-2])
