"""The pages of one security and of one industry: price over balance, streak, score; heat, risk, balance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from nicegui import ui

from console import charts, labels
from console.model import Part
from console.site import Page
from processors.industries import INDUSTRIES

Rows = Sequence[tuple[date, dict[str, float | None]]]


def _points(rows: Rows, name: str, scale: float = 1.0) -> list[tuple[date, Any]]:
    return [(d, None if (v := row.get(name)) is None else v * scale) for d, row in rows]


def _title(page: Page, text: str, note: str) -> None:
    with ui.element("div").classes("card wide"), ui.row().classes("items-baseline").style("gap:12px"):
        ui.link(f"← {page.view.say('back')}", "/")
        ui.label(text).style("font-size:20px;font-weight:800").mark("subject")
        ui.label(note).classes("muted num")


def _figure(title: str, value: str, tone: str = "") -> None:
    with ui.element("div").classes("card tile"):
        ui.label(title).classes("muted d")
        ui.label(value).classes(f"v num {tone}")


def _chart(title: str, options: dict[str, Any], size: str = "half low") -> None:
    with ui.element("div").classes(f"card {size}"):
        with ui.element("h2"):
            ui.label(title)
        ui.echart(options).classes("chart").props(f'role=img aria-label="{title}"')


def _tone(value: float | None) -> str:
    return "" if not value else "rise" if value > 0 else "fall"


def _following(page: Page, part: Part, drawn: Callable[[], None]) -> None:
    """Draw a page anew with each day that comes; days are few."""
    area = ui.element("main").classes("sub")

    def draw() -> None:
        area.clear()
        with area:
            drawn()

    page.follow((part,), draw, every_s=5.0)


def security(page: Page, code: str) -> None:
    """One security."""
    view, say = page.view, page.view.say

    def drawn() -> None:
        rows = page.site.book.security(code)
        if not rows:
            _title(page, code, say("no_security"))
            return
        day, last = rows[-1]
        _title(page, code, day.isoformat())
        unit = 1e-8 if view.language == "zh" else 1e-9
        suffix = " 亿" if view.language == "zh" else " ¥bn"
        streak, change = last.get("fin_streak"), last.get("fin_change")
        _figure(say("fin_balance"), labels.money(last.get("fin_balance"), view.language))
        _figure(say("change"), f"{labels.signed(change)} {labels.percent(change, signed=True)}", _tone(change))
        _figure(say("streak"), f"{labels.signed(streak)} {abs(int(streak or 0))}", _tone(streak))
        _figure(say("score"), "–" if last.get("excess_score") is None else f"{last['excess_score']:.2f}")
        _figure(
            say("excess_return"),
            labels.percent(last.get("streak_excess"), signed=True),
            _tone(last.get("streak_excess")),
        )
        _figure(say("flags"), _flags(page, last))
        _chart(
            f"{say('price_level')} · {say('fin_balance')}",
            charts.two(
                view,
                (say("price_level"), _points(rows, "price_level"), view.colours.accent),
                (say("fin_balance") + suffix, _points(rows, "fin_balance", unit)),
            ),
            "wide tall",
        )
        _chart(say("streak"), charts.single(view, say("streak"), _points(rows, "fin_streak"), "", signed_bars=True))
        _chart(say("score"), charts.single(view, say("score"), _points(rows, "excess_score"), view.colours.accent))
        with ui.element("div").classes("card wide"):
            _alerts_of(page, code)

    _following(page, Part.SECURITIES, drawn)


def _flags(page: Page, last: dict[str, float | None]) -> str:
    say = page.view.say
    side = last.get("extreme") or 0
    found = []
    if side:
        found.append(
            f"{labels.signed(side)} {say('flag_extreme_strong' if last.get('consecutive_extreme') else 'flag_extreme')}"
        )
    if last.get("divergence"):
        found.append(say("flag_divergence"))
    if last.get("excess_top"):
        found.append(say("score"))
    return " · ".join(found) or "–"


def _alerts_of(page: Page, code: str) -> None:
    """The newest digests that name a security."""
    with ui.element("h2"):
        ui.label(page.view.say("earlier"))
    found = [a for a in page.site.book.alerts.values() if any(m.code == code for m in a.members)]
    for alert in sorted(found, key=lambda a: a.trade_date, reverse=True)[:12]:
        rule = labels.RULES.get(alert.rule)
        name = labels.pick(rule, page.view.language) if rule else alert.rule
        ui.link(f"{alert.trade_date} · {name}", f"/alerts/{alert.id}")
    if not found:
        ui.label("–").classes("muted")


def industry(page: Page, name: str) -> None:
    """One industry."""
    view, say = page.view, page.view.say

    def drawn() -> None:
        if name not in INDUSTRIES:
            _title(page, name, say("not_found"))
            return
        rows = page.site.book.industry(name)
        _title(page, labels.industry(name, view.language), labels.day(rows[-1][0]) if rows else say("waiting"))
        if not rows:
            return
        _, last = rows[-1]
        unit = 1e-8 if view.language == "zh" else 1e-9
        suffix = " 亿" if view.language == "zh" else " ¥bn"

        def title(signal: str) -> str:
            return labels.signal_title(signal, view.language)

        _figure(say("heat"), _z(last.get("heat")), _tone(last.get("heat")))
        _figure(say("risk"), _z(last.get("risk")), _tone(last.get("risk")))
        _figure(title("fin_balance"), labels.money(last.get("fin_balance"), view.language))
        net = last.get("net_buy")
        _figure(title("net_buy"), f"{labels.signed(net)} {labels.money(net, view.language, signed=True)}", _tone(net))
        _figure(title("buy_to_turnover"), labels.percent(last.get("buy_to_turnover")))
        week = last.get("week_change")
        _figure(title("week_change"), f"{labels.signed(week)} {labels.percent(week, signed=True)}", _tone(week))
        _chart(
            f"{say('heat')} · {say('risk')}",
            charts.lines(
                view,
                (
                    (say("heat"), _points(rows, "heat"), view.colours.warm, "solid"),
                    (say("risk"), _points(rows, "risk"), view.colours.accent, "dashed"),
                ),
            ),
            "wide tall",
        )
        _chart(
            title("fin_balance") + suffix,
            charts.single(view, title("fin_balance") + suffix, _points(rows, "fin_balance", unit), view.colours.accent),
        )
        _chart(
            title("net_buy") + suffix,
            charts.single(view, title("net_buy") + suffix, _points(rows, "net_buy", unit), "", signed_bars=True),
        )
        _parts(page, last)

    _following(page, Part.INDUSTRIES, drawn)


def _parts(page: Page, last: dict[str, float | None]) -> None:
    """What heat and risk were made of."""
    for whole in ("heat", "risk"):
        with ui.element("div").classes("card half"):
            with ui.element("h2"):
                ui.label(page.view.say(whole))
            for name, value in last.items():
                if name.startswith(whole + "_") and value is not None:
                    with ui.row().classes("w-full justify-between no-wrap"):
                        ui.label(name.removeprefix(whole + "_").replace("_", " "))
                        ui.label(_z(value)).classes(f"num {_tone(value)}")


def _z(value: float | None) -> str:
    return "–" if value is None else f"{labels.signed(value)} {abs(value):.2f}"
