"""The charts of a study as PNG and SVG: one message each, few colours that colour-blind readers can distinguish."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from alerts.percents import with_sign
from alerts.subject_names import Language
from processors.studies.result import Chart, Strip, Unit
from streams.studies import labels

#: Okabe and Ito's colours.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: The verdicts from the coldest to the hottest, and "" for a day without one.
_STATES = {
    "COLD": "#0072B2",
    "NO": "#D9DEE5",
    "COOLING": "#F0E442",
    "HOT": "#E69F00",
    "WARNED": "#D55E00",
    "": "#FFFFFF",
}
_SIZE, _DPI = (9.0, 4.6), 110
#: Letters of labels that don't fit side by side, and the number of bars above which labels are small.
_CROWDED, _MANY = 56, 14
#: Letters in a row of the legend, and of the mark beside a label; characters above this code are wide.
_LEGEND, _HANDLE, _WIDE = 62, 7, 0x2E7F
#: An SVG fills a phone's width at its own size, so its text keeps a readable size there.
_PHONE = (5.0, 3.4)
#: Width of a letter and height of a name beside a point, in parts of the points' range.
_NAME_WIDTH, _NAME_HEIGHT = 0.0145, 0.05
#: Height of a lying bar, whose label is above it.
_LYING = 0.42
_STYLE = {"axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.alpha": 0.3,
          "legend.frameon": False, "svg.fonttype": "none", "svg.hashsalt": "marginwatch",
          "font.sans-serif": ["Noto Sans CJK SC", "DejaVu Sans"], "axes.unicode_minus": False}  # fmt: skip
#: Dates without names of months, which would be English on a Chinese page; by years, months, days and parts of a day.
_DATES = {
    "formats": ["%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M", "%S"],
    "zero_formats": ["", "%Y", "%Y-%m", "%m-%d", "%H:%M", "%H:%M"],
    "show_offset": False,
}


def png(chart: Chart) -> bytes:
    """Return a chart as the bytes of a PNG file."""
    out = io.BytesIO()
    with mpl.rc_context(_STYLE | {"font.size": 11}):
        figure = _figure(chart, _SIZE, "en", titled=True)
        figure.savefig(out, format="png", dpi=_DPI, metadata={"Software": None})
    return out.getvalue()


def svg(chart: Chart, language: Language) -> str:
    """Return a chart without its title as an SVG element that scales with the page."""
    out = io.StringIO()
    size = (_PHONE[0], max(_PHONE[1], _LYING * len(chart.bars) + 0.6)) if not chart.upright else _PHONE
    with mpl.rc_context(_STYLE | {"font.size": 10}):
        figure = _figure(chart, size, language, titled=False)
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    element = out.getvalue()
    return re.sub(r'<svg ([^>]*?)width="[^"]*" height="[^"]*"', r"<svg \1", element[element.index("<svg") :], count=1)


def _figure(chart: Chart, size: tuple[float, float], language: Language, *, titled: bool) -> Figure:
    # Without pyplot there is no global state, and nothing to close.
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    _draw(axes, chart, partial(labels.text, language=language))
    if titled:
        axes.set_title(chart.title, loc="left", fontweight="bold")
    axes.set_xlabel(labels.text(chart.x_label, language))
    axes.set_ylabel(labels.text(chart.y_label, language))
    return figure


class _Percent(PercentFormatter):
    """Percent with the minus sign of print, as the other axes have it."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return with_sign(super().__call__(x, pos))


def _draw(axes: Any, chart: Chart, text: Callable[[str], str]) -> None:
    percent = _Percent(xmax=1)
    if chart.unit is Unit.RATIO:
        (axes.yaxis if chart.upright else axes.xaxis).set_major_formatter(percent)
    if chart.points:
        _scatter(axes, chart, text)
    if chart.bars:
        (_bars if chart.upright else _lying_bars)(axes, chart, text)
    if chart.strip is not None:
        _strip(axes, chart.strip, text)
    for line, colour in zip(chart.lines, _COLOURS, strict=False):
        days = [date.fromisoformat(d) for d in line.days]
        axes.plot(days, line.values, color=colour, linewidth=1.2, label=text(line.label))
    if chart.lines:
        locator = AutoDateLocator(maxticks=7)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, **_DATES))
    _curves(axes, chart, text)
    for (label, level), style in zip(chart.levels.items(), ("--", "-.", ":"), strict=False):
        axes.axhline(level, color="#666666", linestyle=style, linewidth=1, label=text(label))
    if chart.marks and chart.lines:
        values = dict(zip(chart.lines[0].days, chart.lines[0].values, strict=True))
        marked = [d for d in chart.marks if d in values]
        axes.plot([date.fromisoformat(d) for d in marked], [values[d] for d in marked], "v", color=_COLOURS[1],
                  markersize=7, label=text("breakdown"))  # fmt: skip
    if len(chart.lines) + len(chart.curves) > 1 or chart.levels or chart.fit is not None:
        longest = max(_width(name) for name in axes.get_legend_handles_labels()[1])
        columns = max(1, min(3, _LEGEND // (longest + _HANDLE)))
        below = -0.16 if chart.x_label else -0.09
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, below), fontsize=9, ncols=columns)


def _width(text: str) -> int:
    """Return the width of a text in Latin letters; a Chinese character is two wide."""
    return sum(2 if ord(letter) > _WIDE else 1 for letter in text)


def _curves(axes: Any, chart: Chart, text: Callable[[str], str]) -> None:
    """Draw curves over numbers; a published one has the colour of the curve before it."""
    at = -1
    for curve in chart.curves:
        at += not curve.published
        style = {"marker": "D", "linestyle": "none"} if curve.published else {"marker": "o", "markersize": 4}
        y = [np.nan if value is None else value for value in curve.y]
        axes.plot(curve.x, y, color=_COLOURS[max(at, 0)], label=text(curve.label), **style)


def _bars(axes: Any, chart: Chart, text: Callable[[str], str]) -> None:
    places = np.arange(len(chart.bars))
    values = np.array([b.value for b in chart.bars])
    axes.bar(places, values, color=[_COLOURS[0] if v >= 0 else _COLOURS[1] for v in values], alpha=0.75)
    for place, bar in zip(places.tolist(), chart.bars, strict=True):
        if bar.low is not None and bar.high is not None:
            axes.plot([place, place], [bar.low, bar.high], color="#333333", linewidth=1.4)
        if bar.published is not None:
            axes.plot([place], [bar.published], "D", color="black", markersize=7)
    names = [text(b.label) for b in chart.bars]
    crowded = len(names) * max(map(_width, names)) > _CROWDED
    axes.set_xticks(places, names, rotation=45 if crowded else 0, ha="right" if crowded else "center",
                    fontsize=8 if len(names) > _MANY else None)  # fmt: skip
    axes.axhline(0, color="#333333", linewidth=0.8)


def _lying_bars(axes: Any, chart: Chart, text: Callable[[str], str]) -> None:
    """Draw bars from the top down, each below its label."""
    places = np.arange(len(chart.bars))
    values = np.array([b.value for b in chart.bars])
    axes.barh(places, values, height=0.38, color=[_COLOURS[0] if v >= 0 else _COLOURS[1] for v in values], alpha=0.75)
    left = min(0.0, float(values.min()))
    for place, bar in zip(places.tolist(), chart.bars, strict=True):
        axes.text(left, place - 0.27, text(bar.label), va="bottom", ha="left", fontsize=8)
        axes.text(max(bar.value, 0.0), place, f" {with_sign(f'{bar.value:.1%}')}", va="center", ha="left", fontsize=8)
    axes.set_yticks([])
    axes.set_ylim(len(places) - 0.5, -0.9)
    axes.margins(x=0.12)
    axes.axvline(0, color="#333333", linewidth=0.8)


def _strip(axes: Any, strip: Strip, text: Callable[[str], str]) -> None:
    """Draw a row for each year, the first at the top; a day's cell reaches to the next day of the strip."""
    days = [date.fromisoformat(day) for day in strip.days]
    years = sorted({day.year for day in days})
    starts = [(day - date(day.year, 1, 1)).days for day in days]
    for state, colour in _STATES.items():
        for year in years:
            here = [i for i, day in enumerate(days) if day.year == year]
            ends = [*(starts[i] for i in here[1:]), starts[here[-1]] + 1]
            spans = _joined([(starts[i], end) for i, end in zip(here, ends, strict=True) if strip.states[i] == state])
            row = years.index(year)
            axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=colour, label=None if row else text(state or "absent"))
    axes.set_yticks(range(len(years)), [str(year) for year in years])
    axes.set_ylim(len(years) - 0.5, -0.5)
    months = [date(2001, month, 1) for month in range(1, 13)]
    axes.set_xticks([(month - date(2001, 1, 1)).days for month in months], [str(month.month) for month in months])
    axes.set_xlim(0, 366)
    axes.grid(visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), fontsize=9, ncols=len(_STATES) // 2)


def _joined(cells: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the spans (start, width) of cells (start, end): one for cells that touch, without a seam between them.

    Examples
    --------
    >>> _joined([(0, 1), (1, 4), (6, 7)])
    [(0, 4), (6, 1)]
    """
    spans: list[tuple[int, int]] = []
    for start, end in cells:
        if spans and sum(spans[-1]) == start:
            spans[-1] = spans[-1][0], end - spans[-1][0]
        else:
            spans.append((start, end - start))
    return spans


def _names(axes: Any, points: list[tuple[float, float]], names: list[str]) -> None:
    """Write a name beside each point, on the first side or the first side farther away where it covers no other name."""
    if not names:
        return
    place = np.array(points[: len(names)])
    unit = (place - place.min(axis=0)) / np.maximum(np.ptp(place, axis=0), 1e-12)
    taken: list[tuple[float, float, float, float]] = []
    for (x, y), at, name in zip(place.tolist(), unit.tolist(), names, strict=True):
        width, height = _NAME_WIDTH * _width(name), _NAME_HEIGHT
        sides = [(right, up) for up in (1, -1, 2, -2) for right in (1, -1, 0)]
        boxes = [
            (
                left := at[0] + (right - 1) * width / 2,
                low := at[1] + (up - (up > 0)) * height,
                left + width,
                low + height,
            )
            for right, up in sides
        ]
        free = [n for n, box in enumerate(boxes) if not any(_overlap(box, other) for other in taken)]
        best = free[0] if free else 0
        taken.append(boxes[best])
        right, up = sides[best]
        axes.annotate(
            name, (x, y), xytext=(3 * right, 3 * up if abs(up) == 1 else 5.5 * up), textcoords="offset points", fontsize=7,
            ha={1: "left", 0: "center", -1: "right"}[right], va="bottom" if up > 0 else "top",
        )  # fmt: skip


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    """Whether two boxes (left, low, right, high) share an area."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _scatter(axes: Any, chart: Chart, text: Callable[[str], str]) -> None:
    x, y = np.array(chart.points).T
    axes.plot(x, y, "o", color=_COLOURS[0], alpha=0.35, markersize=4)
    _names(axes, chart.points, [text(label) for label in chart.labels])
    if chart.unit is Unit.RATIO:
        axes.xaxis.set_major_formatter(_Percent(xmax=1))
    if chart.fit is not None:
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, chart.fit[0] + chart.fit[1] * ends, color=_COLOURS[1], linewidth=2,
                  label=f"β = {chart.fit[1]:.3f}")  # fmt: skip
    axes.axhline(0, color="#333333", linewidth=0.8)
    axes.axvline(0, color="#333333", linewidth=0.8)
