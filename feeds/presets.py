"""The tables of vendors that need no mapping file: tushare's by their columns, Chinese headers by their text.

tushare's files name no units; its documentation does (tushare.pro documents 27, 32, 58 and 59): vol in 手, amount in
千元, circ_mv in 万元, ratios in %, all else in 元 and 股. (rqmcl is documented as "股,份,手" by the kind of security:
shares of stocks, units of funds; bonds, in 手, are in none of the topics here.)

Its turnover of 399001.SZ is that of 500 stocks; `replace_component_turnover` replaces it (document 95).

Chinese headers contain their units: ``融资余额(元)``; one without is refused.
"""

from __future__ import annotations

import re
from collections.abc import Container

import msgspec
import pandas as pd

from feeds.code_styles import BY_NUMBER, PLAIN, STYLES, to_own
from feeds.errors import InputError
from feeds.mapping import CodeColumn, DateColumn, Figure, Table
from feeds.units import split_header
from feeds.validate import Finding, Severity
from processors.events import FIGURES

_DATE, _CODE = DateColumn("trade_date", "%Y%m%d"), CodeColumn("ts_code", "600519.SH")


def _figures(**columns: tuple[str, str | None]) -> dict[str, Figure]:
    return {name: Figure(column=column, unit=unit) for name, (column, unit) in columns.items()}


_MARGIN = _figures(
    fin_balance=("rzye", "元"),
    fin_buy=("rzmre", "元"),
    fin_repay=("rzche", "元"),
    short_volume=("rqyl", "股"),
    short_sell=("rqmcl", "股"),
    short_repay=("rqchl", "股"),
    short_balance=("rqye", "元"),
)
_TRADED = _figures(volume=("vol", "手"), turnover=("amount", "千元"))


def _bars(unit: str) -> dict[str, Figure]:
    own = {name: Figure(column=name, unit=unit) for name in ("open", "high", "low", "close")}
    return own | {"prev_close": Figure(column="pre_close", unit=unit)} | _TRADED


_VALUATIONS = _figures(
    pe_ttm=("pe_ttm", None),
    pb=("pb", None),
    dividend_yield=("dv_ttm", "%"),
    turnover_rate=("turnover_rate", "%"),
    float_cap=("circ_mv", "万元"),
)
#: The name of a tushare table, the columns by which it is recognised, and its mapping.
TUSHARE: tuple[tuple[str, frozenset[str], tuple[Table, ...]], ...] = (
    (
        "tushare margin_detail",
        frozenset({"trade_date", "ts_code", "rzye", "rzmre", "rqyl", "rqmcl"}),
        (Table("margin.daily", _MARGIN, date=_DATE, code=msgspec.structs.replace(_CODE, name="name")),),
    ),
    (
        "tushare margin",
        frozenset({"trade_date", "exchange_id", "rzye", "rzmre", "rqyl", "rqmcl"}),
        (Table("margin.market", _MARGIN, date=_DATE, exchange_column="exchange_id"),),
    ),
    (
        "tushare daily",
        frozenset({"trade_date", "ts_code", "open", "close", "pre_close", "vol", "amount"}),
        (
            Table("prices.daily", _bars("元"), date=_DATE, code=_CODE, only="securities"),
            Table("indices.daily", _bars("点"), date=_DATE, code=_CODE, only="indices"),
        ),
    ),
    (
        "tushare daily_basic",
        frozenset({"trade_date", "ts_code", "pe_ttm", "pb", "turnover_rate", "circ_mv"}),
        (Table("valuations.daily", _VALUATIONS, date=_DATE, code=_CODE),),
    ),
)

#: Chinese headers without their unit and without 本日 → figure, by topic; the first name of each topic is required.
CHINESE: dict[str, dict[str, str]] = {
    "margin": {
        "融资余额": "fin_balance",
        "融资买入额": "fin_buy",
        "买入额": "fin_buy",
        "融资偿还额": "fin_repay",
        "偿还额": "fin_repay",
        "融券余量": "short_volume",
        "融券卖出量": "short_sell",
        "卖出量": "short_sell",
        "融券偿还量": "short_repay",
        "偿还量": "short_repay",
        "融券余额": "short_balance",
        "融券余量金额": "short_balance",
    },
    "prices.daily": {
        "收盘价": "close",
        "开盘价": "open",
        "最高价": "high",
        "最低价": "low",
        "昨收价": "prev_close",
        "前收盘价": "prev_close",
        "成交量": "volume",
        "成交额": "turnover",
    },
}
_CHINESE_DATES = ("日期", "交易日期", "信用交易日期", "数据日期", "交易日")
_CHINESE_CODES = ("证券代码", "股票代码", "标的证券代码", "代码")
_CHINESE_NAMES = ("证券简称", "股票简称", "标的证券简称", "证券名称", "股票名称", "简称", "名称")
_CHINESE_EXCHANGES = ("交易所", "市场", "交易市场")


#: tushare's index of Shenzhen's 500 constituents, and the one of all its A shares.
COMPONENT, ALL_SHARES = "399001.SZ", "399107.SZ"


def replace_component_turnover(raw: pd.DataFrame, file: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Replace volume and turnover of tushare's 399001.SZ by those of 399107.SZ.

    `indices.daily` has the volume and turnover of the whole exchange under 399001.SZ; tushare has those of the index's
    500 stocks. On a day without 399107.SZ both figures become absent, and a finding reports it.
    """
    if not {"ts_code", "trade_date", "vol", "amount"} <= set(raw.columns):
        return raw, []
    component = raw["ts_code"] == COMPONENT
    if not component.any():
        return raw, []
    whole = raw[raw["ts_code"] == ALL_SHARES].drop_duplicates("trade_date").set_index("trade_date")
    raw = raw.copy()
    for name in ("vol", "amount"):
        raw[name] = raw[name].mask(component, raw["trade_date"].map(whole[name]))
    alone = sorted(set(raw["trade_date"][component]) - set(whole.index))
    if not alone:
        return raw, []
    text = (
        f"{file}: volume and turnover of {COMPONENT} are left out on {len(alone)} days from {alone[0]} on: tushare's "
        f"are those of 500 stocks; add {ALL_SHARES} to the table, which has those of the exchange"
    )
    return raw, [Finding(Severity.WARNING, "turnover", "indices.daily", None, text)]


def detect_tables(raw: pd.DataFrame, file: str) -> tuple[str, list[Table]]:
    """Return the name of a vendor's table, and its mapping.

    Raises
    ------
    InputError : if the table is unknown, or a Chinese header has no unit.
    """
    headers = [str(column) for column in raw.columns]
    for name, marks, tables in TUSHARE:
        if marks <= set(headers):
            return name, [_present(table, headers) for table in tables]
    found = _chinese(raw, headers, file)
    if not found:
        raise InputError(
            f"{file} is none of {', '.join(name for name, _, _ in TUSHARE)} and has no known Chinese headers; "
            f"its columns are {', '.join(headers)}: give a mapping file with --map (deploy/mapping.example.toml)"
        )
    return "Chinese headers", found


def _present(table: Table, headers: Container[str | None]) -> Table:
    """Leave out the column of names and optional figures if they are missing."""
    optional = {column.name for column in FIGURES[table.topic] if column.optional}
    kept = {n: f for n, f in table.columns.items() if f.column in headers or n not in optional}
    code = table.code
    if code is not None and code.name not in headers:
        code = msgspec.structs.replace(code, name=None)
    return msgspec.structs.replace(table, columns=kept, code=code)


def _chinese(raw: pd.DataFrame, headers: list[str], file: str) -> list[Table]:
    names: dict[str, str] = {}
    for header in headers:
        name = split_header(header)[0].removeprefix("本日")
        if name in names:
            raise InputError(f"{file}: {names[name]!r} and {header!r} are both {name}: give a mapping file with --map")
        names[name] = header
    date = next((names[n] for n in _CHINESE_DATES if n in names), None)
    code = next((names[n] for n in _CHINESE_CODES if n in names), None)
    exchange = next((names[n] for n in _CHINESE_EXCHANGES if n in names), None)
    if date is None or (code is None and exchange is None) or not len(raw):
        return []
    tables = []
    for topic, known in CHINESE.items():
        columns = {
            figure: Figure(column=names[name], unit=split_header(names[name])[1])
            for name, figure in reversed(known.items())
            if name in names
        }
        if next(iter(known)) not in names or (topic != "margin" and code is None):
            continue
        when = DateColumn(date, date_format(raw[date].iloc[0], file))
        if code is None:
            tables.append(Table("margin.market", columns, date=when, exchange_column=exchange))
            continue
        named = next((names[n] for n in _CHINESE_NAMES if n in names), None)
        by_code = msgspec.structs.replace(code_style(raw, code, exchange, file), name=named)
        tables.append(
            Table(topic if topic != "margin" else "margin.daily", columns, date=when, code=by_code, only="securities")
        )
        if topic == "prices.daily":
            tables.append(Table("indices.daily", columns, date=when, code=by_code, only="indices"))
    return tables


def code_style(raw: pd.DataFrame, code: str, exchange: str | None, file: str) -> CodeColumn:
    """Return the style of a column of codes, by its first code; raises `InputError` if no style fits."""
    first = raw[code].iloc[0]
    for style in STYLES:
        try:
            to_own(first, style, BY_NUMBER)
        except InputError:
            continue
        if style != PLAIN:
            return CodeColumn(code, style)
        by_number = CodeColumn(code, style, BY_NUMBER)
        return by_number if exchange is None else CodeColumn(code, style, exchange_column=exchange)
    raise InputError(f"{file}: code {first!r} is in no style that is known ({', '.join(STYLES)}): give a mapping file")


_FORMATS = (
    (r"\d{8}(\.0)?", "%Y%m%d"),
    (r"\d{4}-\d{1,2}-\d{1,2}", "%Y-%m-%d"),
    (r"\d{4}/\d{1,2}/\d{1,2}", "%Y/%m/%d"),
    (r"\d{4}\.\d{1,2}\.\d{1,2}", "%Y.%m.%d"),
    (r"\d{4}年\d{1,2}月\d{1,2}日", "%Y年%m月%d日"),
    (r"\d{4}-\d{1,2}-\d{1,2} \d{2}:\d{2}:\d{2}", "%Y-%m-%d %H:%M:%S"),
)


def date_format(cell: object, file: str) -> str:
    """Return the format of a date with the year first; raises `InputError` for ambiguous ones (03/04/2024)."""
    text = str(cell).strip()
    for pattern, form in _FORMATS:
        if re.fullmatch(pattern, text):
            return form
    raise InputError(f"{file}: date {text!r} is ambiguous or unknown: give its format in a mapping file")
