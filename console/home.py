"""The one screen: answer, gauge and history, figures, alerts, excess financing, industries, flags, state of data."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from msgspec.structs import replace
from nicegui import ui
from nicegui.events import EChartPointClickEventArguments

from console import cards, charts, labels
from console.model import ConsoleModel, Feed, Flag, Part
from console.site import Page
from console.verdict import verdict
from processors.industries import INDUSTRIES
from processors.outputs import MarketSignal

_FIGURES = (Part.FINAL, Part.LIVE)
#: Whole curves and tables are sent at most so often.
_CURVES_S = 1.0


def draw(page: Page) -> None:
    """Draw the screen; every part follows the book by itself."""
    with ui.element("main").classes("grid w-full"):
        _verdict(page)
        _gauge(page)
        _history(page)
        with ui.element("div").classes("tiles"):
            _tiles(page)
        cards.listing(page)
        _excess(page)
        _map(page)
        _flags(page)
        _data(page)


def _card(name: str, title: str, note: str = "") -> tuple[ui.element, ui.label]:
    """A titled part of the screen, and the label behind its title."""
    with ui.element("section").classes(f"card {name}").props(f'aria-label="{title}"') as box, ui.element("h2"):
        ui.label(title)
        small = ui.label(note).classes("num note")
    return box, small


def _verdict(page: Page) -> None:
    with ui.element("section").classes("card verdict").props("role=status") as box:
        ui.label(page.view.say("question")).classes("q")
        answer = ui.label().classes("answer").mark("verdict")
        why = ui.label().classes("why")

    def update() -> None:
        found = verdict(page.site.book, page.site.parameters, page.view.language)
        box.classes(remove="hot warm cold calm", add=found.tone)
        answer.set_text(found.answer(page.view.language))
        why.set_text(found.why)

    page.follow((*_FIGURES, Part.ALERTS), update)


def _gauge(page: Page) -> None:
    p = page.site.parameters
    box, state = _card("gauge", page.view.say("gauge"))
    with box:
        chart = ui.echart(charts.gauge(page.view, p, None)).classes("chart")
        with ui.row().classes("w-full items-baseline justify-center").style("gap:8px"):
            value = ui.label("–").classes("num").style("font-size:24px;font-weight:800").mark("ratio")
            live = ui.label().classes("num").mark("ratio-live")
        lines = {
            "cold": labels.percent(p.ratio_cold),
            "breakdown": labels.percent(p.ratio_breakdown),
            "hot": labels.percent(p.ratio_hot),
        }
        ui.label(page.view.say("lines").format(**lines)).classes("muted num").style("font-size:11px;text-align:center")

    def update() -> None:
        final, now = page.site.book.latest.get("fin_buy_ratio_5d"), page.site.book.live.get("fin_buy_ratio_5d")
        held = final.value if final is not None and isinstance(final.value, float) else None
        running = now.value if now is not None and isinstance(now.value, float) else None
        value.set_text(labels.percent(held))
        live.set_visibility(running is not None)
        live.set_text(f"◔ {labels.percent(running)} {page.view.say('provisional')}")
        live.style(f"color:{page.view.colours.warm}")
        found = page.site.book.now("ratio_state")
        name = str(found.value) if found is not None and found.value is not None else ""
        mark = "◔ " if found is not None and found.provisional else ""
        state.set_text(mark + labels.pick(labels.STATES[name], page.view.language) if name in labels.STATES else "")
        state.set_visibility(name in labels.STATES)
        state.classes(replace=f"num mark pill {charts.state_tone(name)}")
        _set(chart, [{"id": "gauge", "data": charts.gauge_data(held if running is None else running)}])

    page.follow(_FIGURES, update)


def _set(chart: ui.echart, series: list[dict[str, Any]]) -> None:
    """Send the data of series alone: zoom and hover stay, and a tick costs some hundred bytes."""
    for new in series:
        for held in chart.options["series"]:
            if held["id"] == new["id"]:
                held |= new
    chart.run_chart_method("setOption", {"series": series})


def _tail(book: ConsoleModel, name: str) -> list[tuple[date, Any]]:
    """The last final value and the provisional one behind it."""
    live, final = book.live.get(name), book.latest.get(name)
    if live is None:
        return []
    behind = [(final.trade_date, final.value)] if final is not None and final.value is not None else []
    return [*behind, (live.trade_date, live.value)]


def _curve_card(
    page: Page, area: str, title: str, curves: dict[str, str], made: Callable[[], dict[str, Any]]
) -> ui.label:
    """A chart whose series ``curves`` (series → signal) follow final values, and whose tail follows the session."""
    book = page.site.book
    box, small = _card(area, title)
    with box:
        chart = ui.echart(made()).classes("chart").props(f'role=img aria-label="{title}"')
    main = next(iter(curves.values()))

    def follow_session() -> None:
        _set(chart, [{"id": "tail", "data": charts.points(_tail(book, main))}])

    def follow_days() -> None:
        _set(chart, [{"id": i, "data": charts.points(book.curve(name))} for i, name in curves.items()])

    page.follow(_FIGURES, follow_session)
    page.follow((Part.FINAL,), follow_days, every_s=_CURVES_S)  # a backfill closes many days a second
    return small


def _history(page: Page) -> None:
    book, view = page.site.book, page.view
    _curve_card(
        page,
        "history",
        view.say("ratio_history"),
        {"ratio": "fin_buy_ratio_5d", "daily": "fin_buy_ratio"},
        lambda: charts.history(
            view,
            page.site.parameters,
            book.curve("fin_buy_ratio_5d"),
            book.curve("fin_buy_ratio"),
            _tail(book, "fin_buy_ratio_5d"),
        ),
    )


def _excess(page: Page) -> None:
    book, view = page.site.book, page.view
    small = _curve_card(
        page,
        "excess",
        view.say("excess"),
        {"excess": "excess_financing"},
        lambda: charts.excess(
            view, page.site.parameters, book.curve("excess_financing"), _tail(book, "excess_financing")
        ),
    )

    def update() -> None:
        level = book.latest.get("excess_level")
        side = level.value if level is not None and isinstance(level.value, (int, float)) else 0
        band = labels.percent(page.site.parameters.excess_level, 0)
        small.set_text(f"{labels.signed(side)} ±{band}".strip())
        small.classes(replace=f"num pill mark {'critical' if side else ''}")

    page.follow((Part.FINAL,), update)


def _tiles(page: Page) -> None:
    view, p = page.view, page.site.parameters
    zh = view.language

    def plain(signal: MarketSignal) -> str:
        return labels.percent(signal.value)

    def of_day_before(signal: MarketSignal) -> str:
        before = page.site.book.before(signal.name, signal.trade_date)
        if not isinstance(before, float) or not isinstance(signal.value, float):
            return ""
        change = signal.value - before
        return f"{labels.signed(change)} {labels.percent(change, signed=True)}".replace("%", " pp")

    def balance_change(_: MarketSignal) -> str:
        found = page.site.book.latest.get("fin_balance_change")
        if found is None or not isinstance(found.value, float):
            return ""
        return f"{labels.signed(found.value)} {labels.money(found.value, zh, signed=True)}"

    def rank(_: MarketSignal) -> str:
        found = page.site.book.latest.get("fin_balance_to_float_cap_percentile")
        if found is None or not isinstance(found.value, float):
            return ""
        return f"P{found.value * 100:.0f} · 5y" if zh == "en" else f"五年分位 {found.value * 100:.0f}%"

    def run(signal: MarketSignal) -> str:
        if not isinstance(signal.value, int):
            return "–"
        return f"{labels.signed(signal.value)} {abs(signal.value)} {'days' if zh == 'en' else '日'}"

    _tile(page, view.say("excess_short"), "excess_financing", lambda s: labels.percent(s.value, signed=True),
          lambda _: f"±{labels.percent(p.excess_level, 0)}", coloured=True)  # fmt: skip
    _tile(page, view.say("balance"), "fin_balance", lambda s: labels.money(s.value, zh), balance_change)
    _tile(page, view.say("streak"), "streak", run, lambda s: _high(page, s), coloured=True)
    _tile(page, view.say("float_cap"), "fin_balance_to_float_cap", plain, rank)
    _tile(page, view.say("breadth"), "breadth_200", plain, of_day_before)
    _tile(page, view.say("share_trade"), "margin_trade_share", plain, of_day_before)


def _high(page: Page, _: MarketSignal) -> str:
    found = page.site.book.latest.get("new_high_low")
    side = found.value if found is not None else None
    if not isinstance(side, int) or not side:
        return ""
    english = page.view.language == "en"
    return ("250-day high" if english else "创250日新高") if side > 0 else ("250-day low" if english else "创250日新低")


def _tile(
    page: Page,
    title: str,
    name: str,
    shown: Callable[[MarketSignal], str],
    below: Callable[[MarketSignal], str],
    *,
    coloured: bool = False,
) -> None:
    """A figure and what stands below it; a reason where it is absent."""
    with ui.element("section").classes("card tile").props(f'aria-label="{title}"'):
        ui.label(title).classes("muted d")
        value = ui.label().classes("v num").mark(f"tile-{name}")
        under = ui.label().classes("d num")
        tip = ui.tooltip("")

    def update() -> None:
        signal = page.site.book.now(name)
        tip.set_text("" if signal is None else f"{labels.signal_title(name, page.view.language)} · {signal.trade_date}")
        if signal is None or signal.value is None:
            value.set_text("–")
            under.set_text("")
            if signal is not None:
                known = page.site.book.last_known(name)
                last = "" if known is None else f" · {known[0]:%m-%d} {shown(replace(signal, value=known[1]))}"
                under.set_text(page.view.say("absent") + last)
                tip.set_text(signal.reason)
            under.classes(replace="d muted")
            return
        text = below(signal)
        value.set_text(("◔ " if signal.provisional else "") + shown(signal) + (" ⚠" if signal.degraded else ""))
        under.set_text(text)
        under.classes(replace=f"d num {'rise' if '▲' in text else 'fall' if '▼' in text else 'muted'}")
        if coloured and isinstance(signal.value, (int, float)):
            value.classes(replace=f"v num {'rise' if signal.value > 0 else 'fall' if signal.value < 0 else ''}")

    page.follow(_FIGURES, update)


def _map(page: Page) -> None:
    box, small = _card("map", page.view.say("map"))

    def go(event: EChartPointClickEventArguments) -> None:
        names = dict(zip((labels.industry(n, page.view.language) for n in INDUSTRIES), INDUSTRIES, strict=True))
        if event.name in names:
            ui.navigate.to(f"/industry/{names[event.name]}")

    with box:
        chart = ui.echart(charts.heat_map(page.view, []), on_point_click=go).classes("chart")
        chart.props(f'role=img aria-label="{page.view.say("map")}"')

    def update() -> None:
        frame = page.site.book.industry_day()
        if frame is None:
            return
        found = []
        for i, name in enumerate(INDUSTRIES):
            heat, risk, balance = (float(frame.columns[c][i]) for c in ("heat", "risk", "fin_balance"))
            if heat == heat and risk == risk:  # both are known
                found.append((name, heat, risk, balance if balance == balance else None))
        note = " ⚠" if frame.status.degraded else ""
        small.set_text(f"{labels.day(frame.status.trade_date)}{note} · {page.view.say('map_note')}")
        _set(chart, [{"id": "map", "data": charts.heat_map(page.view, found)["series"][0]["data"]}])

    page.follow((Part.INDUSTRIES,), update, every_s=_CURVES_S)


def _flags(page: Page) -> None:
    say = page.view.say
    box, small = _card("flags", say("flags"))
    columns = [
        {"name": "code", "label": say("code"), "field": "code", "align": "left", "sortable": True},
        {"name": "flag", "label": say("flag"), "field": "flag", "align": "left", "sortable": True},
        {"name": "change", "label": say("change"), "field": "change", "align": "right", "sortable": True,
         ":format": "v => v == null ? '–' : (v > 0 ? '▲ ' : '▼ ') + Math.abs(v * 100).toFixed(1) + '%'"},
        {"name": "streak", "label": say("days"), "field": "streak", "align": "right", "sortable": True,
         ":format": "v => v == null ? '–' : v > 0 ? '▲ ' + v : v < 0 ? '▼ ' + -v : '0'"},
        {"name": "excess", "label": say("excess_return"), "field": "excess", "align": "right", "sortable": True,
         ":format": "v => v == null ? '–' : (v * 100).toFixed(1) + '%'"},
    ]  # fmt: skip
    kinds = {"": say("all"), "score": say("score")}
    kinds |= {name: say(f"flag_{name}") for name in ("extreme", "streak", "divergence")}
    with box:
        with ui.row().classes("w-full items-center no-wrap").style("gap:6px"):
            search = ui.input(placeholder=say("search")).props(f'dense outlined clearable aria-label="{say("search")}"')
            search.classes("grow").mark("search")
            kind = ui.select(kinds, value="").props(f'dense outlined options-dense aria-label="{say("flag")}"')
        table = ui.table(columns=columns, rows=[], row_key="id").props(
            'flat dense virtual-scroll hide-bottom :rows-per-page-options="[0]" :virtual-scroll-item-size="27"'
        )
        table.classes("w-full").bind_filter_from(search, "value", lambda v: v or "")
        cards.link_codes(table)
        none = ui.label(say("no_flags")).classes("muted")
        for name in ("change", "streak"):
            table.add_slot(
                f"body-cell-{name}",
                """<q-td :props="props" class="num"><span :class="props.row."""
                + name
                + """ > 0 ? 'rise' : 'fall'">{{ props.value }}</span></q-td>""",
            )

    def update() -> None:
        day, found = page.site.book.flags()
        chosen = [f for f in found if kind.value in ("", f.kind)]
        small.set_text(f"{labels.day(day)} · {len(chosen)}")
        none.set_visibility(not chosen)
        table.set_visibility(bool(chosen))
        table.rows = [_flag_row(page, f) for f in chosen]

    kind.on_value_change(update)
    page.follow((Part.SECURITIES,), update, every_s=_CURVES_S)


def _flag_row(page: Page, flag: Flag) -> dict[str, Any]:
    key = f"flag_{flag.kind}"
    strong = flag.strong and f"{key}_strong" in labels.WORDS
    return {
        "id": f"{flag.kind}/{flag.code}",
        "code": flag.code,
        "flag": page.view.say(f"{key}_strong" if strong else key) + (" ★" if flag.strong else ""),
        "change": flag.change,
        "streak": flag.streak,
        "excess": flag.excess,
    }


def _data(page: Page) -> None:
    say = page.view.say
    with ui.element("section").classes("card data w-full").props(f'aria-label="{say("data")}"') as box:
        pass

    def update() -> None:
        book = page.site.book
        missing = _missing(book)
        box.clear()
        with box:
            ui.label(say("data")).style("font-weight:700")
            groups: dict[tuple[str, str, str], list[Feed]] = {}
            for feed in book.feeds:
                if feed.newest is not None:
                    groups.setdefault(_standing(page, feed, missing), []).append(feed)
            for (day_and_word, tone, mark), feeds in groups.items():
                with ui.element("span").classes(f"num {tone}"):
                    ui.html(f"{mark} {day_and_word}:", sanitize=False, tag="span")
                    for feed in feeds:
                        with ui.label(feed.name).classes("feed"):
                            ui.tooltip(_feed_words(page, feed, missing.get(feed.name, "")))
            empty = [f.name for f in book.feeds if f.newest is None]
            if empty:
                with ui.label(f"– {say('nothing')}: {len(empty)}").classes("muted"):
                    ui.tooltip(", ".join(empty))
            absent = [s for s in book.latest.values() if s.value is None]
            if absent:
                with ui.label(f"○ {say('absent')}: {len(absent)}").classes("muted"):
                    ui.tooltip(", ".join(s.name for s in absent))
            if book.live:
                ui.label(f"◔ {say('provisional')}: {len(book.live)}").classes("late")
            left = book.calendar_days_left
            if left is not None and left < 60:
                ui.label(f"⚠ {say('calendar_left')}: {left}").classes("late")

    page.follow((Part.FEEDS, Part.FINAL, Part.LIVE, Part.SECURITIES), update, every_s=_CURVES_S)


def _missing(book: ConsoleModel) -> dict[str, str]:
    """What the newest day lacks, by feed."""
    found: dict[str, int] = {}
    for signal in book.latest.values():
        found |= signal.missing
    frame = book.security_status()
    if frame is not None:
        found |= frame.status.missing
    out: dict[str, str] = {}
    for name, lack in found.items():
        feed, _, exchange = name.partition(" ")
        out[feed] = f"{out.get(feed, '')} {exchange} {'*' if lack < 0 else lack}".strip()
    return out


def _feed_words(page: Page, feed: Feed, lacks: str) -> str:
    say = page.view.say
    text = f"{feed.newest} · {feed.rows:,} {say('rows')} · {say('due')} {labels.day(feed.due)}"
    return text + (f" · {say('missing')} {lacks}" if lacks else "")


def _standing(page: Page, feed: Feed, missing: dict[str, str]) -> tuple[str, str, str]:
    """A feed's newest day with how it stands, class and mark; feeds that stand alike are shown together."""
    say = page.view.say
    day = f"{feed.newest:%m-%d}"
    if feed.name in missing:
        return f"{day} {say('degraded')}", "degraded", "⚠"
    if not feed.closed and feed.due is not None and feed.newest is not None and feed.newest <= feed.due:
        return f"{day} {say('late')}", "late", "⚠"
    if not feed.closed:
        return f"{day} {say('open')}", "", "…"
    if feed.late:
        return f"{day} {say('late')}", "late", "⚠"
    return f"{day} {say('complete')}", "ok", "✓"
