"""Records of rules: every past case with what followed, beside the base rate and the published claim."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from nicegui import ui

from alerts.delivery import text
from alerts.member_scores import HORIZONS
from alerts.model import ALL_INDUSTRIES, Text, alert_id
from alerts.record import CaseRow, RecordCard
from alerts.rules import digest as digest_rule
from alerts.subject_names import subject_name
from console import figure, formats, labels, studies
from console.charts import Break
from console.model import Part
from console.site import Page, content, subject_heading
from console.subject import no_subject
from processors.industries import INDUSTRIES

_HORIZONS = tuple(map(str, HORIZONS))
_HIT = {None: "…", True: "✓", False: "✗"}
#: The rule and the subject whose record is shown beside the verdict.
PEAK = ("peak_warning", "fin_buy_ratio_5d")


def title(page: Page, rule: str, subject: str) -> str:
    """Return the title of a rule, with its subject where that is not the market."""
    base, language = page.view.rule(rule), page.view.language
    known = subject in INDUSTRIES
    shown = labels.industry(subject, language) if known else subject_name(subject, language)
    shown = page.site.model.directory.annotated(shown)
    plain = subject in ("market", "stocks", "securities", ALL_INDUSTRIES, "")
    if subject.startswith("fin_buy_ratio"):
        shown = page.view.label("ratio_5d" if subject.endswith("5d") else "ratio_daily")
    return base if plain else f"{base} · {shown}"


def link(page: Page, rule: str, subject: str, shown: str) -> ui.link:
    """Draw the link to the page with every case of a rule and subject."""
    found = ui.link(shown, page.path(f"/record/{quote(rule)}/{quote(_of_record(page, rule, subject))}"))
    return found.classes("record-link").mark("record-link")


def _of_record(page: Page, rule: str, subject: str) -> str:
    """Return the subject of a rule's record, which may be that of all its subjects (`Basis.is_pooled`)."""
    expectations = (one for known in page.site.rules if known.name == rule for one in known.expectations)
    return next((one.basis.subject(subject) for one in expectations), subject)


def beside_verdict(page: Page) -> None:
    """Draw the cases of the peak warning; the element is hidden as long as none is known."""
    with ui.element("div").classes("cases") as box:
        pass

    def update() -> None:
        cards = page.site.model.records_of(*PEAK)
        box.set_visibility(bool(cards))
        box.clear()
        with box:
            for card in cards:
                with ui.element("div").classes("head"):
                    link(page, *PEAK, f"{page.view.rule(card.rule)} · {page.view.label('record')} ({len(card.rows)})")
                    ui.label(f"{page.view.label('known_until')} {card.until}").classes("muted num")
                ui.label(_evidence(page, card)).classes("num").mark("record-text")
                with ui.element("div").classes("scroll").props("tabindex=0"):
                    _table(page, card)

    page.follow((Part.RECORDS,), update)


def breaks(page: Page) -> list[Break]:
    """Return the cases of the peak warning as marks of the ratio's chart, with what followed in words."""
    label = page.view.label
    found = []
    for card in page.site.model.records_of(*PEAK):
        for row in card.rows:
            if row.figure is not None:
                returns = " / ".join(formats.percent(row.returns.get(h), 1, signed=True) for h in _HORIZONS)
                verdict = label("open_case") if row.hit is None else f"{label('hit')} {_HIT[row.hit]}"
                text = f"{formats.percent(row.figure)} · {label('outcome')} {returns} · {verdict}"
                found.append(Break(row.trade_date, row.figure, text, row.hit))
    return found


def detail(page: Page, rule: str, subject: str) -> None:
    """Draw the page of a rule's records of one subject."""
    area, subject = content("sub"), _of_record(page, rule, subject)
    label, named = page.view.label, title(page, rule, subject)

    def draw() -> None:
        cards = page.site.model.records_of(rule, subject)
        area.clear()
        with area:
            with ui.element("div").classes("card wide"), ui.row().classes("items-baseline").style("gap:12px"):
                ui.link(f"← {label('back')}", page.path("/"))
                subject_heading(f"{named} · {label('record')}")
                if study := next((one.study for one in page.site.rules if one.name == rule), ""):
                    studies.link(page, study)
                if not cards:
                    _check_known(page, rule, subject)
                    earlier = page.site.model.as_of is not None
                    ui.label(label("no_record_then" if earlier else "no_record")).classes("muted")
            for card in cards:
                _card(page, card, named)

    ui.page_title(f"{named} · {label('record')} · marginwatch")
    page.follow((Part.RECORDS,), draw)


def _check_known(page: Page, rule: str, subject: str) -> None:
    """Answer 404 for an unknown rule, and for a subject that no record and no alert of a rule names."""
    model = page.present
    named = {card.subject for card in model.records if card.rule == rule}
    named |= {_of_record(page, rule, alert.subject) for alert in model.alerts.values() if alert.rule == rule}
    if rule not in {one.name for one in page.site.rules}:
        no_subject(page, forever=True)
    elif subject not in named:
        no_subject(page)


def _card(page: Page, card: RecordCard, title: str) -> None:
    """Draw one record of a rule: what is a hit, the evidence, and every case."""
    label = page.view.label
    with ui.element("div").classes("card wide"):
        name = text.record_name(card.evidence, chinese=page.view.language == "zh")
        with ui.element("h2") as head:
            ui.label(name or page.view.rule(card.rule))
        figure.exports(
            page,
            " ".join(filter(None, (title, name, label("record")))),
            lambda: _exported(page, card),
            head,
            lambda: card.until,
        )
        ui.label(f"{label('hit')}: {_pick(page, card.evidence.definition)}")
        ui.label(_evidence(page, card)).mark("record-text")
        if card.evidence.low is not None and card.evidence.high is not None:
            span = " … ".join(formats.points(end, 0) for end in (card.evidence.low, card.evidence.high))
            noun = labels.LABELS["episode"]
            episodes = formats.counted(card.evidence.episodes, noun, page.view.language)
            ui.label(f"{label('difference')}: {span} (95%, {episodes})")
        ui.label(f"{card.source} · {card.evidence.since} – {card.until} · {label('cases')}: {len(card.rows)}").classes(
            "muted num"
        )
        with ui.element("div").classes("sideways").props("tabindex=0"):
            _table(page, card)


def _evidence(page: Page, card: RecordCard) -> str:
    return text.evidence(card.evidence, chinese=page.view.language == "zh")


def _pick(page: Page, both: Text) -> str:
    return labels.pick((both.en, both.zh), page.view.language)


def _table(page: Page, card: RecordCard) -> None:
    """Draw the cases, the newest first, as one element; a click on a date opens the alert."""
    named = _names_industries(card)
    head = "".join(f"<th scope=col>{escape(text)}</th>" for text in _heads(page, card))
    body = "".join(
        f"<tr>{''.join(_cells(row, f'/alerts/{quote(_published(page, row))}', card.unit, page, named=named))}</tr>"
        for row in reversed(card.rows)
    )
    ui.html(
        f'<table class="cases-table num" aria-label="{escape(page.view.label("record"))}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>",
        sanitize=False,
    )


def _names_industries(card: RecordCard) -> bool:
    return any(row.subject != card.subject for row in card.rows)


def _heads(page: Page, card: RecordCard) -> list[str]:
    label, language = page.view.label, page.view.language
    days = "d" if language == "en" else "日"
    industry = [label("industry")] if _names_industries(card) else []
    outcomes = [*(f"{horizon} {days}" for horizon in _HORIZONS), label("worst"), label("hit")]
    figure = labels.case_figure(card.figure, language, page.view.parameters)
    return [label("date"), *industry, figure, label("entered"), label("entry"), *outcomes]


def _exported(page: Page, card: RecordCard) -> tuple[list[str], figure.Rows]:
    """Return the heads and the exact figures of the cases, the newest first."""
    named = _names_industries(card)
    return _heads(page, card), [
        [
            row.trade_date.isoformat(),
            *([labels.industry(row.subject, page.view.language)] if named else []),
            row.figure,
            formats.day(row.entry_date),
            row.entry,
            *(row.returns.get(horizon) for horizon in _HORIZONS),
            row.drawdown,
            _hit(row),
        ]
        for row in reversed(card.rows)
    ]


def _hit(row: CaseRow) -> str:
    return f"{row.member_hits}/{row.members}" if row.members else _HIT[row.hit]


def _published(page: Page, row: CaseRow) -> str:
    """Return the id of the alert that was published of a case: of a section that of its digest."""
    digest = alert_id(digest_rule.NAME, digest_rule.SUBJECT, row.trade_date, 0)
    return digest if row.alert not in page.site.model.alerts and digest in page.site.model.alerts else row.alert


def _cells(row: CaseRow, path: str, unit: str, page: Page, *, named: bool) -> list[str]:
    """Return the cells of a case.

    Parameters
    ----------
    path : that of its alert.
    unit : that of its figure.
    named : whether the industry is among them.
    """
    return [
        f'<td><a href="{escape(page.path(path))}">{row.trade_date}</a></td>',
        *([_cell(labels.industry(row.subject, page.view.language))] if named else []),
        _cell("–" if row.figure is None else _figure(row.figure, unit, page)),
        _cell("–" if row.entry_date is None else formats.short_day(row.entry_date, row.trade_date)),
        _cell("–" if row.entry is None else f"{row.entry:,.0f}"),
        *(_change(row.returns.get(horizon)) for horizon in _HORIZONS),
        _change(row.drawdown),
        _cell(_hit(row)),
    ]


def _figure(value: float, unit: str, page: Page) -> str:
    if unit == "ratio":
        return formats.percent(value)
    return formats.money(value, page.view.language) if unit == "CNY" else f"{value:,.4g}"


def _change(value: float | None) -> str:
    """Return the cell of a return: its sign is readable without colour."""
    return _cell(formats.percent(value, 1, signed=True), tone="" if not value else "rise" if value > 0 else "fall")


def _cell(shown: str, tone: str = "") -> str:
    return f'<td class="{tone}">{escape(shown)}</td>'
