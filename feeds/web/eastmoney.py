"""The margin detail of a day from Eastmoney's data centre (东方财富), as JSON and without an account, in 元 and 股.

It has no totals of single exchanges: its totals are those of the whole market, which belong to none, and the sum of the
exchanges' totals is compared with them.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from feeds.errors import InputError
from feeds.files.dataset import SourceTables
from feeds.mappings.mapping import CodeColumn, DateColumn, Figure, Table
from feeds.web.json_tables import PagesOfDay, Record, add_records, pages_of, refuse_error
from processors.codes import SUFFIX_OF

_PAGE = 500
_NO_ROWS, _FINE = 9201, (None, "", "ok")
_SITE = "https://data.eastmoney.com/rzrq/"
_FIGURES = {
    "fin_balance": "RZYE",
    "fin_buy": "RZMRE",
    "fin_repay": "RZCHE",
    "short_volume": "RQYL",
    "short_sell": "RQMCL",
    "short_repay": "RQCHL",
    "short_balance": "RQYE",
}
_TOTALS = {"fin_balance": "RZYE", "short_balance": "RQYE"}
_MONEY = ("fin_balance", "fin_buy", "fin_repay", "short_balance")
_DETAIL = Table(
    "margin.daily",
    {name: Figure(column=column, unit="元" if name in _MONEY else "股") for name, column in _FIGURES.items()},
    date=DateColumn("DATE"),
    code=CodeColumn("SECUCODE", "600519.SH", name="SECNAME"),
)


class _List(msgspec.Struct):
    count: int | None = None
    data: list[Record] | None = None


class _Answer(msgspec.Struct):
    success: bool
    message: str | None = None
    code: int = 0
    result: _List | None = None


def fetch_eastmoney(asked: PagesOfDay, exchanges: Collection[str]) -> SourceTables:
    """Fetch the detail of exchanges; errors as of `PagesOfDay`.

    Raises
    ------
    NotPublishedError : until it has rows of each of them.
    """
    where, out = f"Eastmoney's detail of {asked.day}", SourceTables()

    def page(number: int) -> tuple[list[Record], int | None]:
        return _page(asked, where, "RPTA_WEB_RZRQ_GGMX", "DATE", number, sortColumns="SCODE", sortTypes="1")

    asked.require_due("Eastmoney")
    others = tuple(f".{suffix}" for exchange, suffix in SUFFIX_OF.items() if exchange not in exchanges)
    records = [one for one in pages_of(where, page) if not str(one.get("SECUCODE")).endswith(others)]
    for exchange in exchanges:
        ours = [one for one in records if str(one.get("SECUCODE")).endswith(SUFFIX_OF[exchange])]
        asked.require_rows(ours, f"{where}, {exchange},", "Eastmoney")
    add_records(out, _DETAIL, records, where, asked.day)
    return out


def fetch_market(asked: PagesOfDay) -> dict[str, float]:
    """Fetch the totals of the whole market, by figure in CNY, to compare the totals of exchanges with.

    Raises
    ------
    InputError : as of `PagesOfDay`, and for another day or figures that are no numbers.
    """
    where = f"Eastmoney's totals of {asked.day}"
    records, _ = _page(asked, where, "RPTA_RZRQ_LSHJ", "DIM_DATE", 0)
    ours = [one for one in records if str(one.get("DIM_DATE")).startswith(asked.day.isoformat())]
    asked.require_rows(ours, where, "Eastmoney")
    found = {name: ours[0].get(column) for name, column in _TOTALS.items()}
    if not all(type(value) in (int, float) for value in found.values()):
        raise InputError(f"{where} has {found}, expected numbers: the site has changed; update marginwatch")
    return {name: float(str(value)) for name, value in found.items()}


def _page(
    asked: PagesOfDay, where: str, report: str, dated: str, number: int, **order: str
) -> tuple[list[Record], int | None]:
    """Return the rows of a page of a report, from 0 on, and the stated number of rows of all its pages."""
    params = {"reportName": report, "columns": "ALL", "source": "WEB", "client": "WEB", **order}
    params |= {"filter": f"({dated}='{asked.day}')", "pageSize": str(_PAGE), "pageNumber": str(number + 1)}
    answer = asked.read(where, _Answer, f"{asked.pages.sites.eastmoney}/api/data/v1/get", params, _SITE)
    found = _List() if answer.result is None else answer.result
    if answer.code != _NO_ROWS and not (answer.success and (found.data or answer.message in _FINE)):
        refuse_error(where, f"{answer.code}: {answer.message}")
    return found.data or [], found.count
