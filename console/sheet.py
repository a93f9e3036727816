"""The morning sheet: one A4 page as PDF for before the open, from the same model as the pages.

Chinese is set in the standard font of PDF for simplified Chinese, which every viewer has: no font file is needed, and a
sheet takes some kilobytes. What does not fit into its box ends in an ellipsis; the page never becomes two. Alerts take
the room that the parts below leave, which say what the data lack, and count those that find none.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from alerts import reasons
from alerts.delivery.text import evidence
from alerts.model import Alert, Severity
from alerts.subject_names import subject_name
from alerts.verdict import verdict_text
from console import formats, labels, question
from console.charts import Points, rank
from console.industry_rows import industry_absence, industry_note, industry_row
from console.model import ConsoleModel
from console.theme import View
from processors.indicators.verdict import VERDICT
from processors.industries import INDUSTRIES

_CHINESE, _LATIN, _BOLD = "STSong-Light", "Helvetica", "Helvetica-Bold"
_WIDTH, _HEIGHT = A4
_MARGIN, _GAP = 36.0, 14.0
_INNER = _WIDTH - 2 * _MARGIN
_SMALL, _BODY, _APART = 7.5, 9.0, 3.5
#: Heights of a line and of a heading.
_LEADING, _HEADING = _BODY + _APART, 4 + _BODY + _APART + 1
#: Where the three columns of figures end, as parts of a box's width.
_COLUMNS = (0.57, 0.79, 1.0)
_INDEX = "000300.SH"
#: Days of the chart, alerts and securities that are listed.
_CHART_DAYS, _ALERTS, _NAMED, _INDUSTRIES = 250, 8, 10, 8
#: Signal, label and kind of each figure: CNY, a fraction, a signed fraction.
_FIGURES = (
    ("fin_buy_ratio_5d", "ratio_5d", "share"),
    ("fin_buy_ratio", "ratio_daily", "share"),
    ("excess_financing", "excess_short", "signed"),
    ("fin_balance", "balance", "money"),
    ("short_balance", "short_balance", "money"),
    ("fin_balance_to_float_cap", "float_cap", "share"),
    ("margin_trade_share", "share_trade", "share"),
    ("breadth_200", "breadth", "share"),
    ("collateral_ratio", "collateral", "share"),
)


def title(model: ConsoleModel, view: View) -> str:
    """Return the title of the sheet: the day of its answer, and on an earlier day the day of its knowledge."""
    known = "" if model.as_of is None else f" · {view.label('as_of_day')} {model.as_of}"
    return f"{view.label('title')} · {view.label('sheet')} · {formats.day(day(model))}{known}"


def day(model: ConsoleModel) -> date | None:
    """Return the trade date of the answer, None if there is none."""
    final = model.latest.get(VERDICT.id)
    return None if final is None else final.trade_date


def render(model: ConsoleModel, view: View) -> bytes:
    """Return the sheet as PDF.

    Parameters
    ----------
    view : language, thresholds and the colours of rises and falls; paper is always light.
    """
    pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, pageCompression=1, lang="en" if view.language == "en" else "zh-CN")
    canvas.setTitle(title(model, view))
    canvas.setAuthor("marginwatch")
    _Sheet(canvas, model, view).draw(title(model, view))
    canvas.showPage()
    canvas.save()
    return out.getvalue()


@dataclass(slots=True)
class _Sheet:
    """Draws the parts from the top of the page to its bottom."""

    canvas: Canvas
    model: ConsoleModel
    view: View
    y: float = _HEIGHT - _MARGIN

    def draw(self, title: str) -> None:
        view = self.view
        self.line(_MARGIN, title, 15, bold=True)
        kinds = {"simulated": self.model.simulated, "replay": self.model.clock.replays}
        kind = " · ".join(view.label(name) for name, shown in kinds.items() if shown)
        self.text(_WIDTH - _MARGIN - 110, self.y + 15, kind, _BODY, colour=view.colours.hot)
        self.y -= 4
        self._verdict()
        self._chart(180)
        half = (_INNER - _GAP) / 2
        top = self.y
        self._figures(_MARGIN, half)
        left, self.y = self.y, top
        self._industries(_MARGIN + half + _GAP, half)
        self.y = min(left, self.y) - 4
        flags, lacks = self._flags(), self._lacks()
        self._alerts(bottom=_MARGIN + 2 * _HEADING + len(flags) * _LEADING + 8 + len(lacks) * (_SMALL + _APART))
        self.heading(f"{self.view.label('flags')} {formats.day(self.model.securities.flags()[0])}", _MARGIN, _INNER)
        self.lines(_MARGIN, flags)
        self.y -= 4
        self.heading(self.view.label("data"), _MARGIN, _INNER)
        self.lines(_MARGIN, lacks, size=_SMALL)
        now = formats.moment(self.model.clock.now(), view.language)
        self.text(_MARGIN, _MARGIN - 12, f"marginwatch · {now}", _SMALL, colour=view.colours.muted)

    # -- parts ----------------------------------------------------------------------------------------------------

    def _verdict(self) -> None:
        view, final = self.view, self.model.latest.get(VERDICT.id)
        if final is None:
            self.line(_MARGIN, question.unanswered(self.model, view), _BODY)
            return
        found = verdict_text(final)
        tone = {"hot": view.colours.hot, "warm": view.colours.warm, "cold": view.colours.cold}.get(found.tone)
        answer, why, change = (
            labels.pick((text.en, text.zh), view.language) for text in (found.answer, found.why, found.change)
        )
        self.line(_MARGIN, question.dated(self.model, view), _BODY)
        self.line(_MARGIN, answer, 13, bold=True, colour=tone)
        self.lines(_MARGIN, wrapped(f"{why} {change}", _BODY, _INNER, 3))

    def _chart(self, height: float) -> None:
        """Draw the ratio of the last days with its thresholds, and the CSI 300 behind it on a scale of its own."""
        view, p = self.view, self.view.parameters
        found = self.model.curve("fin_buy_ratio_5d")[-_CHART_DAYS:]
        known = [v for _, v in found if isinstance(v, float)]
        self.heading(f"{view.label('ratio_history')} · {view.label('ratio_5d')}", _MARGIN, _INNER)
        if not known:
            self.line(_MARGIN, view.label("nothing"), _BODY)
            return
        low, high = min(*known, p.ratio_cold) - 0.002, max(*known, p.ratio_hot) + 0.002
        bottom = self.y - height
        for level, colour in (
            (p.ratio_hot, view.colours.hot), (p.ratio_breakdown, view.colours.warm), (p.ratio_cold, view.colours.cold),
        ):  # fmt: skip
            at = bottom + height * (level - low) / (high - low)
            self.canvas.setStrokeColor(HexColor(colour))
            self.canvas.setLineWidth(0.5)
            self.canvas.setDash(3, 2)
            self.canvas.line(_MARGIN, at, _MARGIN + _INNER - 36, at)
            near = -6.0 if level == p.ratio_breakdown else -2.5
            self.text(_MARGIN + _INNER - 33, at + near, f"{level * 100:g}%", _SMALL, colour=colour)
        self.canvas.setDash()
        index = dict(self.model.curve(f"index_close/{_INDEX}"))
        behind = [(day, index.get(day)) for day, _ in found]
        closes = [v for _, v in behind if isinstance(v, float)]
        if closes:
            self._curve(behind, bottom, height, (min(closes), max(closes)), view.colours.index, 0.6)
        self._curve(found, bottom, height, (low, high), view.colours.accent, 1.2)
        span = f"{formats.day(found[0][0])} … {formats.day(found[-1][0])}"
        self.text(_MARGIN, bottom - 9, span, _SMALL, colour=view.colours.muted)
        behind_name = f"— {subject_name(_INDEX, view.language)}"
        self.text(_MARGIN + 110, bottom - 9, behind_name, _SMALL, colour=view.colours.index)
        self.y = bottom - 22

    def _curve(
        self, found: Points, bottom: float, height: float, scale: tuple[float, float], colour: str, width: float
    ) -> None:
        path, step = self.canvas.beginPath(), (_INNER - 36) / max(len(found) - 1, 1)
        pen = path.moveTo
        for i, (_, value) in enumerate(found):
            if not isinstance(value, float):
                pen = path.moveTo  # a gap
                continue
            pen(_MARGIN + i * step, bottom + height * (value - scale[0]) / ((scale[1] - scale[0]) or 1.0))
            pen = path.lineTo
        self.canvas.setStrokeColor(HexColor(colour))
        self.canvas.setLineWidth(width)
        self.canvas.drawPath(path)

    def _figures(self, x: float, width: float) -> None:
        """Draw each figure with its day, change on the day before, and rank among the known days."""
        view, language = self.view, self.view.language
        newest = self.model.last_known("fin_balance")
        usual = None if newest is None else newest[0]
        self.heading(f"{view.label('key_figures')} · {formats.day(usual)}", x, width)
        for name, label, kind in _FIGURES:
            known, signal = self.model.last_known(name), self.model.latest.get(name)
            if known is None:
                why = view.label("nothing") if signal is None else reasons.shown(signal.reason, language)
                self.row(x, width, view.label(label), [f"– {why}"])
                continue
            day, value = known
            change = self.model.change(name, day, value)
            shown = (
                formats.money(value, language) if kind == "money" else formats.percent(value, signed=kind == "signed")
            )
            moved = formats.money(change, language, signed=True) if kind == "money" else formats.points(change)
            days = [pair for pair in self.model.curve(name) if pair[0] <= day]
            place = rank(days, view.parameters.percentile_least)
            of = "" if usual in (None, day) else f" ({formats.short_day(day, usual)})"
            cells = [shown, f"{formats.signed(change)} {moved}", "" if place is None else f"P{place * 100:.0f}"]
            self.row(x, width, view.label(label), cells, behind=of)

    def _industries(self, x: float, width: float) -> None:
        """Draw the industries with the largest net buys and sales of 5 days, with heat and risk."""
        view, days = self.view, self.model.industry_days(20)
        of = industry_note(self.model, view, days[-1]) if days else formats.day(None)
        self.heading(f"{view.label('industries_5')} {of}", x, width)
        found = [row for at in range(len(INDUSTRIES)) if days and (row := industry_row(days, at))["net5"] is not None]
        found.sort(key=lambda row: -row["net5"])
        shown = found if len(found) <= 2 * _INDUSTRIES else [*found[:_INDUSTRIES], *found[-_INDUSTRIES:]]
        for row in shown:
            heat, risk = (f"{view.label(name)} {formats.level(row[name])}" for name in ("heat", "risk"))
            money = formats.money(row["net5"], view.language, signed=True)
            self.row(x, width, labels.industry(row["key"], view.language), [money, heat, risk])
        if not shown:
            self.line(x, industry_absence(self.model, view, "net_buy") or view.label("absent"), _BODY)

    def _alerts(self, bottom: float) -> None:
        """Draw the alerts in force down to a height, and how many there are beside them."""
        view, found, shown = self.view, self.model.firing(), 0
        self.heading(f"{view.label('alerts')} ({len(found)})", _MARGIN, _INNER)
        for alert in found[:_ALERTS]:
            text = alert.text.en if view.language == "en" else alert.text.zh
            line = f"{labels.pick(labels.SEVERITIES[alert.severity], view.language)} · {view.rule(alert.rule)}: {text}"
            lines, records = wrapped(self.model.directory.annotated(line), _BODY, _INNER, 2), self._records(alert)
            count = shown + 1 < len(found)  # a line for those that are not listed
            if self.y - (len(lines) + count) * _LEADING - len(records) * (_SMALL + _APART) < bottom:
                break
            self.lines(_MARGIN, lines)
            self.lines(_MARGIN, records, size=_SMALL)
            shown += 1
        if len(found) > shown:
            self.lines(_MARGIN, [f"+{len(found) - shown} {view.label('more')}"])
        if not found:
            self.line(_MARGIN, view.label("no_alerts"), _BODY)
        self.y -= 4

    def _records(self, alert: Alert) -> list[str]:
        """Return the lines of a warning's records, as its card shows them; an info has none."""
        if alert.severity is Severity.INFO:
            return []
        chinese, known = self.view.language == "zh", f"{self.view.label('known_before')} {alert.trade_date}"
        records = (f"{evidence(one, chinese=chinese)} · {known}" for one in alert.evidence)
        return [line for record in records for line in wrapped(record, _SMALL, _INNER, 4)]

    def _flags(self) -> list[str]:
        """Return the lines that name the securities with a flag, by kind."""
        view, (_, found), lines = self.view, self.model.securities.flags(), list[str]()
        for kind in ("divergence", "extreme", "streak", "score"):
            of_kind = [flag for flag in found if flag.kind == kind]
            if of_kind:
                names = ", ".join(
                    f"{formats.signed(flag.side)}{self.model.directory.shown(flag.code)}" for flag in of_kind[:_NAMED]
                )
                more = " …" if len(of_kind) > _NAMED else ""
                text = f"{view.label(f'flag_{kind}')} ({len(of_kind)}): {names}{more}"
                lines += wrapped(text, _BODY, _INNER, 2)
        return lines or [view.label("no_flags")]

    def _lacks(self) -> list[str]:
        """Return the lines that say what the newest day lacks."""
        view, missing = self.view, dict[str, int]()
        for signal in self.model.latest.values():
            missing |= signal.missing
        absent = [s for s in self.model.latest.values() if s.value is None]
        lacks = ", ".join(f"{name} {'*' if count < 0 else count}" for name, count in sorted(missing.items()))
        titles = ", ".join(view.signal(s.name) for s in absent)
        text = f"{view.label('missing')}: {lacks or '–'} · {view.label('absent')}: {titles or '–'}"
        return wrapped(text, _SMALL, _INNER, 3)

    # -- text -----------------------------------------------------------------------------------------------------

    def heading(self, text: str, x: float, width: float) -> None:
        self.y -= 4
        self.canvas.setStrokeColor(HexColor(self.view.colours.line))
        self.canvas.setLineWidth(0.6)
        self.line(x, text, _BODY, bold=True, colour=self.view.colours.accent)
        self.canvas.line(x, self.y + 15, x + width, self.y + 15)

    def line(self, x: float, text: str, size: float, *, bold: bool = False, colour: str | None = None) -> None:
        self.y -= size
        self.text(x, self.y, clipped(text, size, _WIDTH - _MARGIN - x, bold=bold), size, bold=bold, colour=colour)
        self.y -= _APART + 1

    def row(self, x: float, width: float, left: str, cells: Sequence[str], behind: str = "") -> None:
        """Draw a name with what is behind it at the left, and one figure, or three in columns, at the right.

        A name that is too long is cut; what is behind it never is.
        """
        self.y -= _BODY
        ends = _COLUMNS if len(cells) > 1 else (1.0,)
        room = width * (0.38 if len(cells) > 1 else 0.45) - _width(behind, _BODY)
        self.text(x, self.y, clipped(left, _BODY, room) + behind, _BODY)
        for cell, end in zip(cells, ends, strict=True):
            shown = clipped(cell, _BODY, width * (0.33 if len(cells) > 1 else 0.53))
            self.text(x + width * end - _width(shown, _BODY), self.y, shown, _BODY)
        self.y -= _APART

    def lines(self, x: float, texts: Iterable[str], size: float = _BODY) -> None:
        for text in texts:
            self.y -= size
            self.text(x, self.y, text, size)
            self.y -= _APART

    def text(
        self, x: float, y: float, text: str, size: float, *, bold: bool = False, colour: str | None = None
    ) -> None:
        self.canvas.setFillColor(HexColor(colour or self.view.colours.text))
        # The minus of the Chinese font is as wide as a character, and it has no warning sign.
        text = text.replace("−", "–").replace("⚠", "!")
        for run, font in _runs(text, bold=bold):
            self.canvas.setFont(font, size)
            self.canvas.drawString(x, y, run)
            x += pdfmetrics.stringWidth(run, font, size)


def _runs(text: str, *, bold: bool = False) -> Iterator[tuple[str, str]]:
    """Yield the parts of a text that one font has."""
    latin = _BOLD if bold else _LATIN
    run, font = "", latin
    for character in text:
        needed = latin if _is_latin(character) else _CHINESE
        if needed != font and run:
            yield run, font
            run = ""
        run, font = run + character, needed
    if run:
        yield run, font


def _is_latin(character: str) -> bool:
    try:
        return bool(character.encode("cp1252"))
    except UnicodeEncodeError:
        return False


def _width(text: str, size: float, *, bold: bool = False) -> float:
    return float(sum(pdfmetrics.stringWidth(run, font, size) for run, font in _runs(text, bold=bold)))


def clipped(text: str, size: float, width: float, *, bold: bool = False) -> str:
    """Return a text that fits into a width (points), with an ellipsis where something is left out."""
    if _width(text, size, bold=bold) <= width:
        return text
    while text and _width(text + "…", size, bold=bold) > width:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, size: float, width: float, most: int) -> list[str]:
    """Return the lines of a text, at most ``most``; a line breaks behind a space or between Chinese characters."""
    lines: list[str] = []
    current = ""
    for piece in _pieces(text):
        if current and _width(current + piece.rstrip(), size) > width:
            lines.append(current.rstrip())
            current = ""
        current += piece
    lines.append(current)
    if len(lines) <= most:
        return lines
    return [*lines[: most - 1], clipped("".join(lines[most - 1 :]), size, width)]


def _pieces(text: str) -> Sequence[str]:
    """Return the parts between which a line may break."""
    out: list[str] = []
    for character in text:
        if out and _is_latin(character) and _is_latin(out[-1][-1]) and out[-1][-1] != " ":
            out[-1] += character
        else:
            out.append(character)
    return out
