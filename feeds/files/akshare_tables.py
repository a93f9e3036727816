"""The six margin tables of akshare by their headers, from which akshare removes the units that it documents.

Shanghai's tables and all details are in 元 and 股, Shenzhen's totals in 亿元 and 亿股, Beijing's in 万元 and 万股. The
totals of Shenzhen and Beijing have the same headers; the name of the function, which a saved file should have, tells
them apart.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from feeds.cells.units import UNITS, parse_numbers
from feeds.errors import InputError


@dataclass(frozen=True, slots=True)
class AkshareTable:
    """A function of akshare that returns a margin table.

    Parameters
    ----------
    arguments : the arguments that get the trade date, as YYYYMMDD.
    money, shares : the documented units.
    columns : the headers besides the name of the security and the sum 融资融券余额.
    """

    function: str
    exchange: str
    arguments: tuple[str, ...]
    money: str
    shares: str
    columns: frozenset[str]


#: Names of figures in Chinese headers.
MONEY = ("融资余额", "融资买入额", "融资偿还额", "融券余额", "融券余量金额", "融资融券余额")
SHARES = ("融券余量", "融券卖出量", "融券偿还量")
_SSE = frozenset({"信用交易日期", "融资余额", "融资买入额", "融券余量", "融券余量金额", "融券卖出量"})
_SSE_DETAIL = frozenset({"标的证券代码", "融资余额", "融资买入额", "融资偿还额", *SHARES})
_SZSE = frozenset({"融资买入额", "融资余额", "融券卖出量", "融券余量", "融券余额"})
TABLES = (
    AkshareTable("stock_margin_sse", "SSE", ("start_date", "end_date"), "元", "股", _SSE),
    AkshareTable("stock_margin_detail_sse", "SSE", ("date",), "元", "股", _SSE_DETAIL),
    AkshareTable("stock_margin_szse", "SZSE", ("date",), "亿元", "亿股", _SZSE),
    AkshareTable("stock_margin_detail_szse", "SZSE", ("date",), "元", "股", _SZSE | {"证券代码"}),
    AkshareTable("stock_margin_bse", "BSE", ("date",), "万元", "万股", _SZSE),
    AkshareTable("stock_margin_detail_bse", "BSE", ("date",), "元", "股", _SZSE | {"证券代码"}),
)
_OTHERS = frozenset(
    {"证券简称", "标的证券简称", "融资融券余额", "信用交易日期", "交易日期", "日期", "序号", "index", "Unnamed: 0", ""}
)
#: What tells the totals of the two exchanges apart.
_HINTS = {
    "SZSE": re.compile(r"szse|(?<![a-z])sz(?![a-z])|深", re.IGNORECASE),
    "BSE": re.compile(r"bse|(?<![a-z])bj(?![a-z])|北", re.IGNORECASE),
}
#: No exchange's balance reaches it, CNY.
MOST_CNY = 1e14


def with_units(headers: Sequence[str], table: AkshareTable) -> list[str]:
    """Return the headers of a table of akshare as the exchange writes them: with units, Shanghai's with 本日."""
    today = "本日" if table.exchange == "SSE" else ""
    units = dict.fromkeys(MONEY, table.money) | dict.fromkeys(SHARES, table.shares)
    return [f"{today}{name}({units[name]})" if name in units else name for name in headers]


def tables_of(headers: Sequence[str]) -> list[AkshareTable]:
    """Return the tables that a header may be of; none for no table of akshare."""
    names = set(headers)
    return [one for one in TABLES if one.columns <= names <= one.columns | _OTHERS]


def documented_table(
    tables: Sequence[AkshareTable], headers: Sequence[str], rows: pd.DataFrame, hint: str
) -> AkshareTable:
    """Return the table of a header whose figures are in the documented units.

    Parameters
    ----------
    tables : those that the header may be of, at least one.
    rows : the rows below the header, one column for each header.
    hint : the name of the file and its sheet.

    Raises
    ------
    InputError : for totals whose exchange is not named, and for figures that are not in the documented unit.
    """
    found = list(tables)
    if len({one.money for one in found}) > 1:
        found = [one for one in found if _HINTS[one.exchange].search(hint)]
        if len(found) != 1:
            raise InputError(
                f"{hint}: akshare's totals of Shenzhen (亿元) and Beijing (万元) have the same headers: name the file "
                "after the function, such as stock_margin_szse_20240611.csv"
            )
    balances, _ = parse_numbers(rows.iloc[:, list(headers).index("融资余额")])
    known, unit = balances[~np.isnan(balances)], UNITS[found[0].money]
    if (unit.apply(known) > MOST_CNY).any() or (unit.times == 1.0 and (known != np.floor(known)).any()):
        raise InputError(
            f"{hint}: the headers are akshare's, whose 融资余额 is in {found[0].money}, but the figures are not: write "
            "the units into the headers, such as 融资余额(亿元)"
        )
    return found[0]
