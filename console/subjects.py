"""The pages of one security and of one industry: price over balance, streak, score; heat, risk, balance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from nicegui import ui

from console import charts, labels
from console.model import Part
from console.site import Page, content, heading
from processors.industries import INDUSTRIES

Rows = Sequence[tuple[date, dict[str, float | None]]]


def _points(rows: Rows, name: str, scale: float = 1.0) -> list[tuple[date, Any]]:
    return [(d, None if (v := row.get(name)) is None else v * scale) for d, row in rows]


def _title(page: Page, text: str, note: str) -> None:
    with ui.element("div").classes("card wide"), ui.row().classes("items-baseline").style("gap:12px"):
        ui.link(f"← {page.view.label('back')}", "/")
        ui.label(text).style("font-size:20px;font-weight:800").mark("subject")
        ui.label(note).classes("muted num")


def _figure(title: str, value: str, tone: str = "") -> None:
    with ui.element("div").classes("card tile"):
        ui.label(title).classes("muted d")
        ui.label(value).classes(f"v num {tone}")


def _chart(title: str, options: dict[str, Any], size: str = "half low") -> None:
    with ui.element("div").classes(f"card {size}"):
        heading(title)
        ui.echart(options).classes("chart").props(f'role=img aria-label="{title}"')


def _tone(value: float | None) -> str:
    return "" if not value else "rise" if value > 0 else "fall"


def _redrawn(page: Page, part: Part, draw_content: Callable[[], None]) -> None:
    """Redraw a whole page with each new day; days are few."""
    area = content("sub")

    def draw() -> None:
        area.clear()
        with area:
            draw_content()

    page.follow((part,), draw, every_s=5.0)


def security(page: Page, code: str) -> None:
    """One security."""
    view, label = page.view, page.view.label

    def draw() -> None:
        rows = page.site.model.security(code)
        if not rows:
            _title(page, code, label("no_security"))
            return
        day, last = rows[-1]
        _title(page, code, day.isoformat())
        unit, suffix = labels.MONEY_UNIT[view.language]
        streak, change = last.get("fin_streak"), last.get("fin_change")
        _figure(label("fin_balance"), labels.money(last.get("fin_balance"), view.language))
        _figure(label("change"), f"{labels.signed(change)} {labels.percent(change, signed=True)}", _tone(change))
        _figure(label("streak"), f"{labels.signed(streak)} {abs(int(streak or 0))}", _tone(streak))
        _figure(label("score"), "–" if last.get("excess_score") is None else f"{last['excess_score']:.2f}")
        excess = last.get("streak_excess")
        _figure(label("excess_return"), labels.percent(excess, signed=True), _tone(excess))
        _figure(label("flags"), _flags(page, last))
        _chart(
            f"{label('price_level')} · {label('fin_balance')}",
            charts.two(
                view,
                (label("price_level"), _points(rows, "price_level"), view.colours.accent),
                (label("fin_balance") + suffix, _points(rows, "fin_balance", unit)),
            ),
            "wide tall",
        )
        _chart(label("streak"), charts.single(view, label("streak"), _points(rows, "fin_streak"), "", signed_bars=True))
        _chart(label("score"), charts.single(view, label("score"), _points(rows, "excess_score"), view.colours.accent))
        with ui.element("div").classes("card wide"):
            _alerts_of(page, code)

    _redrawn(page, Part.SECURITIES, draw)


def _flags(page: Page, last: dict[str, float | None]) -> str:
    label = page.view.label
    side = last.get("extreme") or 0
    found = []
    if side:
        key = "flag_extreme_strong" if last.get("consecutive_extreme") else "flag_extreme"
        found.append(f"{labels.signed(side)} {label(key)}")
    if last.get("divergence"):
        found.append(label("flag_divergence"))
    if last.get("excess_top"):
        found.append(label("score"))
    return " · ".join(found) or "–"


def _alerts_of(page: Page, code: str) -> None:
    """The newest digests that name a security."""
    heading(page.view.label("earlier"))
    found = [a for a in page.site.model.alerts.values() if any(m.code == code for m in a.members)]
    for alert in sorted(found, key=lambda a: a.trade_date, reverse=True)[:12]:
        ui.link(f"{alert.trade_date} · {page.view.rule(alert.rule)}", f"/alerts/{alert.id}")
    if not found:
        ui.label("–").classes("muted")


def industry(page: Page, name: str) -> None:
    """One industry."""
    view, label = page.view, page.view.label

    def draw() -> None:
        if name not in INDUSTRIES:
            _title(page, name, label("not_found"))
            return
        rows = page.site.model.industry(name)
        _title(page, labels.industry(name, view.language), labels.day(rows[-1][0]) if rows else label("waiting"))
        if not rows:
            return
        _, last = rows[-1]
        unit, suffix = labels.MONEY_UNIT[view.language]

        def title(signal: str) -> str:
            return labels.signal_title(signal, view.language)

        _figure(label("heat"), _z(last.get("heat")), _tone(last.get("heat")))
        _figure(label("risk"), _z(last.get("risk")), _tone(last.get("risk")))
        _figure(title("fin_balance"), labels.money(last.get("fin_balance"), view.language))
        net = last.get("net_buy")
        _figure(title("net_buy"), f"{labels.signed(net)} {labels.money(net, view.language, signed=True)}", _tone(net))
        _figure(title("buy_to_turnover"), labels.percent(last.get("buy_to_turnover")))
        week = last.get("week_change")
        _figure(title("week_change"), f"{labels.signed(week)} {labels.percent(week, signed=True)}", _tone(week))
        _chart(
            f"{label('heat')} · {label('risk')}",
            charts.lines(
                view,
                (
                    (label("heat"), _points(rows, "heat"), view.colours.warm, "solid"),
                    (label("risk"), _points(rows, "risk"), view.colours.accent, "dashed"),
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

    _redrawn(page, Part.INDUSTRIES, draw)


def _parts(page: Page, last: dict[str, float | None]) -> None:
    """The components of heat and risk."""
    for whole in ("heat", "risk"):
        with ui.element("div").classes("card half"):
            heading(page.view.label(whole))
            for name, value in last.items():
                if name.startswith(whole + "_") and value is not None:
                    with ui.row().classes("w-full justify-between no-wrap"):
                        ui.label(labels.factor(name.removeprefix(whole + "_"), page.view.language))
                        ui.label(_z(value)).classes(f"num {_tone(value)}")


def _z(value: float | None) -> str:
    return "–" if value is None else f"{labels.signed(value)} {abs(value):.2f}"
