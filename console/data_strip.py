"""The strip of the data's state: every feed with its newest day, what is absent, and the days left in the calendar."""

from __future__ import annotations

from nicegui import ui

from console import labels, reasons
from console.model import ConsoleModel, Feed, Part
from console.site import Page
from processors.outputs import MarketSignal

#: Seconds between two updates.
_EVERY_S = 1.0
#: Trading days left in the calendar below which the strip warns (ours).
_CALENDAR_WARNING_DAYS = 60


def draw(page: Page) -> None:
    """Draw the strip."""
    label = page.view.label
    with ui.element("section").classes("card data w-full").props(f'aria-label="{label("data")}"') as box:
        pass

    def update() -> None:
        model = page.site.model
        missing = _missing(model)
        box.clear()
        with box:
            ui.label(label("data")).style("font-weight:700")
            groups: dict[tuple[str, str, str], list[Feed]] = {}
            for feed in model.feeds:
                if feed.newest is not None:
                    groups.setdefault(_feed_status(page, feed, missing), []).append(feed)
            for (state, tone, mark), feeds in groups.items():
                with ui.element("span").classes(f"num {tone}"):
                    ui.html(f"{mark} {state}:", sanitize=False, tag="span")
                    for feed in feeds:
                        with ui.label(feed.name).classes("feed"):
                            ui.tooltip(_feed_text(page, feed, missing.get(feed.name, "")))
            empty = [f.name for f in model.feeds if f.newest is None]
            if empty:
                with ui.label(f"– {label('nothing')}: {len(empty)}").classes("muted"):
                    ui.tooltip(", ".join(empty))
            absent = [s for s in model.latest.values() if s.value is None]
            if absent:
                with ui.label(f"○ {label('absent')}: {len(absent)}").classes("muted"), ui.tooltip():
                    for signal in absent:
                        ui.label(_absence(page, signal))
            if model.live:
                ui.label(f"◔ {label('provisional')}: {len(model.live)}").classes("late")
            left = model.calendar_days_left
            if left is not None and left < _CALENDAR_WARNING_DAYS:
                ui.label(f"⚠ {label('calendar_left')}: {left}").classes("late")

    page.follow((Part.FEEDS, Part.FINAL, Part.LIVE, Part.SECURITIES), update, every_s=_EVERY_S)


def _absence(page: Page, signal: MarketSignal) -> str:
    language = page.view.language
    return f"{labels.signal_title(signal.name, language)}: {reasons.shown(signal.reason, language)}"


def _missing(model: ConsoleModel) -> dict[str, str]:
    """Return what the newest day lacks, by feed."""
    found: dict[str, int] = {}
    for signal in model.latest.values():
        found |= signal.missing
    frame = model.securities.newest()
    if frame is not None:
        found |= frame.status.missing
    out: dict[str, str] = {}
    for name, lack in found.items():
        feed, _, exchange = name.partition(" ")
        out[feed] = f"{out.get(feed, '')} {exchange} {'*' if lack < 0 else lack}".strip()
    return out


def _feed_text(page: Page, feed: Feed, lacks: str) -> str:
    label = page.view.label
    text = f"{feed.newest} · {feed.rows:,} {label('rows')} · {label('due')} {labels.day(feed.due)}"
    return text + (f" · {label('missing')} {lacks}" if lacks else "")


def _feed_status(page: Page, feed: Feed, missing: dict[str, str]) -> tuple[str, str, str]:
    """Return a feed's newest day with its state, CSS class and mark; feeds of the same state are shown together."""
    label = page.view.label
    day = f"{feed.newest:%m-%d}"
    if feed.name in missing:
        return f"{day} {label('degraded')}", "degraded", "⚠"
    if not feed.closed and feed.due is not None and feed.newest is not None and feed.newest <= feed.due:
        return f"{day} {label('late')}", "late", "⚠"
    if not feed.closed:
        return f"{day} {label('open')}", "", "…"
    if feed.late:
        return f"{day} {label('late')}", "late", "⚠"
    return f"{day} {label('complete')}", "ok", "✓"
