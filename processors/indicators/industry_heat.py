"""Heat and risk of the industries 行业热度与风险: means of z-scores across the 31 industries.

[DG24] names the groups; where it names only the group, the factors are ours. Valuation, turnover rate and float cap are
those of the industry's index row (``indices.daily``), or of its stocks (``valuations.daily``) weighted by float cap:
Σ cap / Σ (cap / PE), the same of PB, Σ cap × yield / Σ cap. What no feed brings is left out, and said so.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from processors.events import Floats
from processors.indicators.industry_balance import (
    INPUTS,
    OPTIONAL,
    balance_to_float_cap,
    by_industry,
    index_values,
    index_windows,
    sums,
)
from processors.industries import INDUSTRIES
from processors.market_view import MarketView
from processors.reference import UNKNOWN
from processors.signal import Level, Signal
from processors.statistics import rsi

_YEAR, _RSI_DAYS, _KDJ_DAYS = 250, 14, 9
#: A factor that fewer industries have is left out: their z-scores would compare too few (ours).
LEAST = 20

HEAT = (
    "pe", "pb", "dividend_yield",
    "volatility", "downside_deviation", "max_drawdown",
    "balance_to_float_cap", "net_buy_to_turnover", "buy_to_turnover",
    "turnover_rate", "turnover_share", "breadth",
    "return_20", "distance_60", "rsi_14",
)  # fmt: skip
_COOL = {"pe", "pb", "volatility", "downside_deviation", "max_drawdown"}  # more of it means less heat
RISK = (
    "pe", "pb", "volatility", "downside_deviation", "kdj_j", "return_20", "turnover_rate_20", "balance_share",
)  # fmt: skip

SIGNALS = (
    Signal(
        "heat",
        Level.INDUSTRY,
        "Heat",
        "行业热度",
        "z",
        INPUTS,
        "mean of the z-scores (winsorised at ±3) of −PE, −PB, dividend yield; −volatility, −downside deviation, −maximum drawdown (60 days); "
        "balance/float cap, net buy/turnover, buy/turnover; turnover rate, share of turnover, breadth; 20-day return, distance to "
        "the 60-day mean, RSI(14); parts in heat_<factor>",
        "[DG24], factors ours where only the group is named",
        window_days=61,
        optional=OPTIONAL,
    ),
    Signal(
        "risk",
        Level.INDUSTRY,
        "Risk",
        "行业风险",
        "z",
        INPUTS,
        "mean of the z-scores (winsorised at ±3) of PE, PB, volatility, downside deviation (60 days), KDJ J(9,3,3), 20-day return, 20-day "
        "mean turnover rate, share of the margin balance; parts in risk_<factor>",
        "[DG24]",
        window_days=61,
        optional=OPTIONAL,
    ),
)


def compute(view: MarketView) -> tuple[dict[str, Floats], dict[str, str]]:
    """Return heat and risk with their parts (31,), and the factors that are left out."""
    factors = _factors(view)
    columns: dict[str, Floats] = {}
    left_out: dict[str, str] = {}
    for name, parts, cool in (("heat", HEAT, _COOL), ("risk", RISK, set())):
        scores = {}
        for part in parts:
            known = int((~np.isnan(factors[part])).sum())
            if known < LEAST:
                left_out[f"{name}_{part}"] = f"known of {known} industries, {LEAST} are needed"
            scores[part] = z_scores(-factors[part] if part in cool else factors[part])
        columns[name] = composite(np.array(list(scores.values())))
        columns |= {f"{name}_{part}": score for part, score in scores.items()}
    return columns, left_out


def z_scores(values: Floats) -> Floats:
    """Return (x − mean) / σ across the industries, winsorised at ±3; all NaN if fewer than `LEAST` are known."""
    known = values[~np.isnan(values)]
    if len(known) < LEAST or not (sigma := float(known.std())):
        return np.full(len(values), np.nan)
    return np.asarray(np.clip((values - known.mean()) / sigma, -3, 3))


def composite(scores: Floats) -> Floats:
    """Return the mean over the parts that an industry has (parts, 31) → (31,).

    NaN where it has fewer than half of the parts that are in use: a mean of one part says little (ours).
    """
    used = ~np.isnan(scores).all(axis=1)
    counts = (~np.isnan(scores)).sum(axis=0)
    enough = (counts > 0) & (counts * 2 >= used.sum())
    return np.asarray(np.nansum(scores, axis=0) / np.where(enough, counts, np.nan))


def _factors(view: MarketView) -> dict[str, Floats]:
    closes = index_windows(view, "close", 61)
    turnover = index_values(view, "turnover")
    rates = index_windows(view, "turnover_rate", 20)
    balance = sums(view, "fin_balance")
    per_turnover = np.where(turnover > 0, turnover, np.nan)
    traded = view.turnover_window(1)[-1]
    absent = np.full(len(INDUSTRIES), np.nan)
    out = {
        "pe": _or_of_stocks(_positive(index_values(view, "pe_ttm")), _multiple(view, "pe_ttm")),
        "pb": _or_of_stocks(_positive(index_values(view, "pb")), _multiple(view, "pb")),
        "dividend_yield": _or_of_stocks(index_values(view, "dividend_yield"), _weighted(view, "dividend_yield")),
        "balance_to_float_cap": balance_to_float_cap(view, balance),
        "net_buy_to_turnover": sums(view, "net_buy") / per_turnover,
        "buy_to_turnover": sums(view, "fin_buy") / per_turnover,
        "turnover_rate": _or_of_stocks(rates[:, -1], _weighted(view, "turnover_rate")),
        "turnover_rate_20": _or_of_stocks(
            rates.mean(axis=1) if rates.shape[1] == 20 else absent, _weighted(view, "turnover_rate_20")
        ),
        "turnover_share": turnover / traded,
        "breadth": _breadth(view),
        "balance_share": balance / np.nansum(balance),
    }
    full = closes.shape[1] == 61
    out["rsi_14"] = rsi(closes, _RSI_DAYS) if full else absent
    out["kdj_j"] = kdj_j(closes, index_windows(view, "high", 61), index_windows(view, "low", 61)) if full else absent
    return out | _of_prices(closes)


def _of_prices(closes: Floats) -> dict[str, Floats]:
    """Factors of 61 closes (31, 61); NaN where any of them is unknown."""
    if closes.shape[1] < 61:
        return {
            n: np.full(len(closes), np.nan)
            for n in ("volatility", "downside_deviation", "max_drawdown", "return_20", "distance_60")
        }
    returns = closes[:, 1:] / closes[:, :-1] - 1
    highs = np.maximum.accumulate(closes, axis=1)
    return {
        "volatility": returns.std(axis=1, ddof=1) * np.sqrt(_YEAR),
        "downside_deviation": np.sqrt((np.minimum(returns, 0) ** 2).mean(axis=1) * _YEAR),
        "max_drawdown": -(closes / highs - 1).min(axis=1),
        "return_20": closes[:, -1] / closes[:, -21] - 1,
        "distance_60": closes[:, -1] / closes[:, 1:].mean(axis=1) - 1,
    }


def kdj_j(closes: Floats, highs: Floats, lows: Floats) -> Floats:
    """Return J = 3K − 2D of KDJ(9,3,3), begun at 50 on the window's first full range.

    Parameters
    ----------
    closes, highs, lows : (n, days); a row with any NaN gives NaN.
    """
    high = sliding_window_view(highs, _KDJ_DAYS, axis=1).max(axis=2)
    low = sliding_window_view(lows, _KDJ_DAYS, axis=1).min(axis=2)
    width = np.where(high > low, high - low, np.nan)
    raw = 100 * (closes[:, _KDJ_DAYS - 1 :] - low) / width
    raw = np.where(high == low, 50.0, raw)
    weights = _smoothing(raw.shape[1])
    fading = (2 / 3) ** np.arange(1, raw.shape[1] + 1)
    k = raw @ weights.T + 50.0 * fading
    d = k @ weights[-1] + 50.0 * fading[-1]
    return np.asarray(3 * k[:, -1] - 2 * d)


@lru_cache(maxsize=4)
def _smoothing(days: int) -> Floats:
    """Weights of x_i in s_n = s_{n−1} · 2/3 + x_n / 3 (days, days): each line smooths up to its day."""
    apart = np.subtract.outer(np.arange(days), np.arange(days))
    return np.where(apart >= 0, (2 / 3) ** np.maximum(apart, 0) / 3, 0.0)


def _breadth(view: MarketView) -> Floats:
    """Share of an industry's stocks whose balance rose today (31,)."""
    industry, change = view.industry, view.detail.columns["fin_change"]
    used = (industry != UNKNOWN) & ~np.isnan(change)
    rose = np.bincount(industry[used & (change > 0)], minlength=len(INDUSTRIES))
    count = np.bincount(industry[used], minlength=len(INDUSTRIES))
    return np.asarray(rose / np.where(count > 0, count, np.nan))


def _or_of_stocks(of_index: Floats, of_stocks: Floats) -> Floats:
    return np.where(np.isnan(of_index), of_stocks, of_index)


def _weighted(view: MarketView, name: str) -> Floats:
    """Mean of a figure over each industry's stocks, weighted by float cap (31,); NaN where no stock has both."""
    stocks = view.members.stocks
    values, caps = view.valued(name, stocks), view.valued("float_cap", stocks)
    caps = np.where(np.isnan(values) | ~(caps > 0), np.nan, caps)
    industry = view.members.stock_industry
    return by_industry(industry, values * caps) / by_industry(industry, caps)


def _multiple(view: MarketView, name: str) -> Floats:
    """What a unit of earnings or book value costs in each industry (31,), losses included; NaN where there are none."""
    stocks = view.members.stocks
    values, caps = view.valued(name, stocks), view.valued("float_cap", stocks)
    known = (values != 0) & (caps > 0)
    industry = view.members.stock_industry
    earned = by_industry(industry, np.where(known, caps / np.where(known, values, 1.0), np.nan))
    return by_industry(industry, np.where(known, caps, np.nan)) / _positive(earned)


def _positive(values: Floats) -> Floats:
    """A valuation or cap that is not positive says nothing here."""
    return np.where(values > 0, values, np.nan)
