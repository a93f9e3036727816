"""The page of one industry: heat, risk, balance, net buy, and the factors of heat and risk."""

from __future__ import annotations

from nicegui import ui

from console import charts, formats, labels, subject
from console.model import Part
from console.site import Page, heading
from processors.industries import INDUSTRIES


def draw(page: Page, name: str) -> None:
    """One industry."""
    view, label = page.view, page.view.label

    def draw_day() -> None:
        if name not in INDUSTRIES:
            subject.title(page, name, label("not_found"))
            return
        rows = page.site.model.industry(name)
        subject.title(
            page, labels.industry(name, view.language), formats.day(rows[-1][0]) if rows else label("waiting")
        )
        if not rows:
            return
        _, last = rows[-1]
        unit, suffix = formats.MONEY_UNIT[view.language]

        def title(signal: str) -> str:
            return labels.signal_title(signal, view.language)

        subject.tile(label("heat"), subject.z(last.get("heat")), subject.tone(last.get("heat")))
        subject.tile(label("risk"), subject.z(last.get("risk")), subject.tone(last.get("risk")))
        subject.tile(title("fin_balance"), formats.money(last.get("fin_balance"), view.language))
        net = last.get("net_buy")
        subject.tile(
            title("net_buy"),
            f"{formats.signed(net)} {formats.money(net, view.language, signed=True)}",
            subject.tone(net),
        )
        subject.tile(title("buy_to_turnover"), formats.percent(last.get("buy_to_turnover")))
        week = last.get("week_change")
        subject.tile(
            title("week_change"), f"{formats.signed(week)} {formats.percent(week, signed=True)}", subject.tone(week)
        )
        subject.chart(
            page,
            f"{label('heat')} · {label('risk')}",
            charts.lines(
                view,
                (
                    (label("heat"), subject.points(rows, "heat"), view.colours.warm, "solid"),
                    (label("risk"), subject.points(rows, "risk"), view.colours.accent, "dashed"),
                ),
            ),
            "wide tall",
        )
        subject.chart(
            page,
            title("fin_balance") + suffix,
            charts.single(
                view, title("fin_balance") + suffix, subject.points(rows, "fin_balance", unit), view.colours.accent
            ),
        )
        subject.chart(
            page,
            title("net_buy") + suffix,
            charts.single(view, title("net_buy") + suffix, subject.points(rows, "net_buy", unit), "", signed_bars=True),
        )
        _parts(page, last)

    subject.redrawn(page, (Part.INDUSTRIES,), draw_day)


def _parts(page: Page, last: dict[str, float | None]) -> None:
    """The components of heat and risk."""
    for whole in ("heat", "risk"):
        with ui.element("div").classes("card half"):
            heading(page.view.label(whole))
            for name, value in last.items():
                if name.startswith(whole + "_") and value is not None:
                    with ui.row().classes("w-full justify-between no-wrap"):
                        ui.label(labels.factor(name.removeprefix(whole + "_"), page.view.language))
                        ui.label(subject.z(value)).classes(f"num {subject.tone(value)}")
