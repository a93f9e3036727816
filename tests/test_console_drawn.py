"""What the pages say of a made model, without a browser: days of figures, absent figures, names, units, links."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from nicegui import Client, ui
from nicegui.elements.mixins.text_element import TextElement

from alerts.rules import rules
from console import panels
from console.access import Access, Identity
from console.model import ConsoleModel
from console.site import Page, Site
from console.theme import View
from processors.parameters import Parameters
from tests.served_console import Memory
from tests.test_console import signal

P = Parameters()
ZH, EN = View(P, "zh"), View(P, "en")
VIEWS = pytest.mark.parametrize("view", [EN, ZH], ids=["en", "zh"])


def page_of(model: ConsoleModel, view: View = EN, **site: Any) -> Page:
    """A page of nobody on a model, which is also that of now."""

    async def publish(_command: object) -> None:
        raise AssertionError("nobody has sent a command")

    memory = Memory()
    of = Site(model, Access("127.0.0.1", memory), P, tuple(rules(P)), memory, publish, **site)
    return Page(of, view, {}, Identity(), {}, model)


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
