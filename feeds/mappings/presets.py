"""The tables of vendors that need no mapping file, known by their headers.

tushare's files name no units; its documentation does (tushare.pro documents 27, 32, 58 and 59): vol in 手, amount in
千元, circ_mv in 万元, ratios in %, all else in 元 and 股. (rqmcl is documented as "股,份,手" by the kind of security:
shares of stocks, units of funds; bonds, in 手, are in none of the topics here.)

Its turnover of 399001.SZ is that of 500 stocks; `replace_component_turnover` replaces it (document 95).

akshare removes the units from the exchanges' headers and documents them; `feeds.files.akshare_tables` adds them again.

Other Chinese headers contain their units: ``融资余额(元)``; one without is refused.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

import msgspec
import pandas as pd

from feeds.cells.code_styles import BY_NUMBER, clean_code, own_code
from feeds.cells.units import split_header
from feeds.checks.findings import Finding, Severity
from feeds.errors import InputError
from feeds.mappings.mapping import CodeColumn, DateColumn, Figure, Table
from processors.events import FIGURES

_DATE, _CODE = DateColumn("trade_date"), CodeColumn("ts_code", "600519.SH")


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
_ACCOUNTS = _figures(
    collateral_ratio=("平均维持担保比例", "%"),
    fin_balance=("融资余额", "亿元"),
    fin_buy=("融资买入额", "亿元"),
    short_balance=("融券余额", "亿元"),
)
#: The name of a vendor's table, the columns by which it is recognised, and its mapping.
VENDOR_TABLES: tuple[tuple[str, frozenset[str], tuple[Table, ...]], ...] = (
    (
        "tushare margin_detail",
        frozenset({"trade_date", "ts_code", "rzye", "rzmre"}),
        (Table("margin.daily", _MARGIN, date=_DATE, code=msgspec.structs.replace(_CODE, name="name")),),
    ),
    (
        "tushare margin",
        frozenset({"trade_date", "exchange_id", "rzye", "rzmre"}),
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
    (
        "akshare stock_margin_account_info",
        frozenset({"日期", "融资余额", "融资买入额", "融券余额", "平均维持担保比例"}),
        (Table("margin.collateral", _ACCOUNTS, date=DateColumn("日期"), market="CN"),),
    ),
)

CHINESE_HEADERS = "Chinese headers"
#: Chinese headers without their unit and without 本日 → figure, by topic; the first name of each topic is required.
CHINESE: dict[str, dict[str, str]] = {
    "margin": {
        "融资余额": "fin_balance",
        "融资买入额": "fin_buy",
        "买入额": "fin_buy",
        "融资买入金额": "fin_buy",
        "融资买入": "fin_buy",
        "融资偿还额": "fin_repay",
        "偿还额": "fin_repay",
        "融资偿还金额": "fin_repay",
        "融资偿还": "fin_repay",
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
        "昨收盘价": "prev_close",
        "前收盘": "prev_close",
        "昨收盘": "prev_close",
        "前收": "prev_close",
        "昨收": "prev_close",
        "成交量": "volume",
        "成交股数": "volume",
        "成交额": "turnover",
        "成交金额": "turnover",
    },
}
_CHINESE_DATES = ("日期", "交易日期", "信用交易日期", "数据日期", "交易日")
_CHINESE_CODES = ("证券代码", "股票代码", "标的证券代码", "代码")
_CHINESE_NAMES = ("证券简称", "股票简称", "标的证券简称", "证券名称", "股票名称", "简称", "名称")
_CHINESE_EXCHANGES = ("交易所", "市场", "交易市场", "交易所代码")
_CHINESE_KEYS = frozenset((*_CHINESE_DATES, *_CHINESE_CODES, *_CHINESE_NAMES, *_CHINESE_EXCHANGES))


#: Words of the figures that `CHINESE` spells, and of what follows from them: the balance of both, changes, shares.
_FIGURES = re.compile("余额|余量|买入|偿还|卖出|收盘|昨收|前收|成交")
_DERIVED = re.compile("融资融券|两融|净|率|比|幅|变|差|增|均|笔|日期|涨|跌")


#: tushare's index of Shenzhen's 500 constituents, and the one of all its A shares.
COMPONENT, ALL_SHARES = "399001.SZ", "399107.SZ"


def replace_component_turnover(raw: pd.DataFrame, file: str) -> tuple[pd.DataFrame, list[Finding]]:
    """Replace volume and turnover of tushare's 399001.SZ by those of 399107.SZ.

    `indices.daily` has the volume and turnover of the whole exchange under 399001.SZ; tushare has those of the index's
    500 stocks. On a day without 399107.SZ both figures become absent, and a finding reports it.
    """
    if not {"ts_code", "trade_date", "vol", "amount"} <= set(raw.columns):
        return raw, []
    codes = raw["ts_code"].map({cell: own_code(clean_code(cell)) for cell in raw["ts_code"].unique()})
    component = codes == COMPONENT
    if not component.any():
        return raw, []
    whole = raw[codes == ALL_SHARES].drop_duplicates("trade_date").set_index("trade_date")
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


def detect_tables(headers: Sequence[str], file: str) -> tuple[str, list[Table]] | None:
    """Return the name of a vendor's table and its mapping by its headers; None if they are not known.

    Raises
    ------
    InputError : if two headers name one figure.
    """
    for name, marks, tables in VENDOR_TABLES:
        if marks <= set(headers):
            return name, [_present(table, headers) for table in tables]
    found = _chinese(headers, file)
    return (CHINESE_HEADERS, found) if found else None


def unread_figures(name: str, headers: Sequence[str], tables: Sequence[Table]) -> list[str]:
    """Return the headers that look like figures of a vendor's table, and that none of its tables reads.

    In a table in Chinese they have the words of one; in another one they are its columns in capitals, or with a unit.
    """
    read = {figure.column for table in tables for figure in table.columns.values()}
    left = [header for header in headers if header not in read]
    if name == CHINESE_HEADERS:
        return [header for header in left if _FIGURES.search(header) and not _DERIVED.search(header)]
    (known,) = (of_vendor for own, _, of_vendor in VENDOR_TABLES if own == name)
    columns = {figure.column for table in known for figure in table.columns.values()}
    return [header for header in left if split_header(header)[0].lower() in columns]


def has_dates(headers: Sequence[str]) -> bool:
    """Whether a table in Chinese has a column of dates."""
    return not {split_header(header)[0] for header in headers if header}.isdisjoint(_CHINESE_DATES)


def is_total_of_all(headers: Sequence[str]) -> bool:
    """Whether headers are those of margin totals without a security or an exchange."""
    names = {split_header(header)[0].removeprefix("本日") for header in headers if header}
    keyed = names & {*_CHINESE_CODES, *_CHINESE_EXCHANGES} or {"exchange_id", "ts_code"} & set(headers)
    return not keyed and (next(iter(CHINESE["margin"])) in names or {"rzye", "rzmre"} <= set(headers))


def _present(table: Table, headers: Container[str | None]) -> Table:
    """Leave out the column of names and optional figures if they are missing."""
    optional = {column.name for column in FIGURES[table.topic] if column.optional}
    kept = {n: f for n, f in table.columns.items() if f.column in headers or n not in optional}
    code = table.code
    if code is not None and code.name not in headers:
        code = msgspec.structs.replace(code, name=None)
    return msgspec.structs.replace(table, columns=kept, code=code)


def _chinese(headers: Sequence[str], file: str) -> list[Table]:
    names: dict[str, str] = {}
    for header in filter(None, headers):
        name = split_header(header)[0].removeprefix("本日")
        if name in names and (name in _CHINESE_KEYS or any(name in known for known in CHINESE.values())):
            raise InputError(f"{file}: {names[name]!r} and {header!r} are both {name}: give a mapping file with --map")
        names.setdefault(name, header)
    date, code, exchange, named = (
        next((names[n] for n in words if n in names), None)
        for words in (_CHINESE_DATES, _CHINESE_CODES, _CHINESE_EXCHANGES, _CHINESE_NAMES)
    )
    if code is None and exchange is None:
        return []
    tables = []
    for topic, known in CHINESE.items():
        if next(iter(known)) not in names or (topic != "margin" and code is None):
            continue
        columns = {
            figure: Figure(column=names[name], unit=split_header(names[name])[1])
            for name, figure in reversed(known.items())
            if name in names
        }
        when = DateColumn(date) if date is not None else None
        if code is None:
            tables.append(Table("margin.market", columns, date=when, undated=when is None, exchange_column=exchange))
            continue
        by_code = CodeColumn(
            code, exchange=BY_NUMBER if exchange is None else None, exchange_column=exchange, name=named
        )
        table = Table("margin.daily", columns, date=when, undated=when is None, code=by_code)
        if topic == "margin":
            tables.append(table)
        else:
            tables.append(msgspec.structs.replace(table, topic=topic, only="securities"))
            tables.append(msgspec.structs.replace(table, topic="indices.daily", only="indices"))
    return tables
