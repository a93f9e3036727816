"""The page of one industry: heat, risk, balance, net buy, and the factors of heat and risk."""

from __future__ import annotations

from collections.abc import Iterator

from nicegui import ui

from alerts import reasons
from console import charts, formats, labels, subject
from console.industry_rows import industry_note
from console.model import Part
from console.security_days import row
from console.site import Page, heading
from processors.industries import INDUSTRIES
from processors.outputs import IndustrySignals

#: Columns of the tiles.
_TILES = ("heat", "risk", "fin_balance", "net_buy", "buy_to_turnover", "week_change")


def draw(page: Page, name: str) -> None:
    """One industry."""
    view, label = page.view, page.view.label

    def draw_day() -> None:
        if name not in INDUSTRIES:
            subject.unknown(page, f"{label('not_found')} {name}", forever=True)
            with ui.element("div").classes("card wide names"):
                for one in INDUSTRIES:
                    ui.link(labels.industry(one, view.language), page.path(f"/industry/{one}"))
            return
        model, named = page.site.model, labels.industry(name, view.language)
        newest = model.newest_industries
        if newest is None:
            subject.title(page, named, label("waiting"))
            return
        shown = next(iter(model.industry_days(1)), newest)
        subject.title(page, named, industry_note(model, view, shown))
        for frame in (shown,) if shown is newest else (shown, newest):
            for line in _absent(page, name, frame):
                ui.label(line).classes("muted wide")
        rows, last = model.industry(name), row(shown.columns, INDUSTRIES.index(name))
        unit, suffix = formats.MONEY_UNIT[view.language]

        def title(signal: str) -> str:
            return view.signal(signal)

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
        # A weekly figure is that of the last week's end, with its day.
        weeks = ((day, value) for day, one in reversed(rows) if (value := one.get("week_change")) is not None)
        week_end, week = next(weeks, (shown.status.trade_date, None))
        text = f"{formats.signed(week)} {formats.percent(week, signed=True)}"
        subject.tile(title("week_change"), formats.dated(text, week_end, shown.status.trade_date), subject.tone(week))
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


def _absent(page: Page, name: str, frame: IndustrySignals) -> Iterator[str]:
    """Yield why figures of the tiles are absent on a day, those with the same reason together."""
    language, last = page.view.language, row(frame.columns, INDUSTRIES.index(name))
    why: dict[str, list[str]] = {}
    for column, reason in frame.left_out.items():
        if column in _TILES and last.get(column) is None:
            why.setdefault(reason, []).append(page.view.signal(column))
    for reason, titles in why.items():
        absent = f"{frame.status.trade_date} · {page.view.label('absent')}: {', '.join(titles)}"
        yield f"{absent} · {reasons.shown(reason, language)}"


def _parts(page: Page, last: dict[str, float | None]) -> None:
    """The components of heat and risk."""
    for whole in ("heat", "risk"):
        with ui.element("div").classes("card half"):
            heading(page.view.label(whole))
            for name, value in last.items():
                if name.startswith(whole + "_") and value is not None:
                    with ui.row().classes("w-full justify-between no-wrap"):
                        ui.label(labels.factor(name, page.view.language))
                        ui.label(subject.z(value)).classes(f"num {subject.tone(value)}")
