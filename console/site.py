"""What every page shares: its context, the header, parts that follow the book, and sending what somebody says."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from nicegui import ui

from alerts.commands import Command
from console import labels
from console.access import Access
from console.model import ConsoleModel, Part
from console.theme import CSS, Palette, View
from processors.days import SHANGHAI
from processors.errors import MarginwatchError
from processors.parameters import Parameters

#: How often a page looks for news: at most so many redraws a second, however many messages come.
TICK_S = 0.25


class Preferences(Protocol):
    """Where what people prefer is remembered, by name."""

    async def load(self, who: str) -> dict[str, Any]:
        """What was saved, empty if nothing was."""
        ...

    async def save(self, who: str, values: dict[str, Any]) -> None:
        """Remember."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are made of.

    Parameters
    ----------
    say : publishes what somebody says about alerts; returns once the broker has it.
    """

    book: ConsoleModel
    access: Access
    parameters: Parameters
    preferences: Preferences
    say: Callable[[Command], Awaitable[None]]


@dataclass(slots=True)
class _Following:
    """A part of a page, and which versions of the book it shows."""

    parts: tuple[Part, ...]
    draw: Callable[[], None]
    every_s: float
    seen: list[int]
    drawn: float


@dataclass(slots=True)
class Page:
    """One open page of one person."""

    site: Site
    view: View
    session: Mapping[str, Any]
    user: str
    remembered: dict[str, Any]
    layer: ui.element = field(init=False)  # holds dialogs: parts that are drawn anew must not take them away
    _parts: list[_Following] = field(default_factory=list)

    @property
    def who(self) -> str:
        """The key of this person's preferences."""
        return f"user:{self.user}" if self.user else f"browser:{self.session.get('id', '')}"

    def follow(self, parts: tuple[Part, ...], draw: Callable[[], None], *, every_s: float = TICK_S) -> None:
        """Draw now, and again when one of the parts of the book has changed, at most once in ``every_s``."""
        self._parts.append(_Following(parts, draw, every_s, self._versions(parts), time.monotonic()))
        draw()

    def start(self) -> None:
        """Begin to look for news; ends with the page."""
        ui.timer(TICK_S, self._tick)

    def _tick(self) -> None:
        now = time.monotonic()
        for one in self._parts:
            versions = self._versions(one.parts)
            if versions != one.seen and now - one.drawn >= one.every_s - TICK_S / 2:
                one.seen, one.drawn = versions, now
                one.draw()

    def _versions(self, parts: tuple[Part, ...]) -> list[int]:
        return [self.site.book.versions[part] for part in parts]

    async def prefer(self, **values: Any) -> None:
        """Remember a preference; the page is drawn anew."""
        await self.remember(**values)
        ui.navigate.reload()

    async def remember(self, **values: Any) -> None:
        """Remember without drawing anew."""
        self.remembered |= values
        await self.site.preferences.save(self.who, self.remembered)

    async def send(self, command: Command) -> bool:
        """Publish a command, if the session still holds; tell how it went."""
        say = self.view.say
        if self.site.access.user(self.session) is None and self.user != "token":
            ui.notify(say("no_session"), type="negative")
            return False
        try:
            await self.site.say(command)
        except (MarginwatchError, OSError) as error:
            ui.notify(f"{say('failed')}: {error}", type="negative")
            return False
        ui.notify(say("sent"), type="positive")
        return True


def view_of(remembered: Mapping[str, Any], accepted: str) -> View:
    """The view that a person prefers; without one, the browser's language."""
    language = remembered.get("language") or ("zh" if accepted.lower().startswith("zh") or not accepted else "en")
    palette: Palette = remembered.get("palette", "cn")
    return View("en" if language == "en" else "zh", bool(remembered.get("dark", False)), palette)


def frame(page: Page) -> None:
    """The header that every page has."""
    view, say = page.view, page.view.say
    ui.add_css(CSS)
    ui.add_css(view.css())
    ui.dark_mode(view.dark)
    ui.colors(primary=view.colours.accent)
    ui.page_title(f"{say('title')} · marginwatch")
    ui.query("html").props(f"lang={'en' if view.language == 'en' else 'zh-CN'}")
    ui.html(f'<a class="skip" href="#alerts">{say("skip")}</a>', sanitize=False)
    page.layer = ui.element("div")
    with ui.element("header").classes("bar w-full"):
        with ui.link(target="/").classes("name").props(f'aria-label="{say("back")}"'):
            ui.html(f"◢<span> {say('title')}</span>", sanitize=False, tag="span")
        day = ui.label().classes("pill num").mark("day")
        live = ui.label().classes("pill live").mark("live")
        fake = ui.label(say("simulated")).classes("pill bad")
        trouble = ui.label().classes("pill bad")
        ui.element("div").classes("grow")
        clock = ui.label().classes("muted num wideonly")
        goto = ui.input(placeholder=say("open_security")).props("dense borderless").classes("wideonly")
        goto.props(f'aria-label="{say("open_security")}" style="width:130px"')
        goto.on(
            "keydown.enter", lambda: ui.navigate.to(f"/security/{goto.value.strip().upper()}") if goto.value else None
        )
        other = "zh" if view.language == "en" else "en"
        flat = "flat dense no-caps color=primary"
        ui.button("中文" if other == "zh" else "EN", on_click=lambda: page.prefer(language=other)).props(
            f'{flat} aria-label="{say("language")}"'
        ).mark("language")
        with ui.button("▲▼").props(f'{flat} aria-label="{say("colours")}"').mark("palette"), ui.menu():
            for palette in ("cn", "west", "cvd"):
                chosen = "● " if palette == view.palette else "○ "
                ui.menu_item(
                    chosen + say(f"palette_{palette}"), on_click=lambda _=None, p=palette: page.prefer(palette=p)
                )
        ui.button("☀" if view.dark else "☾", on_click=lambda: page.prefer(dark=not view.dark)).props(
            f'{flat} aria-label="{say("theme")}"'
        ).mark("theme")
        if page.user and page.user != "token":
            with ui.element("form").props("method=post action=/logout"):
                ui.button(page.user, icon="logout").props(
                    f'{flat} type=submit aria-label="{say("logout")} {page.user}"'
                )

    def draw() -> None:
        book = page.site.book
        day.set_text(labels.day(book.day))
        day.set_visibility(book.day is not None)
        session = max((s.trade_date for s in book.live.values()), default=None)
        live.set_visibility(session is not None)
        if session is not None:
            at = max(s.available_at for s in book.live.values())
            live.set_text(f"◔ {say('provisional')} {labels.moment(at)}")
        fake.set_visibility(book.simulated)
        trouble.set_visibility(bool(book.trouble))
        trouble.set_text(f"⚠ {say('trouble')}: {book.trouble}"[:80])
        changed = book.changed_at
        clock.set_text("" if changed is None else f"{say('updated')} {changed.astimezone(SHANGHAI):%H:%M:%S}")

    page.follow((Part.FINAL, Part.LIVE, Part.FEEDS), draw)
