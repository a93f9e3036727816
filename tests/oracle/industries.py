"""The signals of the industries: tables of day × industry."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from tests.oracle.data import Data, is_stock
from tests.oracle.market import Tables, market_turnover, rsi
from tests.oracle.securities import net_buy_lacks, net_buys, own_history, unnamed_where

#: Industries in the order of their indices (申万一级行业, 2021), and those indices.
INDEX_OF = {
    "农林牧渔": 801010, "基础化工": 801030, "钢铁": 801040, "有色金属": 801050, "电子": 801080, "家用电器": 801110,
    "食品饮料": 801120, "纺织服饰": 801130, "轻工制造": 801140, "医药生物": 801150, "公用事业": 801160,
    "交通运输": 801170, "房地产": 801180, "商贸零售": 801200, "社会服务": 801210, "综合": 801230, "建筑材料": 801710,
    "建筑装饰": 801720, "电力设备": 801730, "国防军工": 801740, "计算机": 801750, "传媒": 801760, "通信": 801770,
    "银行": 801780, "非银金融": 801790, "汽车": 801880, "机械设备": 801890, "煤炭": 801950, "石油石化": 801960,
    "环保": 801970, "美容护理": 801980,
}  # fmt: skip
NAMES = list(INDEX_OF)
LEAST, WINDOW, YEAR = 20, 61, 250


def total(data: Data, values: pd.DataFrame) -> pd.DataFrame:
    """Sum over each industry's stocks as the reference of the day names it; NaN where none has a value."""
    codes = [code for code in values.columns if is_stock(code)]
    found = values[codes].to_numpy(dtype=float)
    place = _places(data).reindex(columns=codes).to_numpy(dtype=float)
    day, code = np.nonzero(~np.isnan(found) & ~np.isnan(place))
    sums = pd.Series(found[day, code]).groupby([day, place[day, code].astype(int)]).sum()
    table = sums.unstack().reindex(index=range(len(data.days)), columns=range(len(NAMES)))
    return pd.DataFrame(table.to_numpy(), index=data.days, columns=NAMES)


@lru_cache(maxsize=4)
def _places(data: Data) -> pd.DataFrame:
    """The place of each stock's industry in `NAMES`, by day and code."""
    return data.as_of("industry", NAMES)


@lru_cache(maxsize=4)
def _exchanges(data: Data) -> dict[str, np.ndarray]:
    """Exchange → by day and industry: whether one of its stocks is there."""
    places = _places(data)
    suffix = places.columns.str[7:]
    found = {}
    for name in ("SH", "SZ", "BJ"):
        of_exchange = places.loc[:, suffix == name].to_numpy()
        found[name] = np.stack([(of_exchange == number).any(axis=1) for number in range(len(NAMES))], axis=1)
    return found


@lru_cache(maxsize=4)
def _unclassified(data: Data) -> np.ndarray:
    """On which days the industries are not known."""
    return unnamed_where(data, _places(data).notna()).any(axis=1).to_numpy()


def unknown(data: Data, lacks: pd.DataFrame) -> pd.DataFrame:
    """By day and industry: whether one of its stocks is on a missing exchange, or the industries are not known."""
    out = np.repeat(_unclassified(data)[:, None], len(NAMES), axis=1)
    for name in lacks.columns:
        out |= _exchanges(data)[name] & lacks[name].to_numpy()[:, None]
    return pd.DataFrame(out, index=data.days, columns=NAMES)


def of_index(data: Data, figure: str) -> pd.DataFrame:
    """A figure of the industries' indices."""
    wide = data.wide("indices", figure).reindex(columns=[f"{number}.SI" for number in INDEX_OF.values()])
    return wide.set_axis(NAMES, axis=1)


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """1 for the largest; of equals the one whose index comes first."""
    return table.rank(axis=1, ascending=False, method="first")


@lru_cache(maxsize=8)
def basics(data: Data) -> dict[str, pd.DataFrame]:
    """What is summed over an industry's stocks, and its shares."""
    balance, bought = (total(data, data.wide("detail", f"fin_{name}")) for name in ("balance", "buy"))
    turnover, cap = of_index(data, "turnover"), of_index(data, "float_cap")
    stocks = _places(data)
    there = stocks.notna().astype(float).where(stocks.notna())
    listed = data.listed().reindex(columns=stocks.columns, fill_value=False).astype(float).where(stocks.notna())
    caps = data.wide("valuations", "float_cap")
    caps = caps.where(caps > 0)
    caps_of_listed = caps.reindex(columns=stocks.columns) * listed
    held = data.wide("detail", "fin_balance")
    held = held.where(caps.reindex(columns=held.columns).notna())
    gone = unknown(data, data.lacks())
    by_stocks = (total(data, held) / total(data, caps)).mask(unknown(data, data.lacks() | data.lacks("valuations")))
    balance, bought = balance.mask(gone), bought.mask(gone)
    return {
        "fin_balance": balance,
        "fin_balance_share": balance.div(balance.sum(axis=1).mask(gone.any(axis=1)), axis=0),
        "fin_balance_to_float_cap": (balance / cap).where(cap > 0, by_stocks),
        "net_buy": total(data, net_buys(data)).mask(unknown(data, net_buy_lacks(data))),
        "fin_buy": bought,
        "turnover": turnover,
        "buy_to_turnover": bought / turnover.where(turnover > 0),
        "industry_coverage": (total(data, listed) / total(data, there)).mask(gone),
        "industry_coverage_by_float_cap": (total(data, caps_of_listed) / total(data, caps)).mask(
            unknown(data, data.lacks() | data.lacks("valuations"))
        ),
    }


def basic(name: str, *, rank: bool = False) -> Any:
    """The entry of a table of `basics`."""

    def entry(data: Data, _p: Any) -> Tables:
        table = basics(data)[name]
        gone = unknown(data, net_buy_lacks(data) if name == "net_buy" else data.lacks())
        if name == "fin_balance_to_float_cap":
            # A day without any valuations is no day of half of them: the others are ranked.
            half = data.lacks("valuations").mul(data.has_rows("valuations"), axis=0)
            gone |= unknown(data, half) & table.isna()
        return {"": table} | ({"rank": ranked(table).mask(gone.any(axis=1))} if rank else {})

    return entry


def ends_week(data: Data) -> np.ndarray:
    """Which days are the last session of their calendar week."""
    last = pd.Series(data.days, index=data.days).groupby(data.days.to_period("W")).transform("max")
    return (last == data.days).to_numpy()


@lru_cache(maxsize=8)
def weeks(data: Data) -> dict[str, pd.DataFrame]:
    """Weekly change, breadth and selections, on the last session of each calendar week."""
    balance = data.wide("detail", "fin_balance")
    ends = ends_week(data)
    before = balance[ends].shift(1).reindex(balance.index)  # NaN on the days that end no week
    both = balance.notna() & (before > 0)
    change = total(data, balance.where(both)) / total(data, before.where(both)) - 1
    ones = pd.DataFrame(1.0, index=balance.index, columns=balance.columns)
    breadth = total(data, (balance > before).astype(float).where(both)) / total(data, ones.where(both))
    lacks = data.lacks()
    last_week = lacks[ends].shift(1, fill_value=True).reindex(lacks.index, fill_value=False)
    gone = unknown(data, lacks | last_week).mul(ends, axis=0)
    change, breadth = change.mask(gone), breadth.mask(gone)
    first, second = ranked(change), ranked(breadth)
    flags = {
        "change_top9": first <= 9,
        "breadth_top9": second <= 9,
        "dual_1": (first <= 9) & (second <= 9),
        "dual_2": (first <= 9) & (second <= 9) & (first > 3),
        "dual_3": (first <= 9) & (second <= 6) & (first > 3),
    }
    known = (change.notna() & breadth.notna()).mul(~gone.any(axis=1), axis=0)
    out = {name: flag.astype(float).where(known) for name, flag in flags.items()}
    return {"week_change": change, "week_breadth": breadth} | out


def weekly(name: str) -> Any:
    """The entry of a table of `weeks`."""
    return lambda data, _p: {"": weeks(data)[name]}


# -- Heat and risk -----------------------------------------------------------------------------------


def _per_industry(table: pd.DataFrame, function: Any) -> pd.DataFrame:
    return pd.DataFrame({name: function(table[name]) for name in table.columns})


def _kdj(data: Data) -> pd.DataFrame:
    """J of KDJ(9, 3, 3), begun at 50 with each window of 61 days."""
    close, high, low = (of_index(data, name) for name in ("close", "high", "low"))
    top, bottom = high.rolling(9).max(), low.rolling(9).min()
    raw = (100 * (close - bottom) / (top - bottom)).mask(top == bottom, 50.0)
    k = d = pd.DataFrame(50.0, index=close.index, columns=close.columns)
    for back in range(WINDOW - 9, -1, -1):
        k = k * 2 / 3 + raw.shift(back) / 3
        d = d * 2 / 3 + k / 3
    return 3 * k - 2 * d


def _half_known(data: Data, values: pd.DataFrame, caps: pd.DataFrame) -> pd.DataFrame:
    """By day and industry: whether an exchange of it has the figure of less than half of its valued stocks."""
    codes = [code for code in caps.columns if is_stock(code)]
    valued = caps[codes].notna()
    known = valued & values.reindex(columns=codes).notna()
    lacks = data.lacks("valuations")
    for name in lacks.columns:
        here = [code for code in codes if code.endswith(name)]
        lacks[name] |= 2 * known[here].sum(axis=1) < valued[here].sum(axis=1)
    return unknown(data, lacks)


def _weighted(data: Data, values: pd.DataFrame, caps: pd.DataFrame, of_day: pd.DataFrame) -> pd.DataFrame:
    both = values.notna() & caps.notna()
    mean = total(data, (values * caps).where(both)) / total(data, caps.where(both))
    return mean.mask(_half_known(data, of_day, caps))


def _multiple(data: Data, values: pd.DataFrame, caps: pd.DataFrame) -> pd.DataFrame:
    both = values.notna() & (values != 0) & caps.notna()
    earned = total(data, (caps / values).where(both))
    return (total(data, caps.where(both)) / earned.where(earned > 0)).mask(_half_known(data, values, caps))


@lru_cache(maxsize=8)
def factors(data: Data, p: Any) -> dict[str, pd.DataFrame]:
    """Every factor by its name, before it is compared across the industries."""
    found = basics(data)
    close, turnover = of_index(data, "close"), of_index(data, "turnover")
    returns = close / close.shift(1) - 1
    whole = close.rolling(WINDOW).count() == WINDOW
    caps = data.wide("valuations", "float_cap")
    stocks = _places(data).reindex(columns=caps.columns).notna()
    caps = caps.where((caps > 0) & stocks)
    pe, pb, dividend, rate = (data.wide("valuations", n) for n in ("pe_ttm", "pb", "dividend_yield", "turnover_rate"))
    rates = of_index(data, "turnover_rate")
    change = own_history(data, p)["fin_change"]
    known = change.notna()
    day_rate, month_rate = rates, rates.rolling(20).mean()
    index_pe, index_pb, index_yield = (of_index(data, n) for n in ("pe_ttm", "pb", "dividend_yield"))
    mean_rate = rate.rolling(20, min_periods=10).mean().where(data.listed("valuations"))
    per = turnover.where(turnover > 0)

    def drawdown(series: pd.Series) -> pd.Series:
        values = series.to_numpy()
        out = np.full(len(values), np.nan)
        for i in range(WINDOW - 1, len(values)):
            window = values[i + 1 - WINDOW : i + 1]
            if not np.isnan(window).any():
                out[i] = -(window / np.maximum.accumulate(window) - 1).min()
        return pd.Series(out, index=series.index)

    return {
        "pe": index_pe.where(index_pe > 0).fillna(_multiple(data, pe, caps)),
        "pb": index_pb.where(index_pb > 0).fillna(_multiple(data, pb, caps)),
        "dividend_yield": index_yield.fillna(_weighted(data, dividend, caps, dividend)),
        "volatility": returns.rolling(60).std().where(whole) * np.sqrt(YEAR),
        "downside_deviation": np.sqrt((returns.clip(upper=0) ** 2).rolling(60).mean().where(whole) * YEAR),
        "max_drawdown": _per_industry(close, drawdown),
        "balance_to_float_cap": found["fin_balance_to_float_cap"],
        "net_buy_to_turnover": found["net_buy"] / per,
        "buy_to_turnover": found["buy_to_turnover"],
        "turnover_rate": day_rate.fillna(_weighted(data, rate, caps, rate)),
        "turnover_rate_20": month_rate.fillna(_weighted(data, mean_rate, caps, rate)),
        "turnover_share": turnover.div(market_turnover(data), axis=0),
        "breadth": (
            total(data, (change > 0).astype(float).where(known)) / total(data, known.astype(float).where(known))
        ).mask(unknown(data, data.lacks_before("detail", change, data.listed()))),
        "balance_share": found["fin_balance_share"],
        "return_20": close / close.shift(20) - 1,
        "distance_60": close / close.rolling(60).mean() - 1,
        "rsi_14": _per_industry(close, lambda series: rsi(series, WINDOW)),
        "kdj_j": _kdj(data),
    }


HEAT = {
    "pe": -1, "pb": -1, "dividend_yield": 1, "volatility": -1, "downside_deviation": -1, "max_drawdown": -1,
    "balance_to_float_cap": 1, "net_buy_to_turnover": 1, "buy_to_turnover": 1, "turnover_rate": 1, "turnover_share": 1,
    "breadth": 1, "return_20": 1, "distance_60": 1, "rsi_14": 1,
}  # fmt: skip
RISK = dict.fromkeys(
    ("pe", "pb", "volatility", "downside_deviation", "kdj_j", "return_20", "turnover_rate_20", "balance_share"), 1
)


def composite(parts: dict[str, int]) -> Any:
    """The entry of a mean of z-scores."""

    def entry(data: Data, p: Any) -> Tables:
        scores = {}
        for name, sign in parts.items():
            table = factors(data, p)[name]
            spread = table.std(axis=1, ddof=0)
            enough = (table.notna().sum(axis=1) >= LEAST) & (spread > 0)
            z = table.sub(table.mean(axis=1), axis=0).div(spread, axis=0).clip(-3, 3)
            scores[name] = z.where(enough, np.nan) * sign
        cube = np.array([z.to_numpy() for z in scores.values()])
        known = ~np.isnan(cube)
        used = known.any(axis=2).sum(axis=0)[:, None]
        count = known.sum(axis=0)
        mean = np.nansum(cube, axis=0) / np.where((count > 0) & (count * 2 >= used), count, np.nan)
        return {"": pd.DataFrame(mean, index=data.days, columns=NAMES)} | scores

    return entry
