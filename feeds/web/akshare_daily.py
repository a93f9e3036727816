"""Prices and indices of a day through akshare, which asks Eastmoney's pages (东方财富).

akshare documents the units, its headers don't have them: volumes are in 手 (of indices, too), turnover and
capitalisation in 元, rates in %. Prices come from the page of live quotes, which shows one session only: they must be
fetched between its close and the next morning; a missed day is lost. Indices have a history.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, time
from time import sleep as rest
from time import time as clock
from typing import Any

import pandas as pd

from feeds.cells.code_styles import BY_NUMBER, PLAIN
from feeds.checks.findings import Finding, Severity
from feeds.errors import GoneError, InputError
from feeds.files.dataset import SourceTable, SourceTables
from feeds.mappings.mapped_rows import map_rows
from feeds.mappings.mapping import CodeColumn, DateColumn, Figure, Table
from feeds.publication_times import available_at, is_final, require_trading_day
from feeds.web.akshare_client import AkshareCall, call_akshare, load_akshare
from feeds.web.attempts import Sleep
from processors.days import TradingCalendar, to_date, to_day
from processors.deadlines import Deadline

_SPOT, _BARS = "stock_zh_a_spot_em", "stock_zh_index_daily_em"
_DAY, _CODE = "交易日", "指数代码"
_WHEN, _STOCK = DateColumn(_DAY, "%Y%m%d"), CodeColumn("代码", PLAIN, BY_NUMBER, name="名称")
_SPOT_COLUMNS = (
    "代码", "名称", "最新价", "今开", "最高", "最低", "昨收", "成交量", "成交额", "换手率", "市净率", "流通市值",
)  # fmt: skip
_BAR_COLUMNS = ("date", "open", "high", "low", "close", "volume", "amount")
_SPOT_TABLES = (
    Table(
        "prices.daily",
        {
            "open": Figure(column="今开", unit="元", where="今开 > 0"),
            "high": Figure(column="最高", unit="元", where="最高 > 0"),
            "low": Figure(column="最低", unit="元", where="最低 > 0"),
            "close": Figure(column="最新价", unit="元"),
            "prev_close": Figure(column="昨收", unit="元", where="昨收 > 0"),
            "volume": Figure(column="成交量", unit="手"),
            "turnover": Figure(column="成交额", unit="元"),
            "suspended": Figure(formula="成交量 == 0"),
        },
        date=_WHEN,
        code=_STOCK,
    ),
    Table(
        "valuations.daily",
        {
            "pb": Figure(column="市净率"),
            "turnover_rate": Figure(column="换手率", unit="%"),
            "float_cap": Figure(column="流通市值", unit="元"),
        },
        date=_WHEN,
        code=_STOCK,
    ),
)
_INDEX_TABLE = Table(
    "indices.daily",
    {
        **{name: Figure(column=name, unit="点") for name in ("open", "high", "low", "close", "prev_close")},
        "volume": Figure(column="volume", unit="手"),
        "turnover": Figure(column="amount", unit="元"),
    },
    date=_WHEN,
    code=CodeColumn(_CODE, "600519.SH"),
)
#: From this time on the page of live quotes shows the auction of the next session.
_QUOTES_END = Deadline(time(9), next_session=True)


def price_tables(spot: pd.DataFrame, day: date) -> SourceTables:
    """Return prices and valuations of akshare's page of live quotes (stock_zh_a_spot_em), read after the close.

    Rows without a last price (not listed yet, suspended for long) are left out; a security without turnover is
    suspended. The page's price-earnings ratio is not the trailing one and is left out.

    Raises
    ------
    InputError : if a documented column is missing, or a code is invalid.
    """
    origin = f"akshare {_SPOT} {day}"
    _require_columns(_SPOT_COLUMNS, spot, origin)
    raw = spot[spot["最新价"] > 0].assign(**{_DAY: f"{day:%Y%m%d}"}).reset_index(drop=True)
    raw = raw.fillna({"成交量": 0.0, "成交额": 0.0})
    raw.index += 1  # rows are numbered from 1 in messages
    found = SourceTables()
    for table in _SPOT_TABLES:
        found.add(table.topic, origin, map_rows(table, raw, origin))
    return found


def index_bar(bars: pd.DataFrame, code: str, day: date, before: date | None) -> pd.DataFrame:
    """Return the row of a day of akshare's bars of an index (stock_zh_index_daily_em); no row if the day is missing.

    Parameters
    ----------
    before : the session before; its close is the day's previous close, which is absent if that session is missing.

    Raises
    ------
    InputError : if a documented column is missing.
    """
    origin = f"akshare {_BARS} {code} {day}"
    _require_columns(_BAR_COLUMNS, bars, origin)
    by_date = bars.set_index(bars["date"].astype(str))
    row = by_date[by_date.index == day.isoformat()]
    if not len(row):
        return pd.DataFrame()
    earlier = by_date["close"].get(before.isoformat()) if before is not None else None
    raw = row.assign(**{_DAY: f"{day:%Y%m%d}", _CODE: code, "prev_close": earlier}).reset_index(drop=True)
    return map_rows(_INDEX_TABLE, raw, origin).whole()


def fetch_prices(
    day: date,
    calendar: TradingCalendar,
    *,
    akshare: Any = None,
    now: Callable[[], float] = clock,
    sleep: Sleep = rest,
) -> SourceTables:
    """Fetch the closing prices and valuations of the stocks of all exchanges.

    Raises
    ------
    NotPublishedError : before the close.
    GoneError : once the next session has begun: the page then shows only that one.
    InputError : for no trading day, and all errors of `feeds.web.akshare_client.call_akshare`.
    """
    call = _call(_SPOT, {}, f"the prices of {day}", "prices.daily", day, calendar)
    if now() * 1e6 < call.due:
        raise call.not_published()
    end = _QUOTES_END.moment(to_day(day), calendar)
    if end is not None and now() * 1e6 >= end:
        raise GoneError(
            f"akshare's prices are those of the newest session, it has none of {day} any more: give files of that day "
            "to `marginwatch feed vendor`, or fetch it via tushare"
        )
    module = load_akshare() if akshare is None else akshare
    return price_tables(call_akshare(module, call, now, sleep), day)


def fetch_indices(
    day: date,
    calendar: TradingCalendar,
    codes: Sequence[str],
    *,
    akshare: Any = None,
    now: Callable[[], float] = clock,
    sleep: Sleep = rest,
) -> SourceTables:
    """Fetch the bars of indices.

    A day after they were due, an index without a bar of the day is left out with a finding: its bars may begin later.

    Raises
    ------
    NotPublishedError : before the close, or while an index has no bar of the day.
    InputError : for no trading day, if no index has a bar, and all errors of
        `feeds.web.akshare_client.call_akshare`.
    """
    out = SourceTables()
    module = akshare
    earlier = calendar.before(to_day(day))
    before = to_date(earlier) if earlier is not None else None
    for code in codes:
        symbol = f"{code[-2:].lower()}{code[:6]}"
        span = {"start_date": f"{before or day:%Y%m%d}", "end_date": f"{day:%Y%m%d}"}
        call = _call(
            _BARS, {"symbol": symbol, **span}, f"the figures of {code} of {day}", "indices.daily", day, calendar
        )
        if now() * 1e6 < call.due:
            raise call.not_published()
        module = load_akshare() if module is None else module
        bars = _bars(module, call, now, sleep)
        bar = index_bar(bars, code, day, before)
        if len(bar):
            out.tables.append(SourceTable("indices.daily", f"akshare {_BARS} {code} {day}", bar))
        elif not is_final(call.due, now()):
            raise call.not_published()
        else:
            first, last = bars["date"].astype(str).agg(["min", "max"])
            text = f"{code} has no bar of this day, its page has those of {first} to {last}: the index is left out"
            out.findings.append(Finding(Severity.WARNING, "absent", "indices.daily", to_day(day), text))
    if not out.tables:
        raise InputError(f"Eastmoney has no bar of {day} of {', '.join(codes)}: give files that contain it")
    return out


def _bars(module: Any, call: AkshareCall, now: Callable[[], float], sleep: Sleep) -> pd.DataFrame:
    """Return the bars of a span of days; if it has none and none can come any more, all bars of the index.

    akshare does not tell a span without bars from a page that it can't read.
    """
    try:
        return call_akshare(module, call, now, sleep)
    except InputError:
        if not is_final(call.due, now()):
            raise
    whole = replace(call, arguments={"symbol": call.arguments["symbol"]})
    return call_akshare(module, whole, now, sleep)


def _call(
    function: str, arguments: dict[str, str], figures: str, topic: str, day: date, calendar: TradingCalendar
) -> AkshareCall:
    require_trading_day(day, calendar)
    return AkshareCall(function, arguments, "Eastmoney", figures, available_at(topic, to_day(day), calendar))


def _require_columns(columns: Sequence[str], frame: pd.DataFrame, origin: str) -> None:
    lacking = [name for name in columns if name not in frame]
    if lacking:
        raise InputError(
            f"{origin} lacks {', '.join(lacking)}; its columns are {', '.join(map(str, frame.columns))}: akshare has "
            "changed its columns, install the version that marginwatch documents or give files"
        )
