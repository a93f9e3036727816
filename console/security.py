"""The page of one security: candles with balance and buys, streak and score, past flags, peers of its industry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from nicegui import ui

from console import charts, figure, formats, labels, panel_charts, subject, tiles
from console.daily_inputs import adjusted
from console.model import Part
from console.panel_charts import Mark
from console.site import Page
from processors.days import TradingCalendar, to_date, to_day

_HORIZONS = (5, 20, 60)
#: Peers that are listed, those with the largest balance.
_PEERS = 12
Row = Mapping[str, float | None]


def draw(page: Page, code: str) -> None:
    """One security."""
    view, label = page.view, page.view.label

    def draw_day() -> None:
        model = page.site.model
        rows = model.securities.rows(code)
        shown = model.directory.shown(code)
        if not rows:
            draw_title = subject.title if model.directory.name(code) else subject.unknown
            draw_title(page, shown, label("no_security"))
            return
        day, last = rows[-1]
        industry = model.inputs.industry(code)
        notes = [day.isoformat(), labels.industry(industry, view.language) if industry else "", _left(page, day)]
        subject.title(page, shown, " · ".join(filter(None, notes)))
        streak, change = last.get("fin_streak"), last.get("fin_change")
        subject.tile(label("fin_balance"), formats.money(last.get("fin_balance"), view.language))
        subject.tile(
            label("change"), f"{formats.signed(change)} {formats.percent(change, signed=True)}", subject.tone(change)
        )
        subject.tile(
            label("streak"),
            tiles.streak(None if streak is None else int(streak), view.language),
            subject.tone(streak),
        )
        score = last.get("excess_score")
        subject.tile(label("score"), "–" if score is None else f"{score:.2f}")
        excess = last.get("streak_excess")
        subject.tile(label("excess_return"), formats.percent(excess, signed=True), subject.tone(excess))
        flags = [(day, row) for day, row in rows if flag_texts(page, row)]
        subject.tile(label("flags"), " · ".join(flag_texts(page, last)) or "–")
        _prices(page, code, rows, flags)
        accent = view.colours.accent
        for name, options in (
            ("streak", charts.single(view, label("streak"), subject.points(rows, "fin_streak"), "", signed_bars=True)),
            ("score", charts.single(view, label("score"), subject.points(rows, "excess_score"), accent)),
        ):
            subject.chart(page, label(name), options)
        _followed(page, rows, flags)
        _peers(page, industry, code)

    subject.redrawn(page, (Part.SECURITIES, Part.INPUTS, Part.NAMES), draw_day)


def _left(page: Page, shown: date) -> str:
    """Return the newest day of all securities, on which this one is absent; "" where it is the day shown."""
    newest = page.site.model.securities.newest()
    if newest is None or newest.status.trade_date <= shown:
        return ""
    return f"⚠ {formats.short_day(newest.status.trade_date, shown)} {page.view.label('absent')}"


def flag_texts(page: Page, row: Row) -> list[str]:
    """Return the flags of a day in words."""
    label, p = page.view.label, page.site.parameters
    found = []
    side, streak = row.get("extreme") or 0, int(row.get("fin_streak") or 0)
    if side:
        key = "flag_extreme_strong" if row.get("consecutive_extreme") else "flag_extreme"
        found.append(f"{formats.signed(side)} {label(key)}")
    if abs(streak) in p.streak_flags and row.get("fin_change") is not None:
        key = "flag_streak_strong" if abs(streak) >= max(p.streak_flags) else "flag_streak"
        found.append(f"{formats.signed(streak)} {label(key)} {abs(streak)}")
    if row.get("divergence"):
        found.append(label("flag_divergence"))
    if row.get("excess_top"):
        found.append(label("flag_score"))
    return found


def _prices(page: Page, code: str, rows: subject.Rows, flags: Sequence[tuple[date, Row]]) -> None:
    """Draw candles, volume, balance and buys; without prices the adjusted level over the balance."""
    view, label = page.view, page.view.label
    unit, suffix = formats.MONEY_UNIT[view.language]
    balance = subject.points(rows, "fin_balance", unit)
    prices = adjusted(page.site.model.inputs.of(code))
    if not any(row.get("close") for _, row in prices):
        level = (label("price_level"), subject.points(rows, "price_level"), view.colours.accent)
        options = charts.two(view, level, (label("fin_balance") + suffix, balance))
        subject.chart(page, f"{label('price_level')} · {label('fin_balance')}{suffix}", options, "wide tall")
        return
    share = [(day, ratio(row.get("fin_buy"), row.get("turnover"))) for day, row in prices]
    closes = {day: row["close"] for day, row in prices if row.get("close")}
    marks = [
        Mark(day, price, int(row.get("extreme") or row.get("fin_streak") or 0), " · ".join(flag_texts(page, row)))
        for day, row in flags
        if (price := closes.get(day)) is not None
    ]
    title = f"{label('price')} · {label('fin_balance')}{suffix} · {label('volume')} · {label('buy_turnover')}"
    subject.chart(page, title, panel_charts.candles(view, prices, balance, share, marks), "wide candles")


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return part / whole; None where one of them is unknown or nothing was traded."""
    return part / whole if part is not None and whole else None


def after(rows: Mapping[date, Row], day: date, horizon: int, sessions: TradingCalendar) -> float | None:
    """Return the return from the open of the session after a day to the close ``horizon`` sessions after the day.

    None where the horizon is not over, or a price is not known.
    """
    first, last = (sessions.after(to_day(day), count) for count in (1, horizon))
    entry, end = (rows.get(to_date(one), {}) if one is not None else {} for one in (first, last))
    level, of_day, close = entry.get("price_level"), entry.get("open_to_close"), end.get("price_level")
    return None if level is None or of_day is None or close is None else close * (1 + of_day) / level - 1


def _followed(page: Page, rows: subject.Rows, flags: Sequence[tuple[date, Row]]) -> None:
    """Draw the days on which the security was flagged, with the returns that followed."""
    label = page.view.label
    by_day, sessions = dict(rows), page.site.model.sessions
    table_rows = [
        {"day": day.isoformat(), "flag": " · ".join(flag_texts(page, row)), "change": row.get("fin_change"),
         **{f"after{h}": after(by_day, day, h, sessions) for h in _HORIZONS}}
        for day, row in reversed(flags)
    ]  # fmt: skip
    percent = formats.script_percent(1, "+")
    columns: list[dict[str, Any]] = [
        {"name": "day", "label": label("date"), "field": "day", "align": "left", "sortable": True},
        {"name": "flag", "label": label("flag"), "field": "flag", "align": "left", "sortable": True, "classes": "wrap"},
    ]
    for name, key in (("change", "change"), *((f"after{h}", f"after_{h}") for h in _HORIZONS)):
        columns.append({"name": name, "label": label(key), "field": name, "sortable": True, ":format": percent})
    _table(page, "half", label("followed"), label("followed_note"), columns, table_rows, "day", label("no_flag_yet"))


def _peers(page: Page, industry: str, code: str) -> None:
    """Draw the securities of the same industry with the largest balances, the security itself among them."""
    label, model = page.view.label, page.site.model
    found = model.securities.of_newest_day(model.inputs.members(industry)) if industry else {}
    largest = sorted(found, key=lambda one: -(found[one].get("fin_balance") or 0.0))
    rows = [
        {"code": one, "name": model.directory.name(one), "rank": 1 + largest.index(one), **found[one]}
        for one in largest
        if one in largest[:_PEERS] or one == code
    ]
    chinese = page.view.language == "zh"
    money = (
        formats.script(1, factor=1e-8, behind=" 亿")
        if chinese
        else formats.script(2, factor=1e-9, before="¥", behind=" bn")
    )
    percent, days = formats.script_percent(1, "▲"), formats.script(0, sign="▲")
    columns: list[dict[str, Any]] = [
        {"name": "rank", "label": "#", "field": "rank", "sortable": True},
        {"name": "code", "label": label("security"), "field": "code", "align": "left", "sortable": True},
        {"name": "balance", "label": label("fin_balance"), "field": "fin_balance", "sortable": True, ":format": money},
        {"name": "fin_change", "label": label("change"), "field": "fin_change", "sortable": True, ":format": percent},
        {"name": "fin_streak", "label": label("days"), "field": "fin_streak", "sortable": True, ":format": days},
    ]
    title = label("peers") + (f" · {labels.industry(industry, page.view.language)}" if industry else "")
    _table(page, "half", title, f"{len(largest)}" if largest else "", columns, rows, "code", label("no_peers"))


def _table(
    page: Page,
    size: str,
    title: str,
    note: str,
    columns: list[dict[str, Any]],
    rows: list[dict[str, Any]],
    key: str,
    none: str,
) -> None:
    """Draw a table with its export, or a word where it has no rows."""
    card = figure.card(f"{size} listing", title)
    card.note.set_text(note)
    with card.box:
        if not rows:
            ui.label(none).classes("muted")
            return
        table = figure.table(columns, rows, key, page_rows=15).classes("num")
        figure.link_codes(page, table)
        for column in columns:
            if column["name"] in ("change", "after5", "after20", "after60", "fin_change", "fin_streak"):
                figure.colour_signs(table, column["name"])
    figure.exports(
        page, title, lambda: figure.of_table(table), card.heading, lambda: page.site.model.securities.known_day
    )
