"""tushare's API against a server here that speaks the documented protocol.

Constructed: no account and no network were available where these tests were written. The real figures in one of them
are the sample's, in tushare's columns.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from feeds import plan
from feeds.daily.ledger import PublishLedger
from feeds.errors import ConfigurationError, InputError, NotPublishedError, StoppedError
from feeds.fetch_task import FetchTask
from feeds.files import vendor
from feeds.files.dataset import SourceTables, gather
from feeds.scheduler import run_tasks
from feeds.web import http_answers, sources, tushare
from feeds.web.attempts import BrokenAnswerError
from processors.codes import to_codes
from processors.events import RowBatch
from streams import feed_services
from streams.calendars import xshg
from streams.clients import page_client
from streams.errors import SecurityError
from streams.feed_services import market_context, public_sites, tushare_account
from streams.security import Secret, tushare_token
from streams.settings import Settings
from tests.publishing import MemoryState, MemoryStore, Message, daily_outlet, feed, sent

__all__ = ["sent"]  # a fixture
TOKEN = "s3cret-t0ken"
DAY, NEXT = date(2024, 6, 11), date(2024, 6, 12)
SEEN = 1718152200.0  # 2024-06-12 08:30 in Shanghai
LATER = SEEN + 5 * 86400

INDICES = ("000001.SH", "399001.SZ", "000300.SH")
Row = dict[str, Any]


def margin(day: str = "20240611", *exchanges: str) -> list[Row]:
    return [
        {"trade_date": day, "exchange_id": name, "rzye": 1e9 + at + 10 * int(day[-2:]), "rzmre": 1e7, "rzche": 1e7,
         "rqye": 1e5, "rqmcl": 300.0, "rzrqye": 1.0001e9, "rqyl": 1000.0}
        for at, name in enumerate(exchanges or ("SSE", "SZSE", "BSE"))
    ]  # fmt: skip


def detail(day: str = "20240611", *codes: str) -> list[Row]:
    return [
        {"trade_date": day, "ts_code": code, "name": "名", "rzye": 1e9 + at, "rqye": 1e5, "rzmre": 1e7, "rqyl": 1000.0,
         "rzche": 1e7, "rqchl": None, "rqmcl": 300.0, "rzrqye": 1.0001e9}
        for at, code in enumerate(codes or ("600519.SH", "000001.SZ", "430047.BJ"))
    ]  # fmt: skip


def bars(day: str, **amounts: float) -> list[Row]:
    return [
        {"ts_code": code.replace("_", "."), "trade_date": day, "open": 9.0, "high": 9.2, "low": 8.8, "close": 8.9,
         "pre_close": 9.1, "change": -0.2, "pct_chg": -2.2, "vol": amount / 900, "amount": amount}
        for code, amount in amounts.items()
    ]  # fmt: skip


class Tushare:
    """A server on loopback with tables, a limit of rows, and answers to give instead.

    Parameters
    ----------
    limit : rows of an answer at most.
    instead : what is answered first, one for each request: bytes as they are, a status, or a JSON value.
    says_more : whether answers carry ``has_more``.
    """

    def __init__(self) -> None:
        self.tables: dict[str, list[Row]] = {"margin": margin(), "margin_detail": detail()}
        self.limit = 6000
        self.instead: list[Any] = []
        self.says_more = True
        self.asked: list[Row] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(asked)
                status, body = outer.answer(asked)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def answer(self, asked: Row) -> tuple[int, bytes]:
        if self.instead:
            instead = self.instead.pop(0)
            if isinstance(instead, int):
                return instead, b"<html>"
            return 200, instead if isinstance(instead, bytes) else json.dumps(instead).encode()
        if asked["token"] != TOKEN:
            return 200, json.dumps({"code": 40101, "msg": "您的token不对，请确认。", "data": None}).encode()
        table, params = self.tables[asked["api_name"]], asked["params"]
        rows = [r for r in table if all(r[n] == params[n] for n in ("trade_date", "ts_code") if n in params)]
        start = params.get("offset", 0)
        page = rows[start : start + min(self.limit, params.get("limit", self.limit))]
        fields = list(table[0])
        data = {"fields": fields, "items": [[r[n] for n in fields] for r in page]}
        if self.says_more:
            data |= {"has_more": start + len(page) < len(rows), "count": -1}
        return 200, json.dumps({"request_id": "x", "code": 0, "msg": "", "data": data}).encode()


@pytest.fixture
def server() -> Iterator[Tushare]:
    made = Tushare()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Clock:
    """A clock that runs only while the client sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def time(self) -> float:
        return self.now


def fetched(
    server: Tushare,
    *tables: str,
    day: date = DAY,
    now: float = SEEN,
    clock: Clock | None = None,
    token: str = TOKEN,
    exchanges: tuple[str, ...] = ("SSE", "SZSE"),
) -> SourceTables:
    watch = clock or Clock()
    client = tushare.Client(server.url, Secret(token), page_client(), watch.sleep, watch.time)
    return tushare.fetch(
        day, client, tables or ("margin", "margin_detail"), xshg(), exchanges, INDICES, now=lambda: now
    )


def batches(parts: SourceTables) -> dict[str, RowBatch]:
    return gather(parts.tables, xshg(), "x").batches


def same(found: dict[str, RowBatch], expected: dict[str, RowBatch]) -> None:
    assert found.keys() == expected.keys()
    for topic, batch in found.items():
        for name in ("keys", "days", "stamps"):
            np.testing.assert_array_equal(getattr(batch, name), getattr(expected[topic], name))
        for name, values in batch.figures.items():
            np.testing.assert_array_equal(values, expected[topic].figures[name], err_msg=f"{topic} {name}")


def exported(server: Tushare, folder: Path, *tables: str) -> dict[str, RowBatch]:
    for name in tables:
        pd.DataFrame(server.tables[name]).to_csv(folder / f"{name}.csv", index=False)
    return batches(vendor.read([folder]))


def test_a_question_is_asked_as_documented(server: Tushare) -> None:
    fetched(server, "margin")
    assert server.asked == [
        {"api_name": "margin", "token": TOKEN, "fields": "",
         "params": {"trade_date": "20240611", "limit": 5000, "offset": 0}}
    ]  # fmt: skip


def test_figures_are_those_of_the_csv_export(server: Tushare, tmp_path: Path) -> None:
    server.tables["daily"] = bars("20240611", **{"600519_SH": 1234567.891, "000001_SZ": 2e6 / 3})
    tables = ("margin", "margin_detail", "daily")
    found = batches(fetched(server, *tables))
    assert set(found) == {"margin.market", "margin.daily", "prices.daily"}
    same(found, exported(server, tmp_path, *tables))


def test_a_real_day_is_fetched_as_its_export_reads(server: Tushare, data_dir: Path, tmp_path: Path) -> None:
    """Real figures of Shanghai, 2020-03-02, in tushare's columns; some pages."""
    raw = pd.read_parquet(data_dir / "margin_detail_sse_2018_2021q1.parquet")
    raw = raw[raw["dt"] == pd.Timestamp("2020-03-02")]
    own = {"rzye": "margin_balance", "rzmre": "margin_buy_amt", "rzche": "margin_repay_amt", "rqyl": "short_qty",
           "rqmcl": "short_sell_qty", "rqchl": "short_repay_qty"}  # fmt: skip
    table = pd.DataFrame({"trade_date": "20200302", "ts_code": raw["code"].str.zfill(6) + ".SH"})
    server.tables["margin_detail"] = table.assign(
        **{n: raw[column].astype(float) for n, column in own.items()}
    ).to_dict("records")  # fmt: skip
    server.limit = 300
    found = batches(fetched(server, "margin_detail", day=date(2020, 3, 2), exchanges=("SSE",)))
    assert len(found["margin.daily"]) == len(raw) > 900
    assert len(server.asked) == -(-len(raw) // 300)
    same(found, exported(server, tmp_path, "margin_detail"))


@pytest.mark.parametrize("says_more", [True, False])
def test_pages_are_followed_to_their_end(server: Tushare, says_more: bool) -> None:
    codes = [f"{600000 + i}.SH" for i in range(25)] + ["000001.SZ"]
    server.tables["margin_detail"] = detail("20240611", *codes)
    server.limit, server.says_more = 10, says_more
    found = batches(fetched(server, "margin_detail"))
    assert len(found["margin.daily"]) == 26
    assert [a["params"]["offset"] for a in server.asked] == ([0, 10, 20] if says_more else [0, 10, 20, 26])


def test_a_server_that_knows_no_pages_is_noticed(server: Tushare) -> None:
    page = json.loads(server.answer({"api_name": "margin", "token": TOKEN, "params": {}})[1])
    page["data"]["has_more"] = True
    server.instead = [page, page]
    with pytest.raises(InputError, match=r"20240611 SSE is on two pages.*check that .* is tushare's API"):
        fetched(server, "margin")


def test_a_row_on_two_pages_hides_another_one(server: Tushare) -> None:
    """A row that is published while pages are read shifts the others: one is repeated, or one is skipped."""
    server.tables["margin_detail"] = detail("20240611", "600000.SH", "600004.SH", "000001.SZ", "430047.BJ")
    server.limit, answer = 2, server.answer

    def growing(asked: Row) -> tuple[int, bytes]:
        found = answer(asked)
        server.tables["margin_detail"][:0] = detail("20240611", f"51030{len(server.asked)}.SH")
        return found

    server.answer = growing  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"20240611 600004.SH is on two pages, so that rows may be missing"):
        fetched(server, "margin_detail")


OFTEN = "抱歉，您每{}最多访问该接口{}次，权限的具体详情访问：https://tushare.pro/document/1?doc_id=108。"


def test_too_often_in_a_minute_waits_and_keeps_the_pace_of_the_answer(server: Tushare) -> None:
    server.instead = [{"code": 40203, "msg": OFTEN.format("分钟", 2), "data": None}]
    server.limit, server.tables["margin"] = 1, margin("20240611", "SSE", "SZSE")
    clock = Clock()
    assert len(batches(fetched(server, "margin", clock=clock))["margin.market"]) == 2
    assert clock.slept == [60.0, 30.0]  # a minute's rest; then two a minute
    server.instead = [{"code": 40203, "msg": OFTEN.format("分钟", 2), "data": None}] * 9
    with pytest.raises(InputError, match="still too many requests"):
        fetched(server, "margin")


def test_questions_of_one_interface_keep_their_distance(server: Tushare) -> None:
    server.limit, clock = 1, Clock()
    fetched(server, "margin", clock=clock)
    assert clock.slept == [pytest.approx(0.3)] * 2  # 200 a minute


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"code": 40203, "msg": OFTEN.format("天", 5), "data": None}, "quota of this hour or day is used up"),
        ({"code": 40203, "msg": OFTEN.format("小时", 2), "data": None}, "quota of this hour or day is used up"),
        (
            {"code": 40203, "msg": "抱歉，您没有接口(margin)访问权限，权限的具体详情访问：…", "data": None},
            "may not ask",
        ),
        ({"code": 2002, "msg": "没有权限", "data": None}, "get more points"),
        ({"code": 40101, "msg": "您的token不对，请确认。", "data": None}, "does not know the token"),
        ({"code": 50101, "msg": "系统内部错误", "data": None}, "code 50101: 系统内部错误"),
    ],
)
def test_what_no_second_attempt_can_repair_is_reported_at_once(server: Tushare, answer: Row, said: str) -> None:
    server.instead = [answer]
    clock = Clock()
    with pytest.raises(InputError, match=said) as caught:
        fetched(server, clock=clock)
    assert not isinstance(caught.value, NotPublishedError)
    assert len(server.asked) == 1 and clock.slept == []


@pytest.mark.parametrize(
    "bad",
    [502, b"", b'{"code": 0, "data": {"fie', b"<html>", {"code": 0, "data": None}, {"data": {}},
     {"code": 0, "data": {"fields": ["a", "b"], "items": [[1]]}}],
)  # fmt: skip
def test_a_broken_answer_is_asked_for_again_with_growing_waits(server: Tushare, bad: object) -> None:
    server.instead = [bad, bad]
    clock = Clock()
    assert "margin.market" in batches(fetched(server, "margin", clock=clock))
    assert [s for s in clock.slept if s >= 1] == [2.0, 4.0]
    server.instead = [bad] * 9
    with pytest.raises(InputError, match="no answer in 5 attempts"):
        fetched(server, "margin")


def test_an_outage_says_where_was_asked(server: Tushare) -> None:
    server.server.shutdown()
    server.server.server_close()
    with pytest.raises(InputError, match=r"no answer in 5 attempts .*refused.*MARGINWATCH_TUSHARE_URL"):
        fetched(server)


@pytest.mark.parametrize("answer", [502, {"code": 40203, "msg": OFTEN.format("分钟", 2), "data": None}])
def test_a_process_that_ends_asks_no_more(server: Tushare, answer: object) -> None:
    server.instead = [answer] * 9
    client = tushare.Client(server.url, Secret(TOKEN), page_client(), lambda _seconds: True)
    with pytest.raises(StoppedError, match="tushare margin"):
        client.table("margin")
    assert len(server.asked) == 1


def test_an_answer_that_is_too_large_is_not_read_to_its_end(server: Tushare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_answers, "_MOST_BYTES", 100)
    with pytest.raises(InputError, match="tushare margin sends more than 100 bytes"):
        fetched(server, "margin")
    assert len(server.asked) == 1


def test_an_answer_that_arrives_byte_by_byte_ends_in_time() -> None:
    answer, moments = httpx.Response(200, content=(b"x" for _ in range(9))), iter(range(0, 900, 50))
    with pytest.raises(BrokenAnswerError, match="not all was sent within 120 s"):
        http_answers.content_of(answer, "tushare", clock=lambda: next(moments))
    assert next(moments) == 200


@pytest.mark.parametrize("url", ["api.tushare.pro", "http://api.tushare.pro:port", "file:///etc/passwd"])
def test_an_address_that_is_none_names_the_setting(url: str) -> None:
    with pytest.raises(ConfigurationError, match=f"MARGINWATCH_TUSHARE_URL '{url}' is no address"):
        tushare.Client(url, Secret(TOKEN), page_client()).table("margin")


def test_nothing_yet_and_half_of_it_are_not_published_yet(server: Tushare) -> None:
    server.tables["margin"] = margin("20240607")
    with pytest.raises(NotPublishedError, match=r"margin is not complete for 2024-06-11 yet.*2024-06-12 08:30"):
        fetched(server)
    server.tables["margin"] = margin("20240611", "SSE", "BSE")
    with pytest.raises(NotPublishedError):
        fetched(server)
    server.tables |= {"margin": margin(), "margin_detail": detail("20240611", "000001.SZ")}
    with pytest.raises(NotPublishedError, match="margin_detail"):
        fetched(server)
    asked = len(server.asked)
    with pytest.raises(NotPublishedError):
        fetched(server, now=SEEN - 2 * 86400)
    assert len(server.asked) == asked  # not even asked for


@pytest.mark.parametrize(
    ("name", "half", "whole"),
    [
        ("daily", {"600519_SH": 1e6}, {"600519_SH": 1e6, "000001_SZ": 2e6}),
        ("index_daily", {"000001_SH": 1e8, "399001_SZ": 1e8, "000300_SH": 1e8},
         {"000001_SH": 1e8, "399001_SZ": 1e8, "000300_SH": 1e8, "399107_SZ": 4e8}),
    ],
)  # fmt: skip
def test_closes_that_are_not_all_there_are_waited_for(
    server: Tushare, name: str, half: dict[str, float], whole: dict[str, float]
) -> None:
    evening = SEEN - 15 * 3600  # 17:30 of the day itself
    server.tables[name] = bars("20240611", **half)
    with pytest.raises(NotPublishedError, match=rf"{name} is not complete for 2024-06-11 yet.*2024-06-11 15:30"):
        fetched(server, name, now=evening)
    server.tables[name] = bars("20240611", **whole)
    assert fetched(server, name, now=evening).findings == []


def test_long_after_an_empty_table_is_an_error_but_an_exchange_may_be_missing(server: Tushare) -> None:
    server.tables["margin"] = margin("20240607")
    with pytest.raises(InputError, match="due more than a day ago") as caught:
        fetched(server, now=LATER)
    assert not isinstance(caught.value, NotPublishedError)
    server.tables["margin"] = margin("20240611", "SSE")  # no such exchange yet, in those days
    found = fetched(server, "margin", now=LATER)
    assert len(batches(found)["margin.market"]) == 1
    (finding,) = found.findings
    assert str(finding).startswith("WARNING absent margin.market 2024-06-11: tushare margin has no rows of SZSE, which")


def test_other_days_than_the_one_asked_for_are_not_taken(server: Tushare) -> None:
    page = json.loads(server.answer({"api_name": "margin", "token": TOKEN, "params": {}})[1])
    page["data"]["items"][0][0] = "20240607"
    server.instead = [page]
    with pytest.raises(InputError, match="other days"):
        fetched(server, "margin")
    with pytest.raises(InputError, match="no trading day"):
        fetched(server, day=date(2024, 6, 10))


def test_the_turnover_of_shenzhen_is_that_of_all_its_shares(server: Tushare, tmp_path: Path) -> None:
    """Document 95: tushare's 399001.SZ counts 500 stocks, the signals mean the exchange by it."""
    server.tables["index_daily"] = bars("20240611", **{"000001_SH": 3e8, "399001_SZ": 1e8, "399107_SZ": 4e8})
    found = batches(fetched(server, "index_daily", now=LATER))["indices.daily"]
    assert dict(zip(to_codes(found.keys), found.figures["turnover"], strict=True)) == {
        "000001.SH": 3e11, "399001.SZ": 4e11, "399107.SZ": 4e11,
    }  # fmt: skip
    assert sorted(a["params"]["ts_code"] for a in server.asked) == sorted([*INDICES, "399107.SZ"])
    same({"indices.daily": found}, exported(server, tmp_path, "index_daily"))


def test_without_it_the_turnover_is_absent_and_reported(server: Tushare) -> None:
    server.tables["index_daily"] = bars("20240611", **{"000001_SH": 3e8, "399001_SZ": 1e8})
    parts = fetched(server, "index_daily", now=LATER)
    found = batches(parts)["indices.daily"]
    at = to_codes(found.keys).index("399001.SZ")
    assert np.isnan(found.figures["turnover"][at]) and np.isnan(found.figures["volume"][at])
    assert found.figures["close"][at] == 8.9
    texts = {finding.check: finding.text for finding in parts.findings}
    assert set(texts) == {"absent", "turnover"}
    assert "399107.SZ" in texts["turnover"] and "has no rows of 000300.SH, " in texts["absent"]


# -- the token -----------------------------------------------------------------------------------------------


def test_the_token_comes_from_the_environment_or_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match="MARGINWATCH_TUSHARE_TOKEN_FILE"):
        tushare_token(Settings())
    monkeypatch.setenv("MARGINWATCH_TUSHARE_TOKEN", "one")
    assert tushare_token(Settings()) == "one"
    (tmp_path / "token").write_text("two\n")
    monkeypatch.setenv("MARGINWATCH_TUSHARE_TOKEN_FILE", str(tmp_path / "token"))
    assert tushare_token(Settings()) == "two"
    monkeypatch.setenv("MARGINWATCH_TUSHARE_TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SecurityError, match="can't be read"):
        tushare_token(Settings())


def test_the_token_is_never_shown(server: Tushare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARGINWATCH_TUSHARE_TOKEN", TOKEN)
    settings = Settings()
    client = tushare.Client.of(tushare_account(settings), page_client())
    assert TOKEN not in repr(settings) + str(settings.model_dump()) + repr(client)
    for answer in (
        {"code": 40101, "msg": f"token {TOKEN} 不对", "data": None},
        {"code": 1, "msg": TOKEN, "data": None},
    ):
        server.instead = [answer]
        with pytest.raises(InputError) as caught:
            fetched(server)
        assert TOKEN not in str(caught.value)
        assert caught.value.__cause__ is None
    server.instead = [f"<{TOKEN}>".encode()] * 5
    with pytest.raises(InputError) as caught:
        fetched(server)
    error: BaseException | None = caught.value
    while error is not None:
        assert TOKEN not in str(error)
        error = error.__cause__ or error.__context__


# -- the command and the plan --------------------------------------------------------------------------------


@pytest.fixture
def account(server: Tushare, monkeypatch: pytest.MonkeyPatch) -> Tushare:
    """A server whose account the settings name, with two days on it."""
    monkeypatch.setenv("MARGINWATCH_TUSHARE_TOKEN", TOKEN)
    monkeypatch.setenv("MARGINWATCH_TUSHARE_URL", server.url)
    monkeypatch.setattr(tushare, "_PER_MINUTE", 6000)
    server.tables = {"margin": margin() + margin("20240612"), "margin_detail": detail() + detail("20240612")}
    return server


def closed_days(messages: list[Message]) -> list[tuple[str, str]]:
    markers = [json.loads(value) for _, _, _, value, headers in messages if not headers or b"expected" in value]
    return sorted({(m["feed"], m["trade_date"]) for m in markers})


def test_the_command_publishes_day_by_day_under_the_sources_name(account: Tushare, sent: list[Message]) -> None:
    result = feed("fetch", "--via", "tushare", "--from", DAY, "--to", NEXT)
    assert result.exit_code == 0, result.output
    assert closed_days(sent) == [
        (f, d) for f in ("margin.daily", "margin.market") for d in ("2024-06-11", "2024-06-12")
    ]
    assert {json.loads(v)["source"] for _, _, _, v, _ in sent if b"expected" in v} == {"tushare"}
    assert TOKEN not in result.output


def test_after_an_error_the_days_before_are_published_and_nothing_twice(
    account: Tushare, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    from contextlib import nullcontext

    kept = MemoryStore()
    monkeypatch.setattr(feed_services, "open_ledger", lambda _settings: nullcontext(PublishLedger(kept)))
    whole = account.tables["margin_detail"]
    account.tables["margin_detail"] = detail() + detail("20240612")[:1] * 2
    account.tables["margin_detail"][-1] = {**account.tables["margin_detail"][-1], "rzye": 5.0, "rzrqye": 100_005.0}
    arguments = ("fetch", "--via", "tushare", "--from", DAY, "--to", NEXT)
    result = feed(*arguments)
    assert isinstance(result.exception, InputError)
    assert "2024-06-12: " in str(result.exception)
    assert "the days before it are published, go on with --from 2024-06-12" in str(result.exception)
    assert {day for _, day in closed_days(sent)} == {"2024-06-11"}
    sent.clear()
    account.tables["margin_detail"] = whole
    assert feed(*arguments).exit_code == 0
    assert {day for _, day in closed_days(sent)} == {"2024-06-12"}
    sent.clear()
    assert feed(*arguments).exit_code == 0
    assert sent == []


def test_checking_publishes_nothing(account: Tushare, sent: list[Message]) -> None:
    result = feed("fetch", "--via", "tushare", "--from", DAY, "--tables", "margin", "--check")
    assert result.exit_code == 0, result.output
    assert sent == []
    assert "tushare margin 2024-06-11 → margin.market, 3 rows" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--via", "wind"), "is not one of 'akshare', 'tushare'"),
        (("--via", "tushare", "--tables", "minutes"), "choose from margin, margin_detail"),
        (("--tables", "daily"), "akshare has no table daily"),
        (("--to", "2024-06-01"), "is later than --to 2024-06-01"),
    ],
)
def test_what_can_not_be_fetched_is_refused_before_anything_is_asked(
    account: Tushare, arguments: tuple[str, ...], said: str
) -> None:
    result = feed("fetch", "--from", DAY, *arguments)
    assert result.exit_code != 0
    assert said in " ".join((result.output + str(result.exception)).replace("│", " ").split())
    assert account.asked == []


def test_a_feed_of_a_plan_asks_for_each_table_in_its_hours() -> None:
    margins, closes = (
        sources.due_time("tushare", ["margin_detail"]),
        sources.due_time("tushare", ["daily", "index_daily"]),
    )
    assert margins.next_session and not closes.next_session
    with pytest.raises(InputError, match="make two feeds"):
        sources.due_time("tushare", ["margin", "daily"])


def test_a_plan_fetches_missed_days_through_the_api(account: Tushare, sent: list[Message], tmp_path: Path) -> None:
    path, state = tmp_path / "plan.toml", MemoryState()
    path.write_text('[feeds.x]\nkind = "fetch"\nvia = "tushare"\nsince = 2024-06-11\npause_s = 0\n')
    outlet = daily_outlet(PublishLedger(MemoryStore()))
    feed = plan.load(path).feeds["x"]
    assert isinstance(feed, plan.Fetch)
    settings = Settings()
    fetch = sources.day_fetcher(
        feed.via, feed.tables, market_context(settings), lambda: tushare_account(settings), public_sites(settings)
    )
    publish = partial(outlet.publish, "x", source="x", force=False)
    task = FetchTask("x", feed, state, fetch, publish, xshg(), sources.due_time(feed.via, feed.tables))
    assert run_tasks([task], threading.Event(), once=True, now=lambda: SEEN + 25 * 3600) == 0
    assert state.stored == {"day/2024-06-11": "done", "day/2024-06-12": "done"}
    assert {day for _, day in closed_days(sent)} == {"2024-06-11", "2024-06-12"}


def test_a_source_without_its_token_is_refused_at_once(make_settings: Callable[..., Settings]) -> None:
    settings = make_settings()
    with pytest.raises(SecurityError):
        sources.day_fetcher(
            "tushare", ["margin"], market_context(settings), lambda: tushare_account(settings), public_sites(settings)
        )


@pytest.mark.parametrize("style", ["{}", "{} ", "'{}"])
def test_a_file_of_tushare_has_the_turnover_of_the_whole_exchange_however_its_codes_are_written(
    style: str, tmp_path: Path
) -> None:
    """The turnover of 500 stocks in place of that of Shenzhen makes the market look hot."""
    rows = pd.DataFrame(bars("20240611", **{"399001_SZ": 1e8, "399107_SZ": 4e8}))
    rows["ts_code"] = [style.format(code).lower() for code in rows["ts_code"]]
    path = tmp_path / "index_daily.csv"
    rows.to_csv(path, index=False)
    (indices,) = (one.frame for one in vendor.read([path]).tables if one.topic == "indices.daily")
    assert indices["turnover"].tolist() == [4e11, 4e11]
