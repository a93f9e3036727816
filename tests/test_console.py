"""The console without a browser: what it knows, what it answers, whom it lets in."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from fastapi import FastAPI
from starlette.middleware.sessions import SessionMiddleware

from alerts.model import Acknowledgement, Alert, Evidence, Severity, State, Text
from alerts.record import RecordCard
from alerts.rules import rules
from console import access as access_module
from console import charts
from console.access import Access, Identity, Session, hash_password, verify
from console.errors import AccessError
from console.formats import Language
from console.gate import Gate, add_routes
from console.labels import LABELS, RULES
from console.model import ConsoleModel, Feed, Part
from console.theme import View
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from processors.signal import Value
from streams.calendars import xshg

NOW = datetime(2024, 7, 1, 1, tzinfo=UTC)
P = Parameters()
LANGUAGES: tuple[Language, ...] = ("en", "zh")


def signal(
    name: str,
    value: Value | None,
    day: int = 1,
    *,
    revision: int = 0,
    provisional: bool = False,
    details: dict[str, Value] | None = None,
) -> MarketSignal:
    return MarketSignal(
        signal=name, subject="market", trade_date=date(2024, 7, day), available_at=NOW, revision=revision, value=value,
        reason="" if value is not None else "no rows", provisional=provisional, details=details or {},
    )  # fmt: skip


def alert(identity: str, rule: str = "peak_warning", severity: Severity = Severity.CRITICAL, day: int = 1) -> Alert:
    return Alert(
        id=identity, rule=rule, severity=severity, subject="fin_buy_ratio_5d", trade_date=date(2024, 7, day),
        revision=0, state=State.FIRING, available_at=NOW, raised_at=NOW, changed_at=NOW, figures={}, thresholds={},
        text=Text("en", "zh"), invalidation=Text("", ""), provenance=[],
    )  # fmt: skip


def card(rule: str, subject: str) -> RecordCard:
    return RecordCard(
        rule=rule, subject=subject, source="[DG22]", figure="ratio", unit="ratio", until=date(2024, 7, 1),
        rows=[],
        evidence=Evidence(since=date(2024, 1, 2), definition=Text("en", "zh")),
    )  # fmt: skip


def test_the_last_version_counts_and_a_final_value_ends_the_provisional_one() -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    made.offer_market(signal("fin_balance", 1.0))
    made.offer_market(signal("fin_balance", 2.0, 2, provisional=True))
    assert made.now("fin_balance").value == 2.0
    made.offer_market(signal("fin_balance", 9.0, 2, revision=1))
    made.offer_market(signal("fin_balance", 3.0, 2, revision=0))  # computed again from fewer messages
    made.offer_market(signal("fin_balance", 8.0, 2, provisional=True))
    assert made.now("fin_balance").value == 3.0
    assert made.curve("fin_balance") == [(date(2024, 7, 1), 1.0), (date(2024, 7, 2), 3.0)]
    assert made.change("fin_balance", date(2024, 7, 2), 3.0) == 2.0


def test_an_absent_provisional_value_ends_that_of_its_day() -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    made.offer_market(signal("fin_balance", 1.0))
    made.offer_market(signal("fin_balance", 2.0, 3, provisional=True))
    made.offer_market(signal("fin_balance", None, 2, provisional=True))  # of a day before
    assert made.now("fin_balance").value == 2.0
    made.offer_market(signal("fin_balance", None, 3, provisional=True))
    assert (made.now("fin_balance").value, made.live) == (1.0, {})


def test_a_change_is_that_on_the_session_before_also_where_newer_days_are_absent() -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    for day, value in ((1, 1.0), (2, 4.0), (3, None), (4, None)):
        made.offer_market(signal("breadth_200", value, day))
    assert made.last_known("breadth_200") == (date(2024, 7, 2), 4.0)
    assert made.change("breadth_200", date(2024, 7, 2), 4.0) == 3.0
    assert made.change("breadth_200", date(2024, 7, 1), 1.0) is None


@pytest.mark.parametrize("between", [((4, None),), ()])
def test_a_change_across_a_session_without_a_figure_is_absent(between: tuple[tuple[int, None], ...]) -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    for day, value in ((3, 1.0), *between, (5, 4.0), (8, 6.0)):
        made.offer_market(signal("breadth_200", value, day))
    assert made.change("breadth_200", date(2024, 7, 5), 4.0) is None
    assert made.change("breadth_200", date(2024, 7, 8), 6.0) == 2.0  # over a weekend
    gap, sunday = made.curve("breadth_200")[1], date(2024, 7, 7)
    assert gap == (date(2024, 7, 4), None)  # the line of a chart is interrupted
    assert sunday not in dict(made.curve("breadth_200"))


def test_the_most_severe_alert_is_first_and_a_digest_shows_its_newest_day() -> None:
    made = ConsoleModel(P.streak_flags, xshg(), {rule.name for rule in rules(P) if rule.covers_day})
    seen = msgspec.structs.replace(alert("seen", day=2), acknowledged=Acknowledgement("li", NOW))
    for one in (alert("digest1", "fin_extreme", Severity.INFO), alert("digest2", "fin_extreme", Severity.INFO, 2),
                seen, alert("new")):  # fmt: skip
        made.offer_alert(one)
    assert [a.id for a in made.firing()] == ["new", "seen", "digest2"]


def test_a_version_with_an_earlier_time_is_as_good_as_any() -> None:
    made, old = ConsoleModel(P.streak_flags, xshg()), alert("one")
    over = msgspec.structs.replace(old, state=State.RESOLVED, changed_at=NOW - timedelta(seconds=1))
    for version in (old, over):
        made.offer_alert(version)
    assert made.alerts["one"] == over


@pytest.mark.parametrize(
    ("newest", "closed", "late"), [(2, True, False), (2, False, True), (1, True, True), (3, False, False)]
)
def test_a_feed_is_late_when_its_due_day_is_not_closed(newest: int, closed: bool, late: bool) -> None:
    assert Feed("margin.daily", date(2024, 7, newest), closed, date(2024, 7, 2), 1).late is late


def test_every_label_is_in_both_languages() -> None:
    assert all(en and zh for en, zh in LABELS.values())


def test_passwords_are_hashed_and_compared() -> None:
    hashed = hash_password("秘密")
    assert hashed != hash_password("秘密")
    assert verify("秘密", hashed)
    assert not verify("other", hashed)
    assert not verify("秘密", "scrypt$nonsense")


class StoredSessions:
    """Sessions as consoles share them."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[Session, int]] = {}

    async def put(self, key: str, session: Session, seconds: int) -> None:
        self.stored[key] = session, seconds

    async def get(self, key: str) -> Session | None:
        return self.stored[key][0] if key in self.stored else None

    async def delete(self, key: str) -> None:
        self.stored.pop(key, None)


def test_a_console_that_everybody_reaches_needs_a_login() -> None:
    with pytest.raises(AccessError, match="CONSOLE_USERS_FILE"):
        Access("0.0.0.0", StoredSessions())
    assert not Access("127.0.0.1", StoredSessions()).required
    assert Access("127.0.0.1", StoredSessions(), token="t").required


def users_file(folder: Path, **passwords: str) -> Path:
    file = folder / "users"
    lines = (f"{name}:{hash_password(password)}\n" for name, password in passwords.items())
    file.write_text("# desk\n" + "".join(lines), "utf-8")
    return file


def test_a_session_ends_with_its_user_its_password_and_its_logout_in_every_console(tmp_path: Path) -> None:
    shared, users = StoredSessions(), users_file(tmp_path, wang="pw", li="pw")

    async def sessions() -> None:
        one, other = (Access("0.0.0.0", shared, users) for _ in range(2))
        assert await one.login("wang", "wrong", "10.0.0.1") is None
        cookie = await one.login("wang", "pw", "10.0.0.1")
        assert cookie is not None
        assert await other.identity(cookie) == Identity("wang")
        assert await one.identity({}) is None
        assert await one.identity({"sid": "guessed"}) is None
        assert await one.identity({"user": "wang", "sid": 5}) is None
        kept = dict(cookie)
        await one.logout(cookie)
        restarted = Access("0.0.0.0", shared, users)
        for console in (one, other, restarted):
            assert await console.identity(kept) is None
        again, third = await one.login("wang", "pw", "10.0.0.1"), await one.login("li", "pw", "10.0.0.1")
        assert again is not None and third is not None
        users_file(tmp_path, wang="changed")
        for console in (one, other, restarted):
            assert await console.identity(again) is None
            assert await console.identity(third) is None

    asyncio.run(sessions())
    assert {seconds for _, seconds in shared.stored.values()} == {12 * 3600}


def test_the_token_is_a_password_of_names_that_have_none_and_a_bearer(tmp_path: Path) -> None:
    users = users_file(tmp_path, wang="pw", token="pw")

    async def tokens() -> None:
        access = Access("0.0.0.0", StoredSessions(), users, "tok")
        assert await access.login("wang", "tok", "10.0.0.1") is None
        assert await access.login("", "tok", "10.0.0.1") is None
        assert await access.login("screen", "tok", "10.0.0.1") is not None
        assert await access.identity({}, "tok") == Identity("token", by_token=True)
        assert await access.identity({}, "no") is None
        cookie = await access.login("token", "pw", "10.0.0.1")
        assert cookie is not None
        assert await access.identity(cookie) == Identity("token")  # a user of that name is a user as any other

    asyncio.run(tokens())


def test_an_address_that_fails_often_waits() -> None:
    async def fail() -> None:
        access = Access("0.0.0.0", StoredSessions(), token="tok")
        for _ in range(10):
            assert not access.attempts.blocked("10.0.0.1")
            assert await access.login("a", "wrong", "10.0.0.1") is None
        assert access.attempts.blocked("10.0.0.1")
        assert not access.attempts.blocked("10.0.0.2")
        assert await access.login("a", "tok", "10.0.0.2") is not None
        for n in range(90):
            access.attempts.add(f"10.0.1.{n}")
        assert access.attempts.blocked("10.0.0.3")  # many addresses of one attacker

    asyncio.run(fail())


def test_a_login_of_ones_own_gives_no_further_attempts_at_the_passwords_of_others() -> None:
    async def guess() -> list[bool]:
        access = Access("0.0.0.0", StoredSessions(), token="tok")
        for _ in range(9):
            assert await access.login("a", "wrong", "10.0.0.1") is None
        for _ in range(3):
            assert await access.login("b", "tok", "10.0.0.1") is not None
        before = access.attempts.blocked("10.0.0.1")
        assert await access.login("a", "wrong", "10.0.0.1") is None
        return [before, access.attempts.blocked("10.0.0.1")]

    assert asyncio.run(guess()) == [False, True]


def test_attempts_at_the_same_time_count_before_they_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    verified = []
    monkeypatch.setattr(access_module, "verify", lambda password, _stored: verified.append(password))

    async def flood() -> list[int]:
        app = FastAPI()
        add_routes(app, Access("0.0.0.0", StoredSessions(), token="tok"))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console") as client:
            attempts = (
                client.post("/login", data={"name": "a", "password": "b"}, headers={"X-Forwarded-For": f"10.0.0.{n}"})
                for n in range(60)
            )
            return [answer.status_code for answer in await asyncio.gather(*attempts)]

    statuses = asyncio.run(flood())
    assert (statuses.count(401), statuses.count(429), len(verified)) == (10, 50, 10)


@pytest.mark.parametrize(
    ("public_url", "peer", "forwarded", "address"),
    [
        ("", "127.0.0.1", "8.8.8.8", "127.0.0.1"),  # no proxy: anybody can write the header
        ("https://desk.example", "127.0.0.1", "8.8.8.8, 10.0.0.9", "10.0.0.9"),  # what the proxy itself has seen
        ("https://desk.example", "10.0.0.7", "8.8.8.8", "10.0.0.7"),  # past the proxy
        ("https://desk.example", "127.0.0.1", "", "127.0.0.1"),
    ],
)
def test_the_address_of_a_browser(public_url: str, peer: str, forwarded: str, address: str) -> None:
    assert Access("127.0.0.1", StoredSessions(), public_url=public_url).address(peer, forwarded) == address


def test_an_unknown_name_costs_the_work_of_a_known_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[tuple[int, int, int]] = []
    scrypt = hashlib.scrypt

    def counted(password: bytes, *, n: int, r: int, p: int, **others: Any) -> bytes:
        hashed.append((n, r, p))
        return scrypt(password, n=n, r=r, p=p, **others)

    users = users_file(tmp_path, wang="pw")
    monkeypatch.setattr(hashlib, "scrypt", counted)

    async def compare() -> None:
        access = Access("0.0.0.0", StoredSessions(), users, "tok")
        for name in ("wang", "nobody"):
            assert await access.login(name, "wrong", "10.0.0.1") is None

    asyncio.run(compare())
    assert len(hashed) == 2
    assert hashed[0] == hashed[1]


async def through_gate(access: Access, method: str, path: str, **request: Any) -> httpx.Response:
    """Send one request through the gate to the routes of the login."""
    app = FastAPI()
    add_routes(app, access)
    app.add_middleware(Gate, access=access)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        return await client.request(method, path, **request)


def test_a_wrong_bearer_token_is_an_attempt_to_log_in_and_a_right_one_is_none() -> None:
    async def ask() -> list[int]:
        app = FastAPI()
        add_routes(app, access)
        app.add_middleware(Gate, access=access)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:

            async def status(authorization: str) -> int:
                return (await client.post("/", headers={"Authorization": authorization})).status_code

            right = [await status("Bearer tok") for _ in range(12)]
            other = [await status("Basic d2FuZzpwdw==") for _ in range(12)]  # of a proxy, say
            return [*right, *other, *[await status("bearer guessed") for _ in range(12)], await status("Bearer tok")]

    access = Access("0.0.0.0", StoredSessions(), token="tok")
    assert asyncio.run(ask()) == [404] * 12 + [401] * 12 + [401] * 10 + [429] * 3
    assert access.attempts.blocked("127.0.0.1")
    answer = asyncio.run(through_gate(access, "POST", "/login", data={"name": "a", "password": "tok"}))
    assert answer.status_code == 429


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1024


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content": b"x" * 9_000, "headers": {"Content-Type": "multipart/form-data; boundary=b"}}, 413),
        ({"content": endless(), "headers": {"Content-Type": "application/x-www-form-urlencoded"}}, 413),
        ({"content": b"", "headers": {"Content-Length": "9" * 4_300}}, 413),
        ({"files": {"name": b"wang"}}, 415),
        ({"data": {"name": "wang", "password": "x"}}, 401),
    ],
)
def test_a_body_without_a_login_is_short_and_a_form(request_: dict[str, Any], status: int) -> None:
    access = Access("0.0.0.0", StoredSessions(), token="tok")
    assert asyncio.run(through_gate(access, "POST", "/login", **request_)).status_code == status


def test_a_body_that_is_cut_off_reaches_nobody() -> None:
    messages = [{"type": "http.request", "body": b"name=wang&passw", "more_body": True}, {"type": "http.disconnect"}]
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    async def app(*_: Any) -> None:
        raise AssertionError("half a form is passed on")

    scope = {"type": "http", "method": "POST", "path": "/login", "headers": [(b"host", b"127.0.0.1")]}
    asyncio.run(Gate(app, Access("0.0.0.0", StoredSessions(), token="tok"))(scope, receive, send))
    assert sent[0]["status"] == 400


def test_every_answer_has_the_headers_that_protect_a_browser() -> None:
    access = Access("0.0.0.0", StoredSessions(), token="tok", public_url="https://desk.example")
    for method, path in (("GET", "/login"), ("GET", "/healthz"), ("POST", "/elsewhere"), ("GET", "/")):
        headers = asyncio.run(through_gate(access, method, path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "max-age" in headers["strict-transport-security"]
        assert headers["x-content-type-options"] == "nosniff"


def test_sessions_that_can_not_be_checked_let_nobody_in() -> None:
    class Away(StoredSessions):
        async def get(self, key: str) -> Session | None:
            raise AccessError("logins can't be checked: Redis does not answer")

    access = Access("0.0.0.0", Away(), token="tok")
    app = Gate(FastAPI(), access)

    async def ask() -> httpx.Response:
        async def with_cookie(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "session": {"sid": "s"}}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(with_cookie), base_url="http://console") as client:
            return await client.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.text) == (503, "logins can't be checked: Redis does not answer")


async def logged_in_at(address: str, *, by_form: bool = True) -> tuple[str, str]:
    """Ask for an address without a session, log in, and return the addresses of the login and of what follows it.

    ``by_form``: where the form leads, instead of the address of the login itself.
    """
    access = Access("0.0.0.0", StoredSessions(), token="tok")
    app = FastAPI()
    add_routes(app, access)
    app.add_middleware(Gate, access=access)
    app.add_middleware(SessionMiddleware, secret_key="s")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        asked = await client.get(address)
        login = asked.headers.get("location", address)
        (action,) = re.findall('action="([^"]+)"', (await client.get(login)).text)
        entered = await client.post(action if by_form else login, data={"name": "wang", "password": "tok"})
        return login, entered.headers["location"]


@pytest.mark.parametrize(
    "address",
    ["/", "/?asof=2020-07-23", "/themes?industry=%E9%93%B6%E8%A1%8C&asof=2020-07-23", "/security/a%3Fb?c=%26"],
)
def test_a_login_leads_to_the_address_that_was_asked_for_with_its_query(address: str) -> None:
    login, follows = asyncio.run(logged_in_at(address))
    assert login.startswith("/login?next=/") and login.count("?") == 1 and "&" not in login
    assert follows == address


@pytest.mark.parametrize(
    "foreign",
    [
        "https://evil.example/?asof=2020-07-23",
        "//evil.example/?a=/",
        "/\\evil.example?a",
        "/\t/evil.example",
        "javascript:alert(1)",
    ],
)
@pytest.mark.parametrize("by_form", [True, False])
def test_a_login_leads_to_no_other_site(foreign: str, *, by_form: bool) -> None:
    assert asyncio.run(logged_in_at(f"/login?next={quote(foreign)}", by_form=by_form))[1] == "/"


def test_a_line_that_is_no_user_is_named(tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text("\nwang:plain\n", "utf-8")
    with pytest.raises(AccessError, match="line 2"):
        Access("0.0.0.0", StoredSessions(), users)


def test_requests_of_other_sites_and_names_are_refused() -> None:
    open_ = Access("127.0.0.1", StoredSessions(), public_url="https://desk.example")
    assert open_.host_allowed("127.0.0.1:6067") and open_.host_allowed("localhost:6067")
    assert not open_.host_allowed("rebound.example:6067")
    assert open_.same_origin("http://127.0.0.1:6067", "127.0.0.1:6067")
    assert open_.same_origin("https://desk.example", "127.0.0.1:6067")
    assert not open_.same_origin("http://elsewhere.example", "127.0.0.1:6067")
    assert not open_.same_origin("null", "127.0.0.1:6067")


@pytest.mark.parametrize(
    ("key", "changes", "plain", "changed"),
    [
        ("gauge", {"ratio_window_days": 7}, "Financing-buy ratio, 5 days", "Financing-buy ratio, 7 days"),
        ("ratio_5d", {"ratio_window_days": 7}, "5-day ratio", "7-day ratio"),
        ("excess", {"excess_lag_days": 20}, "Excess financing, 15 days", "Excess financing, 20 days"),
        ("excess_short", {"excess_lag_days": 20}, "Excess, 15 days", "Excess, 20 days"),
        ("breadth", {"breadth_days": 100, "breadth_least": 80}, "Above 200-day mean", "Above 100-day mean"),
        ("flag_score", {"score_top": 0.125}, "Score top 10%", "Score top 12.5%"),
        ("new_high", {"high_low_days": 120}, "250-day high", "120-day high"),
        ("percentile", {"percentile_days": 750}, "5y", "3y"),
        (
            "lines",
            {"ratio_hot": 0.11, "ratio_breakdown": 0.1, "ratio_cold": 0.06, "ratio_extreme_cold": 0.05},
            "cold ≤6.75% · top <10.00% · hot ≥10.30%",
            "cold ≤6.00% · top <10.00% · hot ≥11.00%",
        ),
    ],
)
def test_labels_follow_the_parameters(key: str, changes: dict[str, Any], plain: str, changed: str) -> None:
    assert View(P, "en").label(key) == plain
    assert View(Parameters(**changes), "en").label(key) == changed


def test_every_label_and_title_can_be_shown_in_both_languages() -> None:
    for language in LANGUAGES:
        view = View(P, language)
        assert all("{" not in view.label(key) for key in LABELS)
        assert all("{" not in view.rule(name) for name in RULES)
    assert {rule.name for rule in rules(P)} == RULES.keys()
    assert View(P, "zh").label("percentile") == "五年分位"
    assert View(Parameters(high_low_days=120), "zh").rule("balance_new_low") == "余额创120日新低"
    assert View(P, "zh").rule("own_rule") == "own_rule"


def test_the_chart_of_the_ratio_draws_the_fixed_and_the_trailing_thresholds() -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    made.offer_market(signal("fin_buy_ratio_5d", 0.09))
    made.offer_market(signal("ratio_state_quantile", "NORMAL", details={"hot": 0.11, "cold": 0.07, "days": 750}))
    made.offer_market(signal("ratio_state_quantile", None, 2))
    series = {one["id"]: one for one in charts.history(View(P, "en"), made.curves(charts.RATIO_CURVES), [])["series"]}
    mark = {"symbol": "circle", "symbolSize": 5}  # of a day that no line joins to another
    assert series["quantile_hot"]["data"] == [{"value": ["2024-07-01", 0.11]} | mark, ["2024-07-02", None]]
    assert series["quantile_cold"]["data"] == [{"value": ["2024-07-01", 0.07]} | mark, ["2024-07-02", None]]
    assert [one["yAxis"] for one in series["ratio"]["markLine"]["data"]] == [0.103, 0.1, 0.0675]
    assert series["quantile_hot"]["name"] == "90% quantile, 750 days"


def test_a_correction_changes_the_trailing_thresholds_of_its_day_too() -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    for revision, hot in ((1, 0.11), (2, 0.12)):
        made.offer_market(signal("ratio_state_quantile", "HOT", revision=revision, details={"hot": hot}))
    assert made.curve("ratio_state_quantile.hot") == [(date(2024, 7, 1), 0.12)]


def test_the_records_of_a_rule_are_those_of_the_subject() -> None:
    made = ConsoleModel(P.streak_flags, xshg())
    cards = [card("peak_warning", "fin_buy_ratio_5d"), card("peak_warning", "other"), card("market_hot", "x")]
    made.offer_records(cards)
    version = made.versions[Part.RECORDS]
    made.offer_records(list(cards))
    assert made.versions[Part.RECORDS] == version  # nothing changed: no page draws them again
    assert made.records_of("peak_warning", "fin_buy_ratio_5d") == cards[:1]
    assert made.records_of("peak_warning") == cards[:2]


def test_the_scale_of_the_gauge_includes_every_threshold() -> None:
    drifted = Parameters(ratio_hot=0.2, ratio_breakdown=0.18, ratio_cold=0.02, ratio_extreme_cold=0.01)
    for parameters in (P, drifted):
        (series,) = charts.gauge(View(parameters), None)["series"]
        places = [place for place, _ in series["axisLine"]["lineStyle"]["color"]]
        assert places == sorted(places)
        assert places[0] > 0 and places[-2] < places[-1] == 1
