"""The inputs of the oracle: one table per kind of row, read from files or given as rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
INDEX_FIGURES = ["open", "high", "low", "close", "turnover", "turnover_rate", "float_cap", "pe_ttm", "pb",
                 "dividend_yield"]  # fmt: skip
SSE_COMPOSITE, SZSE_COMPONENT = "000001.SH", "399001.SZ"  # 1.000001 and 0.399001 in the files


@dataclass(frozen=True)
class Published:
    """The parameters as they are published (or set by the project where nothing is published).

    Other parameters may be any object with these attributes.
    """

    chart_top: float = 0.10
    excess_lag_days: int = 15
    excess_level: float = 0.05
    excess_hysteresis: float = 0.01
    ratio_window_days: int = 5
    ratio_hot: float = 0.103
    ratio_breakdown: float = 0.100
    ratio_cold: float = 0.0675
    ratio_extreme_cold: float = 0.0625
    ratio_quantile_days: int = 750
    ratio_quantile_hot: float = 0.9
    ratio_quantile_cold: float = 0.1
    warning_sessions: int = 60
    high_low_days: int = 250
    percentile_days: int = 1250
    percentile_least: int = 250
    expanding_since: str = "2016-01-04"
    lead_lag_days: int = 250
    lead_lag_least: int = 200
    etf_flow_days: int = 20
    timing_indices: tuple[str, ...] = ("000001.SH", "000300.SH", "000905.SH", "399006.SZ")
    oversold_days: int = 250
    oversold_reference: str = "2018-12-28"
    llt_days: int = 39
    gftd_lag: int = 4
    gftd_setup: int = 4
    gftd_count: int = 4
    risk_premium_index: str = "000985.SH"
    risk_premium_others: tuple[str, ...] = ("000300.SH",)
    risk_premium_days: int = 1250
    valuation_indices: tuple[str, ...] = (
        "000001.SH", "000016.SH", "000300.SH", "000905.SH", "000852.SH", "399006.SZ", "000985.SH",
    )  # fmt: skip
    valuation_since: str = "1990-12-19"
    risk_premium_high: float = 0.04
    risk_premium_gap_days: int = 20
    collateral_line: float = 1.30
    collateral_days: int = 5000
    regime_index: str = "000300.SH"
    regime_days: int = 60
    regime_return: float = 0.10
    bottom_indices: tuple[str, ...] = (
        "000001.SH", "000016.SH", "000300.SH", "000905.SH", "000852.SH", "399006.SZ",
    )  # fmt: skip
    bear_market: float = 0.20
    group_indices: tuple[str, ...] = ()
    cycle_indices: tuple[str, ...] = ("399330.SZ",)
    return_indices: tuple[str, ...] = (
        "000001.SH", "000016.SH", "000300.SH", "000905.SH", "000852.SH", "399006.SZ",
        "399372.SZ", "399373.SZ", "399374.SZ", "399375.SZ", "399376.SZ", "399377.SZ",
    )  # fmt: skip
    inclusion_quiet_days: int = 5
    minimum_balance_cny: float = 1e7
    breadth_days: int = 200
    breadth_least: int = 160
    score_days: int = 15
    score_top: float = 0.10
    divergence_streak: int = 8
    divergence_excess: float = -0.10
    extreme_share: float = 0.05
    late_days: int = 60


PUBLISHED = Published()


@dataclass(frozen=True, eq=False)
class Data:
    """All inputs, in CNY and shares. A figure that is not published is NaN.

    Parameters
    ----------
    detail, totals, indices : a row per trade_date and code (totals: exchange), with `FIGURES` or `INDEX_FIGURES`.
    others : prices, valuations, funds, rates, collateral and reference by those names; a row per day and code (rates:
        tenor, collateral: market).
    sessions : every trading day from the first row to the last; None: the days on which any table has a row.
    """

    detail: pd.DataFrame
    totals: pd.DataFrame
    indices: pd.DataFrame
    others: dict[str, pd.DataFrame] = field(default_factory=dict)
    sessions: pd.DatetimeIndex | None = None

    @cached_property
    def days(self) -> pd.DatetimeIndex:
        """The trading days: a day that one table lacks stays a trading day."""
        if self.sessions is not None:
            return self.sessions
        tables = (self.detail, self.totals, self.indices)
        days = pd.concat([table["trade_date"] for table in tables]).drop_duplicates().sort_values()
        return pd.DatetimeIndex(days, name="trade_date")

    @cached_property
    def places(self) -> dict[pd.Timestamp, int]:
        """The place of each trading day."""
        return {day: place for place, day in enumerate(self.days)}

    def rows(self, table: str) -> pd.DataFrame:
        """The rows of a table, by its name."""
        return getattr(self, table) if table in ("detail", "totals", "indices") else self.others[table]

    def wide(self, table: str, figure: str, *, key: str = "code") -> pd.DataFrame:
        """A figure by day and code, NaN where unknown."""
        return _wide(self, table, figure, key).copy(deep=False)

    def has_rows(self, table: str) -> pd.Series:
        """On which days a table has any row."""
        return pd.Series(self.days.isin(self.rows(table)["trade_date"]), index=self.days)

    def listed(self, table: str = "detail") -> pd.DataFrame:
        """Whether a code has a row on a day, by day and code."""
        return _listed(self, table).copy(deep=False)

    def lacks_before(self, table: str, figure: pd.DataFrame, since: pd.DataFrame) -> pd.DataFrame:
        """On which days an exchange is missing from a table, or from the day before where a figure needs that day.

        Parameters
        ----------
        figure : by day and code, NaN where unknown.
        since : which codes must have it, by day and code.
        """
        lacks = self.lacks(table)
        before = lacks.shift(1, fill_value=True)
        wanted = since & figure.reindex(columns=since.columns).isna()
        suffix = since.columns.str[7:]
        needs = pd.DataFrame({name: wanted.loc[:, suffix == name].any(axis=1) for name in lacks.columns})
        return lacks | (before & needs)

    def lacks(self, table: str = "detail") -> pd.DataFrame:
        """On which days the rows of an exchange (SH, SZ, BJ) are missing from a table, wholly or for the most part.

        An exchange is missing without any row, if it ever had one (the detail needs Shanghai and Shenzhen from the
        first day on), or with far fewer rows than usual. A day without any row at all lacks everything.
        """
        return _lacks(self, table).copy(deep=False)

    def as_of(self, figure: str, words: list[str] | None = None) -> pd.DataFrame:
        """A figure of the reference as it is known on each day: the newest row of a code replaces all of it.

        With `words` the place of the figure among them.
        """
        rows = self.others["reference"]
        number = rows.assign(row=np.arange(len(rows), dtype=float))
        newest = number.pivot(index="trade_date", columns="code", values="row")
        newest = newest.reindex(newest.index.union(self.days)).ffill().reindex(self.days)
        found = rows.get(figure, pd.Series(0.0, rows.index))  # no row names a member of this index
        values = (found if words is None else found.map({w: i for i, w in enumerate(words)})).to_numpy(float)
        at = newest.to_numpy()
        known = ~np.isnan(at)
        out = np.full(at.shape, np.nan)
        out[known] = values[at[known].astype(int)]
        return pd.DataFrame(out, index=self.days, columns=newest.columns)


@lru_cache(maxsize=24)
def _wide(data: Data, table: str, figure: str, key: str) -> pd.DataFrame:
    return data.rows(table).pivot(index="trade_date", columns=key, values=figure).reindex(data.days)


@lru_cache(maxsize=8)
def _listed(data: Data, table: str) -> pd.DataFrame:
    found = data.rows(table).assign(row=1.0).pivot(index="trade_date", columns="code", values="row")
    return found.reindex(data.days).notna()


@lru_cache(maxsize=8)
def _lacks(data: Data, table: str) -> pd.DataFrame:
    least = {"detail": 0.8, "funds": 0.8, "prices": 0.5, "valuations": 0.5}[table]
    listed = data.listed(table)
    suffix = listed.columns.str[7:]
    counts = {name: listed.loc[:, suffix == name].sum(axis=1).tolist() for name in ("SH", "SZ", "BJ")}
    found: dict[str, list[bool]] = {}
    there = data.has_rows(table).tolist()
    for name, rows in counts.items():
        usual, column = 0, []
        for here, some in zip(rows, there, strict=True):
            few = usual >= 20 and here < usual * least
            gone = not here and (usual > 0 or (table == "detail" and name != "BJ"))
            column.append(not some or few or gone)
            if not some or gone:
                continue
            usual = max(here, usual - usual // 10) if few else here
        found[name] = column
    return pd.DataFrame(found, index=data.days)


def is_fund(code: str) -> bool:
    """Funds and ETFs: Shanghai 5xxxxx, Shenzhen 15xxxx, 16xxxx, 18xxxx."""
    return code.startswith("5") if code.endswith(".SH") else code.startswith(("15", "16", "18"))


def is_stock(code: str) -> bool:
    """A shares and depositary receipts: Shanghai 6xxxxx, Shenzhen 00xxxx and 30xxxx, Beijing 43, 83, 87, 88 and 92."""
    heads = {"SH": ("6",), "SZ": ("00", "30"), "BJ": ("43", "83", "87", "88", "92")}
    return code.startswith(heads[code[7:]])


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
    """The folder's files from `start` to `end`, both included. The cut applies to every input, indices too."""
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

    rows = _read(folder, "index_daily").rename(columns={"amount": "turnover"})
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
