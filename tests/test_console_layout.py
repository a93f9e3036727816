"""The console in a real browser on a made model: nothing that a reader needs is cut off or out of reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from console import labels
from console.record import PEAK
from tests.integration.test_console import CHROMIUM, DESK, FLAGS, PHONE, english
from tests.served_console import ServedConsole

nicegui = pytest.importorskip("nicegui", reason="nicegui is not installed")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

SMALL_DESK = {"width": 1280, "height": 720}
LOCALES = ("en-US", "zh-CN")
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="Chromium is not installed (Debian's package has it)")


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedConsole]:
    with ServedConsole(tmp_path_factory.mktemp("console")) as served:
        yield served


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def opened(chromium: Any, console: ServedConsole) -> Iterator[Any]:
    """Open pages of the console; they are closed with the test."""
    contexts: list[Any] = []

    def open_page(path: str = "", size: dict[str, int] = DESK, locale: str = "en-US") -> Any:
        contexts.append(chromium.new_context(viewport=size, locale=locale))
        page = contexts[-1].new_page()
        page.goto(console.url + path)
        page.locator("#content").wait_for()
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("size", [SMALL_DESK, DESK, PHONE], ids=lambda size: f"{size['width']}x{size['height']}")
def test_the_card_of_the_answer_shows_all_that_it_says(opened: Any, size: dict[str, int], locale: str) -> None:
    page = opened("", size, locale)
    page.locator(".verdict .cases-table td").first.wait_for()
    shown = {mark: page.locator(f".verdict .{mark}").first for mark in ("q", "answer", "live", "cases")}
    assert "⚠" in shown["q"].inner_text()
    card = page.locator(".verdict")
    heights = card.evaluate("card => [card.scrollHeight, card.clientHeight]")
    assert heights[0] <= heights[1]
    box = card.bounding_box()
    assert all(part.bounding_box()["y"] >= box["y"] for part in shown.values())


@pytest.mark.parametrize("path", ["", "alerts/peak_alert"])
@pytest.mark.parametrize("size", [SMALL_DESK, PHONE], ids=lambda size: f"{size['width']}x{size['height']}")
def test_a_name_without_a_space_breaks_within_its_card(opened: Any, size: dict[str, int], path: str) -> None:
    page = opened(path, size)
    card = page.locator("article.critical")
    card.get_by_text("xxx").wait_for()
    assert card.evaluate("card => card.scrollWidth <= card.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("button", name="Silence", exact=True).first.click()
    assert page.get_by_label("Who").get_attribute("maxlength") == "100"


@pytest.mark.parametrize("size", [SMALL_DESK, DESK, PHONE], ids=lambda size: f"{size['width']}x{size['height']}")
@pytest.mark.parametrize("locale", LOCALES)
def test_every_state_of_the_ratio_fits_into_the_heading_of_its_gauge(
    opened: Any, size: dict[str, int], locale: str
) -> None:
    page = opened(size=size, locale=locale)
    page.locator(".gauge canvas").wait_for()
    for texts in labels.STATES.values():
        shown = f"◔ {texts[locale == 'zh-CN']}"
        width, room = page.locator(".gauge").evaluate(
            """(card, text) => {
                const heading = card.querySelector('h2'), pill = heading.lastElementChild;
                pill.className = 'num mark pill';
                pill.innerText = text;
                const inside = pill.getBoundingClientRect();
                return [inside.width, heading.getBoundingClientRect().right - inside.right];
            }""",
            shown,
        )
        assert width > 0 and room >= -0.5, shown


def test_a_window_that_becomes_lower_has_the_first_screen_of_its_height(opened: Any) -> None:
    page = opened("", {"width": 1440, "height": 1200})
    height = "document.querySelector('.grid').clientHeight + 46 <= window.innerHeight"
    page.locator(".history canvas").wait_for()
    page.wait_for_function(height)
    page.set_viewport_size({"width": 1440, "height": 960})
    page.wait_for_function(height)


def test_every_page_has_a_title_of_its_own_and_its_first_link_leads_to_its_content(
    opened: Any, console: ServedConsole
) -> None:
    titles = set()
    paths = ("themes", "studies", "studies/peak", f"record/{'/'.join(PEAK)}", "alerts/peak_alert", "industry/银行",
             "security/600000.SH")  # fmt: skip
    page = opened()
    for path in ("", *paths):
        page.goto(console.url + path)
        page.locator("main #content").wait_for()
        assert page.locator("main").count() == 1
        page.locator(".skip").press("Enter")
        assert page.evaluate("document.activeElement.id") == "content"
        titles.add(page.title())
    assert len(titles) == 1 + len(paths)


@pytest.mark.parametrize(
    ("locale", "lost", "nothing"),
    [
        ("en-US", "The connection is lost.", "This console has no page /nothing/here"),
        ("zh-CN", "连接已断开。", "本控制台没有此页面： /nothing/here"),
    ],
)
def test_a_lost_connection_and_an_unknown_address_are_in_the_language_of_the_page(
    opened: Any, console: ServedConsole, locale: str, lost: str, nothing: str
) -> None:
    page = opened("nothing/here", locale=locale)
    page.get_by_text(nothing, exact=True).wait_for()
    assert page.locator("#popup").get_attribute("role") == "alert"
    assert page.locator("#popup span").first.text_content() == lost
    assert locale == "en-US" or english(page) == []
    file = f"_nicegui/{nicegui.__version__}/components/none"
    for address, kind in (("nothing/here", "text/html"), (file, "application/json")):
        answer = page.request.get(console.url + address)
        assert answer.status == 404 and answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("", 200), ("healthz", 200), ("sheet.pdf", 200), ("?asof=2024-06-31", 400), ("?asof=yesterday", 400),
        ("security/600100.SH", 200), ("security/600099.SH", 404), ("security/600100", 404), ("alerts/peak_alert", 200),
        ("alerts/none", 404), ("industry/银行", 200), ("industry/none", 404), ("themes", 200), ("studies", 200),
        ("themes?industry=none", 404), (f"record/{'/'.join(PEAK)}", 200), (f"record/{PEAK[0]}/none", 404),
        ("record/none/market", 404),
    ],
)  # fmt: skip
def test_an_address_of_something_unknown_answers_so_and_its_head_is_that_of_its_page(
    console: ServedConsole, path: str, status: int
) -> None:
    assert httpx.get(console.url + path).status_code == status
    head = httpx.head(console.url + path)
    assert (head.status_code, head.content) == (status, b"")


#: The element with the keyboard's focus: its name, and whether a frame shows the focus; null at the end of the page.
FOCUS = """() => {
    const outlined = style => style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const framed = e => e && outlined(getComputedStyle(e));
    const one = document.activeElement;
    if (one === document.body) return null;
    const name = `${one.tagName} ${one.ariaLabel || one.innerText || one.placeholder}`.slice(0, 60);
    const field = one.closest('.q-field');
    const highlighted = field && field.matches('.q-field--outlined.q-field--highlighted');
    return [name, framed(one) || field && framed(field.querySelector('.q-field__control')) || highlighted];
}"""


def test_the_keyboard_reaches_the_end_of_the_page_and_sees_where_it_is(opened: Any) -> None:
    """The rows of a table that scrolled virtually caught the focus; buttons, the search and the index hid it."""
    page = opened()
    page.locator(".flags td a").first.wait_for()
    page.locator(".verdict .cases-table td").first.wait_for()
    found = []
    for _ in range(120):
        page.keyboard.press("Tab")
        if (focus := page.evaluate(FOCUS)) is None:
            break
        found.append(focus)
    assert focus is None, found[-5:]
    assert len(found) > 40
    # The day's own parts, and the button of its picker, are framed by the browser.
    assert [name for name, framed in found if not framed and "As it was known on" not in name] == []


def test_the_keyboard_sorts_and_turns_the_pages_of_a_table(opened: Any) -> None:
    page = opened()
    head = page.locator(".flags").get_by_role("columnheader", name="Change")
    first = page.locator(".flags td a").first
    first.wait_for()
    shown = []
    for key, order in (("Enter", "ascending"), ("Space", "descending")):
        head.press(key)
        page.wait_for_function("order => document.querySelector(`.flags th[aria-sort=${order}]`)", arg=order)
        shown.append(first.inner_text())
        assert head.evaluate("head => head === document.activeElement")
    assert shown == ["600100.SH", "600144.SH"]
    page.locator(".flags").get_by_role("button", name="Next page").press("Enter")
    page.locator(".flags").get_by_text("21–40 / 45").wait_for()


def test_the_controls_of_a_page_have_names_in_its_language(opened: Any) -> None:
    """Quasar names the buttons of its tables and fields itself, a browser reads them in the language of the page."""
    page = opened(locale="zh-CN")
    page.get_by_label("搜索当日异动").fill("6")
    page.locator(".flags .q-field__focusable-action").wait_for()
    names = page.locator(".flags [aria-label], .bar [aria-label]").evaluate_all("all => all.map(e => e.ariaLabel)")
    assert len(names) > 10
    assert [name for name in names if not re.search("[\\u4e00-\\u9fff]", name)] == []
    for language, wanted in (("zh-CN", "zh-CN"), ("en-US", "en-US"), ("fr-FR", "en-US")):
        html = page.request.get(page.url, headers={"accept-language": language}).text()
        assert f'lang="{wanted}"' in html  # before any script


@pytest.mark.parametrize("size", [{"width": 360, "height": 640}, DESK], ids=lambda size: f"{size['width']}")
def test_trouble_is_read_to_its_end_and_makes_no_page_wider(opened: Any, size: dict[str, int]) -> None:
    page = opened(size=size)
    assert page.locator(".trouble").inner_text().endswith("twelve failures")
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_a_phone_opens_the_reason_of_an_absent_figure(opened: Any) -> None:
    page = opened(size=PHONE, locale="zh-CN")
    tile = page.get_by_role("group", name="余额连续增减")
    tile.locator("summary").click()
    tile.get_by_text("margin.market fin_balance尚未公布").wait_for()
    assert tile.evaluate("tile => tile.scrollWidth <= tile.clientWidth")
    feed = page.locator(".data details").first
    feed.locator("summary").press("Enter")
    feed.get_by_text("1,000 行").wait_for()


def test_a_screen_reader_hears_what_a_page_and_a_dialog_are_about(opened: Any, console: ServedConsole) -> None:
    page = opened()
    assert page.get_by_role("heading", level=1).inner_text().endswith("Margin watch")
    page.get_by_role("heading", name="Margin watch", level=1).wait_for()  # its name has the text that it shows
    page.get_by_role("heading", name="Peak warning", level=3).wait_for()
    page.get_by_role("button", name="Silence", exact=True).first.click()
    page.get_by_role("dialog", name="Silence: Peak warning · 5-day ratio 2024-07-01").wait_for()
    for path, heading in (
        ("security/600100.SH", "600100.SH"), ("industry/银行", "Banks"), ("industry/none", "Nothing is known of none"),
        ("alerts/none", "Nothing is known of none"), ("alerts/peak_alert", "Peak warning"), ("themes", "Themes"),
        (f"record/{'/'.join(PEAK)}", "Peak warning"), ("nothing/here", "/nothing/here"),
    ):  # fmt: skip
        page.goto(console.url + path)
        page.get_by_role("heading", name=heading, level=2).first.wait_for()


def test_a_page_has_the_theme_of_the_system_until_a_person_chooses_one(chromium: Any, console: ServedConsole) -> None:
    context = chromium.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(console.url)
    page.locator("body.body--dark .verdict").wait_for()
    page.emulate_media(color_scheme="light")
    page.locator("body:not(.body--dark) .verdict").wait_for()
    page.emulate_media(color_scheme="dark")
    page.locator("body.body--dark .verdict").wait_for()
    page.get_by_role("button", name="Dark or light").click()
    page.locator("body:not(.body--dark) .verdict").wait_for()
    page.goto(f"{console.url}studies")
    page.locator("body:not(.body--dark) .report").wait_for()
    context.close()


#: Elements whose content does not end within them.
CUT = """() => [...document.querySelectorAll("main *")].filter(e => {
    const style = getComputedStyle(e);
    return style.display !== "inline" && e.clientWidth && (
        style.overflowY !== "visible" && e.scrollHeight > e.clientHeight + 1
        || style.overflowX !== "visible" && e.scrollWidth > e.clientWidth + 1);
}).map(e => `${e.tagName}.${e.className}`)"""


@pytest.mark.parametrize("path", ["", "alerts/peak_alert", f"record/{'/'.join(PEAK)}", "security/600100.SH"])
def test_paper_has_the_whole_of_what_scrolls_on_a_screen_and_dark_text(
    chromium: Any, console: ServedConsole, path: str
) -> None:
    context = chromium.new_context(color_scheme="dark", viewport=DESK)
    page = context.new_page()
    page.goto(console.url + path)
    page.locator("body.body--dark #content .card").first.wait_for()
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 within its margins
    page.wait_for_function("getComputedStyle(document.documentElement).getPropertyValue('--text') == '#1b2430'")
    assert page.evaluate(CUT) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 718
    for chart in page.locator(".chart:visible").all():
        canvas, card = (one.bounding_box() for one in (chart.locator("canvas"), chart))
        assert canvas and card and canvas["width"] <= card["width"] and canvas["height"] <= card["height"] > 100
    context.close()


def test_a_filled_button_is_readable_on_a_dark_page(opened: Any) -> None:
    """White on the light blue of dark pages had a contrast of 2.2; text needs 4.5."""
    page = opened()
    page.get_by_role("button", name="Dark or light").click()
    page.get_by_role("button", name="Silence", exact=True).first.click()
    button = page.get_by_role("dialog").get_by_role("button", name="Silence", exact=True)
    button.wait_for()
    page.locator(".body--dark").wait_for()
    content = button.locator(".q-btn__content")
    text = content.evaluate("e => getComputedStyle(e).color")
    filled = button.evaluate("e => getComputedStyle(e).backgroundColor")
    darker, lighter = sorted(map(luminance, (text, filled)))
    assert (lighter + 0.05) / (darker + 0.05) >= 4.5


def luminance(colour: str) -> float:
    """Return the relative luminance of ``rgb(r, g, b)`` (WCAG 2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)
