"""The public pages of the exchanges and Eastmoney, against a server here that speaks as they document it; the payloads
of the last test are recorded ones. Figures of the others are constructed."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feeds import folder, plan
from feeds.checks.findings import Severity
from feeds.daily.ledger import PublishLedger
from feeds.errors import ConfigurationError, InputError, NotPublishedError, StoppedError
from feeds.fetch_task import FetchTask
from feeds.files.dataset import SourceTables, gather
from feeds.publication_times import available_at
from feeds.scheduler import run_tasks
from feeds.web import sources
from feeds.web.eastmoney import fetch_eastmoney
from feeds.web.exchange_pages import fetch_beijing, fetch_shanghai, fetch_shenzhen
from feeds.web.json_tables import PagesOfDay, pages_of
from feeds.web.public_pages import PublicPages
from processors.codes import to_codes
from processors.days import to_day
from processors.events import KEYS, RowBatch
from streams.calendars import xshg
from streams.feed_services import market_context, public_sites, tushare_account
from streams.settings import Settings
from tests.public_sites import Sites, margin
from tests.publishing import MemoryState, MemoryStore, Message, daily_outlet, feed, sent
from tests.reading import check_days

__all__ = ["sent"]  # a fixture
DAY = date(2024, 6, 11)
SEEN = available_at("margin.daily", to_day(DAY), xshg()) / 1e6  # 2024-06-12 08:30 in Shanghai
HTML = b"<!DOCTYPE html><html><head><title>\xe5\xae\x89\xe5\x85\xa8\xe9\xaa\x8c\xe8\xaf\x81</title></head></html>"


@pytest.fixture
def server() -> Iterator[Sites]:
    made = Sites()
    yield made
    made.close()


@pytest.fixture
def public(server: Sites, monkeypatch: pytest.MonkeyPatch) -> Sites:
    """The server as that of the settings."""
    for name, path in (("SSE", "sse"), ("SZSE", "szse"), ("BSE", "bse"), ("EASTMONEY", "em")):
        monkeypatch.setenv(f"MARGINWATCH_{name}_URL", f"{server.url}/{path}/")
    monkeypatch.setenv("MARGINWATCH_PAGES_PAUSE_S", "0")
    return server


class Clock:
    """A clock that runs only while a client sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, [0.0][:0]

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def asked(server: Sites, clock: Clock | None = None, pause_s: float = 0.0, now: float = SEEN) -> PagesOfDay:
    clock = Clock() if clock is None else clock
    pages = PublicPages(server.sites(pause_s), clock.sleep, lambda: clock.now)
    return PagesOfDay(pages, DAY, int(SEEN * 1e6), lambda: now)


def fetcher(server: Sites, *via: Any, exchanges: tuple[str, ...] = ("SSE", "SZSE")) -> Any:
    settings = Settings(exchanges=exchanges)
    return sources.day_fetcher(
        via, (), market_context(settings), lambda: tushare_account(settings), server.sites(), Clock().sleep
    )


def batches(found: SourceTables) -> dict[str, RowBatch]:
    return gather(found.tables, xshg(), "x").batches


def rows_of(batch: RowBatch) -> dict[str, dict[str, float]]:
    totals = batch.topic == "margin.market"
    names = [KEYS["exchange"][key] for key in batch.keys] if totals else to_codes(batch.keys)
    return {
        name: {n: float(v[at]) for n, v in batch.figures.items() if v[at] == v[at]} for at, name in enumerate(names)
    }


def severities(found: SourceTables) -> list[tuple[Severity, str]]:
    return [(one.severity, one.check) for one in found.findings]


# -- each site -------------------------------------------------------------------------------------------------------


def test_shanghai_answers_in_yuan_and_shares(server: Sites) -> None:
    found = batches(fetch_shanghai(asked(server)))
    assert rows_of(found["margin.daily"])["510300.SH"] == {
        "fin_balance": 5_106_297_656, "fin_buy": 266_769_693, "fin_repay": 325_858_796,
        "short_volume": 11_468_900, "short_sell": 564_500, "short_repay": 201_501}  # fmt: skip
    whole = found["margin.daily"].figures["fin_buy"].sum()
    assert rows_of(found["margin.market"])["SSE"]["fin_buy"] == whole
    assert rows_of(found["margin.market"])["SSE"]["short_balance"] == 3 * 106_309_509 + 3 * 1_111
    assert all(headers["referer"] == "https://www.sse.com.cn/" for _, _, headers in server.asked)


def test_shenzhen_has_three_units_in_one_table(server: Sites) -> None:
    found = batches(fetch_shenzhen(asked(server)))
    assert rows_of(found["margin.daily"])["000001.SZ"] == pytest.approx(
        {"fin_balance": 51.05e8, "fin_buy": 2.67e8, "short_volume": 1146.79e4, "short_sell": 56.44e4,
         "short_balance": 10_630.95e4})  # fmt: skip
    assert rows_of(found["margin.market"])["SZSE"]["short_volume"] == 0.34e8


def test_beijing_answers_as_a_call_with_single_quotes(server: Sites) -> None:
    found = batches(fetch_beijing(asked(server)))
    figures = {"fin_balance": 5_105_063_089, "fin_buy": 266_715_372, "short_volume": 11_467_900,
               "short_sell": 564_400, "short_balance": 106_309_509}  # fmt: skip
    assert rows_of(found["margin.daily"]) == {"920002.BJ": figures}
    assert rows_of(found["margin.market"]) == {"BSE": figures}


def test_eastmoney_has_the_details_of_all_exchanges_in_yuan(server: Sites) -> None:
    found = batches(fetch_eastmoney(asked(server), ("SSE", "SZSE")))
    assert set(found) == {"margin.daily"}
    assert (
        list(rows_of(found["margin.daily"]))
        == [*("510300.SH", "600519.SH", "688981.SH", "000001.SZ", "159915.SZ", "300750.SZ")]
        or len(rows_of(found["margin.daily"])) == 6
    )
    assert rows_of(found["margin.daily"])["000001.SZ"]["short_balance"] == 106_309_509


FETCHES = {
    "sse": fetch_shanghai,
    "szse": fetch_shenzhen,
    "bse": fetch_beijing,
    "em": partial(fetch_eastmoney, exchanges=("SSE", "SZSE", "BSE")),
}
EACH_SITE = pytest.mark.parametrize("site", list(FETCHES))


@EACH_SITE
@pytest.mark.parametrize(("late", "error"), [(0.0, NotPublishedError), (86_401.0, InputError)])
def test_no_rows_are_figures_to_come_and_a_day_later_an_error(
    server: Sites, site: str, late: float, error: type[InputError]
) -> None:
    server.published = False
    with pytest.raises(InputError) as found:
        FETCHES[site](asked(server, now=SEEN + late))
    assert type(found.value) is error


@EACH_SITE
def test_nothing_is_asked_long_before_figures_are_published(server: Sites, site: str) -> None:
    with pytest.raises(NotPublishedError, match="2024-06-12 08:30"):
        FETCHES[site](asked(server, now=SEEN - 86_401))
    assert server.asked == []


@EACH_SITE
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (HTML, "web page .*安全验证"),
        (b"\xef\xbb\xbf\n <html></html>", "web page"),
        ("<html><title>访问过于频繁</title>".encode("gb18030"), "web page .*访问过于频繁"),
        ((302, {"Location": "https://elsewhere.example/login"}, b""), "redirects .*elsewhere.example"),
        ((301, {}, b""), "redirects"),
        ((403, {}, HTML), r"refuses \(status 403\)"),
        ((404, {}, b"{}"), r"refuses \(status 404\)"),
        (b'{"error": "busy"}', "another shape"),
        (b"[1, 2, 3]", "another shape"),
        (b'"no"', "another shape"),
    ],
)
def test_what_is_no_answer_with_figures_is_refused_with_its_remedy(
    server: Sites, site: str, answer: object, reason: str
) -> None:
    server.instead[f"/{site}/"] = [answer]
    with pytest.raises(InputError, match=reason) as found:
        FETCHES[site](asked(server))
    assert len(server.asked) == 1  # nothing is followed, and nothing tried again
    assert any(word in str(found.value) for word in ("use another source", "update marginwatch"))


@pytest.mark.parametrize(
    ("site", "answer", "reason"),
    [
        ("sse", {"result": None, "success": "false", "error": "访问过于频繁"}, "访问过于频繁"),
        ("sse", {"result": [], "errorMessage": "system busy"}, "system busy"),
        ("sse", {"result": [], "success": False}, "success is false"),
        ("sse", {"result": [], "actionErrors": [], "success": "true", "error": ""}, None),
        ("szse", [{"metadata": {"tabkey": "tab1"}, "data": [], "error": "系统繁忙"}], "系统繁忙"),
        ("szse", [{"metadata": {"tabkey": "tab1"}, "data": [], "error": None}], None),
        ("szse", [{"metadata": {"tabkey": "tab1"}, "data": [], "error": "没有找到符合条件的数据！"}], None),
        ("em", {"success": True, "result": None, "code": 0, "message": "limit"}, "0: limit"),
        ("em", {"success": True, "result": {"data": []}, "code": 0, "message": "limit"}, "0: limit"),
        ("em", {"success": False, "result": None, "code": 9501, "message": "ok"}, "9501: ok"),
        ("em", {"success": True, "result": None, "code": 0, "message": "ok"}, None),
    ],
)
def test_an_error_text_in_place_of_rows_is_not_figures_to_come(
    server: Sites, site: str, answer: object, reason: str | None
) -> None:
    server.instead[f"/{site}/"] = [json.dumps(answer).encode()]
    expected = "not published yet" if reason is None else rf"the site refuses \({reason}\)"
    with pytest.raises(InputError, match=expected) as found:
        FETCHES[site](asked(server))
    assert isinstance(found.value, NotPublishedError) is (reason is None)


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("true", "row 1: rzye is True, expected a number or a text"),
        ("[5]", r"row 1: rzye is \[5\]"),
        ('{"value": 5}', "row 1: rzye is .*expected a number or a text"),
    ],
)
def test_a_cell_that_is_no_figure_of_json_is_refused(server: Sites, cell: str, reason: str) -> None:
    row = '{"opDate": "20240611", "stockCode": "600519", "rzye": %s, "rzmre": 5}' % cell  # noqa: UP031
    server.instead["mxtype"] = [f'{{"result": [{row}], "pageHelp": {{"total": 1}}}}'.encode()]
    with pytest.raises(InputError, match=reason):
        fetch_shanghai(asked(server))


@EACH_SITE
@pytest.mark.parametrize(
    "broken",
    [500, 503, 429, b'{"result": [', b"\xff\xfe", b"", b"[" * 100_000, (200, {"Content-Length": "999"}, b"{}")],
)
def test_a_broken_answer_is_asked_for_again_with_growing_waits(server: Sites, site: str, broken: object) -> None:
    clock = Clock()
    server.instead[f"/{site}/"] = [broken] * 2
    FETCHES[site](asked(server, clock))
    assert clock.slept == [2.0, 4.0]


@EACH_SITE
def test_after_five_broken_answers_the_network_is_to_be_checked(server: Sites, site: str) -> None:
    clock = Clock()
    server.instead[f"/{site}/"] = [503] * 9
    with pytest.raises(InputError, match=r"no answer in 5 attempts \(status 503\): check the network"):
        FETCHES[site](asked(server, clock))
    assert clock.slept == [2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize(("wanted", "slept"), [("7", 7.0), ("60", 60.0), ("soon", 2.0)])
def test_a_site_that_wants_to_be_left_alone_is(server: Sites, wanted: str, slept: float) -> None:
    clock = Clock()
    server.instead["/sse/"] = [(429, {"Retry-After": wanted}, b"")]
    fetch_shanghai(asked(server, clock))
    assert clock.slept == [slept]


def test_a_site_that_wants_to_be_left_alone_for_longer_is_not_asked_until_then(server: Sites) -> None:
    clock = Clock()
    server.instead["/sse/"] = [(429, {"Retry-After": "900"}, b"")]
    request = asked(server, clock)
    for minutes in (15, 5):
        with pytest.raises(InputError, match=f"wants no request for another {minutes} min"):
            fetch_shanghai(request)
        clock.now += 600
    assert (len(server.asked), clock.slept) == (1, [])
    fetch_shanghai(request)


def test_requests_of_a_site_are_apart(server: Sites) -> None:
    clock = Clock()
    server.figures["SZ"] = margin(*(f"{300_000 + at}.SZ" for at in range(45)))
    fetch_shenzhen(asked(server, clock, pause_s=1.5))
    assert len(server.asked) == 4 and clock.slept == [1.5] * 3


def test_a_page_that_has_not_changed_is_not_sent_again(server: Sites) -> None:
    request = asked(server)
    first, second = fetch_shanghai(request), fetch_shanghai(request)
    assert server.unchanged == 2
    assert first.tables[1].frame.equals(second.tables[1].frame)
    server.figures["SH"]["600519.SH"] = margin("0", "600519.SH")["600519.SH"]
    third = batches(fetch_shanghai(request))["margin.daily"]
    assert server.unchanged == 2 and rows_of(third)["600519.SH"]["fin_balance"] == 5_106_297_656


def test_a_page_with_a_date_of_change_is_asked_for_by_it(server: Sites) -> None:
    server.conditional, request = False, asked(server)
    stamp = {"Last-Modified": "Wed, 12 Jun 2024 00:31:00 GMT"}
    body = server.answer("/bse/rzrqjyyexxController/summaryInfoResult.do?transDate=2024-06-11", {})[2]
    server.instead["summaryInfo"] = [(200, stamp, body), (304, {}, b"")]
    fetch_beijing(request)
    fetch_beijing(request)
    assert [headers.get("if-modified-since") for path, _, headers in server.asked[1:] if "summary" in path] == [
        None,
        stamp["Last-Modified"],
    ]


def test_a_process_that_ends_asks_no_more(server: Sites) -> None:
    pages = PublicPages(server.sites(pause_s=5.0), lambda _seconds: True)
    with pytest.raises(StoppedError):
        fetch_shanghai(PagesOfDay(pages, DAY, int(SEEN * 1e6), lambda: SEEN))
    assert len(server.asked) == 1


def test_an_address_that_is_none_names_the_setting(server: Sites) -> None:
    request = asked(server)
    request.pages.sites = type(request.pages.sites)("no address", "", "", "", request.pages.sites.client, 0.0)
    with pytest.raises(ConfigurationError, match="sse_url"):
        fetch_shanghai(request)


# -- lists that are cut off ------------------------------------------------------------------------------------------

LONG = {
    "sse": ("SH", [f"{600_000 + at}.SH" for at in range(2105)]),
    "szse": ("SZ", [f"{300_000 + at:06}.SZ" for at in range(100)]),
    "bse": ("BJ", [f"{920_000 + at}.BJ" for at in range(100)]),
    "em": ("SH", [f"{600_000 + at}.SH" for at in range(2105)]),
}


def long_list(server: Sites, site: str) -> int:
    suffix, codes = LONG[site]
    server.figures[suffix] = margin(*codes)
    return len(codes)


@EACH_SITE
@pytest.mark.parametrize("states", [True, False])
def test_a_list_of_several_pages_is_whole(server: Sites, site: str, states: bool) -> None:
    count, server.states = long_list(server, site), states
    found = batches(FETCHES[site](asked(server)))["margin.daily"]
    assert sum(code.endswith(LONG[site][0]) for code in to_codes(found.keys)) == count


@EACH_SITE
def test_pages_that_do_not_turn_are_a_cut_list(server: Sites, site: str) -> None:
    long_list(server, site)
    server.turns = False
    with pytest.raises(InputError, match=r"repeats another one.*cut off"):
        FETCHES[site](asked(server))


@pytest.mark.parametrize("stated", [None, 10**6])
def test_a_list_that_does_not_end_is_no_list(stated: int | None) -> None:
    with pytest.raises(InputError, match="Nowhere has more than 1,000 pages: its list does not end"):
        pages_of("Nowhere", lambda number: ([{"code": number}], stated))


def test_a_shanghai_list_of_exactly_a_page_without_a_stated_number_is_not_taken_for_the_market(server: Sites) -> None:
    long_list(server, "sse")
    server.states = server.turns = False
    with pytest.raises(InputError, match="cut off at 2,000 rows"):
        fetch_shanghai(asked(server))
    server.turns = True
    assert len(batches(fetch_shanghai(asked(server)))["margin.daily"]) == 2105


@EACH_SITE
def test_fewer_rows_than_stated_are_a_cut_list(server: Sites, site: str) -> None:
    count, whole = long_list(server, site), server._page
    server._page = lambda rows, *place: whole(rows[: count // 2], *place)  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"states [\d,]+ rows and sends .* cut off"):
        FETCHES[site](asked(server))


def test_a_list_that_changes_while_it_is_read_is_refused(server: Sites) -> None:
    long_list(server, "szse")
    whole = server._page

    def growing(rows: list[Any], *place: Any) -> list[Any]:
        server.figures["SZ"] |= margin(f"{2000 + len(server.asked):06}.SZ")
        return whole(rows, *place)

    server._page = growing  # type: ignore[method-assign]
    with pytest.raises(InputError, match="changes meanwhile"):
        fetch_shenzhen(asked(server))


@pytest.mark.parametrize(
    ("site", "path", "old", "new", "reason"),
    [
        ("sse", "mxtype", b'"rzmre"', b'"buy"', "has no rzmre but opDate.*changed its columns"),
        ("sse", "mxtype", b'"stockCode"', b'"code"', "has no stockCode"),
        ("sse", "mxtype", b"20240611", b"20240607", "answers with 2024-06-07"),
        ("szse", "tab1", b"2024-06-11", b"2024-06-07", "answers with 2024-06-07"),
        ("szse", "tab2", '"tab2", "name": "融资融券交易明细"'.encode(), b'"tab9", "name": ""', "has no table 明细"),
        ("bse", "summary", b"2024-06-11", b"2024-06-07", "answers with 2024-06-07"),
        ("em", "", b"2024-06-11", b"2024-06-07", "answers with 2024-06-07"),
        ("em", "", b'"success": true', b'"success": false', r"refuses \(0: ok\)"),
    ],
)
def test_an_answer_with_other_columns_or_of_another_day_is_refused(
    server: Sites, site: str, path: str, old: bytes, new: bytes, reason: str
) -> None:
    whole = server.answer

    def changed(asked_path: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        status, sends, body = whole(asked_path, headers)
        return status, sends, body.replace(old, new) if path in asked_path else body

    server.answer = changed  # type: ignore[method-assign]
    with pytest.raises(InputError, match=reason):
        FETCHES[site](asked(server))


def test_a_figure_that_a_site_no_longer_has_is_absent_and_reported(server: Sites) -> None:
    whole = server.answer
    server.answer = lambda path, headers: (200, {}, whole(path, headers)[2].replace(b'"RQYL"', b'"X"'))  # type: ignore[method-assign]
    found = fetch_eastmoney(asked(server), ("SSE",))
    assert [(one.severity, "RQYL" in one.text) for one in found.findings] == [(Severity.WARNING, True)]
    assert "short_volume" not in rows_of(batches(found)["margin.daily"])["600519.SH"]


def test_a_cell_that_is_no_number_costs_its_row(server: Sites) -> None:
    whole = server.answer
    server.answer = lambda path, headers: (200, {}, whole(path, headers)[2].replace(b"5105063089", b'"n/a"'))  # type: ignore[method-assign]
    server.figures["SH"] = margin("600519.SH", *(f"{601_000 + at}.SH" for at in range(30)))
    found = fetch_shanghai(asked(server))
    (refused,) = [one.text for one in found.findings if one.severity is Severity.REFUSED]
    assert "Shanghai's detail of 2024-06-11" in refused and "row 1" in refused and "rzye" in refused


# -- several sources -------------------------------------------------------------------------------------------------


def test_two_sources_that_agree_give_every_digit(server: Sites) -> None:
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    rows = rows_of(batches(found)["margin.daily"])
    assert rows["000001.SZ"] == {
        "fin_balance": 5_105_063_089, "fin_buy": 266_715_372, "fin_repay": 325_760_031, "short_volume": 11_467_900,
        "short_sell": 564_400, "short_repay": 201_500, "short_balance": 106_309_509}  # fmt: skip
    assert rows["600519.SH"]["short_balance"] == 106_309_509
    assert found.findings == []


@pytest.mark.parametrize("via", [("exchanges",), ("eastmoney",), ("eastmoney", "exchanges")])
def test_one_source_alone_and_another_order(server: Sites, via: tuple[str, ...]) -> None:
    found = fetcher(server, *via)(DAY)
    topics = {"margin.daily"} if via == ("eastmoney",) else {"margin.daily", "margin.market"}
    assert set(batches(found)) == topics and len(batches(found)["margin.daily"]) == 6
    rounded = [one.text for one in found.findings if one.check == "precision"]
    assert len(rounded) == (via == ("exchanges",)) and all("SZSE are rounded to 1,000,000 CNY" in t for t in rounded)


@pytest.mark.parametrize(("suffix", "place"), [("SH", "Shanghai"), ("SZ", "Shenzhen")])
@pytest.mark.parametrize("order", [("exchanges", "eastmoney"), ("eastmoney", "exchanges")])
def test_sources_that_differ_are_published_neither(
    server: Sites, sent: list[Message], suffix: str, place: str, order: tuple[str, ...]
) -> None:
    codes = [f"{600_000 + at if suffix == 'SH' else 300_000 + at}.{suffix}" for at in range(30)]
    server.figures[suffix] = margin(*codes)
    server.eastmoney = dict(server.figures)
    server.eastmoney[suffix] = {c: (f[0] * 0.969, *f[1:]) for c, f in server.figures[suffix].items()}
    found = fetcher(server, *order)(DAY)
    (text,) = [one.text for one in found.findings if one.severity is Severity.ERROR]
    names = (place, "Eastmoney") if order[0] == "exchanges" else ("Eastmoney", place)
    assert f"{names[0]} and {names[1]} differ by 3.1%" in text and "published neither" in text
    outlet = daily_outlet(PublishLedger(MemoryStore()))
    with pytest.raises(InputError, match=r"differ by 3.1%"):
        outlet.publish("x", found, source="x", force=False)
    assert sent == []


def test_one_security_that_differs_is_refused_and_the_rest_published(server: Sites) -> None:
    server.figures["SH"] = margin(*(f"{600_000 + at}.SH" for at in range(30)))
    changed = server.figures["SH"]["600007.SH"]
    server.eastmoney = {**server.figures, "SH": {**server.figures["SH"], "600007.SH": (changed[0] + 1, *changed[1:])}}
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    (text,) = [one.text for one in found.findings]
    assert severities(found) == [(Severity.REFUSED, "source")]
    assert text.startswith("600007.SH, fin_balance: Shanghai and Eastmoney differ by") and "published neither" in text
    rows = rows_of(batches(found)["margin.daily"])
    assert "600007.SH" not in rows and len(rows) == 32


def test_a_difference_within_the_rounding_of_a_page_is_none(server: Sites) -> None:
    changed = server.figures["SZ"]["000001.SZ"]
    server.eastmoney = {**server.figures, "SZ": {**server.figures["SZ"], "000001.SZ": (5_104_999_999, *changed[1:])}}
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    assert found.findings == []
    assert rows_of(batches(found)["margin.daily"])["000001.SZ"]["fin_balance"] == 5_104_999_999


def test_the_next_source_answers_for_one_that_fails(server: Sites) -> None:
    server.instead["mxtype"] = [HTML]
    with pytest.raises(InputError, match=r"Shanghai's detail.*web page"):
        fetcher(server, "exchanges")(DAY)  # of whose totals there is no other source
    server.instead["/em/"] = [403]
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    (text,) = [one.text for one in found.findings if one.check == "source"]
    assert "Eastmoney did not answer" in text and "status 403" in text
    assert len(batches(found)["margin.daily"]) == 6


def test_no_half_market_is_published(server: Sites) -> None:
    server.instead["/szse/"] = [HTML]
    with pytest.raises(InputError, match=r"Shenzhen's totals.*web page"):
        fetcher(server, "exchanges", "eastmoney")(DAY)


def test_akshare_has_the_totals_of_an_exchange_whose_page_fails(server: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"SSE": fetch_shanghai, "SZSE": fetch_shenzhen}
    monkeypatch.setattr(sources, "fetch_margin", lambda day, *, exchanges, **_: pages[exchanges[0]](asked(server)))
    server.instead["/szse/"] = [HTML]
    found = fetcher(server, "exchanges", "eastmoney", "akshare")(DAY)
    assert rows_of(batches(found)["margin.market"]).keys() == {"SSE", "SZSE"}
    ((check, text),) = ((one.check, one.text) for one in found.findings)
    assert check == "source" and text.startswith("Shenzhen did not answer")


def test_a_list_that_lacks_names_of_another_source_is_cut_off(server: Sites) -> None:
    whole = margin(*(f"{600_000 + at}.SH" for at in range(60)))
    server.eastmoney = {**server.figures, "SH": dict(whole)}
    server.figures["SH"] = dict(list(whole.items())[:50])
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    (text,) = [one.text for one in found.findings if one.severity is Severity.ERROR]
    assert "Shanghai lacks 10 of the 60 stocks that Eastmoney has" in text
    server.figures["SH"] = dict(list(whole.items())[1:])
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    assert severities(found) == [(Severity.WARNING, "source")] and "600000.SH" in found.findings[0].text


def test_figures_that_no_source_has_yet_are_asked_for_again(server: Sites, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "PagesOfDay", partial(PagesOfDay, now=lambda: SEEN))
    server.published = False
    with pytest.raises(NotPublishedError):
        fetcher(server, "exchanges", "eastmoney")(DAY)


@pytest.mark.parametrize("site", ["sse", "szse", "em"])
@pytest.mark.parametrize("changes", [{}, {"rzye": 1, "jrrzye": "1.00", "RZYE": 1}])
def test_a_security_twice_hides_another_one(server: Sites, site: str, changes: dict[str, Any]) -> None:
    """As many rows as stated, but pages that shift while they are read repeat a row and skip another one."""
    page = server._page

    def shifted(rows: list[Any], *place: Any) -> list[Any]:
        return [*page([*rows[:-2], rows[-1]], *place), {**rows[0], **changes}] if len(rows) > 2 else page(rows, *place)

    server._page = shifted  # type: ignore[method-assign]
    with pytest.raises(InputError, match="twice, so that another row may be missing"):
        FETCHES[site](asked(server))


@pytest.mark.parametrize(("off", "error"), [(1.009, False), (0.991, False), (1.032, True), (0.97, True), (1e-4, True)])
def test_the_totals_of_the_exchanges_sum_to_those_of_the_market(server: Sites, off: float, error: bool) -> None:
    server.market_off = off
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    texts = [one.text for one in found.findings if one.severity is Severity.ERROR]
    assert bool(texts) is error
    assert all("totals of the exchanges and Eastmoney's of the market differ by" in text for text in texts)


def test_totals_of_the_market_that_are_missing_are_a_warning(server: Sites) -> None:
    server.instead["LSHJ"] = [b'{"success": true, "result": {"data": [{"DIM_DATE": "2024-06-11", "RZYE": "-"}]}}']
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    assert severities(found) == [(Severity.WARNING, "source")] and "expected numbers" in found.findings[0].text


@pytest.mark.parametrize("via", [("exchanges",), ("exchanges", "eastmoney")])
@pytest.mark.parametrize("day", [date(2019, 8, 19), date(2020, 9, 9), date(2018, 3, 15)])
def test_real_days_through_public_pages_are_those_of_the_files(
    server: Sites, data_dir: Path, day: date, via: tuple[str, ...]
) -> None:
    """Two sources give every figure to the last digit; Shenzhen's page alone is rounded, and passes the checks."""
    files = folder.read(data_dir, xshg(), day, day).batches
    detail, totals = files["margin.daily"], files["margin.market"]
    columns = ("fin_balance", "fin_buy", "fin_repay", "short_volume", "short_sell", "short_repay", "short_balance")

    def figures(batch: RowBatch, at: int) -> Any:
        return tuple(None if np.isnan(value := batch.figures[name][at]) else float(value) for name in columns)

    codes = to_codes(detail.keys)
    server.day = day.isoformat()
    server.figures = {
        suffix: {code: figures(detail, at) for at, code in enumerate(codes) if code.endswith(suffix)}
        for suffix in ("SH", "SZ", "BJ")
    }
    server.totals = {suffix: figures(totals, at) for at, suffix in enumerate(("SH", "SZ"))}
    found = fetcher(server, *via)(day)
    assert {one.severity for one in found.findings} <= {Severity.WARNING}
    read = batches(found)
    assert {one.severity for one in check_days([(to_day(day), read)], xshg())} <= {Severity.WARNING}
    np.testing.assert_array_equal(read["margin.daily"].keys, detail.keys)
    exact = np.ones(len(detail), bool) if len(via) > 1 else np.array([code.endswith("SH") for code in codes])
    for name in columns:
        np.testing.assert_array_equal(read["margin.daily"].figures[name][exact], detail.figures[name][exact], name)
    rounded = np.abs(read["margin.daily"].figures["fin_buy"] - detail.figures["fin_buy"])
    assert rounded.max() <= 500_000


# -- commands and plans ----------------------------------------------------------------------------------------------


def days_of(messages: list[Message]) -> set[tuple[str, str]]:
    markers = [json.loads(value) for *_, value, headers in messages if b"expected" in value]
    return {(one["feed"], one["trade_date"]) for one in markers}


def test_the_command_publishes_what_two_sources_agree_on(public: Sites, sent: list[Message]) -> None:
    result = feed("fetch", "--via", "exchanges", "--via", "eastmoney", "--from", DAY)
    assert result.exit_code == 0, result.output
    assert days_of(sent) == {("margin.daily", "2024-06-11"), ("margin.market", "2024-06-11")}
    assert {json.loads(v)["source"] for *_, v, _ in sent if b"expected" in v} == {"exchanges+eastmoney"}


def test_the_command_publishes_nothing_where_they_differ(public: Sites, sent: list[Message]) -> None:
    public.eastmoney = {n: {c: (f[0] * 1.04, *f[1:]) for c, f in m.items()} for n, m in public.figures.items()}
    result = feed("fetch", "--via", "exchanges", "--via", "eastmoney", "--from", DAY)
    assert result.exit_code == 1 and sent == []
    assert isinstance(result.exception, InputError) and "differ by 3.8%" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--via", "exchanges", "--via", "eastmoney", "--tables", "margin"), "leave margin out"),
        (("--via", "exchanges", "--tables", "prices"), "exchanges has no table prices"),
        (("--via", "eastmoney", "--tables", "margin"), "choose from margin_detail"),
    ],
)
def test_tables_that_a_source_does_not_have_are_refused_at_once(
    public: Sites, arguments: tuple[str, ...], reason: str
) -> None:
    result = feed("fetch", "--from", DAY, *arguments)
    assert result.exit_code != 0 and public.asked == []
    assert reason in " ".join((result.output + str(result.exception)).replace("│", " ").split())


def test_a_plan_asks_several_sources(public: Sites, sent: list[Message], tmp_path: Path) -> None:
    path, state = tmp_path / "plan.toml", MemoryState()
    path.write_text('[feeds.x]\nkind = "fetch"\nvia = ["exchanges", "eastmoney"]\nsince = 2024-06-11\npause_s = 0\n')
    one, settings = plan.load(path).feeds["x"], Settings()
    assert isinstance(one, plan.Fetch) and one.via == ("exchanges", "eastmoney")
    fetch = sources.day_fetcher(
        one.via, one.tables, market_context(settings), lambda: tushare_account(settings), public_sites(settings)
    )
    publish = partial(daily_outlet(PublishLedger(MemoryStore())).publish, "x", source="x", force=False)
    task = FetchTask("x", one, state, fetch, publish, xshg(), sources.due_time(one.via, one.tables))
    assert run_tasks([task], threading.Event(), once=True, now=lambda: SEEN + 3600) == 0
    assert state.stored == {"day/2024-06-11": "done"}
    assert days_of(sent) == {("margin.daily", "2024-06-11"), ("margin.market", "2024-06-11")}


def test_a_day_is_fetched_again_until_the_second_source_has_it(
    server: Sites, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shenzhen's rounded figures are published at once, and corrected by Eastmoney's."""
    clock, state, one = [SEEN + 900], MemoryState(), plan.Fetch(via=("exchanges", "eastmoney"), since=DAY)
    monkeypatch.setattr(sources, "PagesOfDay", partial(PagesOfDay, now=lambda: clock[0]))
    ledger = PublishLedger(MemoryStore())
    publish = partial(daily_outlet(ledger).publish, "x", source="x", force=False)
    fetch = fetcher(server, *one.via)
    task = FetchTask("x", one, state, fetch, publish, xshg(), sources.due_time(one.via, one.tables))
    server.eastmoney = {}
    assert task.tick(clock[0]) == clock[0] + one.pause_s
    assert ("margin.daily", "2024-06-11") in days_of(sent) and state.stored == {}
    assert not task.pending(clock[0])
    clock[0] += one.retry_s
    server.eastmoney = None
    assert task.pending(clock[0])
    task.tick(clock[0])
    assert state.stored == {"day/2024-06-11": "done"} and task.failures == 0
    assert ledger.corrected == 6  # Shanghai's rows have a balance of lent shares now


def test_a_second_source_that_has_nothing_a_day_later_is_not_awaited(
    server: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "PagesOfDay", partial(PagesOfDay, now=lambda: SEEN + 86_401))
    server.eastmoney = {}
    found = fetcher(server, "exchanges", "eastmoney")(DAY)
    assert found.awaited == "" and "source" in [one.check for one in found.findings]


@pytest.mark.parametrize(
    ("via", "reason"), [('["exchanges", "wind"]', "via"), ("[]", "via names no source"), ('"wind"', "via")]
)
def test_a_plan_with_an_unknown_source_is_refused(tmp_path: Path, via: str, reason: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(f'[feeds.x]\nkind = "fetch"\nvia = {via}\n')
    with pytest.raises(ConfigurationError, match=reason):
        plan.load(path)


def test_no_trading_day_is_refused_without_a_request(server: Sites) -> None:
    with pytest.raises(InputError, match="no trading day"):
        fetcher(server, "exchanges")(date(2024, 6, 10))
    assert server.asked == []


# -- recorded payloads -----------------------------------------------------------------------------------------------


@pytest.fixture
def payloads(data_dir: Path) -> Path:
    folder = Path(os.environ.get("MARGINWATCH_PAYLOADS", data_dir.parent / "exchange_payloads"))
    if not folder.is_dir():
        pytest.skip(f"recorded payloads are not at {folder} (set MARGINWATCH_PAYLOADS)")
    return folder


def recorded(server: Sites, day: date, fetch: Any, *answers: tuple[str, bytes]) -> dict[str, dict[str, Any]]:
    """Return the rows of a day whose requests are answered with recorded payloads, by topic."""
    server.instead = {part: [body] for part, body in answers}
    pages = PublicPages(server.sites(), Clock().sleep)
    return {topic: rows_of(batch) for topic, batch in batches(fetch(PagesOfDay(pages, day, 0, lambda: 0.0))).items()}


def test_recorded_payloads_of_shanghai(server: Sites, payloads: Path) -> None:
    totals = (payloads / "sse_queryMargin_summary_20260930.json").read_bytes()
    detail = (payloads / "sse_queryMargin_detail_20260930.json").read_bytes()
    found = recorded(server, date(2026, 9, 30), fetch_shanghai, ("beginDate=", totals), ("mxtype", detail))
    assert found["margin.market"]["SSE"] == {
        "fin_balance": 1_296_520_652_053, "fin_buy": 62_006_897_126, "fin_repay": 84_968_716_127,
        "short_volume": 3_220_216_902, "short_sell": 55_369_387, "short_balance": 18_892_593_376}  # fmt: skip
    assert found["margin.daily"]["600519.SH"] == {
        "fin_balance": 17_233_521_533, "fin_buy": 300_349_909, "fin_repay": 385_446_299,
        "short_volume": 202_648, "short_sell": 1_100, "short_repay": 11_300}  # fmt: skip


def test_recorded_payloads_of_shenzhen(server: Sites, payloads: Path) -> None:
    both = json.loads((payloads / "szse_1837_xxpl_20260918.json").read_bytes())
    both[1]["metadata"] |= {"recordcount": 1, "pagecount": 1}  # the recording has the first row only
    body = json.dumps(both).encode()
    found = recorded(server, date(2026, 9, 18), fetch_shenzhen, ("tab1PAGENO", body), ("tab2PAGENO", body))
    assert found["margin.market"]["SZSE"] == pytest.approx(
        {"fin_balance": 12_657.14e8, "fin_buy": 879.59e8, "short_volume": 11.88e8, "short_sell": 0.23e8,
         "short_balance": 108.15e8})  # fmt: skip
    assert found["margin.daily"]["000001.SZ"] == pytest.approx(
        {"fin_balance": 45.80e8, "fin_buy": 0.55e8, "short_volume": 988.03e4, "short_sell": 15.27e4,
         "short_balance": 11_559.99e4})  # fmt: skip
    recording = (payloads / "szse_1837_xxpl_20260918.json").read_bytes()
    server.instead = {"PAGENO": [recording] * 3}
    with pytest.raises(InputError, match=r"page 2 repeats|states 2,105 rows and sends 1"):
        fetch_shenzhen(PagesOfDay(PublicPages(server.sites(), Clock().sleep), date(2026, 9, 18), 0, lambda: 0.0))


def test_recorded_payloads_of_beijing_and_eastmoney(server: Sites, payloads: Path) -> None:
    totals = (payloads / "bse_summaryInfoResult_20260716.jsonp").read_bytes()
    page = b"""cb([[{"content": [{"zqdm": "920002", "rzmre": 1, "rzye": 2, "rqmcl": 0, "rqyl": 0, "rqye": 0}],
        "totalElements": 1}], '2026-07-16'])"""
    found = recorded(server, date(2026, 7, 16), fetch_beijing, ("summaryInfo", totals), ("detailInfo", page))
    assert found["margin.market"]["BSE"] == {
        "fin_balance": 8_675_158_673, "fin_buy": 460_725_057, "short_volume": 400, "short_sell": 0,
        "short_balance": 8_180}  # fmt: skip
    detail = (payloads / "eastmoney_RPTA_WEB_RZRQ_GGMX_000001_20240105.json").read_bytes()
    found = recorded(server, date(2024, 1, 5), partial(fetch_eastmoney, exchanges=("SZSE",)), ("/em/", detail))
    assert found["margin.daily"]["000001.SZ"] == {
        "fin_balance": 5_105_063_089, "fin_buy": 266_715_372, "fin_repay": 325_760_031, "short_sell": 564_400,
        "short_repay": 201_500, "short_balance": 106_309_509}  # fmt: skip
