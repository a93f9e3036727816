"""Channels: filters and times; the text of notifications; secrets that stay secret."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr, ValidationError

from alerts.delivery import text
from alerts.delivery.channel import Channel
from alerts.delivery.senders import AppriseSender
from alerts.delivery.signing import signature
from alerts.errors import DeliveryError
from alerts.model import Alert, Evidence, Member, Outcome, Severity, Silence, State, Text
from streams.local_service import free_port
from streams.settings import Settings

NOW = datetime(2024, 6, 28, 2, 0, tzinfo=UTC)  # 10:00 in Shanghai


def alert(severity: Severity = Severity.WARNING, state: State = State.FIRING, **changes: object) -> Alert:
    record = Evidence(definition=Text("index lower", "指数下跌"), cases=4, hits=3, low=0.3, high=0.95,
                      outcomes={"20": Outcome(4, -0.021, -0.108)}, drawdown=-0.14)  # fmt: skip
    fields: dict[str, object] = {
        "id": "a1", "rule": "peak_warning", "severity": severity, "subject": "fin_buy_ratio_5d",
        "trade_date": date(2024, 6, 27), "revision": 0, "state": state, "available_at": NOW, "raised_at": NOW,
        "changed_at": NOW,
        "figures": {"ratio": 0.0993}, "thresholds": {"hot": 0.103}, "text": Text("It fell to 9.93%.", "降至9.93%。"),
        "invalidation": Text("Void at 10.30%.", "重回10.30%则失效。"), "provenance": [], "source": "[DG22]",
        "evidence": record,
    }  # fmt: skip
    return Alert(**(fields | changes))  # type: ignore[arg-type]


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
        ("12:00-13:00", (28, 5, 0), Severity.WARNING, (28, 5, 0)),
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
        ({"kind": "pigeon"}, "Input should be 'webhook', 'alertmanager' or 'apprise'"),
        ({"colour": "red"}, "Extra inputs are not permitted"),
        ({"per_minute": 0}, "greater than or equal to 1"),
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
    settings = Settings(channels={"desk": hook(secret=SecretStr("k3y"))})
    for shown in (repr(settings), settings.model_dump_json(), repr(channel)):
        assert "t0ken" not in shown
        assert "k3y" not in shown
    assert hook(secret="k3y").in_clear()["secret"] == "k3y"


def test_a_signature_is_what_a_receiver_computes() -> None:
    # printf '%s' '5.{"a":1}' | openssl dgst -sha256 -hmac key
    expected = "76a265040774cfbae5f9cb82bfcf6bc0ea27bf4ce7d7220196eb0e1a7cc760e0"
    assert signature(b"key", b'{"a":1}', 5) == f"t=5,v1={expected}"


def test_the_text_of_a_notification() -> None:
    both = text.body(alert(), "both", link="https://console.example/alerts/a1")
    assert text.title(alert()) == "🟠 peak_warning · 2024-06-27"
    for part in (
        "It fell to 9.93%.",
        "Record: index lower: 3/4 (95%: 30%–95%); 20 days: median -2.1%, worst -10.8%; worst fall in 60 days -14.0%.",
        "Void at 10.30%.",
        "Source: [DG22]",
        "历史记录：指数下跌 3/4（95%区间30%–95%）；20日中位-2.1%，最差-10.8%；60日最大回撤-14.0%。",
        "重回10.30%则失效。",
    ):
        assert part in both
    assert both.endswith("\nhttps://console.example/alerts/a1")
    assert "降至" not in text.body(alert(), "en")
    assert "It fell" not in text.body(alert(), "zh")
    empty = alert(evidence=Evidence(definition=Text("", "")))
    assert "no earlier case" in text.body(empty, "en")
    assert "RESOLVED 已结束" in text.title(alert(state=State.RESOLVED))
    over = text.body(alert(state=State.RESOLVED, resolved_on=date(2024, 6, 28)), "en")
    assert over == "Over since 2024-06-28. It said:\nIt fell to 9.93%."
    assert "Withdrawn" in text.body(alert(state=State.SUPERSEDED), "en")


def test_a_digest_of_400_flags_fits_on_a_phone() -> None:
    members = [Member(f"{n:06d}.SZ", 0.1) for n in range(400)]
    words = text.body(alert(members=members, text=Text("x" * 5_000, "")), "en", link="https://l", most=1800)
    assert len(words) == 1800
    assert words.endswith("…\nhttps://l")


async def _send_by_apprise(status: int) -> list[dict[str, str]]:
    """Send one alert through apprise to a receiver that answers with a status; return what it was told."""
    told: list[dict[str, str]] = []

    async def hook(request: web.Request) -> web.Response:
        told.append(await request.json())
        return web.Response(status=status)

    application = web.Application()
    application.router.add_post("/t0ken", hook)
    runner = web.AppRunner(application)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        async with aiohttp.ClientSession() as session:
            channel = Channel(kind="apprise", url=SecretStr(f"json://127.0.0.1:{port}/t0ken"), max_chars=400)
            await AppriseSender(channel, session, "https://console.example").send(alert())
    finally:
        await runner.cleanup()
    return told


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, theirs to mend
def test_apprise_sends_the_text_and_reports_a_failure() -> None:
    (sent,) = asyncio.run(_send_by_apprise(200))
    assert sent["title"] == text.title(alert())
    assert "It fell to 9.93%." in sent["message"]
    assert sent["message"].endswith("https://console.example/alerts/a1")
    with pytest.raises(DeliveryError, match="did not accept the message") as failed:
        asyncio.run(_send_by_apprise(500))
    assert "t0ken" not in str(failed.value)
