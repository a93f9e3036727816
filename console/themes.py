"""The page of themes: the week's ranking, the stocks of one theme, earlier weeks, one chart as the model sees it."""

from __future__ import annotations

from datetime import date
from html import escape
from typing import Any
from urllib.parse import quote

import numpy as np
from nicegui import ui

from alerts import reasons
from alerts.subject_names import Language
from console import figure, formats, labels, subject
from console.model import Part
from console.site import Page, content, heading, subject_heading
from console.theme import View
from console.theme_members import members
from processors.arrays import Floats
from processors.chart_scores import NO_MODEL, occlusion
from processors.charts import HEIGHT, PIXELS_A_SESSION, SESSIONS, WIDTH, Heights
from processors.charts import draw as image_of
from processors.indicators.themes import TOP
from processors.industries import INDUSTRIES
from processors.needs import CHARTS
from processors.outputs import IndustrySignals

_WEEKS, _STOCKS = 26, 20
#: Opacity of the session that matters most.
_STRONGEST = 0.55


def draw(page: Page, industry: str, code: str) -> None:
    """Draw the page.

    Parameters
    ----------
    industry : whose stocks are listed; "" for that of the stock, or else the week's first theme.
    code : the stock whose chart is shown, if any.
    """
    area = content("sub")

    def redraw() -> None:
        area.clear()
        with area:
            _week(page, industry, code.strip().upper())

    ui.page_title(f"{page.view.label('themes_of')} · marginwatch")
    page.follow((Part.INDUSTRIES, Part.SECURITIES, Part.CHARTS), redraw, every_s=5.0)


def _week(page: Page, industry: str, code: str) -> None:
    label, weeks = page.view.label, page.site.model.themes()
    if industry and industry not in INDUSTRIES:
        subject.unknown(page, f"{label('not_found')} {industry}", forever=True)
    with ui.element("div").classes("card wide"), ui.row().classes("items-baseline").style("gap:12px"):
        ui.link(f"← {label('back')}", page.path("/"))
        subject_heading(label("themes_of"))
        if weeks:
            ui.label(f"{weeks[0][0]} · {weeks[0][1].status.models.get(CHARTS, '')}").classes("muted num")
    if not weeks:
        with ui.element("div").classes("card wide"):
            ui.label(f"{label('no_themes')} {_reason(page)}").mark("no-themes")
        return
    day, frame = weeks[0]
    with ui.element("div").classes("card half"):
        heading(label("themes_of"))
        ui.label(label("themes_hint")).classes("muted")
        _ranking(page, frame, code)
    chosen = next(
        one
        for one in (industry, page.site.model.inputs.industry(code), INDUSTRIES[_order(frame)[0]])
        if one in INDUSTRIES
    )
    _members(page, chosen, day)
    with ui.element("div").classes("card half"):
        heading(label("themes_history"))
        for earlier, one in weeks[:_WEEKS]:
            names = (labels.industry(INDUSTRIES[i], page.view.language) for i in _order(one)[:TOP])
            ui.label(f"{earlier}  {' · '.join(names)}").classes("num")
    with ui.element("div").classes("card half"):
        _chart(page, code)


def _reason(page: Page) -> str:
    """Why no week has scores: that of the newest day, or that of this console."""
    newest = page.site.model.industry_days(1)
    found = newest[0].left_out.get("theme_score", "") if newest else ""
    found = found or (page.site.charts if isinstance(page.site.charts, str) else "")
    return reasons.shown(found, page.view.language) or page.view.label("waiting")


def _order(frame: IndustrySignals) -> list[int]:
    """Return the industries with a score, the highest first."""
    rank = frame.columns["theme_score_rank"]
    return [i for i in np.argsort(rank).tolist() if not np.isnan(rank[i])]


def _ranking(page: Page, frame: IndustrySignals, code: str) -> None:
    for place, i in enumerate(_order(frame), 1):
        value = float(frame.columns["theme_score"][i])
        tone = "rise" if value > 0 else "fall" if value < 0 else ""
        with ui.row().classes("w-full justify-between no-wrap"):
            name = labels.industry(INDUSTRIES[i], page.view.language)
            link = ui.link(f"{place}. {name}", page.path(f"{_address(INDUSTRIES[i])}{code}"))
            link.style("font-weight:700" if place <= TOP else "")
            ui.label(f"{formats.signed(value)} {abs(value):.4f}").classes(f"num {tone}")


def _address(industry: str) -> str:
    """Return the address of this page for a stock of an industry, up to the stock's code."""
    return f"/themes?industry={quote(industry)}&code="


def _members(page: Page, industry: str, week: date) -> None:
    """Draw the stocks of an industry by their scores, with the reason where one has none."""
    label, model = page.view.label, page.site.model
    found = members(model, industry, week)
    card = figure.card("half listing", f"{label('theme_members')} · {labels.industry(industry, page.view.language)}")
    card.note.set_text(f"{sum(one.score is not None for one in found)} / {len(found)}")
    with card.box:
        ui.link(label("industry"), page.path(f"/industry/{industry}"))
        if not found:
            ui.label(label("no_members")).classes("muted")
            return
        columns: list[dict[str, Any]] = [
            {"name": "rank", "label": "#", "field": "rank", "sortable": True},
            {"name": "code", "label": label("security"), "field": "code", "align": "left", "sortable": True},
            {"name": "score", "label": label("chart_score"), "field": "score", "sortable": True,
             ":format": formats.script(4)},
            {"name": "reason", "label": label("no_score"), "field": "reason", "align": "left"},
        ]  # fmt: skip
        rows = [
            {
                "rank": None if one.score is None else place,
                "code": one.code,
                "name": model.directory.name(one.code),
                "score": one.score,
                "reason": label(one.reason) if one.reason else "",
            }
            for place, one in enumerate(found, 1)
        ]
        table = figure.table(columns, rows, "code", page_rows=_STOCKS).classes("num").mark("members")
        figure.link_codes(page, table, _address(industry))
    title = f"{label('theme_members')} {industry}"
    figure.exports(page, title, lambda: figure.of_table(table), card.heading, lambda: week)


def _chart(page: Page, code: str) -> None:
    label = page.view.label
    heading(f"{label('chart_of')} {code}")
    if not code:
        ui.label(label("chart_choose")).classes("muted")
        return
    found = page.site.model.chart(code)
    if found is None:
        if not (page.site.model.directory.name(code) or page.site.model.securities.rows(code)):
            subject.no_subject(page)
        ui.label(f"{label('no_chart')} {code}").mark("no-chart")
        return
    day, heights = found
    scorer = page.site.charts
    weights = None if isinstance(scorer, str) else occlusion(scorer, day.year, heights)
    title = f"{label('chart_of')} {code} {day}"
    ui.html(svg(heights, weights, page.view, title), sanitize=False).mark("chart")
    ui.label(label("chart_map") if weights is not None else _no_map(scorer, page.view.language)).classes("muted")
    ui.link(code, page.path(f"/security/{code}"))


def _no_map(scorer: object, language: Language) -> str:
    return reasons.shown(scorer if isinstance(scorer, str) else NO_MODEL, language)


def svg(heights: Heights, weights: Floats | None, view: View, title: str) -> str:
    """Return a chart as an SVG: its pixels, and behind each session the colour of what it did to the score.

    Parameters
    ----------
    heights : (20, 6)
    weights : (20,) score less the score without each session; None draws the pixels alone.
    """
    image = image_of(heights[None])[0]
    parts = [f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#000"/>']
    largest = 0.0 if weights is None else float(np.abs(weights).max())
    if weights is not None and largest > 0:
        for session in range(SESSIONS):
            weight = float(weights[session])
            parts.append(
                f'<rect x="{session * PIXELS_A_SESSION}" width="{PIXELS_A_SESSION}" height="{HEIGHT}" '
                f'fill="{view.rise if weight > 0 else view.fall}" '
                f'fill-opacity="{abs(weight) / largest * _STRONGEST:.3f}"/>'
            )
    rows, columns = np.nonzero(image)
    parts += [f'<rect x="{x}" y="{y}" width="1" height="1" fill="#fff"/>' for y, x in zip(rows, columns, strict=True)]
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}" '
        f'style="width:100%;max-width:420px" shape-rendering="crispEdges">{"".join(parts)}</svg>'
    )
