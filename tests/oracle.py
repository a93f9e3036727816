"""The signals once more, in plain pandas, straight from the definitions: what the stream is checked against.

Imports nothing of the project. `start` and `end` cut all inputs alike; nothing before `start` is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd


@dataclass
class Data:
    """Detail: columns day, code, balance; totals: CNY by day and exchange; indices: close and turnover by day."""

    detail: pd.DataFrame
    balance: pd.DataFrame  # day × exchange, CNY
    buys: pd.DataFrame
    lent: pd.DataFrame
    close: pd.Series  # SSE Composite
    turnover: pd.Series  # both exchanges, CNY


def _read(folder: Path, prefix: str) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob(f"{prefix}*.parquet"))])


def load(folder: Path, start: date | None = None, end: date | None = None) -> Data:
    low, high = pd.Timestamp(start or date(1990, 1, 1)), pd.Timestamp(end or date(2100, 1, 1))
    detail = []
    for exchange, suffix in (("sse", ".SH"), ("szse", ".SZ")):
        raw = _read(folder, f"margin_detail_{exchange}")
        detail.append(
            pd.DataFrame(
                {"day": pd.to_datetime(raw["dt"]), "code": raw["code"] + suffix, "balance": raw["margin_balance"]}
            )
        )
    rows = pd.concat(detail)
    sse = _read(folder, "margin_total_sse").set_index("dt")
    szse = _read(folder, "margin_total_szse").set_index("dt") * 1e8  # 亿元
    index = _read(folder, "index_daily")
    amount = index.pivot(index="dt", columns="secid", values="amount")
    close = index.pivot(index="dt", columns="secid", values="close")

    def both(column: str) -> pd.DataFrame:
        return pd.DataFrame({"SSE": sse[column].astype(float), "SZSE": szse[column]}).loc[low:high]

    return Data(
        rows[(rows["day"] >= low) & (rows["day"] <= high)],
        both("margin_balance"),
        both("margin_buy_amt"),
        both("short_value"),
        close["1.000001"].loc[low:high],
        (amount["1.000001"] + amount["0.399001"]).loc[low:high],
    )


def streaks(change: pd.Series) -> pd.Series:
    """Signed count of consecutive rises or falls; 0 where there is no change."""
    out, current = [], 0
    for step in change:
        current = max(current, 0) + 1 if step > 0 else min(current, 0) - 1 if step < 0 else 0
        out.append(current)
    return pd.Series(out, change.index).where(change.notna())


def states(ratio: pd.Series) -> pd.Series:
    """The state machine of [DG22]."""
    out, hot = [], False
    for value in ratio:
        if np.isnan(value):
            out.append(None)
        elif value >= 0.103:
            hot = True
            out.append("HOT")
        elif hot and value >= 0.100:
            out.append("HOT")
        elif hot:
            hot = False
            out.append("BREAKDOWN")
        else:
            out.append("EXTREME_COLD" if value <= 0.0625 else "COLD" if value <= 0.0675 else "NORMAL")
    return pd.Series(out, ratio.index, dtype=object)


def levels(excess: pd.Series, level: float = 0.05, hysteresis: float = 0.01) -> pd.Series:
    """The level in force: entered at ±level, left inside level − hysteresis."""
    out, held = [], 0.0
    for value in excess:
        if np.isnan(value):
            out.append(np.nan)
            continue
        if value >= level:
            held = level
        elif value <= -level:
            held = -level
        elif (held > 0 and value < level - hysteresis) or (held < 0 and value > -level + hysteresis):
            held = 0.0
        out.append(held)
    return pd.Series(out, excess.index)


def market(data: Data) -> pd.DataFrame:
    balance, lent = data.balance.sum(axis=1), data.lent.sum(axis=1)
    buys, turnover = data.buys.sum(axis=1), data.turnover.reindex(data.buys.index)
    out = pd.DataFrame({"fin_balance": balance, "fin_balance_change": balance.diff()})
    out["streak"] = streaks(balance.diff())
    before = balance.shift(1).rolling(249)
    out["new_high_low"] = np.where(balance > before.max(), 1, np.where(balance < before.min(), -1, 0))
    out.loc[before.max().isna(), "new_high_low"] = np.nan
    out["short_balance"], out["short_balance_change"] = lent, lent.diff()
    out["fin_buy_ratio"] = buys / turnover
    out["fin_buy_ratio_5d"] = buys.rolling(5).sum() / turnover.rolling(5).sum()
    out["ratio_state"], out["ratio_state_daily"] = states(out["fin_buy_ratio_5d"]), states(out["fin_buy_ratio"])
    close = data.close.reindex(balance.index)
    out["excess_financing"] = (balance / balance.shift(15) - 1) - (close / close.shift(15) - 1)
    out["excess_level"] = levels(out["excess_financing"])
    return out


def is_fund(code: str) -> bool:
    return code[0] == "5" if code.endswith(".SH") else code[:2] in ("15", "16", "18")


def securities(data: Data) -> pd.DataFrame:
    wide = data.detail.pivot(index="day", columns="code", values="balance").sort_index()
    listed = wide.notna()
    published = pd.DataFrame(
        {suffix: listed.loc[:, wide.columns.str.endswith(suffix)].any(axis=1) for suffix in (".SH", ".SZ")}
    )
    shape = wide.shape
    values, present = wide.to_numpy(), listed.to_numpy()
    open_exchange = np.column_stack([published[c[-3:]].to_numpy() for c in wide.columns])
    change, streak, side, twice = (np.full(shape, np.nan) for _ in range(4))
    # Whether a security is known to have been off the list, and how many rows it has had since it came back.
    off = np.zeros(shape[1], bool)
    age = np.full(shape[1], 10**6)
    current = np.zeros(shape[1], int)
    stock = np.array([not is_fund(c) for c in wide.columns])
    for t in range(shape[0]):
        here, gone = present[t], ~present[t] & open_exchange[t]
        age = np.where(here & off, 0, np.where(here, age + 1, age))
        off = np.where(here, False, off | gone)
        current[gone | (here & (age == 0))] = 0
        if t:
            usable = here & (values[t - 1] > 0) & (values[t] >= 1e7) & (age > 5)
            change[t, usable] = values[t, usable] / values[t - 1, usable] - 1
        up, down, flat = change[t] > 0, change[t] < 0, change[t] == 0
        current[up] = np.maximum(current[up], 0) + 1
        current[down] = np.minimum(current[down], 0) - 1
        current[flat] = 0
        streak[t, here] = current[here]
        pool = np.flatnonzero(stock & ~np.isnan(change[t]))
        tail = (len(pool) * 5) // 100
        if tail:
            ordered = np.sort(change[t, pool])
            side[t, pool] = 0
            side[t, pool[(change[t, pool] >= ordered[-tail]) & (change[t, pool] > 0)]] = 1
            side[t, pool[(change[t, pool] <= ordered[tail - 1]) & (change[t, pool] < 0)]] = -1
            known = ~np.isnan(side[t])
            twice[t, known] = 0
            if t:
                same = known & (side[t] == side[t - 1])
                twice[t, same] = side[t, same]
    frames = {
        "fin_balance": values,
        "fin_change": change,
        "fin_streak": streak,
        "extreme": side,
        "consecutive_extreme": twice,
    }
    rows, columns = np.nonzero(present)
    index = pd.MultiIndex.from_arrays([wide.index[rows], wide.columns[columns]], names=["trade_date", "code"])
    return pd.DataFrame({name: matrix[rows, columns] for name, matrix in frames.items()}, index=index)


def peak_warnings(data: Data) -> dict[str, list[date]]:
    table = market(data)
    return {
        name: [day.date() for day in table.index[table[name] == "BREAKDOWN"]]
        for name in ("ratio_state", "ratio_state_daily")
    }
