"""The console in a real browser on the real stream: languages, sizes, acknowledging, login, push, no internet."""

from __future__ import annotations

import re
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

from alerts.model import Alert, Severity, State, Text
from console.access import hash_password
from console.redraws import PUSH_S
from feeds import simulate
from processors.days import to_date, to_day
from streams import morning_sheet, readers
from streams.calendars import xshg
from streams.feed_services import store_security_names
from streams.local.local_service import free_port
from streams.local.processes import ConsoleProcess
from streams.settings import Settings
from streams.topics import Topic
from tests.harness import Stack
from tests.integration.test_monitoring import fuller
from tests.test_study_store import market_files

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("nicegui", reason="nicegui is not installed")

axe = pytest.importorskip("axe_playwright_python", reason="axe-core is not installed")

CHROMIUM = Path("/usr/bin/chromium")
AXE = Path(axe.__file__).with_name("axe.min.js")
SHOTS = Path(__file__).resolve().parents[2] / "out" / "console"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip
DESK, PHONE = {"width": 1366, "height": 768}, {"width": 390, "height": 844}
#: Days of the simulated history, and how many of them make the market hot and break down.
DAYS, UNTIL_BREAKDOWN = 120, 61
pytestmark = [
    pytest.mark.parametrize("broker", ["embedded"], indirect=True),
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (Debian's package has it)"),
]


AN_ALERT = Alert(
    id="abc", rule="market_hot", severity=Severity.WARNING, subject="fin_buy_ratio_5d", trade_date=date(2024, 6, 28),
    revision=0, state=State.FIRING, available_at=datetime(2024, 7, 1, 1, tzinfo=UTC),
    raised_at=datetime(2024, 7, 1, 1, tzinfo=UTC), changed_at=datetime(2024, 7, 1, 1, tzinfo=UTC),
    figures={"ratio": 0.104}, thresholds={"hot": 0.103},
    text=Text("Hot.", "过热。"), invalidation=Text("", ""), provenance=[],
)  # fmt: skip


class Market:
    """A simulated market that has just broken down, and goes on when told to."""

    def __init__(self) -> None:
        self.simulated = simulate.Market(
            simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=DAYS, stocks=93, funds=4)
        )
        self.history = self.simulated.history()
        self.last = 0

    def publish(self, stack: Stack, days: int) -> None:
        with stack.publisher(source=simulate.SOURCE) as publisher:
            for _ in range(days):
                self.last, batches = next(self.history)
                publisher.day(fuller(self.last, batches))
            stack.settle(publisher)

    def publish_session(self, stack: Stack, ratio: float, minutes: int) -> None:
        """Publish the next session up to a minute of it."""
        today = xshg().shift(self.last, 1)
        assert today is not None
        with stack.publisher(source=simulate.SOURCE) as publisher:
            for minute, batches in self.simulated.session(today, ratio=ratio, every_minutes=10):
                for rows in batches.values():
                    publisher.rows_of(rows)
                publisher.flush()
                if minute >= 9 * 60 + 30 + minutes:
                    break


@pytest.fixture
def consoles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Start consoles; they end with the test."""
    started: list[ConsoleProcess] = []

    def start(settings: Settings, **changes: object) -> ConsoleProcess:
        given = settings.model_copy(update={"console_port": free_port()} | changes)
        started.append(ConsoleProcess(given, tmp_path / f"console-{len(started)}", simulated=True))
        with monkeypatch.context() as outside:
            outside.delenv("PYTEST_CURRENT_TEST")  # NiceGUI would run as one of its own tests
            started[-1].start()
        return started[-1]

    yield start
    for process in started:
        process.stop()


class Browser:
    """Headless Chromium that remembers every address that a page asked for and every error that it told."""

    def __init__(self, playwright: Any) -> None:
        self.chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        self.asked: set[str] = set()
        self.errors: list[str] = []
        self.pushed: list[str] = []  # the name of every message that a page has received

    def _follow(self, socket: Any) -> None:
        self.asked.add(socket.url)
        socket.on("framereceived", lambda frame: self.pushed.extend(re.findall(r'^42\["(\w+)"', str(frame))))

    def page(self, size: dict[str, int], locale: str = "zh-CN") -> Any:
        context = self.chromium.new_context(viewport=size, locale=locale, has_touch=size is PHONE)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda request: self.asked.add(request.url))
        page.on("websocket", self._follow)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def close(self) -> None:
        self.chromium.close()


@pytest.fixture
def browser() -> Iterator[Browser]:
    with sync_api.sync_playwright() as playwright:
        made = Browser(playwright)
        yield made
        made.close()
    strangers = [url for url in made.asked if url.split("/")[2].split(":")[0] != "127.0.0.1" and "://" in url
                 and not url.startswith(("data:", "blob:"))]  # fmt: skip
    assert strangers == [], "a page asked for something elsewhere"
    assert made.errors == []


def shot(page: Any, name: str, *, full: bool = False) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page.wait_for_timeout(400)  # charts are drawn
    page.screenshot(path=str(SHOTS / f"{name}.png"), full_page=full)


def violations(page: Any) -> list[str]:
    """What axe-core finds on a page."""
    # A note that fades, which may begin at any moment, has less contrast: each is whole or gone.
    page.add_style_tag(content=".q-notification { transition: none !important; opacity: 1 !important }")
    page.wait_for_timeout(300)  # so has anything else that appears
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    return [f"{one['id']}: {node['html'][:160]}" for one in found for node in one["nodes"]]


def overlapping_labels(page: Any) -> list[list[str]]:
    """Pairs of names on the map of industries that lie on each other, as the browser has drawn them."""
    return list(
        page.evaluate("""() => {
        const chart = getElement(Number(document.querySelector('.map .chart').id.slice(1))).chart;
        const shown = chart.getZr().storage.getDisplayList(true).filter(e => e.type === 'tspan' && !e.ignore)
            .map(e => { const r = e.getBoundingRect().clone(); if (e.transform) r.applyTransform(e.transform);
                        return [e.style.text, r]; })
            .filter(([text]) => text.length > 1 && !/^[-\\d.]/.test(text));
        if (!shown.length) return [['no', 'label']];
        return shown.flatMap(([a, r], i) => shown.slice(i + 1).filter(([, s]) => r.intersect(s)).map(([b]) => [a, b]));
    }""")
    )


def cut_columns(page: Any) -> list[str]:
    """The heads of columns that a reader reaches only by scrolling to the side."""
    return list(
        page.evaluate("""() => [...document.querySelectorAll('table')].flatMap(table => {
        const edge = table.parentElement.getBoundingClientRect().right + 1;
        return [...table.querySelectorAll('th')].filter(head => head.getBoundingClientRect().right > edge)
            .map(head => head.innerText.trim());
    })""")
    )


def overlapping_cards(page: Any) -> list[list[str]]:
    """Pairs of cards that lie on each other, and cards out of which a text is cut, by their first words."""
    return list(
        page.evaluate("""() => {
        const name = card => card.innerText.slice(0, 40);
        const cards = [...document.querySelectorAll('.card')].filter(card => card.offsetHeight);
        const cut = cards.filter(card => card.scrollWidth > card.clientWidth + 1).map(card => ['cut', name(card)]);
        const boxes = cards.map(card => [card, card.getBoundingClientRect()]);
        return cut.concat(boxes.flatMap(([a, r], i) => boxes.slice(i + 1)
            .filter(([b, s]) => !a.contains(b) && !b.contains(a) && r.left < s.right - 1 && s.left < r.right - 1
                && r.top < s.bottom - 1 && s.top < r.bottom - 1)
            .map(([b]) => [name(a), name(b)])));
    }""")
    )


#: Words of English prose; ids, codes and names of topics have none.
ENGLISH = re.compile(r"\b(?:the|of|is|are|was|no|not|has|have|known|needed|for|from|and|with|day|days)\b")


def english(page: Any) -> list[str]:
    """The lines of a Chinese page, its tooltips and what a reader opens, that are not Chinese."""
    lines = page.evaluate("""() => [document.body.innerText,
        ...[...document.querySelectorAll('details > :not(summary), .data details')].map(e => e.textContent),
        ...[...document.querySelectorAll('[title],[aria-label]')].flatMap(e => [e.title || '', e.ariaLabel || ''])]
        .join('\\n').split('\\n')""")
    return [line for line in lines if ENGLISH.search(line)]


def peak_id(stack: Stack) -> str:
    found = {a.id: a for a in readers.alerts(stack.settings)}
    return next(a.id for a in found.values() if a.rule == "peak_warning" and a.subject == "fin_buy_ratio_5d")


def acknowledged(stack: Stack, alert: str) -> bool:
    found = {a.id: a for a in readers.alerts(stack.settings)}
    return found[alert].acknowledged is not None and found[alert].state is State.FIRING


def downloads(page: Any, ending: str) -> Any:
    return page.expect_download(lambda download: download.suggested_filename.endswith(ending))


def answer(page: Any, words: str) -> Any:
    """The answer to the question, with these words in it."""
    return page.locator(".verdict.hot .answer").filter(has_text=words)


def ratio_card(page: Any) -> Any:
    return (
        page.locator("article.critical")
        .filter(has_text="5日占比")
        .or_(page.locator("article.critical").filter(has_text="5-day ratio"))
    )


def test_a_desk_sees_acknowledges_and_keeps_the_peak_warning(
    stack: Stack, consoles: Any, browser: Browser, tmp_path: Path
) -> None:
    # Half a year of prices would take half a minute: the breadth of this market is over fewer days.
    parameters = replace(stack.settings.parameters, breadth_days=40, breadth_least=30)
    stack.settings = stack.settings.model_copy(update={"parameters": parameters})
    stack.worker().ready()
    market = Market()
    market.publish(stack, UNTIL_BREAKDOWN)
    store_security_names(stack.settings, {"600000.SH": "浦发银行"})
    history = market_files(tmp_path / "history")
    console: ConsoleProcess = consoles(stack.settings, study_data=history, study_store=tmp_path / "studies")

    # Chinese, desk
    desk = browser.page(DESK)
    desk.goto(console.url)
    answer(desk, "预警，").wait_for()
    desk.get_by_text("重回10.30%以上则失效").first.wait_for()
    # The answer is there before any script has run, and no more once the page is drawn.
    html = desk.request.get(console.url, headers={"accept-language": "zh-CN"}).text()
    assert re.search(r'class="before-scripts"[^>]*>[^<]+<br>是否接近顶部？[^<]+<br><b>▲▲ [^<]*预警，[^<]*</b>', html)
    assert desk.locator(".before-scripts").count() == 0
    card = ratio_card(desk)
    card.get_by_text("顶部预警", exact=False).first.wait_for()
    desk.locator(".data").get_by_text("prices.daily").wait_for()
    shot(desk, "home-zh-desk-light")
    card.get_by_role("button", name="确认").click()
    desk.get_by_label("处理人").fill("李")
    desk.get_by_label("备注").fill("已通知风控")
    shot(desk, "acknowledge-zh-desk")
    desk.get_by_role("dialog").get_by_role("button", name="确认").click()
    ratio_card(desk).get_by_text("已确认 · 李: 已通知风控").wait_for()
    assert acknowledged(stack, peak_id(stack))
    desk.reload()
    ratio_card(desk).get_by_text("已确认 · 李: 已通知风控").wait_for()

    # The figures behind a chart are one key press away; a screen reader needs nothing else.
    assert violations(desk) == []
    assert overlapping_labels(desk) == []
    assert english(desk) == []
    # Whoever is faster than the server gets every export, too.
    exports = desk.get_by_role("button", name="融资买入额占两市成交额比例: 表格、CSV、PNG")
    with downloads(desk, "csv") as csv, downloads(desk, "png") as png:
        for item in ("下载CSV", "下载PNG"):
            exports.press("Enter")
            desk.get_by_text(item).click()
    assert "5日占比" in csv.value.path().read_text("utf-8-sig").splitlines()[0]
    assert png.value.path().read_bytes().startswith(b"\x89PNG")
    exports.press("Enter")
    desk.get_by_text("查看表格").click()
    desk.get_by_role("dialog").get_by_role("columnheader", name="5日占比").wait_for()
    desk.keyboard.press("Escape")
    desk.locator(".industries").get_by_role("link", name="银行", exact=True).wait_for()

    # Every past case is beside the verdict, and one click from the alert.
    desk.locator(".verdict .cases-table").get_by_text("2024-").first.wait_for()
    desk.get_by_text("该规则历次案例").first.click()
    desk.get_by_text("60个交易日内上证指数收盘未高于入场价5%以上").first.wait_for()
    shot(desk, "record-zh-desk-light")
    assert violations(desk) == []
    desk.get_by_text("返回总览").click()

    # The sheet of a command has the same day; it needs no console.
    title = morning_sheet.write(stack.settings, tmp_path / "sheet.pdf", None, "zh")
    assert title.endswith(str(to_date(market.last))) and (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")

    # A security by the initials of its name, and the page of an earlier day with its morning sheet.
    desk.get_by_role("search").get_by_role("textbox").fill("pfyh")
    desk.locator(".hits").get_by_text("浦发银行").wait_for()
    desk.get_by_role("search").get_by_role("textbox").press("Enter")
    desk.locator(".sub").get_by_text("浦发银行 600000.SH").wait_for()
    desk.get_by_text("复权价格").first.wait_for()
    assert english(desk) == []
    for path in ("industry/银行", f"alerts/{peak_id(stack)}", "themes"):
        desk.goto(console.url + path)
        desk.locator(".card").first.wait_for()
        assert english(desk) == []
    past = xshg().shift(market.last, -20)
    assert past is not None
    desk.goto(console.url)
    desk.wait_for_function(f"document.querySelector('.as-of')?.value === '{to_date(market.last)}'")
    desk.locator(".as-of").fill(str(to_date(past)))
    desk.get_by_text("截至当日所知").wait_for()
    assert desk.url.endswith(f"?asof={to_date(past)}")
    assert desk.get_by_role("button", name="确认").count() == 0  # nothing of the past can be acknowledged
    assert desk.locator(".flags a").first.get_attribute("href").endswith(f"?asof={to_date(past)}")
    pdf = desk.request.get(f"{console.url}sheet.pdf?asof={to_date(past)}")
    assert pdf.headers["content-type"] == "application/pdf" and pdf.body().startswith(b"%PDF")
    no_day = desk.request.get(f"{console.url}sheet.pdf?asof=2021-2-24")
    assert no_day.status == 400 and "'2021-2-24' is no day that is over" in no_day.text()
    desk.goto(f"{console.url}?asof=2021-2-24")
    desk.get_by_text("“2021-2-24”: 不是已结束的日期，显示当前").wait_for()
    desk.goto(console.url)
    answer(desk, "预警，").wait_for()

    # The keyboard reaches what changes something.
    reached = set()
    for _ in range(40):
        desk.keyboard.press("Tab")
        reached.add(desk.evaluate("document.activeElement.innerText"))
    assert {"静默", "EN"} <= {text.strip() for text in reached if text}

    # English is remembered; a phone sees the same alert.
    desk.get_by_role("button", name="切换为英文 English").click()
    answer(desk, "WARNED").wait_for()
    ratio_card(desk).get_by_text("Acknowledged · 李").wait_for()
    desk.reload()
    answer(desk, "WARNED").wait_for()
    shot(desk, "home-en-desk-light")
    for locale, words in (("zh-CN", "预警，"), ("en-US", "WARNED")):
        phone = browser.page(PHONE, locale)
        phone.goto(console.url)
        answer(phone, words).wait_for()
        ratio_card(phone).get_by_text("李").wait_for()
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        phone.locator(".industries td").first.wait_for()
        rarely = {"zh-CN": {"占比", "买入/成交", "周广度", "余额60日"},
                  "en-US": {"Share", "Buys/turnover", "Breadth, week", "Balance, 60 days"}}  # fmt: skip
        assert set(cut_columns(phone)) <= rarely[locale]
        assert overlapping_labels(phone) == []
        assert overlapping_cards(phone) == []
        shot(phone, f"home-{locale[:2]}-phone", full=True)

    # The running session arrives without a reload, in one kind of message, and leaves a chart as it was zoomed.
    chart = "getElement(Number(document.querySelector('.history .chart').id.slice(1))).chart"
    desk.evaluate(f"{chart}.dispatchAction({{type: 'dataZoom', start: 40, end: 90}})")
    browser.pushed.clear()
    begin = time.monotonic()
    market.publish_session(stack, ratio=0.085, minutes=90)
    desk.locator(".pill.live").wait_for()
    desk.locator(".gauge").get_by_text("provisional").wait_for()
    desk.wait_for_function(f"{chart}.getOption().series.find(one => one.id == 'tail').data.length > 1")
    assert set(browser.pushed) - {"load_js_components"} == {"update"}  # that one once in a page's life
    open_pages = 3
    assert browser.pushed.count("update") <= open_pages * ((time.monotonic() - begin) / PUSH_S + 1)
    assert desk.evaluate(f"{chart}.getOption().dataZoom.map(one => [one.start, one.end])") == [[40, 90], [40, 90]]
    desk.get_by_role("button", name="Dark or light").click()
    desk.locator("body.body--dark").wait_for()
    answer(desk, "WARNED").wait_for()
    shot(desk, "home-en-desk-dark")
    assert violations(desk) == []

    # Details: where notifications lead to, a security, an industry.
    desk.goto(f"{console.url}alerts/{peak_id(stack)}")
    desk.get_by_text("fell to").first.wait_for()
    shot(desk, "alert-en-desk-dark", full=True)
    assert violations(desk) == []
    desk.goto(f"{console.url}security/600000.SH")
    desk.get_by_text("Price, adjusted").first.wait_for()
    shot(desk, "security-en-desk-dark", full=True)
    assert violations(desk) == []
    desk.goto(f"{console.url}industry/银行")
    desk.get_by_text("Banks").first.wait_for()
    assert violations(desk) == []
    shot(desk, "industry-en-desk-dark", full=True)
    phone.goto(f"{console.url}security/600000.SH")
    phone.get_by_text("Price, adjusted").first.wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert cut_columns(phone) == []
    assert overlapping_cards(phone) == []
    shot(phone, "security-en-phone", full=True)
    a_study_is_computed_beside_the_console(desk, phone, console.url, history)


def a_study_is_computed_beside_the_console(desk: Any, phone: Any, address: str, history: Path) -> None:
    """A study in English by keyboard: progress, result, claims as CSV, a change of the data; both pages on a phone."""
    desk.goto(f"{address}studies")
    desk.get_by_text("not computed yet").first.wait_for()
    assert violations(desk) == []
    desk.get_by_role("link", name="ratio", exact=True).press("Enter")
    desk.wait_for_url("**/studies/ratio")
    desk.get_by_role("button", name="Compute").wait_for()
    desk.evaluate("""() => {
        window.steps = new Set();
        new MutationObserver(() => window.steps.add(document.querySelector('[role=status]').innerText))
            .observe(document.body, {subtree: true, childList: true, characterData: true});
    }""")
    desk.get_by_role("button", name="Compute").press("Enter")
    desk.get_by_text("current", exact=True).wait_for()
    assert any(desk.evaluate("[...window.steps]"))
    (history / "note.txt").write_text("one file more")
    desk.locator(".part img").first.evaluate("image => image.decode()")  # raises if there is no picture
    desk.get_by_role("button", name="Compute again").wait_for()
    desk.locator("summary").first.press("Enter")
    desk.locator("details[open]").get_by_role("columnheader", name="weekly sum/sum").wait_for()
    assert violations(desk) == []
    with desk.expect_download() as csv:
        desk.get_by_role("link", name="Claims as CSV").press("Enter")
    assert csv.value.path().read_text("utf-8").startswith("study,what,source")
    assert desk.request.get(f"{address}studies/file/x/ratio/en.html").status == 404
    for path in ("studies", "studies/ratio"):
        phone.goto(address + path)
        phone.get_by_text("[DG22]").first.wait_for()
        assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    desk.get_by_text("the data have changed since").wait_for()  # what was open is open still
    assert desk.locator("details[open]").count() == 1
    assert desk.request.get(f"{address}studies/claims.csv").text().count("study,what,source") == 1


def test_who_has_not_logged_in_sees_nothing(stack: Stack, consoles: Any, browser: Browser, tmp_path: Path) -> None:
    users = tmp_path / "users"
    users.write_text(f"wang:{hash_password('right one')}\n", "utf-8")
    with stack.publisher() as publisher:
        publisher.raw(Topic.ALERTS, msgspec.json.encode(AN_ALERT), key=AN_ALERT.id.encode(), partition=0)
    console: ConsoleProcess = consoles(stack.settings, console_host="0.0.0.0", console_users_file=users)
    assert refused(f"{console.url}_nicegui/3.18.0/nicegui.js") in (401, 404)
    assert refused(f"{console.url}_nicegui_ws/socket.io/?EIO=4&transport=polling") == 401
    assert refused(f"{console.url}login", method="POST", Origin="http://elsewhere.example") == 403

    page = browser.page(DESK)
    page.goto(f"{console.url}alerts/abc")
    assert page.url.endswith("/login?next=/alerts/abc")
    shot(page, "login-zh-desk")
    page.get_by_label("用户名").fill("wang")
    page.get_by_label("密码或令牌").fill("wrong one")
    page.get_by_role("button", name="登录").click()
    page.get_by_text("用户名或密码不正确").wait_for()
    page.get_by_label("用户名").fill("wang")
    page.get_by_label("密码或令牌").fill("right one")
    page.get_by_role("button", name="登录").click()
    page.wait_for_url("**/alerts/abc")
    page.goto(console.url)
    page.get_by_text("是否接近顶部？").wait_for()
    # A user who is removed can change nothing, even in a page that is still open.
    page.locator("article.warning").get_by_role("button", name="确认").click()
    page.get_by_role("dialog").get_by_label("备注").wait_for()  # the page's websocket was let in before
    users.write_text("# nobody\n", "utf-8")
    page.get_by_role("dialog").get_by_role("button", name="确认").click()
    page.get_by_text("登录已失效").wait_for()
    page.wait_for_url("**/login")  # by itself: the page receives nothing more


def test_an_open_page_follows_a_console_that_is_started_again(stack: Stack, consoles: Any, browser: Browser) -> None:
    port = free_port()
    console: ConsoleProcess = consoles(stack.settings, console_port=port)
    page = browser.page(DESK)
    page.goto(console.url)
    page.get_by_text("是否接近顶部？").wait_for()
    console.stop()
    with stack.publisher() as publisher:
        publisher.raw(Topic.ALERTS, msgspec.json.encode(AN_ALERT), key=AN_ALERT.id.encode(), partition=0)
    consoles(stack.settings, console_port=port)
    page.locator("article.warning").wait_for()  # nobody has touched the page


def test_a_session_belongs_to_every_console_and_its_end_too(
    stack: Stack, consoles: Any, browser: Browser, tmp_path: Path
) -> None:
    users = tmp_path / "users"
    users.write_text(f"wang:{hash_password('pw')}\n", "utf-8")
    one, other = (
        consoles(stack.settings, console_token=SecretStr("t" * 16), console_users_file=users) for _ in range(2)
    )
    page, elsewhere = browser.page(DESK), None
    page.goto(one.url)
    page.get_by_label("用户名").fill("wang")
    page.get_by_label("密码或令牌").fill("pw")
    page.get_by_role("button", name="登录").click()
    page.get_by_text("是否接近顶部？").wait_for()
    elsewhere = page.context.new_page()
    elsewhere.goto(other.url)  # cookies do not depend on the port
    elsewhere.get_by_text("是否接近顶部？").wait_for()
    cookies = page.context.cookies()
    elsewhere.get_by_role("button", name="退出登录 wang").click()
    elsewhere.wait_for_url("**/login")
    page.wait_for_url("**/login")  # the page that was open already
    page.context.add_cookies(cookies)
    for console in (one, other):
        page.goto(console.url)
        assert "/login" in page.url


def test_a_request_that_never_ends_occupies_no_connection(stack: Stack, consoles: Any) -> None:
    console = consoles(stack.settings)
    head = b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    with socket.create_connection(("127.0.0.1", console.port), timeout=60) as slow:
        slow.sendall(head + b"X-Slow: ")
        assert slow.recv(1) == b""  # the console has ended the connection
    with socket.create_connection(("127.0.0.1", console.port), timeout=60) as second:
        second.sendall(head + b"\r\n")
        assert second.recv(65_536).startswith(b"HTTP/1.1 200")
        second.sendall(head)  # the next request of the same connection
        while second.recv(65_536):
            pass


def refused(url: str, method: str = "GET", **headers: str) -> int:
    """The status with which a request is refused."""
    request = urllib.request.Request(url, method=method, headers=headers, data=b"" if method == "POST" else None)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=5)
    caught.value.close()
    return caught.value.code
