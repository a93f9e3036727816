"""The one screen: answer, gauge and history, figures, alerts, excess financing, industries, flags, state of data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from nicegui import ui
from nicegui.events import EChartPointClickEventArguments

from alerts.model import Text
from alerts.verdict import early_sign, verdict_text
from console import cards, charts, labels, record, tiles
from console.model import MARKET_PARTS, ConsoleModel, Feed, Flag, Part
from console.site import Page
from processors.indicators.verdict import VERDICT
from processors.industries import INDUSTRIES

#: Seconds between two updates of whole curves and tables.
_CURVES_S = 1.0
#: A mark shows the tone of the answer without colour.
_TONE_MARKS = {"hot": "▲▲ ", "warm": "▲ ", "cold": "▼ ", "calm": ""}
#: Trading days left in the calendar below which the screen warns (ours).
_CALENDAR_WARNING_DAYS = 60


def draw(page: Page) -> None:
    """Draw the screen; every part follows the model by itself."""
    with ui.element("main").classes("grid w-full"):
        _verdict(page)
        _gauge(page)
        _history(page)
        with ui.element("div").classes("tiles"):
            tiles.draw(page)
        cards.listing(page)
        _excess(page)
        _map(page)
        _flags(page)
        _data(page)


def _card(name: str, title: str) -> tuple[ui.element, ui.label]:
    """Draw a titled part of the screen; return it and the label after its title."""
    with ui.element("section").classes(f"card {name}").props(f'aria-label="{title}"') as box, ui.element("h2"):
        ui.label(title)
        small = ui.label("").classes("num note")
    return box, small


def _verdict(page: Page) -> None:
    """Draw the answer with its reason and what would change it, and the record of the peak warning beside it."""
    model, view = page.site.model, page.view
    with ui.element("section").classes("card verdict") as box:
        with ui.element("div").classes("words").props("role=status"):
            ui.label(view.label("question")).classes("q")
            answer = ui.label().classes("answer").mark("verdict")
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
            live.set_text(f"◔ {pick(found.answer)} · {pick(found.why)}")
        if final is None:
            answer.set_text(view.label("waiting"))
            return
        found = verdict_text(final)
        box.classes(remove="hot warm cold calm", add=found.tone)
        answer.set_text(_TONE_MARKS[found.tone] + pick(found.answer))
        why.set_text(pick(found.why))
        change.set_text(pick(found.change))

    page.follow(MARKET_PARTS, update)


def _gauge(page: Page) -> None:
    box, state = _card("gauge", page.view.label("gauge"))
    with box:
        chart = ui.echart(charts.gauge(page.view, None)).classes("chart")
        with ui.row().classes("w-full items-baseline justify-center").style("gap:8px"):
            value = ui.label("–").classes("num").style("font-size:24px;font-weight:800").mark("ratio")
            live = ui.label().classes("num").mark("ratio-live")
        ui.label(page.view.label("lines")).classes("muted num").style("font-size:11px;text-align:center")

    def update() -> None:
        final, now = page.site.model.latest.get("fin_buy_ratio_5d"), page.site.model.live.get("fin_buy_ratio_5d")
        settled = final.value if final is not None and isinstance(final.value, float) else None
        running = now.value if now is not None and isinstance(now.value, float) else None
        value.set_text(labels.percent(settled))
        live.set_visibility(running is not None)
        live.set_text(f"◔ {labels.percent(running)} {page.view.label('provisional')}")
        live.style(f"color:{page.view.colours.warm}")
        found = page.site.model.now("ratio_state")
        name = str(found.value) if found is not None and found.value is not None else ""
        mark = "◔ " if found is not None and found.provisional else ""
        state.set_text(mark + labels.pick(labels.STATES[name], page.view.language) if name in labels.STATES else "")
        state.set_visibility(name in labels.STATES)
        state.classes(replace=f"num mark pill {charts.state_tone(name)}")
        _set(chart, [{"id": "gauge", "data": charts.gauge_data(settled if running is None else running)}])

    page.follow(MARKET_PARTS, update)


def _set(chart: ui.echart, series: list[dict[str, Any]]) -> None:
    """Send the data of series alone: zoom and hover are kept, and an update takes some hundred bytes."""
    for new in series:
        for series_options in chart.options["series"]:
            if series_options["id"] == new["id"]:
                series_options |= new
    chart.run_chart_method("setOption", {"series": series})


def _tail(model: ConsoleModel, name: str) -> list[tuple[date, Any]]:
    """Return the last final value and the provisional one after it."""
    live, final = model.live.get(name), model.latest.get(name)
    if live is None:
        return []
    before = [(final.trade_date, final.value)] if final is not None and final.value is not None else []
    return [*before, (live.trade_date, live.value)]


def _curve_card(
    page: Page, area: str, title: str, curves: dict[str, str], options: Callable[[], dict[str, Any]]
) -> ui.label:
    """Draw a chart whose series ``curves`` (series → signal) follow final values and whose tail follows the session."""
    model = page.site.model
    box, small = _card(area, title)
    with box:
        chart = ui.echart(options()).classes("chart").props(f'role=img aria-label="{title}"')
    main = next(iter(curves.values()))

    def follow_session() -> None:
        _set(chart, [{"id": "tail", "data": charts.points(_tail(model, main))}])

    def follow_days() -> None:
        _set(chart, [{"id": i, "data": charts.points(model.curve(name))} for i, name in curves.items()])

    page.follow(MARKET_PARTS, follow_session)
    page.follow((Part.FINAL,), follow_days, every_s=_CURVES_S)  # a backfill closes many days a second
    return small


def _history(page: Page) -> None:
    model, view = page.site.model, page.view
    _curve_card(
        page,
        "history",
        view.label("ratio_history"),
        charts.RATIO_CURVES,
        lambda: charts.history(view, model.curves(charts.RATIO_CURVES), _tail(model, "fin_buy_ratio_5d")),
    )


def _excess(page: Page) -> None:
    model, view = page.site.model, page.view
    small = _curve_card(
        page,
        "excess",
        view.label("excess"),
        {"excess": "excess_financing"},
        lambda: charts.excess(view, model.curve("excess_financing"), _tail(model, "excess_financing")),
    )

    def update() -> None:
        level = model.latest.get("excess_level")
        side = level.value if level is not None and isinstance(level.value, (int, float)) else 0
        band = labels.percent(page.site.parameters.excess_level, 0)
        small.set_text(f"{labels.signed(side)} ±{band}".strip())
        small.classes(replace=f"num pill mark {'critical' if side else ''}")

    page.follow((Part.FINAL,), update)


def _map(page: Page) -> None:
    box, small = _card("map", page.view.label("map"))

    def go(event: EChartPointClickEventArguments) -> None:
        names = dict(zip((labels.industry(n, page.view.language) for n in INDUSTRIES), INDUSTRIES, strict=True))
        if event.name in names:
            ui.navigate.to(f"/industry/{names[event.name]}")

    with box:
        chart = ui.echart(charts.heat_map(page.view, []), on_point_click=go).classes("chart")
        chart.props(f'role=img aria-label="{page.view.label("map")}"')

    def update() -> None:
        frame = page.site.model.industry_day()
        if frame is None:
            return
        found = []
        for i, name in enumerate(INDUSTRIES):
            heat, risk, balance = (float(frame.columns[c][i]) for c in ("heat", "risk", "fin_balance"))
            if heat == heat and risk == risk:  # both are known
                found.append((name, heat, risk, balance if balance == balance else None))
        note = " ⚠" if frame.status.degraded else ""
        small.set_text(f"{labels.day(frame.status.trade_date)}{note} · {page.view.label('map_note')}")
        _set(chart, [{"id": "map", "data": charts.heat_map(page.view, found)["series"][0]["data"]}])

    page.follow((Part.INDUSTRIES,), update, every_s=_CURVES_S)


def _flags(page: Page) -> None:
    label = page.view.label
    box, small = _card("flags", label("flags"))
    columns = [
        {"name": "code", "label": label("code"), "field": "code", "align": "left", "sortable": True},
        {"name": "flag", "label": label("flag"), "field": "flag", "align": "left", "sortable": True},
        {"name": "change", "label": label("change"), "field": "change", "align": "right", "sortable": True,
         ":format": "v => v == null ? '–' : (v > 0 ? '▲ ' : '▼ ') + Math.abs(v * 100).toFixed(1) + '%'"},
        {"name": "streak", "label": label("days"), "field": "streak", "align": "right", "sortable": True,
         ":format": "v => v == null ? '–' : v > 0 ? '▲ ' + v : v < 0 ? '▼ ' + -v : '0'"},
        {"name": "excess", "label": label("excess_return"), "field": "excess", "align": "right", "sortable": True,
         ":format": "v => v == null ? '–' : (v * 100).toFixed(1) + '%'"},
    ]  # fmt: skip
    kinds = {"": label("all"), "score": label("score")}
    kinds |= {name: label(f"flag_{name}") for name in ("extreme", "streak", "divergence")}
    with box:
        with ui.row().classes("w-full items-center no-wrap").style("gap:6px"):
            search = ui.input(placeholder=label("search")).props(
                f'dense outlined clearable aria-label="{label("search")}"'
            )
            search.classes("grow").mark("search")
            kind = ui.select(kinds, value="").props(f'dense outlined options-dense aria-label="{label("flag")}"')
        table = ui.table(columns=columns, rows=[], row_key="id").props(
            'flat dense virtual-scroll hide-bottom :rows-per-page-options="[0]" :virtual-scroll-item-size="27"'
        )
        table.classes("w-full").bind_filter_from(search, "value", lambda v: v or "")
        cards.link_codes(table)
        none = ui.label(label("no_flags")).classes("muted")
        for name in ("change", "streak"):
            table.add_slot(
                f"body-cell-{name}",
                """<q-td :props="props" class="num"><span :class="props.row."""
                + name
                + """ > 0 ? 'rise' : 'fall'">{{ props.value }}</span></q-td>""",
            )

    def update() -> None:
        day, found = page.site.model.flags()
        chosen = [f for f in found if kind.value in ("", f.kind)]
        small.set_text(f"{labels.day(day)} · {len(chosen)}")
        none.set_visibility(not chosen)
        table.set_visibility(bool(chosen))
        table.rows = [_flag_row(page, f) for f in chosen]

    kind.on_value_change(update)
    page.follow((Part.SECURITIES,), update, every_s=_CURVES_S)


def _flag_row(page: Page, flag: Flag) -> dict[str, Any]:
    key = f"flag_{flag.kind}"
    strong = flag.strong and f"{key}_strong" in labels.LABELS
    return {
        "id": f"{flag.kind}/{flag.code}",
        "code": flag.code,
        "flag": page.view.label(f"{key}_strong" if strong else key) + (" ★" if flag.strong else ""),
        "change": flag.change,
        "streak": flag.streak,
        "excess": flag.excess,
    }


def _data(page: Page) -> None:
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
                with ui.label(f"○ {label('absent')}: {len(absent)}").classes("muted"):
                    ui.tooltip(", ".join(s.name for s in absent))
            if model.live:
                ui.label(f"◔ {label('provisional')}: {len(model.live)}").classes("late")
            left = model.calendar_days_left
            if left is not None and left < _CALENDAR_WARNING_DAYS:
                ui.label(f"⚠ {label('calendar_left')}: {left}").classes("late")

    page.follow((Part.FEEDS, Part.FINAL, Part.LIVE, Part.SECURITIES), update, every_s=_CURVES_S)


def _missing(model: ConsoleModel) -> dict[str, str]:
    """Return what the newest day lacks, by feed."""
    found: dict[str, int] = {}
    for signal in model.latest.values():
        found |= signal.missing
    frame = model.security_status()
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
