"""The tiles of the overview: one figure each, with its change or rank, or the reason why it is absent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

from msgspec.structs import replace
from nicegui import ui

from alerts import reasons
from alerts.subject_names import Language
from console import formats
from console.model import MARKET_PARTS
from console.site import Page
from processors.indicators.verdict import VERDICT
from processors.outputs import MarketSignal
from processors.signal import Value


def draw(page: Page) -> None:
    """Draw the tiles."""
    view, p, language = page.view, page.site.parameters, page.view.language

    def percent(signal: MarketSignal) -> str:
        return formats.percent(signal.value)

    def of_day_before(signal: MarketSignal) -> str:
        change = page.site.model.change(signal.name, signal.trade_date, signal.value)
        if change is None:
            return ""
        return f"{formats.signed(change)} {formats.points(change)}"

    def balance_change(_: MarketSignal) -> str:
        found = page.site.model.latest.get("fin_balance_change")
        if found is None or not isinstance(found.value, float):
            return ""
        return f"{formats.signed(found.value)} {formats.money(found.value, language, signed=True)}"

    def rank(_: MarketSignal) -> str:
        found = page.site.model.latest.get("fin_balance_to_float_cap_percentile")
        if found is None or not isinstance(found.value, float):
            return ""
        rank, span = f"{found.value * 100:.0f}", view.label("percentile")
        return f"P{rank} · {span}" if language == "en" else f"{span} {rank}%"

    _tile(page, view.label("excess_short"), "excess_financing", lambda s: formats.percent(s.value, signed=True),
          lambda _: f"±{formats.percent(p.excess_level, 0)}", coloured=True)  # fmt: skip
    _tile(page, view.label("balance"), "fin_balance", lambda s: formats.money(s.value, language), balance_change)
    _tile(
        page,
        view.label("streak"),
        "streak",
        lambda s: streak(s.value, language),
        lambda s: _high(page, s),
        coloured=True,
    )
    _tile(page, view.label("float_cap"), "fin_balance_to_float_cap", percent, rank)
    _tile(page, view.label("breadth"), "breadth_200", percent, of_day_before)
    _tile(page, view.label("share_trade"), "margin_trade_share", percent, of_day_before)


def streak(value: Value | None, language: Language) -> str:
    """Format a streak as an arrow and its length."""
    if not isinstance(value, int):
        return "–"
    return f"{formats.signed(value)} {formats.counted(abs(value), ('day', '日'), language)}"


def _high(page: Page, _: MarketSignal) -> str:
    found = page.site.model.latest.get("new_high_low")
    side = found.value if found is not None else None
    if not isinstance(side, int) or not side:
        return ""
    return page.view.label("new_high" if side > 0 else "new_low")


def _dated(page: Page, title: str, day: date) -> str:
    """Return a title, with the day of its figure where the answer is of another one."""
    answer = page.site.model.latest.get(VERDICT.id)
    other = answer is not None and answer.trade_date != day
    return f"{title} · {formats.short_day(day, answer.trade_date)}" if answer is not None and other else title


def _tile(
    page: Page,
    title: str,
    name: str,
    shown: Callable[[MarketSignal], str],
    below: Callable[[MarketSignal], str],
    *,
    coloured: bool = False,
) -> None:
    """Draw a figure with a line below it; where it is absent, that line opens the reason.

    The title names the day of a figure that is not of the day of the answer.
    """
    with ui.element("div").classes("card tile").props(f'role=group aria-label="{title}"'):
        of = ui.label(title).classes("muted d")
        value = ui.label().classes("v num").mark(f"tile-{name}")
        under = ui.label().classes("d num")
        with ui.element("details").classes("d num muted") as absence:
            with ui.element("summary"):
                last_known = ui.label()
            why = ui.label()

    def update() -> None:
        model = page.site.model
        signal = model.now(name)
        absent = signal is not None and signal.value is None
        absence.set_visibility(absent)
        under.set_visibility(not absent)
        of.set_text(title if signal is None or signal.provisional else _dated(page, title, signal.trade_date))
        if signal is None or signal.value is None:
            value.set_text("–")
            value.classes(replace="v num")
            under.set_text("")
            if signal is not None:
                last_known.set_text(page.view.label("absent"))
                if (known := model.last_known(name)) is not None:
                    day, last = known
                    last_known.set_text(formats.dated(shown(replace(signal, value=last)), day, signal.trade_date))
                why.set_text(reasons.shown(signal.reason, page.view.language))
            return
        text = below(signal)
        value.set_text(("◔ " if signal.provisional else "") + shown(signal) + (" ⚠" if signal.degraded else ""))
        under.set_text(text)
        under.classes(replace=f"d num {'rise' if '▲' in text else 'fall' if '▼' in text else 'muted'}")
        if coloured and isinstance(signal.value, (int, float)):
            value.classes(replace=f"v num {'rise' if signal.value > 0 else 'fall' if signal.value < 0 else ''}")

    page.follow(MARKET_PARTS, update)
