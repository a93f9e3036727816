"""What the pages say of a made model, without a browser: days of figures, absent figures, names, units, links."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from nicegui import Client, ui
from nicegui.elements.mixins.text_element import TextElement
from nicegui.events import GenericEventArguments, handle_event

from alerts.model import DigestSection, Member, Severity, Silence, Text
from alerts.rules import rules
from console import cards, data_strip, figure, home, industry, labels, panels, record, security, sheet, studies, tiles
from console.access import Access, Identity
from console.chart_element import ChartElement
from console.model import ConsoleModel, Feed
from console.redraws import Redraws
from console.site import Page, Site, frame
from console.theme import View
from processors.codes import to_id
from processors.days import shanghai_date, to_date, to_day
from processors.indicators.verdict import VERDICT
from processors.outputs import SecuritySignals
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.served_console import Memory, full
from tests.test_console import alert, signal
from tests.test_console_pages import industries, moment, status

P = Parameters()
ZH, EN = View(P, "zh"), View(P, "en")
VIEWS = pytest.mark.parametrize("view", [EN, ZH], ids=["en", "zh"])


def page_of(model: ConsoleModel, view: View = EN, **site: Any) -> Page:
    """A page of nobody on a model, which is also that of now."""

    async def publish(_command: object) -> None:
        raise AssertionError("nobody has sent a command")

    memory = Memory()
    of = Site(model, Access("127.0.0.1", memory), P, tuple(rules(P)), memory, publish, **site)
    page = Page(of, view, {}, Identity(), {}, model)
    page._redraws = Redraws(page._version, itertools.count(0.0, 10.0).__next__)  # every tick may draw
    return page


def clock(day: int, hour: int) -> Any:
    """The market's clock, stopped at a moment of July 2024."""
    return SimpleNamespace(now=lambda: moment(day, hour), replays=False)


def elements(draw: Callable[[Page], object], page: Page) -> list[ui.element]:
    """The visible elements that a function draws, in their order."""

    async def drawn() -> list[ui.element]:
        with Client(ui.page("")) as client:
            page.layer = ui.element("div")
            draw(page)
            return [one for one in client.elements.values() if one.visible]

    return asyncio.run(drawn())


def texts(draw: Callable[[Page], object], page: Page) -> list[str]:
    """The visible texts that a function draws."""
    return [one.text for one in elements(draw, page) if isinstance(one, TextElement)]


def markup(draw: Callable[[Page], object], page: Page) -> list[str]:
    """The HTML that a function draws beside its elements."""
    return [one.content for one in elements(draw, page) if isinstance(one, ui.html)]


def links(draw: Callable[[Page], object], page: Page) -> list[str]:
    """The addresses of the links that a function draws."""
    found = elements(draw, page)
    of_elements = [one.props["href"] for one in found if isinstance(one, ui.link)]
    of_markup = "".join(one.content for one in found if isinstance(one, ui.html))
    return [*of_elements, *re.findall(r'href="([^"]+)"', of_markup)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "07-01: ¥1.50 bn"), (1.6e9, "¥1.60 bn")],
)
def test_a_panel_has_the_day_of_a_figure_that_is_not_of_the_newest_day(value: float | None, shown: str) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_market(signal("fin_balance", 1.5e9, 1))
    model.offer_market(signal("fin_balance", value, 2))
    found = texts(panels.draw, page_of(model))
    assert shown in found and ("no rows" in found) is (value is None)


def test_flows_into_funds_show_the_last_known_sum_with_its_day() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    for day, value in ((1, 1.5e9), (2, None)):
        model.offer_market(signal("etf_flow/broad", 1.5e9, day))
        model.offer_market(signal("etf_flow_total", value, day))
    found = texts(panels.draw, page_of(model))
    assert "07-01: +¥1.50 bn" in found and "no rows" in found


@pytest.mark.parametrize(("level", "shown"), [(0, "±5%"), (1, "▲ ±5%"), (-1, "▼ ±5%"), (None, "±5% · absent: no rows")])
def test_an_absent_level_is_not_inside_the_band(level: int | None, shown: str) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_market(signal("excess_level", level))
    assert shown in texts(home.draw, page_of(model))


def test_a_tile_names_why_its_figure_is_absent_and_the_day_of_one_that_is_not_of_the_answer() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_market(signal("verdict", "COLD", 1))
    model.offer_market(signal("breadth_200", 0.3, 2))
    model.offer_market(signal("margin_trade_share", 0.08, 1))
    model.offer_market(signal("fin_balance", None, 1))
    found = texts(tiles.draw, page_of(model))
    assert {"no rows", "absent", "Above 200-day mean · 07-02", "Margin trade share"} <= set(found)


@VIEWS
def test_a_chart_without_a_day_says_that_there_is_nothing_yet(view: View) -> None:
    """Axes without a day have no ticks, and the labels of their lines lay on each other."""
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_market(signal("fin_balance", 1e12))
    page = page_of(model, view)

    def shown() -> tuple[list[bool], int]:
        found = elements(home.draw, page)
        drawn = {one.props.get("aria-label") for one in found if isinstance(one, ChartElement)}
        nothing = sum(isinstance(one, TextElement) and one.text == view.label("nothing") for one in found)
        return [view.label(title) in drawn for title in ("ratio_history", "excess")], nothing

    charts_of_nothing, before = shown()
    model.offer_market(signal("fin_buy_ratio_5d", 0.1, provisional=True))
    model.offer_market(signal("excess_financing", 0.01))
    charts_of_a_day, after = shown()
    assert (charts_of_nothing, charts_of_a_day, before - after) == ([False, False], [True, True], 2)


@VIEWS
def test_a_console_without_a_day_denies_no_alert_and_no_flag(view: View) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    denials = {view.label("no_alerts"), view.label("no_flags")}
    assert not denials & set(texts(home.draw, page_of(model, view)))
    model.offer_market(signal("fin_balance", 1e12))
    model.offer_securities(SecuritySignals(status(1), np.array([to_id("600000.SH")], dtype=np.int32), {}))
    assert denials <= set(texts(home.draw, page_of(model, view)))


@VIEWS
def test_what_the_strip_has_to_say_is_no_tooltip(view: View) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_market(signal("fin_balance", None, 1))
    model.offer_feeds([Feed("prices.daily", date(2024, 7, 1), True, date(2024, 7, 1), 5_000)], 200)
    (found,) = markup(data_strip.draw, page_of(model, view))
    assert "title=" not in found
    label = view.label
    feed = f"2024-07-01 · 5,000 {label('rows')} · {label('due')} 2024-07-01"
    assert f"<summary>prices.daily</summary>{feed}</details>" in found
    assert f"{label('absent')}: 1</summary>{view.signal('fin_balance')}: no rows</details>" in found


@pytest.mark.parametrize(("streak", "shown"), [(5.0, "▲ 5 days"), (1.0, "▲ 1 day"), (0.0, " 0 days"), (np.nan, "–")])
def test_an_absent_streak_of_a_security_is_not_one_of_no_days(streak: float, shown: str) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    columns = {name: np.full(1, 0.1) for name in ("fin_balance", "fin_change", "excess_score", "streak_excess")}
    keys = np.array([to_id("600519.SH")], dtype=np.int32)
    model.offer_securities(SecuritySignals(status(1), keys, columns | {"fin_streak": np.full(1, streak)}))
    found = texts(lambda page: security.draw(page, "600519.SH"), page_of(model))
    assert found[found.index("Balance streak") + 1] == shown


@pytest.mark.parametrize("reason", ["reference names no stock", ""])
def test_cards_without_industries_and_groups_say_why(reason: str) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_market(signal("fin_balance", 1.5e9, 1))
    # Of 4 small multiples, 3; the flows, the map, the groups, the industries; the ratio, the excess, the flags.
    assert texts(home.draw, page_of(model)).count("nothing yet") == 4 + 3 + 3
    unknown = industries(1, np.nan, fin_balance=np.nan, heat=np.nan)
    left_out = dict.fromkeys(("fin_balance", "heat", "net_buy"), reason) if reason else {}
    model.offer_industries(replace(unknown, left_out=left_out))
    found = texts(home.draw, page_of(model))
    assert found.count(reason or "absent") >= 2  # of the map and of the table


@VIEWS
def test_the_securities_of_a_rule_stand_in_the_digest_once_below_all_of_its_sections(view: View) -> None:
    """Exchanges and securities have a data note each, and the members of the one were listed below both."""
    model = ConsoleModel(P.streak_flags, xshg())
    sections = [
        DigestSection(rule="data_note", subject=subject, alert=subject, figures={}, thresholds={}, text=Text(en, en))
        for subject, en in (("margin.market identity", "Of SSE."), ("margin.daily identity", "Of securities."))
    ]
    members = [Member("600519.SH", 1e6, rule="data_note")]
    made = alert("d", "securities_digest", Severity.INFO)
    model.offer_alert(msgspec.structs.replace(made, sections=sections, members=members))
    page = page_of(model, view)
    found = texts(panels.draw, page)
    assert found.count(view.rule("data_note")) == 1
    assert found[found.index("Of SSE.") + 1] == "Of securities."
    assert "".join(markup(panels.draw, page)).count("/security/600519.SH") == 1


def test_the_page_of_a_security_that_has_left_the_margin_list_says_so() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    columns = {name: np.full(1, 0.1) for name in ("fin_balance", "fin_change", "fin_streak")}
    for day, code in ((1, "600519.SH"), (2, "000858.SZ")):
        model.offer_securities(SecuritySignals(status(day), np.array([to_id(code)], dtype=np.int32), columns))
    left, listed = (
        texts(lambda page, code=code: security.draw(page, code), page_of(model)) for code in ("600519.SH", "000858.SZ")
    )
    assert "2024-07-01 · ⚠ 07-02 absent" in left
    assert "2024-07-02" in listed


@VIEWS
def test_the_hours_of_a_silence_are_in_the_language_of_the_page(view: View) -> None:
    def draw(page: Page) -> None:
        cards._silence(page, alert("a"))

    (hours,) = [
        one for one in elements(draw, page_of(ConsoleModel(P.streak_flags, xshg()), view)) if isinstance(one, ui.toggle)
    ]
    assert hours.options[8] == ("8 h" if view is EN else "8 小时")


@pytest.mark.parametrize("draw", [cards.listing, lambda page: cards.detail(page, "a")], ids=["list", "page"])
def test_a_silence_that_ends_leaves_an_open_page(draw: Callable[[Page], object]) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_alert(msgspec.structs.replace(alert("a"), silence=Silence(id="s", until=moment(1, 2), by="li")))

    def left_open(page: Page, until: int) -> None:
        model.clock = clock(1, 1)
        draw(page)
        model.clock = clock(1, until)
        page._redraws.tick()

    silenced = [
        any(text.startswith("🔕") for text in texts(lambda page, until=until: left_open(page, until), page_of(model)))
        for until in (1, 2)
    ]
    assert silenced == [True, False]


def test_the_curve_of_an_alert_has_the_days_that_follow_it() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_alert(alert("a"))
    model.offer_market(signal("fin_buy_ratio_5d", 0.1, 1))
    page = page_of(model)

    async def curve() -> list[Any]:
        with Client(ui.page("")) as client:
            cards.detail(page, "a")
            model.offer_market(signal("fin_buy_ratio_5d", 0.09, 2))
            page._redraws.tick()
            (chart,) = (one for one in client.elements.values() if isinstance(one, ChartElement))
            (ratio,) = (one for one in chart.options["series"] if one["id"] == "ratio")
            return list(ratio["data"])

    assert asyncio.run(curve()) == [["2024-07-01", 0.1], ["2024-07-02", 0.09]]


def test_the_curve_of_an_alert_marks_the_breaks_of_the_ratio() -> None:
    """On its own page the break of a warning was at no place of its curve."""
    page = page_of(full())

    async def marked() -> list[str]:
        with Client(ui.page("")) as client:
            cards.detail(page, "peak_alert")
            (chart,) = (one for one in client.elements.values() if isinstance(one, ChartElement))
            (breaks,) = (one for one in chart.options["series"] if one["id"] == "breaks")
            return [str(point["value"][0]) for point in breaks["data"]]

    (card,) = page.site.model.records_of(*record.PEAK)
    assert asyncio.run(marked()) == [row.trade_date.isoformat() for row in card.rows]


@VIEWS
def test_the_moment_of_the_last_change_has_its_day(view: View) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.clock = clock(1, 1)
    model.offer_market(signal("fin_balance", 1.0))
    found = texts(lambda page: frame(page, lambda _page: None), page_of(model, view))
    assert {"en": "updated 07-01 09:00 Shanghai", "zh": "更新于 07-01 09:00 北京时间"}[view.language] in found


def test_a_factor_has_the_sign_that_it_has_in_heat() -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_industries(industries(1, 1.0, heat_pe=1.0, risk_pe=-1.0, heat_breadth=0.5))
    found = texts(lambda page: industry.draw(page, "银行"), page_of(model))
    parts = {name: found[found.index(name) + 1] for name in ("−PE", "PE", "Breadth")}
    assert parts == {"−PE": "▲ 1.00", "PE": "▼ 1.00", "Breadth": "▲ 0.50"}


@pytest.mark.parametrize(("newest", "shown"), [(np.nan, "07-01: ▲ +2.00%"), (-0.01, "▼ −1.00%")])
def test_an_industry_shows_the_change_of_the_last_week_with_its_day(newest: float, shown: str) -> None:
    """On four days of five the tile was absent, without a reason."""
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_industries(industries(1, 1.0, week_change=0.02))
    model.offer_industries(industries(2, 1.0, week_change=newest))
    found = texts(lambda page: industry.draw(page, "银行"), page_of(model))
    assert found[found.index("Weekly change of the balance") + 1] == shown


@VIEWS
def test_an_industry_shows_its_newest_day_with_figures_and_why_a_newer_one_has_none(view: View) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    model.offer_industries(industries(1, 1.0))
    why = dict.fromkeys(("fin_balance", "net_buy"), "margin.daily of 2024-07-02 lacks all rows of SSE")
    absent = industries(2, np.nan, fin_balance=np.nan, heat=np.nan, risk=np.nan)
    model.offer_industries(replace(absent, left_out=why))
    found = texts(lambda page: industry.draw(page, "银行"), page_of(model, view))
    day, reason = {
        "en": ("2024-07-01 · ⚠ 07-02 incomplete", "margin.daily of 2024-07-02 lacks all rows of SSE"),
        "zh": ("2024-07-01 · ⚠ 07-02 数据不全", "2024-07-02的margin.daily缺少SSE全部数据"),
    }[view.language]
    assert day in found and "▲ 0.50" in found
    assert sum(one.startswith("2024-07-02 · ") and one.endswith(reason) for one in found) == 1


@VIEWS
def test_the_difference_of_a_record_is_in_points(view: View) -> None:
    found = texts(lambda page: record.detail(page, *record.PEAK), page_of(full(), view))
    shown = {
        "en": "Difference to any day: −10 pp … +40 pp (95%, 1 episode)",
        "zh": "与任意日之差: −10 pp … +40 pp (95%, 1 个互不重叠的时段)",
    }
    assert shown[view.language] in found


@VIEWS
def test_every_figure_of_past_cases_has_a_name(view: View) -> None:
    figures = {one.figure for rule in rules(P) for one in rule.expectations}
    assert "excess_financing" in figures and figures <= labels.CASE_FIGURES.keys()
    model = full()
    model.offer_records([msgspec.structs.replace(model.records[0], figure="excess_financing")])
    found = "".join(markup(lambda page: record.detail(page, *record.PEAK), page_of(model, view)))
    shown = {"en": "Excess", "zh": "超额融资"}[view.language]
    assert f"<th scope=col>{shown}</th>" in found and "excess_financing" not in found


@VIEWS
def test_the_page_of_a_record_names_its_subject(view: View) -> None:
    found = texts(lambda page: record.detail(page, *record.PEAK), page_of(full(), view))
    named = {"en": "Peak warning · 5-day ratio · Past cases", "zh": "顶部预警 · 5日占比 · 历次案例"}
    assert named[view.language] in found


@VIEWS
def test_the_record_of_the_industries_is_one_for_all_and_names_each_case(view: View) -> None:
    model = full()
    (card,) = model.records
    risk = {"figure": 2.1, "entry": None, "hit": None, "members": 1, "member_hits": 1}
    rows = [
        msgspec.structs.replace(row, subject=name, **risk)
        for row, name in zip(card.rows, ["银行", "电子"] * 9, strict=False)
    ]
    model.offer_records([msgspec.structs.replace(
        card, rule="industry_risk_high", subject="industries", figure="risk_sigma", unit="", rows=rows)])  # fmt: skip
    found = "".join(markup(lambda page: record.detail(page, "industry_risk_high", "银行"), page_of(model, view)))
    name = {"en": "Banks", "zh": "银行"}[view.language]
    assert all(f">{cell}</td>" in found for cell in (name, "2.1", "1/1"))  # 2.1σ, not 210%


@VIEWS
def test_two_base_rates_on_one_screen_have_their_days(view: View) -> None:
    found = texts(home.draw, page_of(full(), view))
    assert {"en": "as of 2024-07-01", "zh": "截至 2024-07-01"}[view.language] in found
    before = {"en": " · known before 2024-07-01", "zh": " · 统计早于 2024-07-01"}[view.language]
    assert sum(one.endswith(before) for one in found) == 1


def test_links_of_a_page_of_an_earlier_day_keep_the_day() -> None:
    now = full()
    model = now.known_at(date(2024, 6, 28))
    model.alerts, model.records = now.alerts, now.records  # to have every kind of link
    for draw in (
        home.draw, studies.draw, lambda page: record.detail(page, *record.PEAK),
        lambda page: cards.detail(page, "peak_alert"), lambda page: frame(page, lambda _page: None),
    ):  # fmt: skip
        page = page_of(model)
        page.present = now
        found = [address for address in links(draw, page) if address.startswith("/")]
        assert found and [address for address in found if "asof=2024-06-28" not in address] == []


def test_past_cases_are_left_out_of_an_earlier_day_and_the_page_says_so() -> None:
    found = texts(lambda page: record.detail(page, *record.PEAK), page_of(full().known_at(date(2024, 6, 28))))
    assert "Past cases are those known now: a page of an earlier day leaves them out." in found


def test_the_page_of_a_study_without_a_folder_says_how_to_set_one() -> None:
    found = texts(lambda page: studies.detail(page, "peak"), page_of(ConsoleModel(P.streak_flags, xshg())))
    assert any("MARGINWATCH_STUDY_DATA" in one for one in found)


def saved(monkeypatch: pytest.MonkeyPatch, draw: Callable[[Page], object], page: Page) -> Callable[[], list[str]]:
    """A function that saves every chart and table of a page, once drawn, as CSV and returns the names of the files."""
    names: list[str] = []
    drawn: list[object] = []
    monkeypatch.setattr(ui.download, "content", lambda _content, name, _kind: names.append(name))
    client = Client(ui.page(""))

    def pressed(one: ui.element) -> None:
        for listener in one._event_listeners.values():
            handle_event(listener.handler, GenericEventArguments(sender=one, client=client, args={}))

    async def save() -> list[str]:
        with client:
            if not drawn:
                page.layer = ui.element("div")
                drawn.append(draw(page))
            for button in [one for one in client.elements.values() if "export" in one.classes]:
                pressed(button)
            for item in [one for one in client.elements.values() if isinstance(one, ui.menu_item)]:
                if "Download CSV" in (child.text for child in item if isinstance(child, TextElement)):
                    pressed(item)
        found = names.copy()
        names.clear()
        return found

    return lambda: asyncio.run(save())


def offer_evening(model: ConsoleModel, day: int) -> None:
    """Offer securities, industries and a group of a day, and the turnover of the next one."""
    columns = {name: np.full(1, 1.0) for name in ("fin_balance", "fin_change", "fin_streak", "extreme")}
    model.offer_securities(SecuritySignals(status(day), np.array([to_id("600519.SH")], dtype=np.int32), columns))
    model.offer_industries(industries(day, 1.0))
    model.offer_market(signal("group_balance/CSI300", 1e9, day))
    model.offer_market(signal("turnover_mean_5d", 1e12, day + 1))


def test_a_file_of_figures_without_days_has_their_day_whenever_it_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the evening the market has figures of a day that the margin list does not have yet; pages stay open."""
    model = ConsoleModel(P.streak_flags, xshg())
    save = saved(monkeypatch, home.draw, page_of(model))
    for day in (1, 3):
        offer_evening(model, day)
        names = save()
        for title in ("Flags of the day", "Industries", "Groups", "Industries: heat, risk"):
            assert f"{title} 2024-07-0{day}.csv" in names
        assert f"Margin balance 2024-07-0{day + 1}.csv" in names  # whose rows have days


@pytest.mark.parametrize(
    ("draw", "names"),
    [
        (
            lambda page: security.draw(page, "600519.SH"),
            {"600519.SH Balance streak 2024-07-02.csv", "600519.SH Excess score 2024-07-02.csv"},
        ),
        (lambda page: industry.draw(page, "银行"), {"Banks Heat · Risk 2024-07-02.csv"}),
    ],
    ids=["security", "industry"],
)
def test_a_file_names_the_security_or_industry_of_its_page(
    monkeypatch: pytest.MonkeyPatch, draw: Callable[[Page], object], names: set[str]
) -> None:
    model = ConsoleModel(P.streak_flags, xshg())
    offer_evening(model, 1)
    found = saved(monkeypatch, draw, page_of(model))()
    assert names <= set(found)
    assert len({name.partition(" ")[0] for name in found}) == 1


def test_the_past_cases_of_a_rule_can_be_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[list[list[Any]]] = []
    monkeypatch.setattr(figure, "as_csv", lambda heads, rows: tables.append([heads, *rows]))
    page = page_of(full())
    (name,) = saved(monkeypatch, lambda page: record.detail(page, *record.PEAK), page)()
    (card,) = page.site.model.records_of(*record.PEAK)
    assert name.endswith(f"Past cases {card.until}.csv") and "Peak warning" in name
    heads, newest, *others = tables[0]
    assert heads == ["Date", "Ratio", "Entered", "Entry", "5 d", "20 d", "60 d", "Worst", "Hit"]
    day, entered = card.rows[-1].trade_date.isoformat(), str(card.rows[-1].entry_date)
    assert newest == [day, 0.0991, entered, 3400.0, 0.01, -0.02, -0.05, -0.12, "✓"]
    assert len(others) == len(card.rows) - 1


def test_a_case_is_on_the_page_as_in_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of industries, too, each of which is named; a return has the colour of its sign, an entry its day."""
    tables: list[list[list[Any]]] = []
    monkeypatch.setattr(figure, "as_csv", lambda heads, rows: tables.append([heads, *rows]))
    model = full()
    (card,) = model.records
    names = itertools.cycle(["银行", "电子"])
    rows = [msgspec.structs.replace(row, subject=next(names)) for row in card.rows]
    rows[-1] = msgspec.structs.replace(rows[-1], returns={"5": 0.0, "20": 0.5}, drawdown=None)
    rows[-2] = msgspec.structs.replace(rows[-2], trade_date=date(2023, 12, 29), entry_date=date(2024, 1, 2))
    rows[-3] = msgspec.structs.replace(rows[-3], entry_date=None)
    model.offer_records([msgspec.structs.replace(card, subject="industries", rows=rows)])
    page = page_of(model)
    saved(monkeypatch, lambda page: record.detail(page, card.rule, "industries"), page)()
    heads, *cases = tables[0]
    (table,) = [
        one for one in markup(lambda page: record.detail(page, card.rule, "industries"), page) if "<tbody>" in one
    ]
    assert re.findall("<th scope=col>(.*?)</th>", table) == heads
    lines = re.findall("<tr>(.*?)</tr>", table.partition("<tbody>")[2])
    assert len(lines) == len(cases) == len(rows)
    for line, case, row in zip(lines, cases, reversed(rows), strict=True):
        assert f">{row.trade_date}</a>" in line
        cells = re.findall('<td class="(.*?)">(.*?)</td>', line)
        assert cells[0][1] == case[1] == labels.industry(row.subject, "en")
        for (tone, shown), value in zip(cells[4:8], case[5:9], strict=True):
            assert tone == ("" if not value else "rise" if value > 0 else "fall")
            signed = "0.0%" if value == 0 else f"{value or 0:+.1%}".replace("-", "−")
            assert shown == ("–" if value is None else signed)
        assert (cells[3][1], case[4]) == (f"{row.entry:,.0f}", row.entry)
        assert case[3] == (str(row.entry_date) if row.entry_date else "–")
        assert cells[2][1] == (
            case[3] if not row.entry_date or row.entry_date.year != row.trade_date.year else case[3][5:]
        )


@pytest.mark.parametrize(
    ("reads", "status", "shown"), [(True, 200, "Waiting for the first signals …"), (False, 404, "")]
)
def test_an_alert_is_unknown_once_the_history_is_read(reads: bool, status: int, shown: str) -> None:
    model = full()
    model.offer_feeds([], None, reads_history=reads)
    drawn = elements(lambda page: cards.detail(page, "none"), page_of(model))
    assert drawn[0].client.status_code == status
    assert [one.text for one in drawn if isinstance(one, ui.label)] == ["Nothing is known of none", shown]


@VIEWS
def test_a_page_beside_the_overview_says_that_newer_figures_are_due(view: View) -> None:
    """The figures of a security of a month ago had their day, and nothing said that it is an old one."""
    model = full()
    due = clock(9, 1).now().date()
    warned = {"en": f"⚠ late: figures of {due} are due", "zh": f"⚠ 迟到：{due}数据应已公布"}[view.language]
    for day, first, shown in ((due, ("", ""), True), (due, ("asked", "answered"), False), (None, ("", ""), False)):
        model.offer_feeds([Feed(name, due, True, day, 1) for name in VERDICT.inputs], None)
        found = texts(lambda page, first=first: frame(page, lambda _: None, first), page_of(model, view))
        assert (warned in found) is shown


def test_the_strip_names_the_year_of_a_day_that_is_not_of_this_year() -> None:
    """A history of 2015 was late since "07-02"."""
    model = ConsoleModel(P.streak_flags, xshg())
    today = shanghai_date(model.clock.now())
    feeds = {"rates.daily": date(2015, 7, 2), "margin.daily": today.replace(day=1)}
    model.offer_feeds([Feed(name, day, True, day, 1) for name, day in feeds.items()], None)
    page = page_of(model)
    (strip,) = [one for one in elements(data_strip.draw, page) if isinstance(one, ui.html)]
    assert "2015-07-02 complete" in strip.content
    assert f" {today:%m}-01 complete" in strip.content


def test_a_figure_on_page_and_sheet_has_one_rounding_and_says_which_days_its_percentile_is_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The page showed 2.6%, whose published deciles are 0.05 points apart, the sheet 2.59%."""
    model = ConsoleModel(P.streak_flags, xshg())
    sessions = [to_date(day) for day in xshg().between(to_day(date(2023, 1, 2)), to_day(date(2024, 6, 3)))]
    for day in sessions:
        known = msgspec.structs.replace(signal("collateral_ratio", 2.68604), trade_date=day)
        model.offer_market(known)
    assert "268.60% · pctl. since 2023-01-03: 100%" in texts(panels.draw, page_of(model))
    drawn: list[str] = []
    monkeypatch.setattr(sheet._Sheet, "text", lambda _sheet, _x, _y, text, *_, **__: drawn.append(text))
    sheet.render(model, EN)
    assert any(text.startswith("Change, percentile of all days") for text in drawn)
    assert {"268.60%", "P100"} <= set(drawn)


@VIEWS
def test_a_warning_of_the_sheet_has_its_record_as_on_the_page(view: View, monkeypatch: pytest.MonkeyPatch) -> None:
    model = full()
    (warning,) = model.firing()
    other = msgspec.structs.replace(warning.evidence[0], hits=1)
    info = msgspec.structs.replace(warning, id="i", severity=Severity.INFO, evidence=[other])
    model.offer_alert(info)
    drawn: list[str] = []
    monkeypatch.setattr(sheet._Sheet, "text", lambda _sheet, _x, _y, text, *_, **__: drawn.append(text))
    sheet.render(model, view)
    shown = "".join(drawn)
    assert {"en": "7/9 (78%); any day 53%", "zh": "7/9（78%）；任意日53%"}[view.language] in shown
    assert {"en": f"known before {warning.trade_date}", "zh": f"统计早于 {warning.trade_date}"}[view.language] in shown
    assert "1/9" not in shown
