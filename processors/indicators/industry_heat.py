"""Heat and risk of the industries 行业热度与风险: means of z-scores across the 31 industries.

[DG24] names the groups of factors; where it names only a group, its factors are ours. Valuation, turnover rate and float
cap come from the row of the industry's index (``indices.daily``), or from its stocks (``valuations.daily``) weighted by
float cap: Σ cap / Σ (cap / PE), likewise for PB, Σ cap × yield / Σ cap. Where less than half of an exchange's stocks have
the figure, its industries have none: that of one exchange is none of an industry. A factor without a feed is left out, with
the reason.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from processors.arrays import Floats
from processors.block import Block
from processors.codes import EXCHANGES, exchange_of
from processors.cross_sections import Gap, merged, reasons
from processors.days import to_date
from processors.indicators.fin_change import FIN_CHANGE
from processors.indicators.industry_balance import (
    BALANCE,
    BUY,
    INDEX_FLOAT_CAP,
    MEMBERS,
    REPAY,
    STOCK_FLOAT_CAP,
    TURNOVER,
    IndustryColumns,
    balance_shares,
    balance_to_float_cap,
    flow_gaps,
    net_buys,
    sums,
)
from processors.kinds import is_stock
from processors.needs import DETAIL, VALUATIONS, Need, industry_index, security, turnover, valuation
from processors.signal import Level, Signal
from processors.statistics import means, rsi

_YEAR, _RSI_DAYS, _KDJ_DAYS, _WINDOW, _RATE_DAYS = 250, 14, 9, 61, 20
#: A factor that is known for fewer industries is left out (ours).
MIN_INDUSTRIES = 20

HEAT = (
    "pe", "pb", "dividend_yield",
    "volatility", "downside_deviation", "max_drawdown",
    "balance_to_float_cap", "net_buy_to_turnover", "buy_to_turnover",
    "turnover_rate", "turnover_share", "breadth",
    "return_20", "distance_60", "rsi_14",
)  # fmt: skip
COOL = frozenset(("pe", "pb", "volatility", "downside_deviation", "max_drawdown"))  # with a negative sign in heat
RISK = (
    "pe", "pb", "volatility", "downside_deviation", "kdj_j", "return_20", "turnover_rate_20", "balance_share",
)  # fmt: skip

#: Factors of the margin detail.
_OF_DETAIL = {"balance_to_float_cap", "net_buy_to_turnover", "buy_to_turnover", "breadth", "balance_share"}

CHANGE, MARKET_TURNOVER = security(FIN_CHANGE), turnover(optional=True)
CLOSES, HIGHS, LOWS = (industry_index(name, days=_WINDOW) for name in ("close", "high", "low"))
INDEX_PE, INDEX_PB, INDEX_YIELD = (industry_index(name) for name in ("pe_ttm", "pb", "dividend_yield"))
INDEX_RATES = industry_index("turnover_rate", days=_RATE_DAYS)
STOCK_PE, STOCK_PB, STOCK_YIELD, STOCK_RATE = (
    valuation(name) for name in ("pe_ttm", "pb", "dividend_yield", "turnover_rate")
)
#: The mean turnover rate of 20 sessions, of stocks with at least half of them (ours).
STOCK_MEAN_RATE = valuation("turnover_rate", days=_RATE_DAYS, mean=True, min_periods=_RATE_DAYS // 2)
#: Factors that may come from the valuations of stocks, and the figure of a day that they need.
_OF_STOCKS = {
    "pe": STOCK_PE, "pb": STOCK_PB, "dividend_yield": STOCK_YIELD, "turnover_rate": STOCK_RATE,
    "turnover_rate_20": STOCK_RATE,
}  # fmt: skip
_PRICES = (CLOSES, HIGHS, LOWS, INDEX_PE, INDEX_PB, INDEX_YIELD, INDEX_RATES)
_STOCKS = (STOCK_PE, STOCK_PB, STOCK_YIELD, STOCK_RATE, STOCK_MEAN_RATE, STOCK_FLOAT_CAP)
_NEEDS = (BALANCE, BUY, REPAY, CHANGE, MEMBERS, INDEX_FLOAT_CAP, TURNOVER, MARKET_TURNOVER, *_PRICES, *_STOCKS)

SIGNALS = (
    Signal(
        "heat",
        Level.INDUSTRY,
        "Heat",
        "行业热度",
        "z",
        _NEEDS,
        "mean of the z-scores (winsorised at ±3) of −PE, −PB, dividend yield; −volatility, −downside deviation, −maximum drawdown (60 days); "
        "balance/float cap, net buy/turnover, buy/turnover; turnover rate, share of turnover, breadth; 20-day return, distance to "
        "the 60-day mean, RSI(14); parts in heat_<factor>",
        "[DG24], factors ours where only the group is named",
        beside=tuple(f"heat_{factor}" for factor in HEAT),
    ),
    Signal(
        "risk",
        Level.INDUSTRY,
        "Risk",
        "行业风险",
        "z",
        _NEEDS,
        "mean of the z-scores (winsorised at ±3) of PE, PB, volatility, downside deviation (60 days), KDJ J(9,3,3), 20-day return, 20-day "
        "mean turnover rate, share of the margin balance; parts in risk_<factor>",
        "[DG24]",
        beside=tuple(f"risk_{factor}" for factor in RISK),
    ),
)


def compute(block: Block) -> IndustryColumns:
    """Return heat and risk with their parts, and the missing factors of each day."""
    gaps = {need: _gaps(block, need) for need in dict.fromkeys(_OF_STOCKS.values())}
    factors = _factors(block, gaps)
    names = list(factors)
    scores = dict(zip(names, z_scores(np.array([factors[name] for name in names])), strict=True))
    known = {name: (~np.isnan(values)).sum(axis=1).tolist() for name, values in factors.items()}
    columns: dict[str, Floats] = {}
    left_out: list[dict[str, str]] = [{} for _ in range(len(block))]
    of_detail = reasons(merged(flow_gaps(block), block.unclassified))
    of_stocks = {part: reasons(merged(gaps[need], block.unclassified)) for part, need in _OF_STOCKS.items()}
    for composite_name, parts, cool in (("heat", HEAT, COOL), ("risk", RISK, frozenset())):
        signed = {part: -scores[part] if part in cool else scores[part] for part in parts}
        columns[composite_name] = composite(np.array(list(signed.values())))
        columns |= {f"{composite_name}_{part}": score for part, score in signed.items()}
        for part in parts:
            for i, count in enumerate(known[part]):
                if count < MIN_INDUSTRIES:
                    why = of_stocks.get(part, of_detail if part in _OF_DETAIL else {})
                    cause = f" ({why[i]})" if i in why else ""
                    left_out[i][f"{composite_name}_{part}"] = (
                        f"known of {count} industries, {MIN_INDUSTRIES} are needed{cause}"
                    )
    return columns, left_out


def z_scores(values: Floats) -> Floats:
    """Return (x − mean) / σ across the industries, winsorised at ±3: (…, 31); NaN as `in_own_sigma` has it."""
    return np.asarray(np.clip(in_own_sigma(values), -3, 3))


def in_own_sigma(values: Floats) -> Floats:
    """Return (x − mean) / σ across the industries: (…, 31).

    All NaN where fewer than `MIN_INDUSTRIES` are known, or where they are all equal.

    Examples
    --------
    >>> in_own_sigma(np.array([0.5, -0.5] * 15 + [np.nan]))[:2].tolist()
    [1.0, -1.0]
    """
    known = ~np.isnan(values)
    middle = means(values)[..., None]
    apart = np.where(known, values - middle, 0.0)
    sigma = np.sqrt((apart * apart).sum(axis=-1) / np.maximum(known.sum(axis=-1), 1))
    usable = (known.sum(axis=-1) >= MIN_INDUSTRIES) & (sigma > 0)
    return np.asarray((values - middle) / np.where(usable, sigma, np.nan)[..., None])


def composite(scores: Floats) -> Floats:
    """Return the mean over the known parts of each industry: (parts, …, 31) → (…, 31).

    NaN where an industry has fewer than half of the parts in use (ours).
    """
    known = ~np.isnan(scores)
    used = known.any(axis=-1).sum(axis=0)[..., None]
    counts = known.sum(axis=0)
    total = np.zeros(scores.shape[1:])
    for score in scores:
        total += np.where(np.isnan(score), 0.0, score)
    enough = (counts > 0) & (counts * 2 >= used)
    return np.asarray(total / np.where(enough, counts, np.nan))


def _factors(block: Block, gaps: dict[Need, list[Gap]]) -> dict[str, Floats]:
    turnovers, rates, balance = block[TURNOVER], block[INDEX_RATES], sums(block, BALANCE)
    per_turnover = np.where(turnovers > 0, turnovers, np.nan)
    closes = block[CLOSES]
    out = {
        "pe": _or_of_stocks(_positive(block[INDEX_PE]), _multiple(block, STOCK_PE, gaps[STOCK_PE])),
        "pb": _or_of_stocks(_positive(block[INDEX_PB]), _multiple(block, STOCK_PB, gaps[STOCK_PB])),
        "dividend_yield": _or_of_stocks(block[INDEX_YIELD], _weighted(block, STOCK_YIELD, gaps[STOCK_YIELD])),
        "balance_to_float_cap": balance_to_float_cap(block, balance),
        "net_buy_to_turnover": net_buys(block) / per_turnover,
        "buy_to_turnover": sums(block, BUY) / per_turnover,
        "turnover_rate": _or_of_stocks(rates[..., -1], _weighted(block, STOCK_RATE, gaps[STOCK_RATE])),
        "turnover_rate_20": _or_of_stocks(rates.mean(axis=-1), _weighted(block, STOCK_MEAN_RATE, gaps[STOCK_RATE])),
        "turnover_share": turnovers / block[MARKET_TURNOVER][:, None],
        "breadth": _breadth(block),
        "balance_share": balance_shares(block, balance),
        "rsi_14": rsi(closes, _RSI_DAYS),
        "kdj_j": kdj_j(closes, block[HIGHS], block[LOWS]),
    }
    return out | _of_prices(closes)


def _of_prices(closes: Floats) -> dict[str, Floats]:
    """Return the factors of 61 closes (k, 31, 61) by name (k, 31); NaN where a close that it reads is unknown."""
    returns = closes[..., 1:] / closes[..., :-1] - 1
    highs = np.maximum.accumulate(closes, axis=-1)
    falls = np.minimum(returns, 0)
    return {
        "volatility": returns.std(axis=-1, ddof=1) * np.sqrt(_YEAR),
        "downside_deviation": np.sqrt((falls * falls).mean(axis=-1) * _YEAR),
        "max_drawdown": -(closes / highs - 1).min(axis=-1),
        "return_20": closes[..., -1] / closes[..., -21] - 1,
        "distance_60": closes[..., -1] / np.ascontiguousarray(closes[..., 1:]).mean(axis=-1) - 1,
    }


def kdj_j(closes: Floats, highs: Floats, lows: Floats) -> Floats:
    """Return J = 3K − 2D of KDJ(9,3,3) (…,); K and D start at 50 on the window's first full range.

    Parameters
    ----------
    closes, highs, lows : (…, days); a row with any NaN gives NaN.
    """
    high = sliding_window_view(highs, _KDJ_DAYS, axis=-1).max(axis=-1)
    low = sliding_window_view(lows, _KDJ_DAYS, axis=-1).min(axis=-1)
    width = np.where(high > low, high - low, np.nan)
    raw = 100 * (closes[..., _KDJ_DAYS - 1 :] - low) / width
    raw = np.where(high == low, 50.0, raw)
    k = d = np.full(raw.shape[:-1], 50.0)
    for day in range(raw.shape[-1]):
        k = k * (2 / 3) + raw[..., day] / 3
        d = d * (2 / 3) + k / 3
    return np.asarray(3 * k - 2 * d)


def _breadth(block: Block) -> Floats:
    """Return the share of an industry's stocks whose balance rose on the day (k, 31)."""
    section = block.section(DETAIL)
    change = block.on(section, CHANGE)
    rose = np.where(np.isnan(change), np.nan, change > 0)
    count = np.where(np.isnan(change), np.nan, 1.0)
    out = block.by_industry(section, rose) / block.by_industry(section, count)
    gaps = block.with_differences(DETAIL, section, ~np.isnan(change))
    out[block.unknown_industries(gaps)] = np.nan
    return out


def _or_of_stocks(of_index: Floats, of_stocks: Floats) -> Floats:
    return np.where(np.isnan(of_index), of_stocks, of_index)


def _gaps(block: Block, need: Need) -> list[Gap]:
    """Return the exchanges of whose stocks with a float cap less than half have a figure of the day, by day (k,).

    Vendors publish some figures of one exchange alone.
    """
    stocks = block.section(VALUATIONS)
    valued = is_stock(stocks.keys) & (block.on(stocks, STOCK_FLOAT_CAP) > 0)
    known = valued & ~np.isnan(block.on(stocks, need))
    every, having = (stocks.counts(exchange_of(stocks.keys), len(EXCHANGES), used) for used in (valued, known))
    out: list[Gap] = [{} for _ in block.days]
    for i, number in np.argwhere(2 * having < every).tolist():
        out[i][number] = f"{VALUATIONS} {need.figure} of {to_date(block.days[i])} lacks {EXCHANGES[number]}"
    return merged(block.gaps(VALUATIONS), out)


def _weighted(block: Block, need: Need, gaps: list[Gap]) -> Floats:
    """Return the mean of a figure over each industry's stocks, weighted by float cap (k, 31); NaN where no stock has both,
    or an exchange of the industry is missing."""
    stocks = block.section(VALUATIONS)
    values, caps = block.on(stocks, need), block.on(stocks, STOCK_FLOAT_CAP)
    caps = np.where(np.isnan(values) | ~(caps > 0), np.nan, caps)
    out = block.by_industry(stocks, values * caps) / block.by_industry(stocks, caps)
    out[block.unknown_industries(gaps)] = np.nan
    return out


def _multiple(block: Block, need: Need, gaps: list[Gap]) -> Floats:
    """Return PE or PB of each industry (k, 31): Σ cap / Σ (cap / multiple), including losses; NaN if that is not positive,
    or an exchange of the industry is missing."""
    stocks = block.section(VALUATIONS)
    values, caps = block.on(stocks, need), block.on(stocks, STOCK_FLOAT_CAP)
    known = (values != 0) & ~np.isnan(values) & (caps > 0)
    earned = block.by_industry(stocks, np.where(known, caps / np.where(known, values, 1.0), np.nan))
    out = block.by_industry(stocks, np.where(known, caps, np.nan)) / _positive(earned)
    out[block.unknown_industries(gaps)] = np.nan
    return out


def _positive(values: Floats) -> Floats:
    """Return the values with NaN in place of those that are not positive."""
    return np.where(values > 0, values, np.nan)
