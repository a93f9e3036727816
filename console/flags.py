"""The table of the day's flags: securities with an extreme, a streak, a divergence or an excess score."""

from __future__ import annotations

from datetime import date
from typing import Any

from nicegui import ui

from console import figure, formats, labels
from console.model import Part
from console.security_days import Flag
from console.site import Page

#: Seconds between two updates.
_EVERY_S = 1.0
#: Rows of a page of the table.
_PAGE_ROWS = 20


def draw(page: Page) -> None:
    """Draw the table with its search by code, name, pinyin or initials."""
    label = page.view.label
    card = figure.card("flags", label("flags"))
    columns = [
        {"name": "code", "label": label("security"), "field": "code", "align": "left", "sortable": True},
        {"name": "flag", "label": label("flag"), "field": "flag", "align": "left", "sortable": True},
        {"name": "change", "label": label("change"), "field": "change", "align": "right", "sortable": True,
         ":format": formats.script_percent(1, "▲")},
        {"name": "streak", "label": label("days"), "field": "streak", "align": "right", "sortable": True,
         ":format": formats.script(0, sign="▲")},
        {"name": "excess", "label": label("excess_return"), "field": "excess", "align": "right", "sortable": True,
         ":format": formats.script_percent(1, "+")},
    ]  # fmt: skip
    kinds = {"": label("all"), "score": label("score")}
    kinds |= {name: label(f"flag_{name}") for name in ("extreme", "streak", "divergence")}
    with card.box:
        with ui.row().classes("w-full items-center no-wrap").style("gap:6px"):
            search = ui.input(placeholder=label("search")).props(
                f'dense outlined clearable debounce=300 aria-label="{label("search")}"'
            )
            search.classes("grow").mark("search")
            kind = ui.select(kinds, value="").props(f'dense outlined options-dense aria-label="{label("flag")}"')
        table = figure.table(columns, [], "id", page_rows=_PAGE_ROWS)
        figure.link_codes(page, table)
        none = ui.label().classes("muted")
        for name in ("change", "streak"):
            figure.colour_signs(table, name)

    def rows() -> list[dict[str, Any]]:
        _, found = page.site.model.securities.flags()
        directory, query = page.site.model.directory, (search.value or "").strip()
        chosen = [_row(page, f) for f in found if kind.value in ("", f.kind)]
        return [r for r in chosen if not query or query in r["flag"] or directory.fits(r["code"], query)]

    def day() -> date | None:
        return page.site.model.securities.known_day

    def update() -> None:
        found = rows()
        securities = page.site.model.securities
        shown, newest = securities.newest_known(), securities.newest()
        late = ""
        if newest is not shown and newest is not None:
            late = f" · ⚠ {formats.short_day(newest.status.trade_date, day())} {label('degraded')}"
        card.note.set_text(f"{formats.day(day())} · {len(found)}{late}")
        none.set_text(label("nothing" if day() is None else "no_flags"))
        none.set_visibility(not found)
        table.set_visibility(bool(found))
        table.rows = found

    figure.exports(page, label("flags"), lambda: _exported(page, rows()), card.heading, day)
    kind.on_value_change(update)
    search.on_value_change(update)
    page.follow((Part.SECURITIES, Part.NAMES), update, every_s=_EVERY_S)


def _exported(page: Page, rows: list[dict[str, Any]]) -> tuple[list[str], figure.Rows]:
    keys = {
        "code": "code",
        "name": "name_of",
        "flag": "flag",
        "change": "change",
        "streak": "days",
        "excess": "excess_return",
    }
    return [page.view.label(key) for key in keys.values()], [[row[name] for name in keys] for row in rows]


def _row(page: Page, flag: Flag) -> dict[str, Any]:
    key = f"flag_{flag.kind}"
    strong = flag.strong and f"{key}_strong" in labels.LABELS
    return {
        "id": f"{flag.kind}/{flag.code}",
        "code": flag.code,
        "name": page.site.model.directory.name(flag.code),
        "flag": page.view.label(f"{key}_strong" if strong else key) + (" ★" if flag.strong else ""),
        "change": flag.change,
        "streak": flag.streak,
        "excess": flag.excess,
    }
