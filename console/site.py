"""Common to every page: its context, the header, parts that follow the model, and sending commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any, Protocol

from nicegui import ui
from nicegui.events import GenericEventArguments

from alerts.commands import Command
from alerts.rules.base import Rule
from alerts.verdict import late_text
from console import formats, labels
from console.access import Access, Identity
from console.chart_element import ChartUpdates
from console.errors import AccessError, UnconfirmedError
from console.model import ConsoleModel, Part
from console.redraws import TICK_S, Redraws
from console.study_results import Studies
from console.theme import CSS, Palette, View
from processors.chart_scores import NO_MODEL, Scorer
from processors.days import SHANGHAI, shanghai_date
from processors.errors import MarginwatchError
from processors.parameters import Parameters

#: The cookie with the browser's theme, for those who have chosen none.
SCHEME = "marginwatch-scheme"
#: Seconds between two checks of the session of an open page.
_SESSION_CHECK_S = 5.0


class Preferences(Protocol):
    """Stores people's preferences by name."""

    async def load(self, who: str) -> dict[str, Any]:
        """Return the saved preferences, empty if there are none."""
        ...

    async def save(self, who: str, values: dict[str, Any]) -> None:
        """Save preferences."""
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """The dependencies of the pages.

    Parameters
    ----------
    rules : the rules in force.
    publish : publishes a command about alerts; returns once the broker has acknowledged it, and raises
        `UnconfirmedError` where nobody knows whether it has arrived.
    charts : the chart model, which draws maps of its charts, or the reason why there is none.
    studies : the results of studies; None where nobody computes any.
    """

    model: ConsoleModel
    access: Access
    parameters: Parameters
    rules: tuple[Rule, ...]
    preferences: Preferences
    publish: Callable[[Command], Coroutine[Any, Any, None]]
    charts: Scorer | str = NO_MODEL
    studies: Studies | None = None


@dataclass(slots=True)
class Page:
    """One open page of one person."""

    site: Site
    view: View
    session: Mapping[str, Any]
    identity: Identity
    remembered: dict[str, Any]
    present: ConsoleModel  # what is known now, also on a page of an earlier day
    no_day: str = ""  # what the address names in place of a day that is over: the page shows the present
    subject: str = field(default="", init=False)  # the security or industry that the page is about
    layer: ui.element = field(init=False)  # parent of dialogs: redrawing an element must not close them
    chart_updates: ChartUpdates = field(init=False)
    complete: bool = field(default=False, init=False)  # whether everything is drawn for the first time
    _redraws: Redraws = field(init=False)

    def __post_init__(self) -> None:
        self._redraws = Redraws(self._version)

    @property
    def user(self) -> str:
        """The name under which the person acts; "" where no login is required, so that it can be chosen."""
        return self.identity.name

    @property
    def who(self) -> str:
        """The key of this person's preferences."""
        return f"user:{self.user}" if self.user else f"browser:{self.session.get('id', '')}"

    @property
    def suffix(self) -> str:
        """What the addresses of a page of an earlier day end in."""
        return "" if self.site.model.as_of is None else f"?asof={self.site.model.as_of}"

    def path(self, path: str) -> str:
        """Return the address of another page of the same day."""
        return path + (self.suffix.replace("?", "&", 1) if "?" in path else self.suffix)

    def follow(
        self, parts: tuple[Part, ...], draw: Callable[[], None], *, every_s: float = 0.0, drawn: bool = False
    ) -> None:
        """Draw now, unless it is drawn, and again after changes of the model's parts, see `Redraws.follow`."""
        self._redraws.follow(parts, draw, every_s=every_s, drawn=drawn)

    def start(self) -> None:
        """Start checking for changes and the session; ends with the page."""
        self.complete = True
        changes = ui.timer(TICK_S, self._redraws.tick)

        async def check() -> None:
            try:
                if await self._signed_in():
                    return
            except AccessError:
                return  # an outage ends no session; the next check decides
            changes.deactivate()  # the page receives nothing more, whatever the browser does
            sessions.deactivate()
            ui.navigate.to("/login")

        sessions = ui.timer(_SESSION_CHECK_S, check)

    async def _signed_in(self) -> bool:
        """Whether the page's session is still valid; raises `AccessError` where that can't be known."""
        return self.identity.by_token or await self.site.access.identity(self.session) is not None

    def _version(self, part: Part) -> int:
        """Return the version of a part; results of studies are those of now on the page of any day."""
        model = self.present if part is Part.STUDIES else self.site.model
        return model.version(part)

    async def prefer(self, **values: Any) -> None:
        """Save a preference and reload the page."""
        await self.remember(**values)
        ui.navigate.reload()

    async def remember(self, **values: Any) -> None:
        """Save preferences without reloading."""
        self.remembered |= values
        await self.site.preferences.save(self.who, self.remembered)

    async def send(self, command: Command) -> bool:
        """Publish a command if the session is still valid, and show the result."""
        return await self.act(self.site.publish(command))

    async def act(self, action: Coroutine[Any, Any, None]) -> bool:
        """Do what a person asks for if the session is still valid, and show the result."""
        label = self.view.label
        try:
            if not await self._signed_in():
                ui.notify(label("no_session"), type="negative")
                return False
            await action
        except UnconfirmedError as error:
            ui.notify(f"{label('unconfirmed')} ({error})", type="warning")
            return False
        except (MarginwatchError, OSError) as error:
            ui.notify(f"{label('failed')}: {error}", type="negative")
            return False
        finally:
            action.close()
        ui.notify(label("sent"), type="positive")
        return True


def view_of(parameters: Parameters, remembered: Mapping[str, Any], accepted: str, scheme: str = "") -> View:
    """Return the view that a person prefers; without a preference, in the language and the theme of the browser.

    Parameters
    ----------
    remembered : the saved preferences.
    accepted : the header Accept-Language.
    scheme : the cookie `SCHEME`, ``dark`` or ``light``; empty before the first page.
    """
    language = remembered.get("language") or ("zh" if accepted.lower().startswith("zh") or not accepted else "en")
    palette: Palette = remembered.get("palette", "cn")
    dark = bool(remembered.get("dark", scheme == "dark"))
    return View(parameters, "en" if language == "en" else "zh", dark, palette)


def _follow_scheme(view: View) -> str:
    """Return the script that opens a page again in the theme of the browser; the server draws its charts in colours.

    A change while somebody writes in a dialog waits for the next page.
    """
    return f"""<script>(() => {{
    const system = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => {{
        const scheme = "{SCHEME}=" + (system.matches ? "dark" : "light");
        if (system.matches === {json.dumps(view.dark)} || document.querySelector(".q-dialog")) return;
        document.cookie = scheme + ";path=/;max-age=31536000;samesite=lax";
        if (document.cookie.includes(scheme)) location.reload();
    }};
    system.addEventListener("change", follow);
    follow();
}})();</script>"""


def content(classes: str) -> ui.element:
    """Draw the element of a page's content, the target of the first link; Quasar's page is the main landmark."""
    return ui.element("div").classes(classes).props("id=content tabindex=-1")


def subject_heading(text: str) -> None:
    """Draw what a whole page is about, a heading also for a screen reader."""
    ui.label(text).props("role=heading aria-level=2").classes("subject").mark("subject")


def heading(text: str) -> None:
    """Draw the title of a card."""
    with ui.element("h2"):
        ui.label(text)


def _calendar(page: Page) -> ui.element:
    """Draw the newest day; another choice opens the page as it was known on that day."""
    model, label = page.site.model, page.view.label

    def go(event: GenericEventArguments) -> None:
        today, chosen = shanghai_date(page.present.clock.now()), event.args
        now = not chosen or chosen >= today.isoformat()
        ui.navigate.to("?" if now else f"?asof={chosen}")

    # The browser's own field: NiceGUI's sends a message of its own with every new value.
    field = ui.element("input").mark("as-of").classes("as-of pill num")
    field.props(f'type=date aria-label="{label("as_of")}"').on("change", go, js_handler="e => emit(e.target.value)")
    if model.as_of is not None:
        with ui.element("span").classes("pill bad"):
            ui.link(f"{label('as_of_day')} · {label('to_now')}", "?").style("color:inherit")
    elif page.no_day:
        ui.label(f"“{page.no_day}”: {label('no_day')}").classes("pill bad").mark("no-day")
    return field


def _lost_connection(view: View) -> str:
    """Return the script that gives NiceGUI's message of a lost connection a language, and a role for screen readers."""
    texts = json.dumps([view.label("connection_lost"), view.label("reconnects")])
    return f"""<script>addEventListener("DOMContentLoaded", () => {{
    const message = document.getElementById("popup");
    message.role = "alert";
    {texts}.forEach((text, i) => message.children[i].textContent = text);
}});</script>"""


#: Quasar's heads of tables sort by a click alone, and name no order to a screen reader.
_SORTABLE_HEADS = """<script>addEventListener("DOMContentLoaded", () => {
    const order = head => head.matches(".sort-desc") ? "descending" : head.matches(".sorted") ? "ascending" : "none";
    const reach = () => document.querySelectorAll("th.sortable").forEach(head => {
        head.tabIndex = 0;
        head.ariaSort = order(head);
    });
    new MutationObserver(reach).observe(
        document.body, {subtree: true, childList: true, attributes: true, attributeFilter: ["class"]});
    document.body.addEventListener("keydown", event => {
        if (!event.target.matches("th.sortable") || ![" ", "Enter"].includes(event.key)) return;
        event.preventDefault();
        event.target.click();
    });
});</script>"""


def frame(page: Page, search: Callable[[Page], None], first: tuple[str, str] = ("", "")) -> None:
    """Draw the header of every page.

    Parameters
    ----------
    search : draws the field that finds a security.
    first : what a browser shows below the title until its scripts have drawn the page; the second line is prominent.
    """
    view, label = page.view, page.view.label
    ui.add_css(CSS)
    ui.add_css(view.css())
    ui.dark_mode(view.dark)
    if "dark" not in page.remembered:
        ui.add_head_html(_follow_scheme(view))
    ui.colors(primary=view.colours.accent, positive="#15803d")  # white on Quasar's own green has too little contrast
    ui.page_title(f"{label('title')} · marginwatch")
    ui.html(f'<a class="skip" href="#content">{label("skip")}</a>', sanitize=False)
    asked, answered = map(escape, first)
    ui.add_body_html(
        f'<p class="before-scripts" aria-hidden="true">◢ {label("title")}<br>{asked}<br><b>{answered}</b></p>'
    )
    ui.add_body_html(_lost_connection(view))
    ui.add_body_html(_SORTABLE_HEADS)
    page.layer = ui.element("div")
    page.chart_updates = ChartUpdates()
    with ui.element("header").classes("bar w-full"):
        name = f"{label('title')} · {label('back')}"
        with ui.element("h1"), ui.link(target=page.path("/")).classes("name").props(f'aria-label="{name}"'):
            ui.html(f"◢<span> {label('title')}</span>", sanitize=False, tag="span")
        day = _calendar(page)
        live = ui.label().classes("pill live").mark("live")
        simulated = ui.label(label("simulated")).classes("pill bad")
        replay = ui.label().classes("pill bad num").mark("replay")
        late = ui.label().classes("pill bad num").mark("late")
        history = ui.label(f"… {label('reads_history')}").classes("pill bad").mark("reads-history")
        trouble = ui.label().classes("pill bad trouble").props("role=status")
        ui.element("div").classes("grow")
        clock = ui.label().classes("muted num clock").mark("updated")
        ui.link(label("themes"), page.path("/themes"))
        with (
            ui.link(target=page.path("/studies"))
            .classes("sheet")
            .props(f'aria-label="{label("studies")}"')
            .mark("studies")
        ):
            ui.icon("science")
            ui.tooltip(label("studies"))
        search(page)
        with (
            ui.link(target=page.path("/sheet.pdf"), new_tab=True)
            .classes("sheet")
            .props(f'aria-label="{label("sheet")}"')
        ):
            ui.icon("print")
            ui.tooltip(label("sheet"))
        other = "zh" if view.language == "en" else "en"
        flat = "flat dense no-caps color=primary"
        ui.button("中文" if other == "zh" else "EN", on_click=lambda: page.prefer(language=other)).props(
            f'{flat} aria-label="{label("language")}"'
        ).mark("language")
        with ui.button("▲▼").props(f'{flat} aria-label="{label("colours")}"').mark("palette"), ui.menu():
            for palette in ("cn", "west", "cvd"):
                chosen = "● " if palette == view.palette else "○ "
                ui.menu_item(
                    chosen + label(f"palette_{palette}"), on_click=lambda _=None, p=palette: page.prefer(palette=p)
                )
        ui.button("☀" if view.dark else "☾", on_click=lambda: page.prefer(dark=not view.dark)).props(
            f'{flat} aria-label="{label("theme")}"'
        ).mark("theme")
        if page.user and not page.identity.by_token:
            with ui.element("form").props("method=post action=/logout"):
                ui.button(page.user, icon="logout").props(
                    f'{flat} type=submit aria-label="{label("logout")} {page.user}"'
                )

    def draw() -> None:
        model = page.site.model
        shown = model.as_of or model.day
        day.set_visibility(shown is not None)
        if shown is not None:
            day.props(f"value={shown}")
        session = max((s.trade_date for s in model.live.values()), default=None)
        live.set_visibility(session is not None)
        if session is not None:
            at = max(s.available_at for s in model.live.values())
            live.set_text(f"◔ {label('provisional')} {formats.moment(at, view.language)}")
        simulated.set_visibility(model.simulated)
        replay.set_visibility(model.clock.replays)
        now = model.clock.now().astimezone(SHANGHAI)
        replay.set_text(f"⏵ {label('replay')} {now:%Y-%m-%d %H:%M} {label('zone')}")
        history.set_visibility(model.reads_history)
        due = None if any(first) else model.verdict_due  # the question of the overview says so itself
        late.set_visibility(due is not None)
        if due is not None:
            text = late_text(due)
            late.set_text(labels.pick((text.en, text.zh), view.language))
        trouble.set_visibility(bool(model.trouble))
        trouble.set_text(f"⚠ {label('trouble')}: {model.trouble}")
        changed = model.changed_at
        # With its date: an open page is not drawn again at midnight.
        clock.set_text("" if changed is None else f"{label('updated')} {formats.moment(changed, view.language)}")

    page.follow((Part.FINAL, Part.LIVE, Part.FEEDS, Part.CLOCK), draw)
