"""The exchanges' margin figures of a day through akshare.

akshare asks the exchanges' own pages; its answers are read by the layouts of `exchange`. It removes the units from the
headers and documents them instead, so `restore_headers` adds them again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd

from feeds.akshare_client import AkshareCall, call_akshare, load_akshare
from feeds.dataset import SourceTables
from feeds.errors import InputError
from feeds.exchange import parse_sheets
from feeds.publication_times import available_at
from processors.days import DAY_US, TradingCalendar, to_day


@dataclass(frozen=True, slots=True)
class AkshareTable:
    """A function of akshare that returns a margin table.

    Parameters
    ----------
    arguments : the arguments that get the trade date, as YYYYMMDD.
    money, shares : the documented units.
    """

    function: str
    exchange: str
    arguments: tuple[str, ...]
    money: str
    shares: str


TABLES = (
    AkshareTable("stock_margin_sse", "SSE", ("start_date", "end_date"), "元", "股"),
    AkshareTable("stock_margin_detail_sse", "SSE", ("date",), "元", "股"),
    AkshareTable("stock_margin_szse", "SZSE", ("date",), "亿元", "亿股"),
    AkshareTable("stock_margin_detail_szse", "SZSE", ("date",), "元", "股"),
    AkshareTable("stock_margin_bse", "BSE", ("date",), "万元", "万股"),
    AkshareTable("stock_margin_detail_bse", "BSE", ("date",), "元", "股"),
)
_MONEY = ("融资余额", "融资买入额", "融资偿还额", "融券余额", "融券余量金额", "融资融券余额")
_SHARES = ("融券余量", "融券卖出量", "融券偿还量")


def fetch_margin(
    day: date,
    calendar: TradingCalendar,
    *,
    akshare: Any = None,
    exchanges: Iterable[str] = ("SSE", "SZSE"),
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> SourceTables:
    """Fetch the margin figures of a trade date from the exchanges.

    Parameters
    ----------
    akshare : the module; imported if it is None.
    now : seconds since the epoch.

    Raises
    ------
    NotPublishedError : if an exchange has no figures of this day yet.
    InputError : for no trading day, a missing akshare, or an exchange that can't be reached.
    """
    if to_day(day) not in calendar:
        raise InputError(f"{day} is no trading day of XSHG: there are no margin figures of it, choose another day")
    due = available_at("margin.daily", to_day(day), calendar)
    figures, stamp = f"the margin figures of {day}", f"{day:%Y%m%d}"
    if now() * 1e6 < due - DAY_US:
        raise AkshareCall("", {}, "exchanges", figures, due).not_published()
    module = load_akshare() if akshare is None else akshare
    found = SourceTables()
    for table in (one for exchange in exchanges for one in TABLES if one.exchange == exchange):
        call = AkshareCall(table.function, dict.fromkeys(table.arguments, stamp), table.exchange, figures, due)
        frame = call_akshare(module, call, now, sleep)
        one = parse_sheets({"": restore_headers(frame, table)}, f"akshare {table.function} {day}", day)
        if not one.tables:
            raise call.not_published()
        found.extend(one)
    return found


def restore_headers(frame: pd.DataFrame, table: AkshareTable) -> pd.DataFrame:
    """Return an answer of akshare as the sheet of the exchange's own file: headers with units, then the rows."""
    detail = "标的证券代码" in frame or table.function == "stock_margin_sse"
    names = {}
    for column in map(str, frame.columns):
        unit = table.money if column in _MONEY else table.shares if column in _SHARES else None
        own = f"本日{column}" if detail and unit is not None and table.exchange == "SSE" else column
        names[column] = own if unit is None else f"{own}({unit})"
    grid = pd.DataFrame([list(names.values()), *frame.to_numpy(dtype=object).tolist()])
    return grid.astype(object)
