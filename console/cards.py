"""Alerts on the page: cards with text and evidence, acknowledging and silencing, and the page of one alert."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from nicegui import ui

from alerts.commands import Acknowledge, SetSilence
from alerts.delivery import text
from alerts.model import Alert, Severity, Silence, State
from alerts.subject_names import Language
from alerts.units import Units
from console import charts, figure, formats, labels, record, subject
from console.chart_element import ChartElement
from console.model import Part
from console.site import Page, content, heading
from processors.indicators.ratio_state import BASIS
from processors.signal import Value

_MARKS = {Severity.CRITICAL: "◆", Severity.WARNING: "▲", Severity.INFO: "●"}
_HOURS = (1, 4, 8, 24, 72, 168)
#: Cards that are shown at most: more can't be read in a few seconds.
_SHOWN = 30
#: Seconds between two updates of what follows the days: a backfill closes many in a second.
_CURVE_S = 1.0
#: From here on a figure of a security has no decimals, and separators.
_AMOUNT = 1000


def lines(page: Page, alert: Alert, *, whole: bool) -> list[str]:
    """Return the text of an alert with names before codes; with ``whole`` its sections and, first, its status, too."""
    chinese = page.view.language == "zh"
    found = [alert.text.zh if chinese else alert.text.en]
    if whole:
        status = text.status(alert, chinese=chinese)
        found = [*filter(None, [status]), *found, *text.sections(alert, chinese=chinese)]
    return [page.site.model.directory.annotated(line) for line in found]


def listing(page: Page) -> None:
    """Draw the active alerts; cards follow their changes."""
    label = page.view.label
    with ui.element("section").classes("card alerts").props(f'aria-label="{label("alerts")}"'):
        with ui.element("h2"):
            ui.label(label("alerts"))
            count = ui.label().classes("pill num")
        area = ui.element("div").classes("scroll").props("aria-live=polite tabindex=0")
        with area:
            none = ui.label().classes("muted")
            more = ui.label().classes("muted num").mark("more-alerts")
    drawn: dict[str, tuple[Alert, Silence | None, ui.element]] = {}

    def draw() -> None:
        found = page.site.model.firing()
        count.set_text(str(len(found)))
        none.set_visibility(not found)
        more.set_text(f"+{len(found) - _SHOWN} {label('more')}")
        more.set_visibility(len(found) > _SHOWN)
        found = found[:_SHOWN]
        kept = {alert.id: (alert, _silence_in_force(page, alert)) for alert in found}
        for identity, (*shown, element) in list(drawn.items()):
            if kept.get(identity) != tuple(shown):
                element.delete()
                del drawn[identity]
        # An unchanged card keeps its element, and with it the keyboard's focus.
        for place, alert in enumerate(found):
            if alert.id not in drawn:
                with area:
                    drawn[alert.id] = *kept[alert.id], card(page, alert)
                drawn[alert.id][-1].move(area, place)
        more.move(area)

    def deny() -> None:
        none.set_text(label("nothing" if page.site.model.day is None else "no_alerts"))

    page.follow((Part.FINAL,), deny, every_s=_CURVE_S)
    page.follow((Part.ALERTS,), draw)


def card(page: Page, alert: Alert, *, whole: bool = False) -> ui.element:
    """Draw the card of one alert; ``whole`` shows what a list leaves out."""
    view, language = page.view, page.view.language
    label = view.label
    acked = alert.acknowledged
    classes = f"alert {alert.severity.value}{' acked' if acked else ''}"
    with ui.element("article").classes(classes) as box:
        with ui.element("div").classes("head"):
            severity = labels.pick(labels.SEVERITIES[alert.severity.value], language)
            ui.label(f"{_MARKS[alert.severity]} {severity}").classes(f"mark {alert.severity.value}")
            with ui.element("div").props(f"role=heading aria-level={2 if whole else 3}"):
                ui.link(record.title(page, alert.rule, alert.subject), page.path(f"/alerts/{alert.id}")).style(
                    "color:var(--text);text-decoration:none"
                )
            ui.label(alert.trade_date.isoformat()).classes("muted num")
            if alert.state is not State.FIRING:
                ui.label(labels.pick(labels.ALERT_STATES[alert.state.value], language)).classes("pill")
        for line in lines(page, alert, whole=whole):
            content = ui.label(line)
            if not whole and alert.severity is Severity.INFO:
                content.classes("clamp")
        if whole or alert.severity is not Severity.INFO:
            for one in alert.evidence:
                known = f"{label('known_before')} {alert.trade_date}"
                ui.label(f"{text.evidence(one, chinese=language == 'zh')} · {known}").classes("record")
        if alert.evidence:
            record.link(page, alert.rule, alert.subject, f"▤ {label('record_of')}")
        if whole:
            for section in alert.sections:
                if section.evidence:
                    record.link(page, section.rule, section.subject, f"▤ {page.view.rule(section.rule)}")
        ending = text.ending(alert, chinese=language == "zh")
        if ending and (whole or alert.severity is Severity.CRITICAL):
            ui.label(ending).classes("record")
        if acked is not None:
            note = f": {acked.note}" if acked.note else ""
            ui.label(f"✓ {label('ack_done')} · {acked.by}{note} · {formats.moment(acked.at, language)}").mark(
                "acknowledged"
            )
        if (silence := _silence_in_force(page, alert)) is not None:
            until = formats.moment(silence.until, language)
            ui.label(f"🔕 {label('silenced')} {until} · {silence.by}").classes("muted")
        if alert.state.is_running and page.site.model.as_of is None:
            _actions(page, alert)
    return box


def _silence_in_force(page: Page, alert: Alert) -> Silence | None:
    """Return the silence of an alert; None where it is over, as nothing is published then."""
    silence = alert.silence
    return silence if silence is not None and silence.until > page.site.model.clock.now() else None


def _actions(page: Page, alert: Alert) -> None:
    label = page.view.label
    small = "dense size=sm no-caps unelevated"
    with ui.element("div").classes("acts"):
        if alert.acknowledged is None:
            primary = "color=primary" if alert.severity is not Severity.INFO else "outline color=primary"
            ui.button(label("ack"), on_click=lambda: _acknowledge(page, alert)).props(f"{small} {primary}").classes(
                "q-px-sm"
            ).mark("ack")
        else:
            ui.button(label("ack_withdraw"), on_click=lambda: _withdraw(page, alert)).props(f"{small} flat")
        if _silence_in_force(page, alert) is None:
            ui.button(label("silence"), on_click=lambda: _silence(page, alert)).props(f"{small} flat").mark("silence")
        else:
            ui.button(label("silence_end"), on_click=lambda: _unsilence(page, alert)).props(f"{small} flat")


def _who(page: Page) -> ui.input:
    """Draw the field of the person's name; a user who is logged in acts under that name, whatever the field says."""
    field = ui.input(page.view.label("who"), value=page.user or page.remembered.get("by", "")).props(
        "dense outlined maxlength=100"
    )
    field.classes("w-full").mark("who")
    if page.user:
        field.props("readonly")
    return field


def _dialog(
    page: Page, alert: Alert, hint: str, action: str, fields: Callable[[], Callable[[str], Acknowledge | SetSilence]]
) -> None:
    """Open the dialog of a command; ``fields`` draws its inputs and returns the function that builds the command."""
    label = page.view.label
    with page.layer, ui.dialog(value=True) as dialog, ui.card().style("min-width:min(360px,92vw)"):
        name = f"{label(action)}: {record.title(page, alert.rule, alert.subject)} {alert.trade_date}"
        dialog.props["aria-label"] = name
        ui.label(name).style("font-weight:700")
        ui.label(label(hint)).classes("muted")
        who = _who(page)
        command_of = fields()

        async def send() -> None:
            name = page.user or who.value.strip()
            if not name:
                ui.notify(label("need_who"), type="warning")
                return
            if not page.user and name != page.remembered.get("by"):
                await page.remember(by=name)
            if await page.send(command_of(name)):
                dialog.close()

        with ui.row().classes("w-full justify-end"):
            ui.button(label("cancel"), on_click=dialog.close).props("flat no-caps")
            ui.button(label(action), on_click=send).props("no-caps unelevated").mark("send")
    dialog.on("hide", dialog.delete)


def _acknowledge(page: Page, alert: Alert) -> None:
    def fields() -> Callable[[str], Acknowledge]:
        note = ui.input(page.view.label("note")).props("dense outlined autofocus maxlength=300").classes("w-full")
        note.mark("note")
        return lambda by: Acknowledge(alert=alert.id, by=by, at=page.site.model.clock.now(), note=note.value.strip())

    _dialog(page, alert, "ack_hint", "ack", fields)


def _silence(page: Page, alert: Alert) -> None:
    label = page.view.label

    def fields() -> Callable[[str], SetSilence]:
        hours = ui.toggle({h: f"{h} {label('hours')}" for h in _HOURS}, value=8).props("dense no-caps unelevated")
        scope = ui.radio({"alert": label("scope_alert"), "rule": label("scope_rule")}, value="alert").props("dense")
        note = ui.input(label("note")).props("dense outlined maxlength=300").classes("w-full")

        def build(by: str) -> SetSilence:
            now = page.site.model.clock.now()
            one = scope.value == "alert"
            rule, only = ("", alert.id) if one else (alert.rule, "")
            identity = "/".join((rule or "*", "*", "*", only or "*"))
            until = now + timedelta(hours=hours.value)
            silence = Silence(id=identity, until=until, by=by, note=note.value.strip(), rule=rule, alert=only)
            return SetSilence(silence=silence, at=now)

        return build

    _dialog(page, alert, "silence_hint", "silence", fields)


async def _withdraw(page: Page, alert: Alert) -> None:
    await page.send(Acknowledge(alert=alert.id, by=_actor(page), at=page.site.model.clock.now(), withdraw=True))


async def _unsilence(page: Page, alert: Alert) -> None:
    if alert.silence is None:
        return
    now = page.site.model.clock.now()
    ended = msgspec.structs.replace(alert.silence, until=now, by=_actor(page))
    await page.send(SetSilence(silence=ended, at=now))


def _actor(page: Page) -> str:
    """Return the name of the person whose action needs no dialog."""
    return page.user or page.remembered.get("by", "") or "console"


def detail(page: Page, alert_id: str) -> None:
    """Draw the page of one alert, the target of links in notifications."""
    label, language = page.view.label, page.view.language
    units = Units(page.site.rules)
    with content("sub"):
        above, curve, below = (ui.element("div").classes("parts") for _ in range(3))
    shown: list[object] = []

    def draw() -> None:
        found = page.site.model.alerts.get(alert_id)
        now = [found, found and _silence_in_force(page, found)]
        if shown == now:
            return
        shown[:] = now
        above.clear()
        below.clear()
        with above:
            if found is None:
                subject.unknown(page, f"{label('not_found')} {alert_id}")
                return
            with ui.element("div").classes("card wide"):
                ui.link(f"← {label('back')}", page.path("/"))
                card(page, found, whole=True)
                if found.source:
                    source = text.source(found, chinese=page.view.language == "zh")
                    ui.label(f"{label('source')}: {source}").classes("muted")
        if not curve.default_slot.children:
            with curve:
                _context(page, found)
        with below:
            for head, values in (("figures", found.figures), ("thresholds", found.thresholds)):
                with ui.element("div").classes("card half"):
                    heading(label(head))
                    for name, value in values.items():
                        shown_value = exact(value, units.of_figure(found, name), language)
                        ui.label(f"{name} = {shown_value}").classes("num")
            if found.members:
                _members(page, found, units)
            with ui.element("div").classes("card wide"):
                heading(label("inputs"))
                for given in found.provenance:
                    ui.label(f"{given.topic}[{given.partition}] · {given.offset} · r{given.revision}").classes(
                        "num muted"
                    )
                ui.label(f"marginwatch alerts why {found.id}").classes("muted")

    ui.page_title(f"{alert_id} · marginwatch")
    page.follow((Part.ALERTS,), draw)


def _context(page: Page, alert: Alert) -> None:
    """Draw the curve that a rule on the market evaluates."""
    model, view = page.site.model, page.view
    if alert.subject in BASIS.values():
        _curve(
            page,
            view.label("ratio_history"),
            lambda: charts.history(view, model.curves(charts.RATIO_CURVES), [], breaks=record.breaks(page)),
        )
    elif alert.rule == "excess_financing":
        _curve(page, view.label("excess"), lambda: charts.excess(view, model.curve("excess_financing"), []))


def _curve(page: Page, title: str, options: Callable[[], charts.Options]) -> None:
    """Draw a curve that follows the days, and the cases that it marks."""
    with ui.element("div").classes("card wide tall"):
        heading(title)
        chart = ChartElement(options()).props(f'role=img aria-label="{title}"')

    def update() -> None:
        figure.set_series(page, chart, options()["series"])

    page.follow((Part.FINAL, Part.RECORDS), update, every_s=_CURVE_S, drawn=True)


def exact(value: Value, unit: str, language: Language) -> str:
    """Format a figure as it is, with percent or money behind it where that is its unit."""
    if not isinstance(value, float):
        return str(value)
    if unit == "ratio":
        return f"{value:.6g} ({formats.percent(value)})"
    return f"{value:,.0f} ({formats.money(value, language)})" if unit == "CNY" else f"{value:,.6g}"


def short(value: float, unit: str) -> str:
    """Format the figure of a security, with an arrow for its sign."""
    size = abs(value)
    plain = f"{size:,.0f}" if size >= _AMOUNT else f"{size:.4g}"
    return f"{formats.signed(value)} {formats.percent(size) if unit == 'ratio' else plain}"


def _members(page: Page, alert: Alert, units: Units) -> None:
    label = page.view.label
    rows = [
        {
            "key": key,  # a security may be in several sections
            "code": m.code,
            "name": page.site.model.directory.name(m.code),
            "value": short(m.value, units.of_members(m.rule or alert.rule)),
            "note": " · ".join(part for part in (page.view.rule(m.rule) if m.rule else "", m.note) if part),
        }
        for key, m in enumerate(alert.members)
    ]
    columns: list[dict[str, Any]] = [
        {"name": "code", "label": label("code"), "field": "code", "align": "left", "sortable": True},
        {"name": "value", "label": label("figures"), "field": "value", "align": "right"},
        {"name": "note", "label": label("note"), "field": "note", "align": "left"},
    ]
    with ui.element("div").classes("card wide"):
        heading(f"{label('members')} ({len(rows)})")
        table = figure.table(columns, rows, "key", page_rows=20)
        figure.link_codes(page, table)
