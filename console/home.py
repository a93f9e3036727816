"""The overview: on the first screen the answer, its gauge and history, and the alerts; below it the panels."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from nicegui import ui
from nicegui.events import EChartPointClickEventArguments, ValueChangeEventArguments

from alerts import reasons
from alerts.model import Text
from alerts.subject_names import INDICES, subject_name
from alerts.verdict import early_sign, verdict_text
from console import (
    cards,
    charts,
    data_strip,
    figure,
    flags,
    formats,
    labels,
    panels,
    past,
    question,
    record,
    tiles,
)
from console.chart_element import ChartElement
from console.industry_rows import industries_day, industry_absence, industry_note
from console.model import MARKET_PARTS, ConsoleModel, Part
from console.site import Page, content
from processors.indicators.verdict import VERDICT
from processors.industries import INDUSTRIES

#: Seconds between two updates of whole curves and tables.
_CURVES_S = 1.0
#: A mark shows the tone of the answer without colour.
_TONE_MARKS = {"hot": "▲▲ ", "warm": "▲ ", "cold": "▼ ", "calm": ""}
#: The index behind the ratio that a person has not chosen otherwise.
_INDEX = "000300.SH"


def draw(page: Page) -> None:
    """Draw the screen; every part follows the model by itself."""
    if page.site.model.as_of is not None:
        past.corrections(page)
    with content("grid w-full"):
        _verdict(page)
        _gauge(page)
        _history(page)
        with ui.element("div").classes("tiles"):
            tiles.draw(page)
        cards.listing(page)
        _excess(page)
        _map(page)
        flags.draw(page)
        data_strip.draw(page)
    panels.draw(page)


def first(page: Page) -> tuple[str, str]:
    """Return the question and the answer, which a browser shows until its scripts have drawn the page."""
    return question.dated(page.site.model, page.view), answer(page)


def answer(page: Page) -> str:
    """Return the answer in the person's language."""
    final = page.site.model.latest.get(VERDICT.id)
    if final is None:
        return question.unanswered(page.site.model, page.view)
    found = verdict_text(final)
    return _TONE_MARKS[found.tone] + labels.pick((found.answer.en, found.answer.zh), page.view.language)


def _verdict(page: Page) -> None:
    """Draw the answer with its reason and what would change it, and the record of the peak warning beside it."""
    model, view = page.site.model, page.view
    with ui.element("section").classes("card verdict") as box:
        with ui.element("div").classes("words").props("role=status"):
            asked = ui.label().classes("q").mark("question")
            words = ui.label().classes("answer").mark("verdict")
            why = ui.label().classes("why").mark("why")
            change = ui.label().classes("why").mark("change")
            live = ui.label().classes("why live").mark("verdict-live")
            early = ui.label().classes("why muted").mark("early-sign")
        record.beside_verdict(page)

    def pick(found: Text) -> str:
        return labels.pick((found.en, found.zh), view.language)

    def update() -> None:
        final, running = model.latest.get(VERDICT.id), model.live.get(VERDICT.id)
        early_text = early_sign(model.now("ratio_state_daily"), final)
        early.set_text("" if early_text is None else pick(early_text))
        early.set_visibility(early_text is not None)
        live.set_visibility(running is not None and (final is None or running.value != final.value))
        if running is not None:
            found = verdict_text(running)
            live.set_text(f"◔ {pick(found.answer)} · {pick(found.of_day)} · {pick(found.why)}")
        asked.set_text(question.dated(model, view))
        words.set_text(answer(page))
        if final is None:
            return
        found = verdict_text(final)
        box.classes(remove="hot warm cold calm", add=found.tone)
        why.set_text(pick(found.why))
        change.set_text(pick(found.change))

    page.follow((*MARKET_PARTS, Part.FEEDS), update)


def _gauge(page: Page) -> None:
    card = figure.card("gauge", page.view.label("gauge"))
    state = card.note
    with card.box:
        chart = ChartElement(charts.gauge(page.view, None)).props("aria-hidden=true")  # the figure is below
        with ui.row().classes("w-full items-baseline justify-center").style("gap:8px"):
            value = ui.label("–").classes("num").style("font-size:24px;font-weight:800").mark("ratio")
            live = ui.label().classes("num").mark("ratio-live")
        ui.label(page.view.label("lines")).classes("muted num").style("font-size:11px;text-align:center")

    def update() -> None:
        final, now = page.site.model.latest.get("fin_buy_ratio_5d"), page.site.model.live.get("fin_buy_ratio_5d")
        settled = final.value if final is not None and isinstance(final.value, float) else None
        running = now.value if now is not None and isinstance(now.value, float) else None
        value.set_text(formats.percent(settled))
        live.set_visibility(running is not None)
        live.set_text(f"◔ {formats.percent(running)} {page.view.label('provisional')}")
        live.style(f"color:{page.view.colours.warm}")
        found = page.site.model.now("ratio_state")
        name = str(found.value) if found is not None and found.value is not None else ""
        mark = "◔ " if found is not None and found.provisional else ""
        state.set_text(mark + labels.pick(labels.STATES[name], page.view.language) if name in labels.STATES else "")
        state.classes(replace=f"num mark pill {charts.state_tone(name)}")
        state.set_visibility(name in labels.STATES)
        figure.set_series(
            page, chart, [{"id": "gauge", "data": charts.gauge_data(settled if running is None else running)}]
        )

    page.follow(MARKET_PARTS, update)


def _tail(model: ConsoleModel, name: str) -> list[tuple[date, Any]]:
    """Return the last final value and the provisional one after it."""
    live, final = model.live.get(name), model.latest.get(name)
    if live is None:
        return []
    before = [(final.trade_date, final.value)] if final is not None and final.value is not None else []
    return [*before, (live.trade_date, live.value)]


def _curve_card(
    page: Page, area: str, title: str, curves: dict[str, str], options: Callable[[], dict[str, Any]]
) -> tuple[figure.Card, ChartElement]:
    """Draw a chart whose series ``curves`` (series → signal) follow final values and whose tail follows the session."""
    model = page.site.model
    card = figure.card(area, title)
    with card.box:
        chart = figure.chart(page, title, options(), heading=card.heading)
        nothing = ui.label(page.view.label("nothing")).classes("muted")
    main = next(iter(curves.values()))

    def show(known: bool) -> None:
        chart.set_visibility(known)
        nothing.set_visibility(not known)

    def follow_session() -> None:
        tail = _tail(model, main)
        figure.set_series(page, chart, [charts.provisional(page.view, tail)])
        show(chart.visible or bool(tail))

    def follow_days() -> None:
        found = [series for series in options()["series"] if series["id"] in curves]
        figure.set_series(page, chart, found)
        show(any(series["data"] for series in found) or bool(_tail(model, main)))

    show(bool(_tail(model, main)) or any(map(model.curve, curves.values())))
    page.follow(MARKET_PARTS, follow_session, drawn=True)
    page.follow((Part.FINAL,), follow_days, every_s=_CURVES_S, drawn=True)  # a backfill closes many days a second
    return card, chart


def _history(page: Page) -> None:
    """Draw the ratio over the index of a person's choice, with a mark for each break."""
    model, view = page.site.model, page.view
    known = [code for code in page.site.parameters.timing_indices if code in INDICES]
    chosen = page.remembered.get("index")
    code = chosen if chosen in known else _INDEX

    def index() -> tuple[str, charts.Points]:
        return subject_name(code, view.language), model.curve(f"index_close/{code}")

    card, chart = _curve_card(
        page,
        "history",
        view.label("ratio_history"),
        charts.RATIO_CURVES,
        lambda: charts.history(
            view, model.curves(charts.RATIO_CURVES), _tail(model, "fin_buy_ratio_5d"), index(), record.breaks(page)
        ),
    )

    async def choose(event: ValueChangeEventArguments[str]) -> None:
        nonlocal code
        code = event.value
        figure.set_series(page, chart, [charts.index_behind(view, index())])
        await page.remember(index=code)

    with card.heading:
        names = {one: subject_name(one, view.language) for one in known}
        ui.select(names, value=code, on_change=choose).props(
            f'dense borderless options-dense aria-label="{view.label("index")}"'
        ).classes("choice").mark("index")
    page.follow(
        (Part.FINAL,),
        lambda: figure.set_series(page, chart, [charts.index_behind(view, index())]),
        every_s=_CURVES_S,
        drawn=True,
    )
    page.follow(
        (Part.RECORDS,),
        lambda: figure.set_series(page, chart, [charts.break_marks(view, record.breaks(page))]),
        drawn=True,
    )


def _excess(page: Page) -> None:
    model, view = page.site.model, page.view
    card, _ = _curve_card(
        page,
        "excess",
        view.label("excess"),
        {"excess": "excess_financing"},
        lambda: charts.excess(view, model.curve("excess_financing"), _tail(model, "excess_financing")),
    )

    def update() -> None:
        level = model.latest.get("excess_level")
        card.note.set_visibility(level is not None)
        if level is None:
            return
        side, band = level.value, f"±{formats.percent(page.site.parameters.excess_level, 0)}"
        if isinstance(side, (int, float)):
            card.note.set_text(f"{formats.signed(side)} {band}".strip())
            card.note.classes(replace=f"num pill mark {'critical' if side else ''}")
        else:
            card.note.set_text(f"{band} · {view.label('absent')}: {reasons.shown(level.reason, view.language)}")
            card.note.classes(replace="num note")

    page.follow((Part.FINAL,), update)


def _map(page: Page) -> None:
    title = page.view.label("map")
    card = figure.card("map", title)

    def go(event: EChartPointClickEventArguments) -> None:
        names = dict(zip((labels.industry(n, page.view.language) for n in INDUSTRIES), INDUSTRIES, strict=True))
        if event.name in names:
            ui.navigate.to(page.path(f"/industry/{names[event.name]}"))

    with card.box:
        chart = figure.chart(
            page,
            title,
            charts.heat_map(page.view, []),
            on_point=go,
            heading=card.heading,
            day=lambda: industries_day(page.site.model),
        )
        why = ui.label().classes("muted").mark("no-heat")

    def update() -> None:
        why.set_text(industry_absence(page.site.model, page.view, "heat"))
        chart.set_visibility(not why.text)
        days = page.site.model.industry_days(1)
        if not days:
            return
        frame = days[-1]
        found = []
        for i, name in enumerate(INDUSTRIES):
            heat, risk, balance = (float(frame.columns[c][i]) for c in ("heat", "risk", "fin_balance"))
            if heat == heat and risk == risk:  # both are known
                found.append((name, heat, risk, balance if balance == balance else None))
        card.note.set_text(f"{industry_note(page.site.model, page.view, frame)} · {page.view.label('map_note')}")
        figure.set_series(page, chart, [{"id": "map", "data": charts.heat_map(page.view, found)["series"][0]["data"]}])

    page.follow((Part.INDUSTRIES,), update, every_s=_CURVES_S)
