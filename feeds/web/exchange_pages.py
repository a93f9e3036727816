"""The margin figures of a day from the exchanges' own pages, as JSON and without an account.

Shanghai and Beijing answer in 元 and 股. Shenzhen's page shows two decimals of 亿元, 万股 and 万元 in one table: buys
and balances of a security are rounded to a million CNY; `feeds.web.agreement` replaces them by the figures of a source
that agrees and has all digits. A page of Shanghai's detail has at most 2,000 rows, one of the others some 20.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from feeds.cells.dates import days_in
from feeds.errors import InputError
from feeds.files.dataset import SourceTables
from feeds.mappings.mapping import CodeColumn, DateColumn, Figure, Table
from feeds.web.json_tables import PagesOfDay, Record, add_records, pages_of, refuse_error
from processors.days import to_date, to_day
from processors.needs import DETAIL, TOTALS

_SHANGHAI_PAGE = 2000
_SHANGHAI_SITE = "https://www.sse.com.cn/"
_SHENZHEN_SITE = "https://www.szse.cn/disclosure/margin/margin/index.html"
_BEIJING_SITE = "https://www.bse.cn/disclosure/rzrq_trans_list.html"


def _figures(money: str, shares: str, columns: Mapping[str, str], short_money: str | None = None) -> dict[str, Figure]:
    """Return figure → column in its unit; ``short_money`` is that of the balance of lent shares."""
    units = {"fin_balance": money, "fin_buy": money, "fin_repay": money, "short_balance": short_money or money}
    return {name: Figure(column=column, unit=units.get(name, shares)) for name, column in columns.items()}


_SHANGHAI = {
    "fin_balance": "rzye",
    "fin_buy": "rzmre",
    "fin_repay": "rzche",
    "short_volume": "rqyl",
    "short_sell": "rqmcl",
}
_SHENZHEN = {
    "fin_balance": "jrrzye",
    "fin_buy": "jrrzmr",
    "short_volume": "jrrjyl",
    "short_sell": "jrrjmc",
    "short_balance": "jrrjye",
}
_BEIJING = {
    "fin_balance": "rzye",
    "fin_buy": "rzmre",
    "short_volume": "rqyl",
    "short_sell": "rqmcl",
    "short_balance": "rqye",
}
_DATED = DateColumn("opDate", "%Y%m%d")
_SHANGHAI_TOTALS = Table(
    TOTALS, _figures("元", "股", {**_SHANGHAI, "short_balance": "rqylje"}), date=_DATED, exchange="SSE"
)
_SHANGHAI_DETAIL = Table(
    DETAIL,
    _figures("元", "股", {**_SHANGHAI, "short_repay": "rqchl"}),
    date=_DATED,
    code=CodeColumn("stockCode", exchange="SSE", name="securityAbbr"),
)
_SHENZHEN_TOTALS = Table(TOTALS, _figures("亿元", "亿股", _SHENZHEN), undated=True, exchange="SZSE")
_SHENZHEN_DETAIL = Table(
    DETAIL,
    _figures("亿元", "万股", _SHENZHEN, "万元"),
    undated=True,
    code=CodeColumn("zqdm", exchange="SZSE", name="zqjc"),
)
_BEIJING_TOTALS = Table(TOTALS, _figures("元", "股", _BEIJING), undated=True, exchange="BSE")
_BEIJING_DETAIL = Table(
    DETAIL, _figures("元", "股", _BEIJING), undated=True, code=CodeColumn("zqdm", exchange="BSE", name="zqjc")
)


class _PageHelp(msgspec.Struct):
    total: int | None = None


class _Shanghai(msgspec.Struct, rename="camel"):
    result: list[Record] | None
    page_help: _PageHelp | None = None
    success: object = None
    error: object = None
    error_message: object = None
    error_msg: object = None
    action_errors: object = None

    def failure(self) -> object:
        """Return what the answer states of an error; empty without one."""
        stated = self.error or self.error_message or self.error_msg or self.action_errors
        return stated or ("success is false" if str(self.success).lower() == "false" else "")


class _TabFacts(msgspec.Struct):
    tabkey: str = ""
    name: str = ""
    subname: str = ""
    recordcount: int | None = None


class _Tab(msgspec.Struct):
    metadata: _TabFacts
    data: list[Record] | None = None
    error: object = None


class _BeijingTotals(msgspec.Struct, array_like=True):
    records: list[Record] | None
    day: str


class _BeijingPage(msgspec.Struct, rename="camel"):
    content: list[Record]
    total_elements: int | None = None


class _BeijingDetail(msgspec.Struct, array_like=True):
    pages: list[_BeijingPage] | None
    day: str


def fetch_shanghai(asked: PagesOfDay) -> SourceTables:
    """Fetch Shanghai's totals and detail; errors as of `PagesOfDay`."""
    url, stamp, out = (
        f"{asked.pages.sites.sse}/marketdata/tradedata/queryMargin.do",
        f"{asked.day:%Y%m%d}",
        SourceTables(),
    )

    def page(where: str, number: int, **days: str) -> tuple[list[Record], int | None]:
        params = {"isPagination": "true", "stockCode": "", **days, "pageHelp.pageSize": str(_SHANGHAI_PAGE)}
        params |= dict.fromkeys(("pageHelp.pageNo", "pageHelp.beginPage", "pageHelp.endPage"), str(number + 1))
        params["pageHelp.cacheSize"] = "1"
        answer = asked.read(where, _Shanghai, url, params, _SHANGHAI_SITE)
        if not answer.result:
            refuse_error(where, answer.failure())
        return answer.result or [], (answer.page_help.total or None) if answer.page_help is not None else None

    asked.require_due("Shanghai")
    where = f"Shanghai's totals of {asked.day}"
    records, _ = page(where, 0, beginDate=stamp, endDate=stamp, tabType="")
    asked.require_rows(records, where, "Shanghai")
    add_records(out, _SHANGHAI_TOTALS, records, where, asked.day)
    where = f"Shanghai's detail of {asked.day}"
    records = pages_of(where, lambda number: page(where, number, detailsDate=stamp, tabType="mxtype"))
    asked.require_rows(records, where, "Shanghai")
    add_records(out, _SHANGHAI_DETAIL, records, where, asked.day)
    return out


def fetch_shenzhen(asked: PagesOfDay) -> SourceTables:
    """Fetch Shenzhen's totals and detail; errors as of `PagesOfDay`."""
    url, out = f"{asked.pages.sites.szse}/api/report/ShowReport/data", SourceTables()

    def page(where: str, key: str, word: str, number: int) -> tuple[list[Record], int | None]:
        params = {"SHOWTYPE": "JSON", "CATALOGID": "1837_xxpl", "txtDate": asked.day.isoformat(), "TABKEY": key}
        tabs = asked.read(where, list[_Tab], url, {**params, f"{key}PAGENO": str(number + 1)}, _SHENZHEN_SITE)
        found = next((tab for tab in tabs if tab.metadata.tabkey == key or word in tab.metadata.name), None)
        if tabs and found is None:
            raise InputError(
                f"{where}: the answer has no table {word} ({key}): the site has changed; update marginwatch"
            )
        if found is None or not found.data:
            refuse_error(where, found.error if found is not None else None)
            return [], None
        _require_day(asked, where, found.metadata.subname)
        return found.data, found.metadata.recordcount or None

    asked.require_due("Shenzhen")
    where = f"Shenzhen's totals of {asked.day}"
    records, _ = page(where, "tab1", "总量", 0)
    asked.require_rows(records, where, "Shenzhen")
    add_records(out, _SHENZHEN_TOTALS, records, where, asked.day)
    where = f"Shenzhen's detail of {asked.day}"
    records = pages_of(where, lambda number: page(where, "tab2", "明细", number))
    asked.require_rows(records, where, "Shenzhen")
    add_records(out, _SHENZHEN_DETAIL, records, where, asked.day)
    return out


def fetch_beijing(asked: PagesOfDay) -> SourceTables:
    """Fetch Beijing's totals and detail; errors as of `PagesOfDay`."""
    url, out = f"{asked.pages.sites.bse}/rzrqjyyexxController", SourceTables()
    params = {"callback": "cb", "transDate": asked.day.isoformat()}

    def page(where: str, number: int) -> tuple[list[Record], int | None]:
        given = {**params, "page": str(number)}
        answer = asked.read(where, _BeijingDetail, f"{url}/detailInfoResult.do", given, _BEIJING_SITE)
        found = answer.pages[0] if answer.pages else _BeijingPage([])
        if found.content:
            _require_day(asked, where, answer.day)
        return found.content, found.total_elements or None

    asked.require_due("Beijing")
    where = f"Beijing's totals of {asked.day}"
    given = {**params, "page": "0"}
    answer = asked.read(where, _BeijingTotals, f"{url}/summaryInfoResult.do", given, _BEIJING_SITE)
    records = answer.records or []
    asked.require_rows(records, where, "Beijing")
    _require_day(asked, where, answer.day)
    add_records(out, _BEIJING_TOTALS, records, where, asked.day)
    where = f"Beijing's detail of {asked.day}"
    records = pages_of(where, lambda number: page(where, number))
    asked.require_rows(records, where, "Beijing")
    add_records(out, _BEIJING_DETAIL, records, where, asked.day)
    return out


def _require_day(asked: PagesOfDay, where: str, stated: str) -> None:
    """Refuse an answer that states another day."""
    others = set(days_in(stated)) - {to_day(asked.day)}
    if others:
        raise InputError(
            f"{where} answers with {to_date(min(others))}: its rows are not used; try again later, or use another "
            "source"
        )


#: Exchange → its publisher in messages, and the function that fetches its figures.
EXCHANGE_PAGES: dict[str, tuple[str, Callable[[PagesOfDay], SourceTables]]] = {
    "SSE": ("Shanghai", fetch_shanghai),
    "SZSE": ("Shenzhen", fetch_shenzhen),
    "BSE": ("Beijing", fetch_beijing),
}
