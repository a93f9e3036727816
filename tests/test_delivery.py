"""Channels: filters and times; the text of notifications; secrets that stay secret."""

from __future__ import annotations

import asyncio
import base64
import re
import threading
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from alerts.delivery import text
from alerts.delivery.channel import Channel
from alerts.delivery.senders import SENDERS, AppriseSender
from alerts.delivery.signing import signature
from alerts.errors import DeliveryError
from alerts.model import (
    Alert,
    Basis,
    DigestSection,
    EndedBy,
    Evidence,
    HorizonOutcome,
    Member,
    PublishedClaim,
    RecordFinding,
    Severity,
    Silence,
    State,
    Text,
)
from alerts.rules import rules
from processors.parameters import Parameters
from streams.local.local_service import free_port
from streams.settings import Settings
from tests.alertmanager import Alertmanager

NOW = datetime(2024, 6, 28, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai


def alert(severity: Severity = Severity.WARNING, state: State = State.FIRING, **changes: object) -> Alert:
    record = Evidence(definition=Text("index lower", "指数下跌"), cases=4, hits=3, base_cases=200, base_hits=90,
                      outcomes={"20": HorizonOutcome(4, -0.021, -0.108)}, drawdown=-0.14)  # fmt: skip
    fields: dict[str, object] = {
        "id": "a1", "rule": "peak_warning", "severity": severity, "subject": "fin_buy_ratio_5d",
        "trade_date": date(2024, 6, 27), "revision": 0, "state": state, "available_at": NOW, "raised_at": NOW,
        "changed_at": NOW,
        "figures": {"ratio": 0.0993}, "thresholds": {"hot": 0.103}, "text": Text("It fell to 9.93%.", "降至9.93%。"),
        "invalidation": Text("Void at 10.30%.", "重回10.30%则失效。"), "provenance": [], "source": "[DG22]",
        "evidence": [record],
    }  # fmt: skip
    return Alert(**(fields | changes))  # type: ignore[arg-type]


@dataclass
class Request:
    """What a receiver of notifications received."""

    query: dict[str, str]
    body: Any


def hook(**changes: object) -> Channel:
    return Channel(**({"kind": "webhook", "url": "https://host.example/t0ken"} | changes))  # type: ignore[arg-type]


def test_a_channel_filters_by_severity_and_rule() -> None:
    assert hook().wants(alert(Severity.INFO))
    assert not hook(severity="critical").wants(alert(Severity.WARNING))
    assert not hook(rules=["fin_streak"]).wants(alert())


@pytest.mark.parametrize(
    ("quiet", "utc", "severity", "expected"),
    [
        ("22:00-07:30", (28, 2, 0), Severity.INFO, (28, 2, 0)),  # 10:00: not quiet
        ("22:00-07:30", (28, 15, 0), Severity.INFO, (28, 23, 30)),  # 23:00 waits until 07:30
        ("22:00-07:30", (28, 20, 0), Severity.INFO, (28, 23, 30)),  # 04:00 too
        ("22:00-07:30", (28, 15, 0), Severity.CRITICAL, (28, 15, 0)),  # critical is sent at once
        ("12:00-13:00", (28, 4, 30), Severity.WARNING, (28, 5, 0)),
        ("12:00-13:00", (28, 4, 0), Severity.WARNING, (28, 5, 0)),  # its first minute is quiet
        ("12:00-13:00", (28, 5, 0), Severity.WARNING, (28, 5, 0)),  # its end is not
        ("12:00-13:00", (28, 6, 0), Severity.WARNING, (28, 6, 0)),
        ("22:00-07:30", (28, 14, 0), Severity.INFO, (28, 23, 30)),
        ("22:00-07:30", (28, 23, 30), Severity.INFO, (28, 23, 30)),
    ],
)
def test_quiet_hours(quiet: str, utc: tuple[int, int, int], severity: Severity, expected: tuple[int, int, int]) -> None:
    now, due = (datetime(2024, 6, *when, tzinfo=UTC) for when in (utc, expected))
    assert hook(quiet=quiet).due(alert(severity), now) == due


def test_a_silence_delays() -> None:
    silence = Silence(id="s", until=NOW + timedelta(hours=3), by="li")
    assert hook().due(alert(silence=silence), NOW) == silence.until
    assert hook(quiet="12:30-14:00").due(alert(silence=silence), NOW) == NOW + timedelta(hours=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"url": None}, "give url or url_file"),
        ({"url_file": "/x"}, "give url or url_file"),
        ({"quiet": "night"}, "write it as 22:00-07:30"),
        ({"quiet": "00:00-00:00"}, "write it as 22:00-07:30"),  # all day, or never?
        ({"quiet": "22:00Z-07:30Z"}, "write it as 22:00-07:30"),  # hours are those of Shanghai
        ({"quiet": "22:00-07:30:30"}, "write it as 22:00-07:30"),
        ({"kind": "pigeon"}, "Input should be 'webhook', 'alertmanager', 'dingtalk', 'wecom', 'feishu' or 'apprise'"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
        ({"per_minute": 0}, "greater than or equal to 1"),
        ({"kind": "apprise", "url": "wecombot://k3y"}, 'use kind = "wecom" with the webhook'),
        ({"kind": "apprise", "url": "DingTalk://t0ken"}, 'use kind = "dingtalk" with the webhook'),
    ],
)
def test_errors_of_a_channel(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        hook(**changes)


def test_secrets_come_by_file_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("https://host.example/t0ken\n")
    (tmp_path / "key").write_text("k3y\n")
    channel = hook(url=None, url_file=tmp_path / "url", secret_file=tmp_path / "key")
    assert channel.address() == "https://host.example/t0ken"
    assert channel.key() == b"k3y"
    assert channel.redacted() == "https://host.example"
    assert hook(kind="apprise", url="mailtos://desk:t0ken@host.example").redacted() == "mailtos://…"
    assert hook().key() == b""
    assert hook(secret="k3y").in_clear() == hook().in_clear() | {"secret": "k3y"}
    assert hook().in_clear()["url"] == "https://host.example/t0ken"
    (tmp_path / "url").unlink()  # as a secret that is being replaced
    (tmp_path / "key").write_bytes(b"\xff")
    for read, why in ((channel.address, "url can't be read: No such file"), (channel.key, "key is no text in UTF-8")):
        with pytest.raises(DeliveryError, match=why):
            read()
    settings = Settings(channels={"desk": hook(secret=SecretStr("k3y"))})
    for shown in (repr(settings), settings.model_dump_json(), repr(channel)):
        assert "t0ken" not in shown
        assert "k3y" not in shown


def test_a_signature_is_what_a_receiver_computes() -> None:
    # printf '%s' '5.{"a":1}' | openssl dgst -sha256 -hmac key
    expected = "76a265040774cfbae5f9cb82bfcf6bc0ea27bf4ce7d7220196eb0e1a7cc760e0"
    assert signature(b"key", b'{"a":1}', 5) == f"t=5,v1={expected}"


def test_the_text_of_a_notification() -> None:
    both = text.body(alert(), "both", link="https://console.example/alerts/a1")
    assert text.title(alert()) == "🟠 peak_warning [fin_buy_ratio_5d] · 2024-06-27"
    other = alert(subject="fin_buy_ratio")
    assert text.title(other) != text.title(alert())  # a service that shows titles alone tells them apart
    for part in (
        "It fell to 9.93%.",
        "Record: index lower: 3/4 (75%); any day 45%: too few cases to say; worst of 20 days −10.8%; worst fall",
        "Void at 10.30%.",
        "Source: [DG22]",
        "历史记录：指数下跌 3/4（75%）；任意日45%，案例太少，无法判断；20日最差−10.8%；60日最大跌幅−14.0%。",
        "重回10.30%则失效。",
    ):
        assert part in both
    assert both.endswith("\nhttps://console.example/alerts/a1")
    assert "降至" not in text.body(alert(), "en")
    assert "It fell" not in text.body(alert(), "zh")
    empty = alert(evidence=[Evidence(definition=Text("", ""))])
    assert "no earlier case" in text.body(empty, "en")
    assert "RESOLVED 已结束" in text.title(alert(state=State.RESOLVED))
    assert "Withdrawn" in text.body(alert(state=State.SUPERSEDED), "en")


def test_the_text_of_an_alert_that_was_raised_late_says_so() -> None:
    late = alert(raised_at=NOW + timedelta(days=4, hours=15))  # 01:00 in Shanghai
    assert "Late: its figures were due on 2024-06-28 and evaluated on 2024-07-03." in text.body(late, "en")
    assert "迟到：数据应于2024-06-28公布，2024-07-03才完成计算。" in text.body(late, "zh")
    assert "Late" not in text.body(alert(raised_at=NOW + timedelta(days=1)), "en")


@pytest.mark.parametrize(
    ("ended_by", "english", "chinese"),
    [
        (EndedBy.CONDITION, "its condition has ended", "条件已不成立"),
        (EndedBy.VOID, "it is void", "预警已失效"),
        (EndedBy.PLAYED_OUT, "it has played out", "预警已兑现"),
        (EndedBy.HORIZON, "its horizon has passed", "期限已满"),
        (EndedBy.NEXT_FACT, "a newer one replaces it", "由新信号取代"),
    ],
)
def test_the_text_of_an_alert_that_is_over_says_why(ended_by: EndedBy, english: str, chinese: str) -> None:
    over = alert(state=State.RESOLVED, resolved_on=date(2024, 6, 28), ended_by=ended_by)
    assert text.body(over, "en") == f"Over since 2024-06-28: {english}. It said:\nIt fell to 9.93%."
    assert text.body(over, "zh") == f"自2024-06-28起结束：{chinese}。原文：\n降至9.93%。"


def test_a_published_claim_is_shown_with_its_source_and_period_beside_the_record() -> None:
    claim = PublishedClaim(Text("about 80% were tops", "约八成为顶部"), "[DG22]", "2018-01…2022-11")
    fields = {"definition": Text("a top", "顶部"), "horizon_days": 60, "claim": claim, "basis": Basis.INDEX}
    record = Evidence(**fields, cases=26, hits=14, base_cases=1000, base_hits=520, finding=RecordFinding.NO_BETTER,
                      outcomes={"60": HorizonOutcome(26, 0.01, -0.226)}, drawdown=-0.25)  # fmt: skip
    assert text.evidence(record) == (
        "Record: a top: 14/26 (54%); any day 52%: no better than any day; worst of 60 days −22.6%; worst fall in 60 "
        "days −25.0%. Published: about 80% were tops [DG22], 2018-01…2022-11."
    )
    assert text.evidence(record, chinese=True) == (
        "历史记录：顶部 14/26（54%）；任意日52%，不优于任意日；60日最差−22.6%；60日最大跌幅−25.0%。"
        "公开报告：约八成为顶部[DG22]，2018-01…2022-11。"
    )
    assert text.evidence(Evidence(**fields)) == (
        "Record: no earlier case whose 60 days are over. Published: about 80% were tops [DG22], 2018-01…2022-11."
    )


def test_a_record_of_securities_names_its_base_and_its_side() -> None:
    record = Evidence(definition=Text("lag", "跑输"), basis=Basis.MEMBERS, name="rally", since=date(2018, 1, 2),
                      cases=200, hits=120, base_cases=9000, base_hits=4500, finding=RecordFinding.BETTER)  # fmt: skip
    assert text.evidence(record) == (
        "Record (rally) since 2018-01-02: lag: 120/200 (60%); any stock on any day 50%: better than any day."
    )
    assert (
        text.evidence(record, chinese=True)
        == "历史记录（上涨市，2018-01-02起）：跑输 120/200（60%）；任意股票任意日50%，优于任意日。"
    )


def test_a_digest_of_400_flags_fits_on_a_phone() -> None:
    members = [Member(f"{n:06d}.SZ", 0.1) for n in range(400)]
    words = text.body(alert(members=members, text=Text("x" * 5_000, "")), "en", link="https://l", most=1800)
    assert len(words) == 1800
    assert words.endswith("…\nhttps://l")


async def _send(
    kind: str, status: int, answer: str = "", sent: Alert | None = None, file: Path | None = None, **changes: object
) -> list[Request]:
    """Send one alert, or a file, to a receiver that gives an answer; return the requests that it received."""
    received: list[Request] = []

    async def receive(request: web.Request) -> web.Response:
        received.append(Request(dict(request.query), await request.json()))
        return web.Response(status=status, text=answer, headers={"Location": "/elsewhere"} if status == 302 else {})

    async def other_page(_: web.Request) -> web.Response:
        return web.Response(text='{"errcode":0,"code":0}')

    application = web.Application()
    application.router.add_post("/t0ken", receive)
    application.router.add_get("/elsewhere", other_page)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    scheme, query = ("json", "") if kind == "apprise" else ("http", "?k=1")
    try:
        async with aiohttp.ClientSession() as session:
            if kind == "apprise":  # its first import compiles some 150 modules
                changes = {"timeout_s": 60.0, **changes}
            channel = hook(kind=kind, url=f"{scheme}://127.0.0.1:{port}/t0ken{query}", **changes)
            scopes = {rule.name: rule.scope for rule in rules(Parameters())}
            sender = SENDERS[kind](channel, session, "https://console.example", scopes)
            if file is not None:
                assert isinstance(sender, AppriseSender)
                await sender.send_file("Morning sheet", file)
            else:
                await sender.send(sent or alert())
    finally:
        await runner.cleanup()
    return received


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("dingtalk", '{"errcode":0,"errmsg":"ok"}'),
        ("wecom", '{"errcode":0,"errmsg":"ok"}'),
        ("feishu", '{"code":0,"data":{},"msg":"success"}'),
        ("feishu", '{"Extra":null,"StatusCode":0,"StatusMessage":"success"}'),
        ("webhook", ""),
    ],
)
def test_a_channel_accepts(kind: str, answer: str) -> None:
    (request,) = asyncio.run(_send(kind, 200, answer))
    assert "It fell to 9.93%." in str(request.body)
    assert "https://console.example/alerts/a1" in str(request.body)


@pytest.mark.parametrize(
    ("kind", "status", "answer", "shown"),
    [
        ("dingtalk", 200, '{"errcode":310000,"errmsg":"keywords not in content"}', "310000 keywords not in content"),
        ("dingtalk", 200, '{"errcode":130101,"errmsg":"send too fast"}', "130101 send too fast"),
        ("wecom", 200, '{"errcode":93000,"errmsg":"invalid webhook url"}', "93000 invalid webhook url"),
        ("feishu", 200, '{"code":19021,"msg":"sign match fail","data":{}}', "19021 sign match fail"),
        ("feishu", 200, '{"code":9499,"msg":"Bad Request","StatusCode":0}', "9499 Bad Request"),
        ("wecom", 200, "<html>log in to the hotel's network</html>", "log in to the hotel"),
        ("dingtalk", 200, "", "an empty answer"),
        ("dingtalk", 200, '{"errmsg":"ok"}', "errmsg"),
        ("dingtalk", 200, "[0]", "[0]"),
        ("dingtalk", 302, "", "answered 302"),
        ("webhook", 302, "", "answered 302"),
        ("alertmanager", 302, "", "answered 302"),
        ("webhook", 503, "busy", "answered 503 Service Unavailable: busy"),
    ],
)
def test_a_channel_refuses(kind: str, status: int, answer: str, shown: str) -> None:
    with pytest.raises(DeliveryError, match=re.escape(shown)) as failed:
        asyncio.run(_send(kind, status, answer))
    assert "t0ken" not in str(failed.value)


def test_alertmanager_gets_the_sections_of_a_digest() -> None:
    section = DigestSection(rule="fin_streak", subject="securities", alert="s1", figures={}, thresholds={},
                      text=Text("Streaks: 3", "连续增减：3"))  # fmt: skip
    (request,) = asyncio.run(_send("alertmanager", 200, "", alert(sections=[section])))
    annotations = request.body[0]["annotations"]
    assert annotations["description"] == "It fell to 9.93%.\n• Streaks: 3"
    assert annotations["description_zh"] == "降至9.93%。\n• 连续增减：3"


@pytest.mark.parametrize(
    ("rule", "scope"),
    [("peak_warning", "market"), ("industry_risk_high", "industry"), ("securities_digest", "security"),
     ("data_quality", "data"), ("own_rule", "market")],
)  # fmt: skip
def test_alertmanager_routes_by_what_a_rule_declares_to_be_about(rule: str, scope: str) -> None:
    (request,) = asyncio.run(_send("alertmanager", 200, "", alert(rule=rule)))
    assert request.body[0]["labels"]["scope"] == scope


def test_a_real_alertmanager_accepts_figures_of_any_name_and_keeps_each(tmp_path: Path) -> None:
    figures = {"ratio": 0.1, "margin.market SSE": -1, "Non-bank finance": 2, "llt/000300.SH": 3, "llt 000300_SH": 4,
               "钢铁": 5, "煤炭": 6}  # fmt: skip
    server = Alertmanager(tmp_path)

    async def send() -> None:
        async with aiohttp.ClientSession() as session:
            channel = hook(kind="alertmanager", url=server.url)
            await SENDERS["alertmanager"](channel, session, "").send(alert(figures=figures))

    try:
        asyncio.run(send())
        (shown,) = server.alerts()
    finally:
        server.stop()
    assert {name: value for name, value in shown["annotations"].items() if name.startswith("figure_")} == {
        "figure_ratio": "0.1", "figure_margin_market_SSE": "-1", "figure_Non_bank_finance": "2",
        "figure_llt_000300_SH": "3", "figure_llt_000300_SH_": "4", "figure___": "5", "figure____": "6",
    }  # fmt: skip


def test_a_robot_that_knows_the_key_accepts_the_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_599_360_473)
    (ding,) = asyncio.run(_send("dingtalk", 200, '{"errcode":0}', secret="SEC1"))
    # printf '1599360473000\nSEC1' | openssl dgst -sha256 -hmac SEC1 -binary | base64
    assert ding.query == {
        "k": "1",
        "timestamp": "1599360473000",
        "sign": "ZOTpz55OGsOZqDzPUYXoo77LBqUn4mFrziOhNZaUD9s=",
    }
    (feishu,) = asyncio.run(_send("feishu", 200, '{"code":0}', secret="SEC1"))
    # printf '' | openssl dgst -sha256 -hmac "$(printf '1599360473\nSEC1')" -binary | base64
    assert (feishu.body["timestamp"], feishu.body["sign"]) == (
        "1599360473",
        "0hLYmfoUxI4qR6gxrHZUwT+7HcMcncQkWF5gKyZReuU=",
    )


def test_a_robot_with_a_short_limit_receives_the_title_and_the_link() -> None:
    long = alert(text=Text("", "融" * 1_500))
    (request,) = asyncio.run(_send("wecom", 200, '{"errcode":0}', long, language="zh", max_chars=1_800))
    content = request.body["text"]["content"]
    assert len(content.encode()) <= 2048
    assert content.startswith("🟠 peak_warning")
    assert content.endswith("…\nhttps://console.example/alerts/a1")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, theirs to mend
def test_apprise_sends_the_text_and_reports_a_failure() -> None:
    (sent,) = asyncio.run(_send("apprise", 200, max_chars=400))
    assert sent.body["title"] == text.title(alert())
    assert "It fell to 9.93%." in sent.body["message"]
    assert sent.body["message"].endswith("https://console.example/alerts/a1")
    with pytest.raises(DeliveryError, match=r"did not accept the message: .*error=500") as failed:
        asyncio.run(_send("apprise", 500))
    assert "t0ken" not in str(failed.value)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, theirs to mend
def test_apprise_is_loaded_and_used_in_a_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a second, in which the worker's event loop would stand still."""
    import apprise

    threads: list[str] = []

    def recorded(**options: Any) -> Any:
        threads.append(threading.current_thread().name)
        return original(**options)

    original = apprise.Apprise
    monkeypatch.setattr(apprise, "Apprise", recorded)
    asyncio.run(_send("apprise", 200))
    assert threads == ["apprise"]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, theirs to mend
def test_apprise_sends_the_morning_sheet_as_a_file(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.pdf"
    sheet.write_bytes(b"%PDF-1.4 one page")
    (sent,) = asyncio.run(_send("apprise", 200, file=sheet))
    assert (sent.body["title"], sent.body["message"]) == ("Morning sheet", "Morning sheet")
    (attached,) = sent.body["attachments"]
    assert attached["filename"] == "sheet.pdf"
    assert base64.b64decode(attached["base64"]) == sheet.read_bytes()
    with pytest.raises(DeliveryError, match="did not accept the message"):
        asyncio.run(_send("apprise", 500, file=sheet))


def test_a_service_whose_refusals_apprise_overlooks_is_refused_by_url_file_too(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("feishu://t0ken")
    channel = hook(kind="apprise", url=None, url_file=tmp_path / "url")

    async def send() -> None:
        async with aiohttp.ClientSession() as session:
            await SENDERS["apprise"](channel, session, "").send(alert())

    with pytest.raises(DeliveryError, match='use kind = "feishu" with the webhook'):
        asyncio.run(send())


def test_the_name_of_a_record_is_in_the_language_of_its_text() -> None:
    record = Evidence(definition=Text("higher", "上涨"), name="up", horizon_days=5)
    assert text.evidence(record).startswith("Record (up):")
    assert text.evidence(record, chinese=True).startswith("历史记录（向上）：")


def test_a_notification_in_both_languages_is_the_alert_its_record_its_end_and_its_source() -> None:
    running = alert(expires_on=date(2024, 9, 20))
    assert text.body(running, "both") == (
        "It fell to 9.93%.\n"
        "Record: index lower: 3/4 (75%); any day 45%: too few cases to say; worst of 20 days −10.8%; worst fall in 60 "
        "days −14.0%.\n"
        "Void at 10.30%. Over on 2024-09-20 at the latest.\n"
        "Source: [DG22]\n\n"
        "降至9.93%。\n"
        "历史记录：指数下跌 3/4（75%）；任意日45%，案例太少，无法判断；20日最差−10.8%；60日最大跌幅−14.0%。\n"
        "重回10.30%则失效。最迟2024-09-20结束。\n"
        "来源：[DG22]"
    )
    assert text.body(alert(source=""), "en").endswith("\nVoid at 10.30%.")
    assert text.body(alert(source=""), "zh").endswith("\n重回10.30%则失效。")
    assert [text.title(alert(state=state)) for state in (State.RESOLVED, State.SUPERSEDED)] == [
        "🟠 RESOLVED 已结束 · peak_warning [fin_buy_ratio_5d] · 2024-06-27",
        "🟠 CORRECTED 已更正 · peak_warning [fin_buy_ratio_5d] · 2024-06-27",
    ]
    marks = {severity: text.title(alert(severity))[0] for severity in Severity}
    assert marks == {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}


def test_the_text_of_an_alert_that_ended_without_a_reason_or_is_withdrawn_is_whole() -> None:
    over = alert(state=State.RESOLVED, resolved_on=date(2024, 6, 28))  # of a release that kept no reason
    assert text.body(over, "en") == "Over since 2024-06-28. It said:\nIt fell to 9.93%."
    assert text.body(over, "zh") == "自2024-06-28起结束。原文：\n降至9.93%。"
    withdrawn = alert(state=State.SUPERSEDED)
    assert text.body(withdrawn, "en") == (
        "Withdrawn: corrected data replaced or removed it. It said:\nIt fell to 9.93%."
    )
    assert text.body(withdrawn, "zh") == "已撤回：更正后的数据取代或消除了该信号。原文：\n降至9.93%。"


def test_a_section_of_a_digest_has_its_better_records_or_that_none_is_better() -> None:
    record = Evidence(definition=Text("lag", "跑输"), basis=Basis.MEMBERS, name="down in a rally",
                      since=date(2018, 1, 2), cases=1200, hits=720, base_cases=9000, base_hits=4500,
                      finding=RecordFinding.BETTER)  # fmt: skip
    no_better, too_few = (
        Evidence(definition=Text("lag", "跑输"), cases=9, hits=5, base_cases=9, base_hits=4, finding=finding)
        for finding in (RecordFinding.NO_BETTER, RecordFinding.TOO_FEW)
    )
    found = [[no_better, record], [too_few, no_better], [too_few], []]
    digest = alert(expires_on=date(2024, 9, 20), sections=[
        DigestSection(rule="fin_streak", subject="securities", alert=f"s{n}", figures={}, thresholds={},
                      text=Text(f"Flags: {n}", f"提示：{n}"), evidence=records)
        for n, records in enumerate(found)
    ])  # fmt: skip
    assert text.sections(digest) == [
        "• Flags: 0 [down in a rally: lag 60% of 1,200 since 2018, any stock 50%: better]",
        "• Flags: 1 [no better than any day]",
        "• Flags: 2 [too few cases to say]",
        "• Flags: 3",
    ]
    assert text.sections(digest, chinese=True) == [
        "• 提示：0［上涨市连减：跑输60%（2018年起1,200例），任意股票50%，优于任意日］",
        "• 提示：1［不优于任意日］",
        "• 提示：2［案例太少，无法判断］",
        "• 提示：3",
    ]
    assert (text.ending(digest), text.ending(digest, chinese=True)) == ("Void at 10.30%.", "重回10.30%则失效。")


def test_every_record_that_a_rule_names_has_a_name_in_chinese() -> None:
    """Each record of a rule with several has a Chinese name, so that no text mixes the languages."""
    named = {one.name for rule in rules(Parameters()) for one in rule.expectations if one.name}
    for name in named:
        assert not text.record_name(Evidence(definition=Text("", ""), name=name), chinese=True).isascii(), name
    assert named


def test_a_text_is_cut_to_bytes_within_a_character_and_keeps_its_link() -> None:
    said = alert(state=State.SUPERSEDED, text=Text("", "融" * 50))
    whole = text.body(said, "zh", link="https://l")
    for most in range(len(whole.encode()) - 5, len(whole.encode()) + 1):
        cut = text.body(said, "zh", link="https://l", most_bytes=most)
        assert most - 3 < len(cut.encode()) <= most
        assert cut.endswith("\nhttps://l") and (("…" in cut) is (cut != whole))
    assert cut == whole
