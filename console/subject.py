"""Common to the pages of one security and of one industry: title, figures, charts, redrawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from nicegui import ui

from console import figure, formats
from console.charts import Options
from console.model import Part
from console.site import Page, content, subject_heading

Rows = Sequence[tuple[date, dict[str, float | None]]]


def points(rows: Rows, name: str, scale: float = 1.0) -> list[tuple[date, Any]]:
    """Return one figure by day."""
    return [(d, None if (v := row.get(name)) is None else v * scale) for d, row in rows]


def title(page: Page, text: str, note: str) -> None:
    """Draw the title of the page, with the way back; the page is about this from now on."""
    page.subject = text
    with ui.element("div").classes("card wide"), ui.row().classes("items-baseline").style("gap:12px"):
        ui.link(f"← {page.view.label('back')}", page.path("/"))
        subject_heading(text)
        ui.label(note).classes("muted num")
    ui.page_title(f"{text} · marginwatch")


def unknown(page: Page, text: str, note: str = "", *, forever: bool = False) -> None:
    """Draw the title of a page about something of which nothing is known, see `no_subject`."""
    title(page, text, note if no_subject(page, forever=forever) else page.view.label("waiting"))


def no_subject(page: Page, *, forever: bool = False) -> bool:
    """Answer with the status 404, unless the console has yet to read what it may then know; return whether it does.

    Parameters
    ----------
    forever : no message can name what the address names.
    """
    missing = forever or (page.present.day is not None and not page.present.reads_history)
    if missing:
        ui.context.client.status_code = 404
    return missing


def tile(name: str, value: str, tone: str = "") -> None:
    """Draw one figure."""
    with ui.element("div").classes("card tile"):
        ui.label(name).classes("muted d")
        ui.label(value).classes(f"v num {tone}")


def chart(page: Page, name: str, options: Options, size: str = "half low") -> None:
    """Draw a chart in a card of its own."""
    card = figure.card(size, name)
    with card.box:
        figure.chart(page, name, options, heading=card.heading)


def tone(value: float | None) -> str:
    """Return the CSS class of a figure's sign."""
    return "" if not value else "rise" if value > 0 else "fall"


def z(value: float | None) -> str:
    """Format a z-score; its sign is readable without colour."""
    return "–" if value is None else f"{formats.signed(value)} {abs(value):.2f}"


def redrawn(page: Page, parts: tuple[Part, ...], draw_content: Callable[[], None]) -> None:
    """Redraw a whole page with each new day; days are few."""
    area = content("sub")

    def draw() -> None:
        area.clear()
        with area:
            draw_content()

    page.follow(parts, draw, every_s=5.0)
