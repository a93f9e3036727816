"""The signals once more, in plain pandas, straight from the definitions: what the stream is checked against.

It imports nothing of the project. It reads a folder of real or simulated exchange files, computes every
signal over the whole history at once, and prefers the obvious way to the fast one. Absent is NaN (None for a
state), never 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RAW_FIGURES = {
    "margin_balance": "fin_balance",
    "margin_buy_amt": "fin_buy",
    "margin_repay_amt": "fin_repay",
    "short_qty": "short_volume",
    "short_sell_qty": "short_sell",
    "short_repay_qty": "short_repay",
    "short_value": "short_balance",
}
FIGURES = list(RAW_FIGURES.values())
INDEX_FIGURES = ["open", "high", "low", "close", "amount"]
SSE_COMPOSITE, SZSE_COMPONENT = "000001.SH", "399001.SZ"  # 1.000001 and 0.399001 in the files

HOT_AT, HOT_WHILE, COLD_AT, EXTREME_COLD_AT = 0.103, 0.100, 0.0675, 0.0625
EXCESS_DAYS, EXCESS_LEVEL, EXCESS_LEFT = 15, 0.05, 0.04  # left at level − hysteresis 0.01
HIGH_LOW_DAYS, RATIO_DAYS = 250, 5
SMALLEST_BALANCE, NEW_FOR, TAIL_PERCENT = 10_000_000.0, 5, 5


@dataclass(frozen=True)
class Data:
    """All inputs, in CNY and shares. A figure that an exchange doesn't publish is NaN."""

    detail: pd.DataFrame  # trade_date, code, FIGURES: a row per security and day
    totals: pd.DataFrame  # trade_date, exchange (SSE, SZSE), FIGURES
    indices: pd.DataFrame  # trade_date, code, INDEX_FIGURES


# -- Reading ---------------------------------------------------------------------------------------


def _read(folder: Path, prefix: str) -> pd.DataFrame:
    """Every Parquet or CSV file of one kind, one below the other. Codes are text: 000001 keeps its zeros."""
    paths = sorted(p for p in folder.glob(f"{prefix}_*") if p.suffix in (".parquet", ".csv"))
    if not paths:
        raise FileNotFoundError(f"No {prefix}_*.parquet or .csv in {folder}")
    text: Any = {"dt": str, "code": str, "secid": str}
    frames = [pd.read_parquet(p) if p.suffix == ".parquet" else pd.read_csv(p, dtype=text) for p in paths]
    raw = pd.concat(frames, ignore_index=True)
    raw["trade_date"] = pd.to_datetime(raw["dt"]).astype("datetime64[us]")
    return raw


def _figures(raw: pd.DataFrame, keys: list[str], names: list[str]) -> pd.DataFrame:
    """The key columns and the figures as floats; a column that the file doesn't have is NaN throughout."""
    return pd.concat([raw[keys], raw.reindex(columns=names).astype(float)], axis=1)


def load(folder: Path, start: date | None = None, end: date | None = None) -> Data:
    """The folder's files from `start` to `end`, both included. The cut holds for every input, indices too."""
    details, totals = [], []
    for exchange, suffix in (("SSE", ".SH"), ("SZSE", ".SZ")):
        rows = _read(folder, f"margin_detail_{exchange.lower()}").rename(columns=RAW_FIGURES)
        rows["code"] = rows["code"] + suffix
        details.append(_figures(rows, ["trade_date", "code"], FIGURES))

        rows = _read(folder, f"margin_total_{exchange.lower()}").rename(columns=RAW_FIGURES)
        rows["exchange"] = exchange
        table = _figures(rows, ["trade_date", "exchange"], FIGURES)
        if exchange == "SZSE":
            table[FIGURES] = table[FIGURES] * 1e8  # 亿元, 亿股
        totals.append(table)

    rows = _read(folder, "index_daily")
    rows["code"] = rows["secid"].str[2:] + rows["secid"].str[:1].map({"1": ".SH", "0": ".SZ"})
    indices = _figures(rows, ["trade_date", "code"], INDEX_FIGURES)

    def cut(table: pd.DataFrame, key: str) -> pd.DataFrame:
        keep = pd.Series(True, index=table.index)
        if start is not None:
            keep &= table["trade_date"] >= pd.Timestamp(start)
        if end is not None:
            keep &= table["trade_date"] <= pd.Timestamp(end)
        return table[keep].sort_values(["trade_date", key], ignore_index=True)

    return Data(
        detail=cut(pd.concat(details, ignore_index=True), "code"),
        totals=cut(pd.concat(totals, ignore_index=True), "exchange"),
        indices=cut(indices, "code"),
    )


def trading_days(data: Data) -> pd.DatetimeIndex:
    """Every day for which any input has a row: a day that one file lacks stays a trading day."""
    tables = (data.detail, data.totals, data.indices)
    days = pd.concat([table["trade_date"] for table in tables]).drop_duplicates().sort_values()
    return pd.DatetimeIndex(days, name="trade_date")


# -- State machines over one series ----------------------------------------------------------------


def signed_streak(change: pd.Series) -> pd.Series:
    """+n on the n-th rise in a row, −n on the n-th fall, 0 on no change. An absent change breaks the row."""
    values, count = [], 0
    for step in change:
        if step > 0:
            count = count + 1 if count > 0 else 1
        elif step < 0:
            count = count - 1 if count < 0 else -1
        else:
            count = 0
        values.append(np.nan if np.isnan(step) else float(count))
    return pd.Series(values, index=change.index, dtype=float)


def ratio_states(ratio: pd.Series) -> pd.Series:
    """NORMAL → HOT at ≥ 10.3% → BREAKDOWN, for one day, at < 10.0% → NORMAL, or cold.

    An absent day has no state and changes nothing.
    """
    states: list[str | None] = []
    hot = False
    for value in ratio:
        if np.isnan(value):
            states.append(None)
        elif value >= HOT_AT or (hot and value >= HOT_WHILE):
            hot = True
            states.append("HOT")
        elif hot:
            hot = False
            states.append("BREAKDOWN")
        elif value <= EXTREME_COLD_AT:
            states.append("EXTREME_COLD")
        elif value <= COLD_AT:
            states.append("COLD")
        else:
            states.append("NORMAL")
    return pd.Series(states, index=ratio.index, dtype=object)


def excess_levels(excess: pd.Series) -> pd.Series:
    """The alert level in force: entered at ±0.05, left inside ±0.04. An absent day changes nothing."""
    levels, level = [], 0.0
    for value in excess:
        if value >= EXCESS_LEVEL:
            level = EXCESS_LEVEL
        elif value <= -EXCESS_LEVEL:
            level = -EXCESS_LEVEL
        elif (level > 0 and value < EXCESS_LEFT) or (level < 0 and value > -EXCESS_LEFT):
            level = 0.0
        levels.append(np.nan if np.isnan(value) else level)
    return pd.Series(levels, index=excess.index, dtype=float)


# -- Market signals --------------------------------------------------------------------------------


def _lags(series: pd.Series, first: int, last: int) -> pd.DataFrame:
    """Side by side: the values of `first`, first + 1, … `last` days ago."""
    return pd.concat([series.shift(k) for k in range(first, last + 1)], axis=1)


def market(data: Data) -> pd.DataFrame:
    """The market signals, a row per trade date that has totals."""
    days = trading_days(data)

    def both_exchanges(figure: str) -> pd.Series:
        wide = data.totals.pivot(index="trade_date", columns="exchange", values=figure)
        wide = wide.reindex(index=days, columns=["SSE", "SZSE"])
        return wide["SSE"] + wide["SZSE"]  # absent where either is

    def of_index(code: str, figure: str) -> pd.Series:
        wide = data.indices.pivot(index="trade_date", columns="code", values=figure)
        return wide[code].reindex(days)

    balance, buys, lent = (both_exchanges(figure) for figure in ("fin_balance", "fin_buy", "short_balance"))
    turnover = of_index(SSE_COMPOSITE, "amount") + of_index(SZSE_COMPONENT, "amount")
    close = of_index(SSE_COMPOSITE, "close")

    out = pd.DataFrame(index=days)
    out["fin_balance"] = balance
    out["fin_balance_change"] = balance - balance.shift(1)
    out["streak"] = signed_streak(out["fin_balance_change"])

    others = _lags(balance, 1, HIGH_LOW_DAYS - 1)  # the window without today
    highest, lowest = others.max(axis=1, skipna=False), others.min(axis=1, skipna=False)
    high_low = (balance > highest).astype(float) - (balance < lowest).astype(float)
    out["new_high_low"] = high_low.where(balance.notna() & highest.notna())

    out["short_balance"] = lent
    out["short_balance_change"] = lent - lent.shift(1)

    out["fin_buy_ratio"] = buys / turnover
    buys_5d = _lags(buys, 0, RATIO_DAYS - 1).sum(axis=1, skipna=False)
    turnover_5d = _lags(turnover, 0, RATIO_DAYS - 1).sum(axis=1, skipna=False)
    out["fin_buy_ratio_5d"] = buys_5d / turnover_5d
    out["ratio_state"] = ratio_states(out["fin_buy_ratio_5d"])
    out["ratio_state_daily"] = ratio_states(out["fin_buy_ratio"])

    growth, index_return = balance / balance.shift(EXCESS_DAYS) - 1, close / close.shift(EXCESS_DAYS) - 1
    out["excess_financing"] = growth - index_return
    out["excess_level"] = excess_levels(out["excess_financing"])
    return out[out.index.isin(data.totals["trade_date"])]


def peak_warnings(data: Data) -> dict[str, list[date]]:
    """The days of BREAKDOWN, on the 5-day ratio and on the daily one."""
    table = market(data)
    return {
        name: [day.date() for day in table.index[table[name] == "BREAKDOWN"]]
        for name in ("ratio_state", "ratio_state_daily")
    }


# -- Security signals: matrices of day × code ------------------------------------------------------


def is_fund(code: str) -> bool:
    """Funds and ETFs: Shanghai 5xxxxx, Shenzhen 15xxxx, 16xxxx, 18xxxx."""
    return code.startswith("5") if code.endswith(".SH") else code.startswith(("15", "16", "18"))


def _shifted(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each day's row replaced by that of the trading day before."""
    before = np.full_like(matrix, np.nan)
    before[1:] = matrix[:-1]
    return before


def _ages(present: NDArray[np.bool_], gone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows since inclusion (the day itself is 0); infinite for a code never seen off the list."""
    ages = np.full(present.shape, np.nan)
    age, off = np.full(present.shape[1], np.inf), np.zeros(present.shape[1], bool)
    for t in range(len(present)):
        age = np.where(present[t], np.where(off, 0, age + 1), age)
        off = (off | gone[t]) & ~present[t]
        ages[t] = age
    return ages


def _streaks(change: NDArray[np.float64], gone: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rises or falls in a row: no change ends it, an absent change pauses it, leaving the list resets it."""
    streaks = np.zeros(change.shape, np.int64)
    count = np.zeros(change.shape[1], np.int64)
    for t in range(len(change)):
        up, down, flat = change[t] > 0, change[t] < 0, change[t] == 0
        count = np.select(
            [up, down, flat | gone[t]],
            [np.maximum(count, 0) + 1, np.minimum(count, 0) - 1, np.zeros_like(count)],
            default=count,
        )
        streaks[t] = count
    return streaks


def _extremes(change: NDArray[np.float64], stock: NDArray[np.bool_]) -> NDArray[np.float64]:
    """±1 in the day's top and bottom 5% of the stocks with a change, ties at the cut included, else 0."""
    extremes = np.full(change.shape, np.nan)
    for t in range(len(change)):
        known = stock & ~np.isnan(change[t])
        k = int(known.sum()) * TAIL_PERCENT // 100
        if k == 0:
            continue
        ordered = np.sort(change[t, known])
        top = (change[t] >= ordered[-k]) & (change[t] > 0)
        bottom = (change[t] <= ordered[k - 1]) & (change[t] < 0)
        extremes[t, known] = (top.astype(float) - bottom.astype(float))[known]
    return extremes


def securities(data: Data) -> pd.DataFrame:
    """The security signals, a row per trade date and code of that day's detail."""
    days = trading_days(data)
    wide = data.detail.pivot(index="trade_date", columns="code", values="fin_balance").reindex(days)
    listed = data.detail.assign(row=1.0).pivot(index="trade_date", columns="code", values="row").reindex(days)
    codes = wide.columns.astype(str)
    shanghai = np.array([code.endswith(".SH") for code in codes], dtype=bool)
    stock = np.array([not is_fund(code) for code in codes], dtype=bool)

    balance = wide.to_numpy(dtype=float)
    present = listed.notna().to_numpy()
    # Off the list: no row although the code's own exchange has published that day.
    published = np.empty_like(present)
    published[:, shanghai] = present[:, shanghai].any(axis=1, keepdims=True)
    published[:, ~shanghai] = present[:, ~shanghai].any(axis=1, keepdims=True)
    gone = published & ~present

    before = _shifted(balance)
    usable = (before > 0) & (balance >= SMALLEST_BALANCE) & (_ages(present, gone) > NEW_FOR)
    change = np.where(usable, balance / np.where(before > 0, before, np.nan) - 1, np.nan)

    extreme = _extremes(change, stock)
    again = (extreme == _shifted(extreme)) & (extreme != 0)
    consecutive = np.where(np.isnan(extreme), np.nan, np.where(again, extreme, 0.0))

    row, column = np.nonzero(present)
    return pd.DataFrame(
        {
            "fin_balance": balance[row, column],
            "fin_change": change[row, column],
            "fin_streak": _streaks(change, gone)[row, column],
            "extreme": extreme[row, column],
            "consecutive_extreme": consecutive[row, column],
        },
        index=pd.MultiIndex.from_arrays([days[row], codes[column]], names=["trade_date", "code"]),
    )
