"""The public pages of the exchanges and Eastmoney as a server on loopback, in the shapes that they document."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from feeds.ports import PublicSites
from streams.clients import page_client

Row = dict[str, Any]
#: Code → balance, buy, repayment in CNY; volume, sales, repayment of lent shares; their value in CNY.
Figures = dict[str, tuple[float, float, float, float, float, float, float]]


def margin(*codes: str) -> Figures:
    """Return figures of securities that are no round numbers."""
    return {
        code: (5_105_063_089 + 1_234_567 * at, 266_715_372 + 54_321 * at, 325_760_031 + 98_765 * at,
               11_467_900 + 1_000 * at, 564_400 + 100 * at, 201_500 + at, 106_309_509 + 1_111 * at)
        for at, code in enumerate(codes)
    }  # fmt: skip


class Sites:
    """A server on loopback; each site has a path of its own.

    Parameters
    ----------
    figures : suffix of an exchange → its securities; `eastmoney` are those of Eastmoney, the same by default.
    most : rows of a page at most, by site.
    turns : whether a site turns pages; one that does not always answers with the first one.
    states : whether a site states the number of rows.
    totals : suffix → totals of an exchange in place of the sums of its securities.
    totals_off, market_off : factors of the totals of an exchange by its suffix, and of Eastmoney's totals.
    published : whether there are figures.
    conditional : whether pages have an ETag.
    instead : path → what is answered first, one for each request: a status, or bytes, or status, headers and bytes.
    """

    def __init__(self) -> None:
        self.figures = {
            "SH": margin("600519.SH", "510300.SH", "688981.SH"),
            "SZ": margin("000001.SZ", "300750.SZ", "159915.SZ"),
            "BJ": margin("920002.BJ"),
        }
        self.eastmoney: dict[str, Figures] | None = None
        self.day = "2024-06-11"
        self.most = {"sse": 2000, "szse": 20, "bse": 20, "eastmoney": 500}
        self.turns = self.states = self.published = self.conditional = True
        self.totals: dict[str, tuple[float, ...]] = {}
        self.totals_off: dict[str, float] = {}
        self.market_off = 1.0
        self.instead: dict[str, list[Any]] = {}
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.unchanged = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, headers, body = outer.answer(self.path, {k.lower(): v for k, v in self.headers.items()})
                self.send_response(status)
                for name, value in ({"Content-Length": str(len(body))} | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def sites(self, pause_s: float = 0.0) -> PublicSites:
        """Return the addresses of this server."""
        return PublicSites(*(f"{self.url}/{name}" for name in ("sse", "szse", "bse", "em")), page_client, pause_s)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        parts = urlsplit(path)
        params = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        self.asked.append((parts.path, params, headers))
        for part, waiting in self.instead.items():
            if part in path and waiting:
                given = waiting.pop(0)
                if isinstance(given, int):
                    return given, {}, b"<html>"
                return given if isinstance(given, tuple) else (200, {}, given)
        pages: dict[str, Callable[[dict[str, str]], bytes]] = {
            "/sse/marketdata/tradedata/queryMargin.do": self._shanghai,
            "/szse/api/report/ShowReport/data": self._shenzhen,
            "/bse/rzrqjyyexxController/summaryInfoResult.do": self._beijing_totals,
            "/bse/rzrqjyyexxController/detailInfoResult.do": self._beijing_detail,
            "/em/api/data/v1/get": self._eastmoney,
        }
        body = pages[parts.path](params)
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.conditional and headers.get("if-none-match") == tag:
            self.unchanged += 1
            return 304, {"ETag": tag}, b""
        return 200, {"ETag": tag} if self.conditional else {}, body

    def _page(self, rows: list[Row], site: str, number: int, size: int) -> list[Row]:
        size = min(size, self.most[site])
        start = (number if self.turns else 0) * size
        return rows[start : start + size]

    def _total(self, suffix: str, place: int) -> float:
        if suffix in self.totals:
            return self.totals[suffix][place]
        return sum(one[place] for one in self.figures[suffix].values()) * self.totals_off.get(suffix, 1.0)

    def _shanghai(self, params: dict[str, str]) -> bytes:
        stamp, names = self.day.replace("-", ""), ("rzye", "rzmre", "rzche", "rqyl", "rqmcl", "rqchl")
        if params["tabType"] == "mxtype":
            rows: list[Row] = [
                {"opDate": stamp, "stockCode": code[:6], "securityAbbr": "名",
                 **dict(zip(names, figures, strict=False)), "rqylje": None, "rzrqjyzl": None}
                for code, figures in self.figures["SH"].items()
            ]  # fmt: skip
            asked = params["detailsDate"]
        else:
            sums = [self._total("SH", place) for place in (0, 1, 2, 3, 4)]
            rows = [{"opDate": stamp, **dict(zip(names, sums, strict=False)), "rqylje": self._total("SH", 6)}]
            asked = params["beginDate"]
        rows = rows if asked == stamp and self.published else []
        number, size = int(params["pageHelp.pageNo"]) - 1, int(params["pageHelp.pageSize"])
        answer: Row = {"result": self._page(rows, "sse", number, size)}
        return json.dumps(answer | ({"pageHelp": {"total": len(rows)}} if self.states else {})).encode()

    def _shenzhen(self, params: dict[str, str]) -> bytes:
        there = params["txtDate"] == self.day and self.published

        def row(scale: tuple[float, float, float], figures: list[float]) -> Row:
            money, shares, short = scale
            balance, buy, _, volume, sold, _, value = figures
            cells = {
                "jrrzmr": buy / money,
                "jrrzye": balance / money,
                "jrrjmc": sold / shares,
                "jrrjyl": volume / shares,
                "jrrjye": value / short,
                "jrrzrjye": (balance + value) / money,
            }
            return {name: f"{value:,.2f}" for name, value in cells.items()}

        totals = [row((1e8, 1e8, 1e8), [self._total("SZ", place) for place in range(7)])]
        rows = [
            {"zqdm": code[:6], "zqjc": "名", **row((1e8, 1e4, 1e4), list(figures))}
            for code, figures in self.figures["SZ"].items()
        ]
        rows = rows if there else []
        number = int(params.get("tab2PAGENO", "1")) - 1
        stated = {"recordcount": len(rows), "pagecount": -(-len(rows) // 20)} if self.states else {}
        subname = {"subname": self.day} if there else {}
        tabs = [
            {"metadata": {"tabkey": "tab1", "name": "融资融券交易总量", **subname}, "data": totals if there else []},
            {"metadata": {"tabkey": "tab2", "name": "融资融券交易明细", **stated},
             "data": self._page(rows, "szse", number, 20)},
        ]  # fmt: skip
        return json.dumps(tabs, ensure_ascii=False).encode()

    def _beijing_totals(self, params: dict[str, str]) -> bytes:
        names = {"rzmre": 1, "rzye": 0, "rqmcl": 4, "rqyl": 3, "rqye": 6}
        rows = [{name: self._total("BJ", place) for name, place in names.items()}]
        there = params["transDate"] == self.day and self.published
        return f"cb([{json.dumps(rows if there else [])}, '{params['transDate']}'])".encode()

    def _beijing_detail(self, params: dict[str, str]) -> bytes:
        names = {"rzmre": 1, "rzye": 0, "rqmcl": 4, "rqyl": 3, "rqye": 6}
        rows = [
            {"zqdm": code[:6], "zqjc": "名'", **{name: figures[place] for name, place in names.items()}}
            for code, figures in self.figures["BJ"].items()
        ]
        rows = rows if params["transDate"] == self.day and self.published else []
        page: Row = {"content": self._page(rows, "bse", int(params["page"]), 20)}
        page |= {"totalElements": len(rows)} if self.states else {}
        return f"cb([[{json.dumps(page)}], '{params['transDate']}'])".encode()

    def _eastmoney(self, params: dict[str, str]) -> bytes:
        names = ("RZYE", "RZMRE", "RZCHE", "RQYL", "RQMCL", "RQCHL", "RQYE")
        markets = self.figures if self.eastmoney is None else self.eastmoney
        rows: list[Row] = [
            {"DATE": f"{self.day} 00:00:00", "SECUCODE": code, "SCODE": code[:6], "SECNAME": "名",
             **dict(zip(names, figures, strict=True))}
            for market in markets.values() for code, figures in market.items()
        ]  # fmt: skip
        dated = "DATE"
        if params["reportName"] == "RPTA_RZRQ_LSHJ" and rows:
            dated = "DIM_DATE"
            sums = {name: self.market_off * sum(self._total(suffix, place) for suffix in ("SH", "SZ"))
                    for name, place in (("RZYE", 0), ("RQYE", 6))}  # fmt: skip
            rows = [{"DIM_DATE": f"{self.day} 00:00:00", **sums}]
        if params["filter"] != f"({dated}='{self.day}')" or not self.published or not rows:
            return json.dumps({"success": False, "message": "返回数据为空", "code": 9201, "result": None}).encode()
        number, size = int(params["pageNumber"]) - 1, int(params["pageSize"])
        result: Row = {"data": self._page(rows, "eastmoney", number, size)}
        result |= {"count": len(rows), "pages": 1} if self.states else {}
        return json.dumps({"success": True, "message": "ok", "code": 0, "result": result}).encode()
