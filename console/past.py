"""Pages of an earlier day: the models of the days that were asked for, and what was late or was corrected since."""

from __future__ import annotations

from datetime import date
from typing import Any

from nicegui import ui

from console import figure, formats
from console.model import ConsoleModel, Part
from console.site import Page
from processors.days import shanghai_date

#: Models that are kept: a model of three years has about 20 MB, most of it shared.
_KEPT = 4
#: The parts of which a model of an earlier day has a copy; it shares the others with the present one.
_COPIED = (Part.FINAL, Part.SECURITIES, Part.INDUSTRIES, Part.CHARTS, Part.ALERTS, Part.NAMES)
#: Corrections that a page lists.
_SHOWN = 200


class EarlierModels:
    """Builds models of earlier days, and keeps the last few until the present one changes in what they copy."""

    def __init__(self, present: ConsoleModel) -> None:
        self._present = present
        self._built: dict[tuple[date, tuple[int, ...]], ConsoleModel] = {}

    def model(self, day: str) -> ConsoleModel:
        """Return the model of a day (``2021-03-31``); the present one for no date and for a day that is not over."""
        try:
            wanted = date.fromisoformat(day)
        except ValueError:
            return self._present
        if wanted >= shanghai_date(self._present.clock.now()):
            return self._present
        key = wanted, tuple(self._present.versions[part] for part in _COPIED)
        if key not in self._built:
            for old in list(self._built)[: 1 - _KEPT]:
                del self._built[old]
            self._built[key] = self._present.known_at(wanted)
        return self._built[key]


def corrections(page: Page) -> None:
    """Draw the figures of the market that were published, or published again, after the page's day."""
    view, label = page.view, page.view.label
    found = page.present.corrections(page.site.model)
    card = figure.card("corrections", label("corrected"))
    card.note.set_text(str(len(found)))
    rows = [
        {"key": n, "day": one.day.isoformat(), "signal": view.signal(one.name),
         "then": _shown(one.then), "now": _shown(one.now), "from": formats.moment(one.available_at, view.language)}
        for n, one in enumerate(found[:_SHOWN])
    ]  # fmt: skip
    heads = {"day": "date", "signal": "signal", "then": "then", "now": "now", "from": "known_from"}
    columns: list[dict[str, Any]] = [
        {"name": name, "label": label(key), "field": name, "align": "left", "sortable": True}
        for name, key in heads.items()
    ]
    with card.box:
        if not rows:
            ui.label(label("not_corrected")).classes("muted")
            return
        table = figure.table(columns, rows, "key", page_rows=5).classes("num")
    figure.exports(page, label("corrected"), lambda: figure.of_table(table), card.heading)


def _shown(value: Any) -> str:
    return "–" if value is None else f"{value:,.6g}" if isinstance(value, float) else str(value)
