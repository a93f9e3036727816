"""The search of the header: securities by code, name, pinyin or initials, with the keyboard alone."""

from __future__ import annotations

import re

from nicegui import ui

from console.site import Page

_CODE = re.compile(r"\d{6}\.(SH|SZ|BJ)")


def draw(page: Page) -> None:
    """Draw the field and, while something is typed, the securities that fit; Enter opens the first one."""
    label = page.view.label("open_security")
    with ui.element("div").classes("search").props("role=search"):
        field = ui.input(placeholder=label).props(f'dense borderless clearable aria-label="{label}"').mark("goto")
        hits = ui.element("div").classes("hits")
        hits.set_visibility(False)

    def found() -> list[str]:
        query = (field.value or "").strip()
        return [query.upper()] if _CODE.fullmatch(query.upper()) else page.site.model.directory.find(query)

    def show() -> None:
        codes = found()
        hits.clear()
        with hits:
            for code in codes:
                with ui.link(target=page.path(f"/security/{code}")).classes("security"):
                    name = page.site.model.directory.name(code)
                    if name:
                        ui.label(name).classes("name-of")
                    ui.label(code).classes("muted")
        hits.set_visibility(bool(codes))

    def open_first() -> None:
        codes = found()
        if codes:
            ui.navigate.to(page.path(f"/security/{codes[0]}"))

    field.on_value_change(show)
    field.on("keydown.enter", open_first)
    field.on("keydown.escape", lambda: hits.set_visibility(False))
