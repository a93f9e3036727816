"""What the pages say of a made model, without a browser: days of figures, absent figures, names, units, links."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from nicegui import Client, ui
from nicegui.elements.mixins.text_element import TextElement

from alerts.model import Silence
from alerts.rules import rules
from console import cards, home, industry, panels, record, security
from console.access import Access, Identity
from console.chart_element import ChartElement
from console.model import ConsoleModel
from console.redraws import Redraws
from console.site import Page, Site, frame
from console.theme import View
from processors.codes import to_id
from processors.outputs import SecuritySignals
from processors.parameters import Parameters
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


def texts(draw: Callable[[Page], object], page: Page) -> list[str]:
    """The visible texts that a function draws, in their order."""

    async def drawn() -> list[str]:
        with Client(ui.page("")) as client:
            draw(page)
            found = (one for one in client.elements.values() if isinstance(one, TextElement) and one.visible)
            return [one.text for one in found]

    return asyncio.run(drawn())


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "07-01: ¥1.50 bn · pctl. 100%"), (1.6e9, "¥1.60 bn · pctl. 100%")],
)
def test_a_panel_has_the_day_of_a_figure_that_is_not_of_the_newest_day(value: float | None, shown: str) -> None:
    model = ConsoleModel(P.streak_flags)
    model.offer_market(signal("fin_balance", 1.5e9, 1))
    model.offer_market(signal("fin_balance", value, 2))
    found = texts(panels.draw, page_of(model))
    assert shown in found and ("no rows" in found) is (value is None)


@pytest.mark.parametrize(("level", "shown"), [(0, "±5%"), (1, "▲ ±5%"), (-1, "▼ ±5%"), (None, "±5% · absent: no rows")])
def test_an_absent_level_is_not_inside_the_band(level: int | None, shown: str) -> None:
    model = ConsoleModel(P.streak_flags)
    model.offer_market(signal("excess_level", level))
    assert shown in texts(home.draw, page_of(model))


@pytest.mark.parametrize(("streak", "shown"), [(5.0, "▲ 5"), (0.0, " 0"), (np.nan, "–")])
def test_an_absent_streak_of_a_security_is_not_one_of_no_days(streak: float, shown: str) -> None:
    model = ConsoleModel(P.streak_flags)
    columns = {name: np.full(1, 0.1) for name in ("fin_balance", "fin_change", "excess_score", "streak_excess")}
    keys = np.array([to_id("600519.SH")], dtype=np.int32)
    model.offer_securities(SecuritySignals(status(1), keys, columns | {"fin_streak": np.full(1, streak)}))
    found = texts(lambda page: security.draw(page, "600519.SH"), page_of(model))
    assert found[found.index("Balance streak") + 1] == shown


@pytest.mark.parametrize("draw", [cards.listing, lambda page: cards.detail(page, "a")], ids=["list", "page"])
def test_a_silence_that_ends_leaves_an_open_page(draw: Callable[[Page], object]) -> None:
    model = ConsoleModel(P.streak_flags)
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
    model = ConsoleModel(P.streak_flags)
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


@VIEWS
def test_the_moment_of_the_last_change_has_its_day(view: View) -> None:
    model = ConsoleModel(P.streak_flags)
    model.clock = clock(1, 1)
    model.offer_market(signal("fin_balance", 1.0))
    found = texts(lambda page: frame(page, lambda _page: None), page_of(model, view))
    assert {"en": "updated 07-01 09:00 Shanghai", "zh": "更新于 07-01 09:00 北京时间"}[view.language] in found


def test_a_factor_has_the_sign_that_it_has_in_heat() -> None:
    model = ConsoleModel(P.streak_flags)
    model.offer_industries(industries(1, 1.0, heat_pe=1.0, risk_pe=-1.0, heat_breadth=0.5))
    found = texts(lambda page: industry.draw(page, "银行"), page_of(model))
    parts = {name: found[found.index(name) + 1] for name in ("−PE", "PE", "Breadth")}
    assert parts == {"−PE": "▲ 1.00", "PE": "▼ 1.00", "Breadth": "▲ 0.50"}


@VIEWS
def test_an_industry_shows_its_newest_day_with_figures_and_why_a_newer_one_has_none(view: View) -> None:
    model = ConsoleModel(P.streak_flags)
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
