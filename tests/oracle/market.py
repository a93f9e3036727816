"""The market signals of totals and indices; a column per subject, absent is NaN (None for a state)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from tests.oracle.data import PUBLISHED, SSE_COMPOSITE, SZSE_COMPONENT, Data

#: What an entry returns: "" → the values by day and subject, and those details that are computed as well.
Tables = dict[str, pd.DataFrame]


def signed_streak(change: pd.Series) -> pd.Series:
    """+n on the n-th rise in a row, −n on the n-th fall, 0 on no change.

    Behind an absent change, the row is unknown until it ends. The first row of all begins with the history.
    """
    side = pd.Series(np.sign(change))
    rows = (side != side.shift(1)).cumsum()  # every absent day is a row of its own
    known = change.notna()
    started = known.cumsum() > 0
    hidden = (side.shift(1).isna() & known & started.shift(1, fill_value=False)).groupby(rows).transform("first")
    return (side * (side.groupby(rows).cumcount() + 1)).mask(hidden & (side != 0))


def ratio_states(ratio: pd.Series, lines: pd.DataFrame | None = None, pause: int = 60) -> pd.Series:
    """NORMAL → HOT at ≥ 10.3% → BREAKDOWN, for one day, at < 10.0% → NORMAL, or cold.

    An absent day has no state and changes nothing; after `pause` of them the state is forgotten.
    """
    p = PUBLISHED
    fixed = [p.ratio_hot, p.ratio_breakdown, p.ratio_cold, p.ratio_extreme_cold]
    states: list[str | None] = []
    hot, absent = False, 0
    for i, value in enumerate(ratio):
        hot_at, hot_while, cold_at, extreme_at = fixed if lines is None else lines.iloc[i]
        if np.isnan(value) or np.isnan(hot_at):
            states.append(None)
            absent += 1
            continue
        hot, absent = hot and absent < pause - 1, 0
        if value >= hot_at or (hot and value >= hot_while):
            hot = True
            states.append("HOT")
        elif hot:
            hot = False
            states.append("BREAKDOWN")
        elif value <= extreme_at:
            states.append("EXTREME_COLD")
        elif value <= cold_at:
            states.append("COLD")
        else:
            states.append("NORMAL")
    return pd.Series(states, index=ratio.index, dtype=object)


def excess_levels(excess: pd.Series, p: Any = PUBLISHED) -> pd.Series:
    """The alert level in force: entered at ±0.05, left inside ±0.04. An absent day changes nothing."""
    levels, level, absent, left = [], 0.0, 0, p.excess_level - p.excess_hysteresis
    for value in excess:
        if np.isnan(value):
            levels.append(np.nan)
            absent += 1
            continue
        level, absent = level if absent < p.late_days - 1 else 0.0, 0
        if value >= p.excess_level:
            level = p.excess_level
        elif value <= -p.excess_level:
            level = -p.excess_level
        elif (level > 0 and value < left) or (level < 0 and value > -left):
            level = 0.0
        levels.append(level)
    return pd.Series(levels, index=excess.index, dtype=float)


def over(series: pd.Series, days: int, function: Any) -> pd.Series:
    """`function` of the last `days` values up to each day, shorter at the beginning."""
    values = series.to_numpy(dtype=float)
    found = [function(values[max(0, i + 1 - days) : i + 1]) for i in range(len(values))]
    return pd.Series(found, index=series.index, dtype=float)


def percentile(series: pd.Series, days: int, least: int) -> pd.Series:
    """The share of the known values of the window that are not above today's."""

    def share(window: np.ndarray) -> float:
        known = window[~np.isnan(window)]
        return np.nan if np.isnan(window[-1]) or len(known) < least else float((known <= window[-1]).mean())

    return over(series, days, share)


def percentile_since(series: pd.Series, since: str, least: int) -> pd.Series:
    """The same over all days from a date on."""
    later = series[series.index >= pd.Timestamp(since)]
    return percentile(later, len(later) + 1, least).reindex(series.index)


def earned(data: Data, code: str) -> pd.Series:
    """The PE of an index where it is none of a loss."""
    pe = of_index(data, code, "pe_ttm")
    return pe.where(pe > 0)


def rsi(series: pd.Series, days: int, smooth: int = 14) -> pd.Series:
    """Wilder's RSI over the changes of full windows."""

    def one(window: np.ndarray) -> float:
        if len(window) < days or np.isnan(window).any():
            return np.nan
        change = np.diff(window)
        weight = np.power(1 - 1 / smooth, np.arange(len(change))[::-1])
        moved = np.average(np.abs(change), weights=weight)
        return 50.0 if moved == 0 else 100 * np.average(np.clip(change, 0, None), weights=weight) / moved

    return over(series, days, one)


def _lags(series: pd.Series, first: int, last: int) -> pd.DataFrame:
    """Side by side: the values of `first`, first + 1, … `last` days ago."""
    return pd.concat([series.shift(k) for k in range(first, last + 1)], axis=1)


# -- Signals -----------------------------------------------------------------------------------------


def both_exchanges(data: Data, figure: str) -> pd.Series:
    """Σ over Shanghai and Shenzhen, absent where either is."""
    wide = data.wide("totals", figure, key="exchange").reindex(columns=["SSE", "SZSE"])
    return wide["SSE"] + wide["SZSE"]


def of_index(data: Data, code: str, figure: str) -> pd.Series:
    """A figure of an index by day."""
    wide = data.wide("indices", figure)
    return wide[code] if code in wide else pd.Series(np.nan, index=data.days)


def market_turnover(data: Data) -> pd.Series:
    """Turnover of both exchanges, CNY."""
    return of_index(data, SSE_COMPOSITE, "turnover") + of_index(data, SZSE_COMPONENT, "turnover")


def market(data: Data, p: Any = PUBLISHED) -> pd.DataFrame:
    """The signals of the whole market's balance and ratio, a row per trade date that has totals."""
    found = with_details(data, p)
    return found[[column for column in found if " " not in str(column)]]


@lru_cache(maxsize=8)
def with_details(data: Data, p: Any = PUBLISHED) -> pd.DataFrame:
    """The same with details, whose columns have a space: "fin_buy_ratio turnover_cny"."""
    balance, buys, lent = (both_exchanges(data, figure) for figure in ("fin_balance", "fin_buy", "short_balance"))
    turnover, close = market_turnover(data), of_index(data, SSE_COMPOSITE, "close")

    out = pd.DataFrame(index=data.days)
    out["fin_balance"] = balance
    out["fin_balance_change"] = balance - balance.shift(1)
    out["streak"] = signed_streak(out["fin_balance_change"])

    others = _lags(balance, 1, p.high_low_days - 1)  # the window without today
    highest, lowest = others.max(axis=1, skipna=False), others.min(axis=1, skipna=False)
    high_low = (balance > highest).astype(float) - (balance < lowest).astype(float)
    out["new_high_low"] = high_low.where(balance.notna() & highest.notna())
    out["new_high_low balance"] = balance
    out["new_high_low previous_high"], out["new_high_low previous_low"] = highest, lowest

    out["short_balance"] = lent
    out["short_balance_change"] = lent - lent.shift(1)

    out["fin_buy_ratio"] = buys / turnover
    buys_5d = _lags(buys, 0, p.ratio_window_days - 1).sum(axis=1, skipna=False)
    turnover_5d = _lags(turnover, 0, p.ratio_window_days - 1).sum(axis=1, skipna=False)
    out["fin_buy_ratio_5d"] = buys_5d / turnover_5d
    out["fin_buy_ratio fin_buy_cny"], out["fin_buy_ratio turnover_cny"] = buys, turnover
    out["fin_buy_ratio_5d fin_buy_cny"], out["fin_buy_ratio_5d turnover_cny"] = buys_5d, turnover_5d
    for state, name in (("ratio_state", "fin_buy_ratio_5d"), ("ratio_state_daily", "fin_buy_ratio")):
        lines = _fixed_lines(out.index, p)
        out[state] = ratio_states(out[name], lines, p.late_days)
        out[f"{state} ratio"] = out[name]
        out[[f"{state} {line}" for line in lines]] = lines

    lag = p.excess_lag_days
    growth, rise = balance / balance.shift(lag) - 1, close / close.shift(lag) - 1
    out["excess_financing"] = growth - rise
    out["excess_financing balance_growth"], out["excess_financing index_return"] = growth, rise
    out["excess_level"] = excess_levels(out["excess_financing"], p)
    out["excess_level excess"], out["excess_level level"] = out["excess_financing"], p.excess_level
    return out[out.index.isin(data.totals["trade_date"])]


LINES = ["hot", "breakdown", "cold", "extreme_cold"]


def _fixed_lines(days: pd.Index, p: Any) -> pd.DataFrame:
    """The four thresholds, the same on every day."""
    row = [p.ratio_hot, p.ratio_breakdown, p.ratio_cold, p.ratio_extreme_cold]
    return pd.DataFrame([row] * len(days), days, LINES)


def ratio_state_quantile(data: Data, p: Any) -> Tables:
    """The state against quantiles of the days before; the other two thresholds in the published proportion."""
    ratio = market(data, p)["fin_buy_ratio_5d"].reindex(data.days)
    past = ratio.shift(1).rolling(p.ratio_quantile_days, min_periods=1)
    enough = past.count() >= p.percentile_least
    hot, cold = (past.quantile(share).where(enough) for share in (p.ratio_quantile_hot, p.ratio_quantile_cold))
    inner, outer = p.ratio_breakdown / p.ratio_hot, p.ratio_extreme_cold / p.ratio_cold
    lines = pd.concat([hot, hot * inner, cold, cold * outer], axis=1, keys=LINES)
    states = ratio_states(ratio, lines, p.late_days)
    lines["days"] = past.count()
    return shown(states, ratio=ratio, **{name: lines[name] for name in (*LINES, "days")})


def verdict(data: Data, p: Any) -> Tables:
    """Each warning by itself: from its breakdown until it is void, played out or over, by the calendar's sessions."""
    shown = market(data, p)
    states = shown["ratio_state"].reindex(data.days).to_numpy(dtype=object)
    verdicts = [{"HOT": "HOT", "COLD": "COLD", "EXTREME_COLD": "COLD", "NORMAL": "NO"}.get(s) for s in states]
    since: list[str | None] = [None] * len(states)
    sessions, expires = np.full(len(states), np.nan), np.full(len(states), np.nan)
    for start in np.flatnonzero(states == "BREAKDOWN").tolist():
        for day in range(start, min(start + 2 * p.warning_sessions + 1, len(states))):
            if day > start and states[day] in ("HOT", "COLD", "EXTREME_COLD", "BREAKDOWN"):
                break
            age = day - start
            since[day], sessions[day] = f"{data.days[start]:%F}", age
            expires[day] = (p.warning_sessions if age <= p.warning_sessions else 2 * p.warning_sessions) - age
            if states[day] is not None:
                verdicts[day] = "WARNED" if age <= p.warning_sessions else "COOLING"
    life = [None if np.isnan(n) else "WARNED" if n <= p.warning_sessions else "COOLING" for n in sessions]
    index, known = data.days, pd.Series([s is not None for s in states], data.days)
    own = {"since": pd.Series(since, index, dtype=object), "life": pd.Series(life, index, dtype=object)}
    own |= {"sessions": pd.Series(sessions, index), "expires_in": pd.Series(expires, index)}
    own = {name: one.where(index.isin(shown.index)) for name, one in own.items()}
    ratio = shown["fin_buy_ratio_5d"].reindex(index).where(known)
    return whole(pd.Series(verdicts, index, dtype=object), ratio=ratio, state=pd.Series(states, index), **own)


def peak_warnings(data: Data) -> dict[str, list[date]]:
    """The days of BREAKDOWN, on the 5-day ratio and on the daily one."""
    table = market(data)
    return {
        name: [day.date() for day in table.index[table[name] == "BREAKDOWN"]]
        for name in ("ratio_state", "ratio_state_daily")
    }


def whole(series: pd.Series, **details: pd.Series) -> Tables:
    """Tables of a signal of the whole market."""
    return {name: one.to_frame("market") for name, one in {"": series, **details}.items()}


def shown(value: pd.Series, **details: pd.Series) -> Tables:
    """Tables of a signal of the whole market whose details are shown on days with a value."""
    return whole(value, **{name: one.where(value.notna()) for name, one in details.items()})


def basic(name: str) -> Any:
    """The entry of a column of `market`, with its details."""

    def compute(data: Data, p: Any) -> Tables:
        found = with_details(data, p).reindex(data.days)
        details = {
            str(column).removeprefix(f"{name} "): found[column]
            for column in found
            if str(column).startswith(f"{name} ")
        }
        return shown(found[name], **details)

    return compute


def float_cap(data: Data) -> pd.Series:
    """The float caps of both exchanges."""
    return of_index(data, SSE_COMPOSITE, "float_cap") + of_index(data, "399106.SZ", "float_cap")


def float_cap_share(data: Data) -> Tables:
    """Margin balance over the float caps of both exchanges."""
    balance, caps = both_exchanges(data, "fin_balance"), float_cap(data)
    return shown(balance / caps, fin_balance_cny=balance, float_cap_cny=caps)


def trade_share(data: Data) -> Tables:
    """Buys and short sales over turnover; shorts at each exchange's average price of what is lent."""
    sold = pd.Series(0.0, index=data.days)
    for exchange in ("SSE", "SZSE"):
        shares, value, lent = (
            data.wide("totals", f"short_{name}", key="exchange")[exchange] for name in ("sell", "balance", "volume")
        )
        sold = sold + (shares * value / lent).mask((shares == 0) & (lent == 0), 0.0)
    buys, turnover = both_exchanges(data, "fin_buy"), market_turnover(data)
    return shown((buys + sold) / turnover, fin_buy_cny=buys, short_sale_cny=sold, turnover_cny=turnover)


def two_way_share(data: Data) -> Tables:
    """Margin and short balance over the float caps of both exchanges."""
    balance, lent, caps = both_exchanges(data, "fin_balance"), both_exchanges(data, "short_balance"), float_cap(data)
    return shown((balance + lent) / caps, fin_balance_cny=balance, short_balance_cny=lent, float_cap_cny=caps)


def shares(name: str, share: Any) -> dict[str, Any]:
    """The entries of a share and of its percentiles over five years and since 2016."""

    def trailing(data: Data, p: Any) -> Tables:
        value = share(data)[""]["market"]
        return shown(percentile(value, p.percentile_days, p.percentile_least), share=value)

    def expanding(data: Data, p: Any) -> Tables:
        value = share(data)[""]["market"]
        return shown(percentile_since(value, p.expanding_since, p.percentile_least), share=value)

    return {
        name: lambda data, _p: share(data),
        f"{name}_percentile": trailing,
        f"{name}_percentile_expanding": expanding,
    }


def _premium_of(data: Data, p: Any, code: str) -> dict[str, pd.Series]:
    """1 / PE − yield of an index with its bands, and how often it was high."""
    pe, bond = of_index(data, code, "pe_ttm"), data.wide("rates", "yield", key="tenor")["CN10Y"]
    premium = 1 / pe - bond
    past = premium.rolling(p.risk_premium_days, min_periods=1)
    enough = premium.notna() & (past.count() >= p.percentile_least)
    mean, sigma = past.mean().where(enough), past.std().where(enough)
    count, quiet, days, known, found = 0, p.risk_premium_gap_days + 1, 0, 0, []
    for day, value in zip(data.days, premium, strict=True):
        if day >= pd.Timestamp(p.expanding_since):
            known += not np.isnan(value)
            high = value >= p.risk_premium_high
            count += high and quiet >= p.risk_premium_gap_days
            days += high
            quiet = 0 if high else quiet + 1
        found.append((count, days, known))
    counts = pd.DataFrame(found, data.days, ["episodes", "days_high", "days_since_start"], float)
    return {
        "": premium, "pe_ttm": pe.where(premium.notna()), "yield": bond.where(premium.notna()),
        "mean": mean, "sigma": sigma, "upper": mean + 2 * sigma, "lower": mean - 2 * sigma,
        "to_upper": premium - mean - 2 * sigma, "to_lower": premium - mean + 2 * sigma,
        **{str(name): column.where(premium.notna()) for name, column in counts.items()},
    }  # fmt: skip


def risk_premium(data: Data, p: Any) -> Tables:
    """That of the market's index."""
    return {name: one.to_frame("market") for name, one in _premium_of(data, p, p.risk_premium_index).items()}


def risk_premium_by_index(data: Data, p: Any) -> Tables:
    """Those of the other indices."""
    found = {code: _premium_of(data, p, code) for code in p.risk_premium_others}
    names = next(iter(found.values()))
    return {name: pd.DataFrame({code: one[name] for code, one in found.items()}) for name in names}


def collateral_ratio(data: Data, p: Any) -> Tables:
    """The published ratio, its change, its rank among all that is known, and how far the line is."""
    ratio = data.wide("collateral", "collateral_ratio", key="market")["CN"]
    rank = percentile(ratio, p.collateral_days, p.percentile_least)
    return whole(ratio, change=ratio - ratio.shift(1), percentile=rank, distance=ratio - p.collateral_line)


@lru_cache(maxsize=8)
def regimes(data: Data, p: Any) -> pd.Series:
    """RALLY or RANGE of the regime's index."""
    close, n = of_index(data, p.regime_index, "close"), p.regime_days
    rally = (close > close.rolling(n).mean()) & (close / close.shift(n) - 1 > p.regime_return)
    words = pd.Series(np.where(rally, "RALLY", "RANGE"), index=data.days, dtype=object)
    return words.where(close.rolling(n + 1).count() == n + 1, None)


def regime(data: Data, p: Any) -> Tables:
    """The same with what it compares."""
    close, n = of_index(data, p.regime_index, "close"), p.regime_days
    gain = close / close.shift(n) - 1
    return shown(regimes(data, p), close=close, mean=close.rolling(n).mean(), **{"return": gain})


def oversold(data: Data, p: Any) -> Tables:
    """Drawdown, RSI, distance and PE percentile by index, and the same on the reference date."""
    out: dict[str, dict[str, pd.Series]] = {}
    then = pd.Timestamp(p.oversold_reference)
    for code in p.timing_indices:
        close, n = of_index(data, code, "close"), p.oversold_days
        own = {
            "": close / close.rolling(n).max() - 1,
            "rsi_14": rsi(close, n),
            "mean_distance": close / close.rolling(n).mean() - 1,
        }
        behind = (data.days > then) & own[""].notna()
        for name, of in (("drawdown", ""), ("rsi_14", "rsi_14"), ("mean_distance", "mean_distance")):
            value = own[of].get(then, np.nan)
            own[f"reference_{name}"] = pd.Series(np.where(behind, value, np.nan), index=data.days)
        pe = percentile_since(earned(data, code), p.valuation_since, p.percentile_least)
        own["pe_percentile"] = pe.where(own[""].notna())
        own["reference_pe_percentile"] = pd.Series(np.where(behind, pe.get(then, np.nan), np.nan), index=data.days)
        for name, series in own.items():
            out.setdefault(name, {})[code] = series
    return {name: pd.DataFrame(columns) for name, columns in out.items()}


def llt(data: Data, p: Any) -> Tables:
    """The trendline of each index; a day without a close starts it again."""
    long, lines, before, closes = {}, {}, {}, {}
    a = 2 / (p.llt_days + 1)
    for code in p.timing_indices:
        close = of_index(data, code, "close").to_numpy()
        line = np.full(len(close), np.nan)
        first = 0
        for i, price in enumerate(close):
            if np.isnan(price):
                first = i + 1
            elif i < first + 2:
                line[i] = price
            else:
                line[i] = (a - a**2 / 4) * price + a**2 / 2 * close[i - 1] - (a - 3 * a**2 / 4) * close[i - 2]
                line[i] += 2 * (1 - a) * line[i - 1] - (1 - a) ** 2 * line[i - 2]
        trend = pd.Series(line, index=data.days)
        settled = trend.shift(p.llt_days).notna() & (trend.rolling(p.llt_days + 1).count() == p.llt_days + 1)
        long[code] = (trend.diff() > 0).astype(float).where(settled)
        lines[code], before[code] = trend.where(settled), trend.shift(1).where(settled)
        closes[code] = pd.Series(close, index=data.days).where(settled)
    named = {"": long, "line": lines, "line_before": before, "close": closes}
    return {name: pd.DataFrame(columns) for name, columns in named.items()}


def gftd(data: Data, p: Any) -> Tables:
    """The rules read day by day; a day on which a price is unknown hides all counts until they begin again."""
    found = {}
    for code in p.timing_indices:
        close, high, low = (of_index(data, code, name) for name in ("close", "high", "low"))
        n = p.gftd_lag
        known = (close.rolling(n + 1).count() == n + 1) & (high.rolling(3).count() == 3) & (low.rolling(3).count() == 3)
        way = pd.Series(np.sign(close - close.shift(n)))
        signals: list[float] = []
        run, last_way = 0, 0.0
        buys: list[float] | None = None  # closes counted; None: no setup to count from
        sells: list[float] | None = None
        run_hidden, hidden = False, set[str]()
        for i in range(len(close)):
            if not known.iloc[i]:
                signals.append(np.nan)
                run, last_way, buys, sells = 0, 0.0, None, None
                continue
            if not known.iloc[i - 1]:
                run_hidden = bool(close.iloc[: i - n].notna().any())
                hidden = {"buys", "sells"} if run_hidden else set()
            run_hidden = run_hidden and way.iloc[i] != 0 and last_way in (0.0, way.iloc[i])
            run = 0 if way.iloc[i] == 0 else run + 1 if way.iloc[i] == last_way else 1
            last_way = way.iloc[i]
            today, fired = close.iloc[i], 0.0
            if abs(run) == p.gftd_setup and not run_hidden:
                hidden.discard("buys" if last_way < 0 else "sells")
            if last_way < 0 and run == p.gftd_setup:
                buys = []
            elif buys is not None and today >= high.iloc[i - 2] and high.iloc[i] > high.iloc[i - 1]:
                buys += [today] if not buys or today > buys[-1] else []
            if last_way > 0 and run == p.gftd_setup:
                sells = []
            elif sells is not None and today <= low.iloc[i - 2] and low.iloc[i] < low.iloc[i - 1]:
                sells += [today] if not sells or today < sells[-1] else []
            if buys is not None and len(buys) == p.gftd_count:
                fired, buys = 1.0, None
            if sells is not None and len(sells) == p.gftd_count:
                fired, sells = -1.0, None
            signals.append(np.nan if hidden else fired)
        found[code] = pd.Series(signals, index=data.days)
    return {"": pd.DataFrame(found)}


def index_close(data: Data, p: Any) -> Tables:
    """The closes themselves, with the opens of the same days."""
    close, opened = (pd.DataFrame({c: of_index(data, c, f) for c in p.timing_indices}) for f in ("close", "open"))
    return {"": close, "open": opened.where(close.notna())}


def returns(data: Data, code: str, days: int) -> pd.Series:
    """An index's return over some sessions."""
    close = of_index(data, code, "close")
    return close / close.shift(days) - 1


def index_return(data: Data, p: Any) -> Tables:
    """What each index returned over 20, 5 and 60 sessions."""
    tables = {
        name: pd.DataFrame({code: returns(data, code, days) for code in p.return_indices})
        for name, days in (("", 20), ("five_days", 5), ("sixty_days", 60))
    }
    return {name: table.where(tables[""].notna()) for name, table in tables.items()}


def style(first: str, second: str) -> Callable[[Data, Any], Tables]:
    """What one index returned more than another."""

    def compute(data: Data, _p: Any) -> Tables:
        one, other = returns(data, first, 20), returns(data, second, 20)
        value = one - other
        details = {"first": one, "second": other}
        for name, days in (("five_days", 5), ("sixty_days", 60)):
            details[name] = returns(data, first, days) - returns(data, second, days)
        return whole(value, **{name: series.where(value.notna()) for name, series in details.items()})

    return compute


def etf_flow(data: Data, p: Any) -> Tables:
    """Change of shares times price by style, and its sum over some days."""
    rows = data.others["funds"]
    shares, price = data.wide("funds", "shares"), data.wide("funds", "price")
    style = data.wide("funds", "style")
    moved, grown = price / price.shift(1), shares / shares.shift(1)
    split = ((moved - 1).abs() > 0.205) & ((moved * grown - 1).abs() <= 0.20)
    # A suspended fund keeps its price on the day of its split, which has a simple ratio: 3/2, 2, 5/2 … 20, either way.
    simple = pd.DataFrame(False, shares.index, shares.columns)
    for numerator in range(3, 41):
        for ratio in (numerator / 2, 2 / numerator):
            simple |= (grown / ratio - 1).abs() <= 0.002
    split |= simple & (moved == 1)
    change = (shares - shares.shift(1)).mask(split, 0.0)
    # A fund whose shares didn't change needs no price; of any other one without a price the flow is unknown.
    flow = (change * price).mask(change == 0, 0.0)
    unknown = change.notna() & flow.isna()
    values, sums, counted = {}, {}, {}
    lacks = data.lacks("funds").any(axis=1)
    gone = lacks | lacks.shift(1, fill_value=True)
    for name in sorted(rows["style"].unique()):
        inside = style == name
        of_style = flow.where(inside)
        values[name] = of_style.sum(axis=1, min_count=1).mask(gone | (unknown & inside).any(axis=1))
        there = values[name].notna()
        sums[name] = values[name].rolling(p.etf_flow_days).sum().where(there)
        counted[name] = of_style.count(axis=1).astype(float).where(there)
    return {"": pd.DataFrame(values), "cumulative": pd.DataFrame(sums), "funds": pd.DataFrame(counted)}


def etf_flow_total(data: Data, p: Any) -> Tables:
    """Flow of all funds: absent where the flow of a style that has a fund on the day is."""
    styles = data.wide("funds", "style")
    flows = etf_flow(data, p)[""]
    has_fund = pd.DataFrame({name: (styles == name).any(axis=1) for name in flows.columns})
    total = flows.sum(axis=1, min_count=1).mask((has_fund & flows.isna()).any(axis=1))
    return whole(total, styles=has_fund.sum(axis=1).astype(float).where(total.notna()))


def etf_flow_5d(data: Data, p: Any) -> Tables:
    """Five days of it."""
    total = etf_flow_total(data, p)[""]["market"]
    week = sum((total.shift(back) for back in range(4)), start=total.shift(4))
    return whole(week, day_cny=total.where(week.notna()))


def fin_change_5d(data: Data, _p: Any) -> Tables:
    """Balance less that of five days before."""
    balance = both_exchanges(data, "fin_balance")
    change = balance - balance.shift(5)
    return whole(change, fin_balance_cny=balance.where(change.notna()), growth=balance / balance.shift(5) - 1)


def turnover_mean_5d(data: Data, _p: Any) -> Tables:
    """Mean turnover of five days, all known."""
    turnover = market_turnover(data)
    mean = turnover.rolling(5).mean()
    return whole(mean, turnover_cny=turnover.where(mean.notna()))


def bottom_panel(data: Data, p: Any) -> Tables:
    """Everything of the panel, and how much of it is known."""
    basics = market(data, p)
    buys, turnover = both_exchanges(data, "fin_buy"), market_turnover(data)
    ratio = buys.rolling(p.ratio_window_days).sum() / turnover.rolling(p.ratio_window_days).sum()
    details = {"fin_buy_ratio_5d": ratio, "cold_zone": (ratio <= p.ratio_cold).astype(float).where(ratio.notna())}
    for code in p.bottom_indices:
        close = of_index(data, code, "close").where(data.days >= pd.Timestamp(p.valuation_since))
        now, falls = _falls(close, p.bear_market)
        here = now.notna() & pd.Series([bool(f) for f in falls], index=data.days)
        deeper = [float(np.mean([n <= fall for fall in f])) if f else np.nan for n, f in zip(now, falls, strict=True)]
        details[f"{code} drawdown"] = now
        details[f"{code} bear_markets"] = pd.Series([float(len(f)) for f in falls], index=data.days).where(here)
        details[f"{code} deeper_than"] = pd.Series(deeper, index=data.days).where(here)
        rate = of_index(data, code, "turnover_rate").where(data.days >= pd.Timestamp(p.valuation_since))
        month = rate.rolling(20).mean().round(12)  # months of the same rates in another order are equal
        details[f"{code} turnover_rate_month"] = month
        details[f"{code} turnover_rate_percentile"] = percentile_since(month, p.valuation_since, p.percentile_least)
        details[f"{code} pe_ttm"] = of_index(data, code, "pe_ttm").where(data.days >= pd.Timestamp(p.valuation_since))
        details[f"{code} pe_percentile"] = percentile_since(earned(data, code), p.valuation_since, p.percentile_least)
    count = pd.DataFrame(details).notna().sum(axis=1).astype(float)
    shown = data.days.isin(basics.index)
    return whole(
        *(count.where(shown & (count > 0)),), **{name: series.where(shown) for name, series in details.items()}
    )


def _falls(closes: pd.Series, depth: float) -> tuple[pd.Series, list[list[float]]]:
    """By day: the fall from the peak, and the falls of the bear markets that have ended by then.

    Down `depth` from a peak, then up `depth` from the trough; the close that ends it is the first peak after it.
    """
    now, ended = [], [list[float]()]
    peak, trough = -np.inf, np.inf
    falling = False
    for close in closes:
        found = ended[-1]
        if falling:
            trough = np.fmin(trough, close)
            if close >= trough * (1 + depth):
                found = [*found, trough / peak - 1]
                falling, peak = False, close
        else:
            peak = np.fmax(peak, close)
            if close <= peak * (1 - depth):
                falling, trough = True, close
        now.append(close / peak - 1)
        ended.append(found)
    return pd.Series(now, index=closes.index), ended[1:]
