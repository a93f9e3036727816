"""The strip of the data's state: every feed with its newest day, what is absent, and the days left in the calendar."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from nicegui import ui

from alerts import reasons
from console import formats
from console.model import ConsoleModel, Feed, Part
from console.site import Page
from processors.days import shanghai_date
from processors.outputs import MarketSignal

#: Seconds between two updates.
_EVERY_S = 1.0
#: Trading days left in the calendar below which the strip warns (ours).
_CALENDAR_WARNING_DAYS = 60


def draw(page: Page) -> None:
    """Draw the strip."""
    label = page.view.label
    with ui.element("section").classes("card data w-full").props(f'aria-label="{label("data")}"'):
        ui.label(label("data")).style("font-weight:700")
        content = ui.html("", sanitize=False).classes("states")

    def update() -> None:
        content.set_content("".join(_states(page)))

    page.follow((Part.FEEDS, Part.FINAL, Part.LIVE, Part.SECURITIES), update, every_s=_EVERY_S)


def _states(page: Page) -> Iterator[str]:
    """Yield the parts of the strip as HTML: feeds by state, then what is absent, provisional and about to end."""
    model, label = page.site.model, page.view.label
    missing = _missing(model)
    groups: dict[tuple[str, str, str], list[Feed]] = {}
    for feed in model.feeds:
        if feed.newest is not None:
            groups.setdefault(_feed_status(page, feed, missing), []).append(feed)
    for (state, tone, mark), feeds in groups.items():
        names = (_span("feed", feed.name, _feed_text(page, feed, missing.get(feed.name, ""))) for feed in feeds)
        yield f'<span class="num {tone}">{mark} {escape(state)}:{"".join(names)}</span>'
    if empty := [f.name for f in model.feeds if f.newest is None]:
        yield _span("muted", f"– {label('nothing')}: {len(empty)}", ", ".join(empty))
    if absent := [s for s in model.latest.values() if s.value is None]:
        yield _span(
            "muted", f"○ {label('absent')}: {len(absent)}", "\n".join(_absence(page, signal) for signal in absent)
        )
    if model.live:
        yield _span("late", f"◔ {label('provisional')}: {len(model.live)}")
    left = model.calendar_days_left
    if left is not None and left < _CALENDAR_WARNING_DAYS:
        yield _span("late", f"⚠ {label('calendar_left')}: {left}")


def _span(classes: str, text: str, more: str = "") -> str:
    """Return a text as HTML; one with more to say opens it: a tooltip alone has no finger and no key."""
    if not more:
        return f'<span class="{classes}">{escape(text)}</span>'
    return f'<details class="{classes}"><summary>{escape(text)}</summary>{escape(more)}</details>'


def _absence(page: Page, signal: MarketSignal) -> str:
    return f"{page.view.signal(signal.name)}: {reasons.shown(signal.reason, page.view.language)}"


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
    text = f"{feed.newest} · {feed.rows:,} {label('rows')} · {label('due')} {formats.day(feed.due)}"
    return text + (f" · {label('missing')} {lacks}" if lacks else "")


def _feed_status(page: Page, feed: Feed, missing: dict[str, str]) -> tuple[str, str, str]:
    """Return a feed's newest day with its state, CSS class and mark; feeds of the same state are shown together."""
    label = page.view.label
    assert feed.newest is not None
    day = formats.short_day(feed.newest, shanghai_date(page.site.model.clock.now()))
    if feed.name in missing:
        return f"{day} {label('degraded')}", "degraded", "⚠"
    if feed.late:
        return f"{day} {label('late')}", "late", "⚠"
    if not feed.closed:
        return f"{day} {label('open')}", "", "…"
    return f"{day} {label('complete')}", "ok", "✓"
