"""The panels below the first screen: small multiples, groups, flows into funds, industries, the day's digest."""

from __future__ import annotations

from datetime import date
from html import escape
from typing import Any

from nicegui import ui

from alerts import reasons
from alerts.model import Alert
from alerts.rules import digest
from alerts.subject_names import GROUPS, STYLES, subject_name
from console import charts, figure, formats, labels, panel_charts
from console.industry_rows import SPARK, industries_day, industry_absence, industry_note, industry_row
from console.model import Part
from console.site import Page
from processors.industries import INDUSTRIES

#: Seconds between two updates.
_EVERY_S = 1.0
#: Signal, label and whether it is a fraction, of each small multiple.
_MULTIPLES = (
    ("fin_balance", "balance", False),
    ("short_balance", "short_balance", False),
    ("collateral_ratio", "collateral", True),
    ("two_way_to_float_cap", "two_way", True),
)
_SPARK_DAYS = 60
_SHARE = formats.script_percent(2)
_Z = formats.script(2, sign="▲")
#: Securities that the digest names in each of its sections.
_NAMED = 6


def draw(page: Page) -> None:
    """Draw the panels; each follows the model by itself."""
    with ui.element("div").classes("panels w-full"):
        for name, label, percent in _MULTIPLES:
            _multiple(page, name, page.view.label(label), percent=percent)
        _groups(page)
        _flows(page)
        _digest(page)
        _industries(page)


def _multiple(page: Page, name: str, title: str, *, percent: bool) -> None:
    """Draw one figure over time with the quantiles of its known days."""
    model, view = page.site.model, page.view
    card = figure.card("multiple", title)
    factor, unit = (1.0, "") if percent else formats.MONEY_UNIT[view.language]

    def found() -> list[tuple[Any, Any]]:
        return [(day, value * factor if isinstance(value, float) else None) for day, value in model.curve(name)]

    with card.box:
        chart = figure.chart(
            page, title, panel_charts.multiple(view, title + unit, found(), percent=percent), heading=card.heading
        )
        why = ui.label().classes("muted")

    def update() -> None:
        days = found()
        signal, known = model.latest.get(name), model.last_known(name)
        rank = charts.rank(days, view.parameters.percentile_least)
        if signal is not None and known is not None:
            day, value = known
            last = formats.percent(value) if percent else formats.money(value, view.language)
            last = formats.dated(last, day, signal.trade_date)
            if rank is not None:
                begin = next(day for day, found in days if found is not None)
                ranked = f"pctl. since {begin}: {rank:.0%}", f"自{begin}起分位：{rank:.0%}"
                last = f"{last} · {labels.pick(ranked, view.language)}"
            card.note.set_text(last)
        absent = signal is None or signal.value is None
        why.set_text(
            "" if not absent else reasons.shown(signal.reason, view.language) if signal else view.label("nothing")
        )
        why.set_visibility(absent)
        chart.set_visibility(known is not None)
        figure.set_series(page, chart, [{"id": "one", "data": charts.points(days), **panel_charts.band(view, days)}])

    page.follow((Part.FINAL,), update, every_s=_EVERY_S)


def _columns(page: Page, *named: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Return the columns of a table: text where there is no format; a head names the unit of money, see `of_table`."""
    money = {_money(page), _money(page, signed=True)}
    out = []
    for name, label, shown in named:
        unit = formats.MONEY_UNIT[page.view.language][1] if shown in money else ""
        column = {"name": name, "label": page.view.label(label) + unit, "unit": unit, "field": name, "sortable": True}
        out.append(column | ({"align": "right", ":format": shown} if shown else {"align": "left"}))
    return out


def _money(page: Page, *, signed: bool = False) -> str:
    """Return the format of CNY in a table, in the unit of the language."""
    factor, decimals = formats.MONEY_UNIT[page.view.language][0], 1 if page.view.language == "zh" else 2
    return formats.script(decimals, factor=factor, sign="+" if signed else "")


def _groups(page: Page) -> None:
    """Draw balance, share and net buy of the index and board groups."""
    model, view = page.site.model, page.view
    card = figure.card("groups", view.label("groups"))
    plain, signed = _money(page), _money(page, signed=True)
    columns = _columns(
        page, ("group", "group", ""), ("balance", "balance", plain), ("share", "share", _SHARE),
        ("net", "net_1", signed), ("net5", "net_5", signed), ("net20", "net_20", signed),
    )  # fmt: skip
    with card.box:
        table = figure.table(columns, [], "group").classes("num")
        for name in ("net", "net5", "net20"):
            figure.colour_signs(table, name)
        why = ui.label().classes("muted")

    def day() -> date | None:
        balances = (signal for name, signal in model.latest.items() if name.startswith("group_balance/"))
        return max((one.trade_date for one in balances if one.value is not None), default=None)

    def update() -> None:
        rows, absent = [], []
        published = (name.partition("/")[2] for name in model.latest if name.startswith("group_balance/"))
        for group in dict.fromkeys((*GROUPS, *sorted(published))):
            balance, net = model.latest.get(f"group_balance/{group}"), model.latest.get(f"group_net_buy/{group}")
            name = subject_name(group, view.language)
            if balance is None or balance.value is None:
                if balance is not None:
                    absent.append(f"{name}: {reasons.shown(balance.reason, view.language)}")
                continue
            details = net.details if net is not None else {}
            rows.append({
                "group": name, "balance": balance.value, "share": balance.details.get("share"),
                "net": None if net is None else net.value,
                "net5": details.get("five_days"), "net20": details.get("twenty_days"),
            })  # fmt: skip
        card.note.set_text(formats.day(day()) if rows else "")
        table.rows = rows
        table.set_visibility(bool(rows))
        why.set_text(" · ".join(absent) if rows or absent else view.label("nothing"))

    figure.exports(page, view.label("groups"), lambda: figure.of_table(table), card.heading, day)
    page.follow((Part.FINAL,), update, every_s=_EVERY_S)


def _flows(page: Page) -> None:
    """Draw net flows into funds by style, with their sum."""
    model, view = page.site.model, page.view
    title = view.label("etf_flow")
    card = figure.card("flows", title)
    factor, unit = formats.MONEY_UNIT[view.language]

    def curve(name: str) -> list[tuple[Any, Any]]:
        return [(day, value * factor if isinstance(value, float) else None) for day, value in model.curve(name)]

    def options() -> dict[str, Any]:
        styles = {style: curve(f"etf_flow/{style}") for style in STYLES}
        known = {s: c for s, c in styles.items() if any(value is not None for _, value in c)}
        return panel_charts.flows(view, known, curve("etf_flow_total"))

    with card.box:
        chart = figure.chart(page, title + unit, options(), heading=card.heading)
        why = ui.label().classes("muted")

    def update() -> None:
        total, now = model.latest.get("etf_flow_total"), options()
        known = len(now["series"]) > 1
        chart.set_visibility(known)
        figure.set_series(page, chart, now["series"])
        absent = total is None or total.value is None
        why.set_text(
            "" if not absent else reasons.shown(total.reason, view.language) if total else view.label("nothing")
        )
        why.set_visibility(absent)
        note = ""
        if total is not None and (last := model.last_known("etf_flow_total")) is not None:
            day, value = last
            note = formats.dated(formats.money(value, view.language, signed=True), day, total.trade_date)
        card.note.set_text(note)

    page.follow((Part.FINAL,), update, every_s=_EVERY_S)


def _digest(page: Page) -> None:
    """Draw the newest digest with the names of its securities."""
    model, view = page.site.model, page.view
    card = figure.card("digest", view.label("digest"))
    with card.box:
        area = ui.element("div").classes("scroll").props("tabindex=0")

    def update() -> None:
        found = [a for a in model.alerts.values() if a.rule == digest.NAME]
        newest = max(found, key=lambda a: a.trade_date, default=None)
        card.note.set_text("" if newest is None else formats.day(newest.trade_date))
        area.clear()
        with area:
            if newest is None:
                ui.label(view.label("no_digest")).classes("muted")
                return
            # The members name their rule alone: its sections come together, above its securities.
            for rule in dict.fromkeys(section.rule for section in newest.sections):
                with ui.element("div"):
                    ui.label(view.rule(rule)).style("font-weight:700")
                    for section in newest.sections:
                        if section.rule == rule:
                            text = section.text.en if view.language == "en" else section.text.zh
                            ui.label(model.directory.annotated(text))
                    _named(page, newest, rule)
            ui.link(f"{view.label('members')} ({len(newest.members)})", page.path(f"/alerts/{newest.id}"))

    page.follow((Part.ALERTS, Part.NAMES), update, every_s=_EVERY_S)


def _named(page: Page, alert: Alert, rule: str) -> None:
    """Draw links to the first securities of a section, as one element."""
    directory, members = page.site.model.directory, [m for m in alert.members if m.rule == rule][:_NAMED]
    links = [
        f'<a href="{escape(page.path(f"/security/{m.code}"))}" title="{escape(m.code)}">'
        f"{escape(directory.name(m.code) or m.code)}</a>"
        for m in members
    ]
    ui.html("".join(links), sanitize=False).classes("names")


def _industries(page: Page) -> None:
    """Draw the industries as a sortable table, with the balance of the last days as a sparkline."""
    model, view = page.site.model, page.view
    card = figure.card("industries", view.label("industries"))
    signed = _money(page, signed=True)
    columns = _columns(  # what matters most is within the width of a phone
        page, ("industry", "industry", ""), ("balance", "balance", _money(page)), ("net1", "net_1", signed),
        ("net5", "net_5", signed), ("net20", "net_20", signed), ("heat", "heat", _Z), ("risk", "risk", _Z),
        ("share", "share", _SHARE), ("buys", "buy_turnover", _SHARE), ("breadth", "week_breadth", _SHARE),
    )  # fmt: skip
    columns.append({"name": "spark", "label": view.label("trend"), "field": "spark", "align": "left"})
    with card.box:
        table = figure.table(columns, [], "key", sort_by="balance").classes("num")
        table.add_slot(
            "body-cell-industry",
            f"""<q-td :props="props" class="first"><a :href="'/industry/' + props.row.key + '{page.suffix}'">
            {{{{ props.value }}}}</a></q-td>""",
        )
        width, height = SPARK
        table.add_slot(
            "body-cell-spark",
            f"""<q-td :props="props"><svg width="{width}" height="{height}" aria-hidden="true">
            <path :d="props.value" fill="none" stroke="currentColor" stroke-width="1.3"/></svg></q-td>""",
        )
        for name in ("net1", "net5", "net20", "heat", "risk"):
            figure.colour_signs(table, name)
        why = ui.label().classes("muted").mark("no-industries")

    def update() -> None:
        days = model.industry_days(_SPARK_DAYS)
        table.set_visibility(bool(days))
        why.set_text(industry_absence(model, view, "fin_balance"))
        if days:
            card.note.set_text(industry_note(model, view, days[-1]))
            table.rows = [
                {"industry": labels.industry(name, view.language), **industry_row(days, at)}
                for at, name in enumerate(INDUSTRIES)
            ]

    figure.exports(
        page,
        view.label("industries"),
        lambda: figure.of_table(table, without=("spark",)),
        card.heading,
        lambda: industries_day(model),
    )
    page.follow((Part.INDUSTRIES,), update, every_s=_EVERY_S)
