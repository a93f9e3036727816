"""A chart or a table with its exports: the figures behind a chart as a table, CSV of both, PNG of a chart.

A screen reader gets the table: the chart itself is an image with a name.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from nicegui import ui
from nicegui.events import EChartPointClickEventArguments

from console.chart_element import ChartElement
from console.charts import Options
from console.site import Page

Rows = list[list[Any]]
#: The footer of a table in pages.
_FOOTER = ':rows-per-page-options="[0]" :pagination-label="(a, b, n) => `${a}–${b} / ${n}`"'
#: A spreadsheet runs a cell that begins with one of these as a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Card:
    """A titled part of a page: its element, its heading, and the note after the title."""

    box: ui.element
    heading: ui.element
    note: ui.label


def card(name: str, title: str) -> Card:
    """Draw a titled part of a page; ``name`` are its CSS classes."""
    box = ui.element("section").classes(f"card {name}").props(f'aria-label="{title}"')
    with box, ui.element("h2") as heading:
        ui.label(title)
        note = ui.label("").classes("num note")
    return Card(box, heading, note)


def chart(
    page: Page,
    title: str,
    options: Options,
    *,
    on_point: Callable[[EChartPointClickEventArguments], None] | None = None,
    heading: ui.element | None = None,
    day: Callable[[], date | None] | None = None,
) -> ChartElement:
    """Draw a chart and, in its heading, the button of its exports.

    Parameters
    ----------
    heading : the ``h2`` of the card; without it, one with the title is drawn.
    day : the day of points that have none themselves.
    """
    if heading is None:
        with ui.element("h2") as heading:
            ui.label(title)
    # aria-label and role are of the element around the canvas; ECharts describes no figures.
    drawn = ChartElement(options, on_point).props(f'role=img aria-label="{title}"')
    with heading:
        _button(_Export(page, title, lambda: behind(drawn.options), day, drawn))
    return drawn


def set_series(page: Page, chart: ChartElement, series: list[dict[str, Any]]) -> None:
    """Set the data of series, also of new ones; an open page receives these alone."""
    known = {one["id"]: one for one in chart.options["series"]}
    for new in series:
        if new["id"] in known:
            known[new["id"]] |= new
        else:
            chart.options["series"].append(new)
    if page.complete:
        page.chart_updates.send(chart, series)


def table(
    columns: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    key: str,
    *,
    page_rows: int = 0,
    sort_by: str | None = None,
) -> ui.table:
    """Draw a table; `site.frame` lets the keyboard sort it by its heads.

    No table scrolls virtually: one that redraws its rows below the keyboard's focus has no way out for the keyboard.

    Parameters
    ----------
    key : the column that identifies a row.
    page_rows : rows of a page; 0 shows all rows, without a footer.
    sort_by : the column by which it is sorted at first, the highest figure first.
    """
    pagination = {"rowsPerPage": page_rows, "sortBy": sort_by, "descending": sort_by is not None}
    drawn = ui.table(columns=columns, rows=rows, row_key=key, pagination=pagination)
    drawn.props(f"flat dense {_FOOTER if page_rows else 'hide-bottom'}").classes("w-full")
    return drawn


def of_table(table: ui.table, without: Sequence[str] = ()) -> tuple[list[str], Rows]:
    """Return the heads and the exact figures of a table: money in CNY, whatever unit its column shows."""
    columns = [column for column in table.columns if column["name"] not in without]
    return [c["label"].removesuffix(c.get("unit", "")) for c in columns], [
        [row[c["field"]] for c in columns] for row in table.rows
    ]


@dataclass(frozen=True, slots=True)
class _Export:
    """What a button of exports saves.

    Parameters
    ----------
    day : the day of rows that have none themselves; None for rows by day.
    drawn : the chart that shows the rows.
    """

    page: Page
    title: str
    rows: Callable[[], tuple[list[str], Rows]]
    day: Callable[[], date | None] | None
    drawn: ChartElement | None

    def file(self, kind: str) -> str:
        """Return the name of a file of what is shown now: a page may be open for days."""
        day = self.page.site.model.day if self.day is None else self.day()
        name = f"{self.page.subject} {self.title} {day or ''}".replace("/", " ").strip()
        return f"{name}.{kind}"


def exports(
    page: Page,
    title: str,
    rows: Callable[[], tuple[list[str], Rows]],
    heading: ui.element,
    day: Callable[[], date | None] | None = None,
) -> None:
    """Draw the button of a table's export in its heading.

    Parameters
    ----------
    day : the day of rows that have none themselves.
    """
    with heading:
        _button(_Export(page, title, rows, day, None))


def _button(export: _Export) -> None:
    """Draw the button of the exports; its menu exists from the first press on.

    It opens and closes in the browser alone: an answer of the server to one press would meet the next.
    """
    button = ui.button(icon="more_horiz").classes("export")
    name = f"{export.title}: {export.page.view.label('export')}"
    button.props(f'flat dense round size=sm color=primary aria-haspopup=menu aria-label="{name}"')

    def open_menu() -> None:
        if not button.default_slot.children:
            with button, ui.element("q-menu").props("auto-close") as menu:
                _menu(export)
            menu.run_method("show")

    button.on_click(open_menu)


def _menu(export: _Export) -> None:
    """Draw the items of the menu of exports."""
    label, drawn = export.page.view.label, export.drawn
    if drawn is not None:
        ui.menu_item(label("as_table"), lambda: _dialog(export.page, export.title, *export.rows()))
    ui.menu_item(label("as_csv"), lambda: ui.download.content(as_csv(*export.rows()), export.file("csv"), "text/csv"))
    if drawn is not None:
        wanted = {"type": "png", "pixelRatio": 2, "backgroundColor": export.page.view.colours.card}

        def save_picture() -> None:
            ui.run_javascript(
                f"const a=document.createElement('a');a.href=getElement({drawn.id}).chart.getDataURL("
                f"{json.dumps(wanted)});a.download={json.dumps(export.file('png'))};a.click()"
            )

        ui.menu_item(label("as_png"), save_picture)


def _dialog(page: Page, title: str, heads: list[str], rows: Rows) -> None:
    """Show the figures behind a chart, the newest first."""
    columns: list[dict[str, Any]] = [
        {"name": str(i), "label": head, "field": str(i), "align": "left" if not i else "right", "sortable": True}
        for i, head in enumerate(heads)
    ]
    shown = [{"key": n, **{str(i): _cell(v) for i, v in enumerate(row)}} for n, row in enumerate(rows)]
    with page.layer, ui.dialog(value=True) as dialog, ui.card().classes("figures"):
        dialog.props["aria-label"] = title
        ui.label(title).style("font-weight:700")
        table(columns, shown, "key", page_rows=20).classes("num")
        ui.button(page.view.label("close"), on_click=dialog.close).props("flat no-caps").classes("self-end")
    dialog.on("hide", dialog.delete)


def _cell(value: Any) -> Any:
    return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else value


def behind(options: Mapping[str, Any]) -> tuple[list[str], Rows]:
    """Return the heads and rows of the figures behind a chart.

    Series over time share a column of days, the newest first; a point that has a name is a row of its own.
    """
    series = [s for s in options["series"] if s.get("data")]
    if any("name" in point for s in series for point in s["data"] if isinstance(point, dict)):
        axes = [options[axis].get("name", "").strip(" →") for axis in ("xAxis", "yAxis") if axis in options]
        return ["", *axes], [[p["name"], *p["value"]] for s in series for p in s["data"]]
    columns = [(head, of_day) for s in series for head, of_day in _columns(s, options)]
    days = sorted({day for _, of_day in columns for day in of_day}, reverse=True)
    return ["", *(head for head, _ in columns)], [[day, *(found.get(day) for _, found in columns)] for day in days]


def _columns(series: Mapping[str, Any], options: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return the columns of one series: day → figure; a candle has four of them, and its days on the axis.

    ``unit`` of a series is that of its figures where only the title of the chart shows it.
    """
    heads = series.get("dimensions", [None, series.get("name", "")])[1:]
    values = [p["value"] if isinstance(p, dict) else p for p in series["data"]]
    if series["type"] == "candlestick":
        heads = series["dimensions"]
        days = options["xAxis"][0]["data"]
        values = [[day, *(None if v == "-" else v for v in row)] for day, row in zip(days, values, strict=True)]
    if any(not isinstance(value, (list, tuple)) for value in values):
        return []  # the needle of a gauge
    name = series.get("name", "") + series.get("unit", "")
    return [
        (name if len(heads) == 1 else f"{name} {head}", {str(value[0]): value[i] for value in values})
        for i, head in enumerate(heads, 1)
    ]


def as_csv(heads: Sequence[str], rows: Rows) -> bytes:
    """Return a table as CSV with a byte-order mark, by which a spreadsheet recognises Chinese.

    A text that a spreadsheet would run as a formula is quoted by an apostrophe.
    """
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(heads)
    writer.writerows([_safe(value) for value in row] for row in rows)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _safe(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def link_codes(page: Page, table: ui.table, address: str = "/security/") -> None:
    """Link the codes of a table to the pages of their securities, with the name of the row above the code.

    Parameters
    ----------
    address : of the page, up to the code; quoted.
    """
    before, _, behind = page.path(f"{address}CODE").partition("CODE")
    table.add_slot(
        "body-cell-code",
        f"""<q-td :props="props"><a v-if="/^\\d{{6}}\\.(SH|SZ|BJ)$/.test(props.value)" class="security"
        :href="'{before}' + props.value + '{behind}'"><b v-if="props.row.name">{{{{ props.row.name }}}}</b>
        <span>{{{{ props.value }}}}</span></a><span v-else>{{{{ props.value }}}}</span></q-td>""",
    )


def colour_signs(table: ui.table, column: str) -> None:
    """Colour the figures of a column by their sign; the sign is readable without colour."""
    table.add_slot(
        f"body-cell-{column}",
        f"""<q-td :props="props" class="num"><span :class="props.row.{column} > 0 ? 'rise' : props.row.{column} < 0 ?
        'fall' : ''">{{{{ props.value }}}}</span></q-td>""",
    )
