"""The charts of a study as PNG: one message each, few colours that colour-blind readers can distinguish."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import PercentFormatter

from processors.studies.result import Chart, Strip, Unit

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


def png(chart: Chart) -> bytes:
    """Return a chart as the bytes of a PNG file."""
    style = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
             "grid.alpha": 0.3, "legend.frameon": False}  # fmt: skip
    with mpl.rc_context(style):
        figure, axes = plt.subplots(figsize=_SIZE, dpi=_DPI, layout="constrained")
        try:
            _draw(axes, chart)
            axes.set_title(chart.title, loc="left", fontweight="bold")
            axes.set_xlabel(chart.x_label)
            axes.set_ylabel(chart.y_label)
            out = io.BytesIO()
            figure.savefig(out, format="png", metadata={"Software": None})
            return out.getvalue()
        finally:
            plt.close(figure)


def _draw(axes: Any, chart: Chart) -> None:
    percent = PercentFormatter(xmax=1)
    if chart.unit is Unit.RATIO:
        axes.yaxis.set_major_formatter(percent)
    if chart.points:
        _scatter(axes, chart)
        axes.xaxis.set_major_formatter(percent)
    if chart.bars:
        _bars(axes, chart)
    if chart.strip is not None:
        _strip(axes, chart.strip)
    for line, colour in zip(chart.lines, _COLOURS, strict=False):
        days = [date.fromisoformat(d) for d in line.days]
        axes.plot(days, line.values, color=colour, linewidth=1.3, label=line.label)
    for (label, level), style in zip(chart.levels.items(), ("--", "-.", ":"), strict=False):
        axes.axhline(level, color="#666666", linestyle=style, linewidth=1, label=label)
    if chart.marks and chart.lines:
        values = dict(zip(chart.lines[0].days, chart.lines[0].values, strict=True))
        marked = [d for d in chart.marks if d in values]
        axes.plot([date.fromisoformat(d) for d in marked], [values[d] for d in marked], "v", color=_COLOURS[1],
                  markersize=8, label="breakdown")  # fmt: skip
    if len(chart.lines) > 1 or chart.levels:
        axes.legend(loc="best", fontsize=9, ncols=2)


def _bars(axes: Any, chart: Chart) -> None:
    places = np.arange(len(chart.bars))
    values = np.array([b.value for b in chart.bars])
    axes.bar(places, values, color=[_COLOURS[0] if v >= 0 else _COLOURS[1] for v in values], alpha=0.75)
    for place, bar in zip(places.tolist(), chart.bars, strict=True):
        if bar.low is not None and bar.high is not None:
            axes.plot([place, place], [bar.low, bar.high], color="#333333", linewidth=1.4)
        if bar.published is not None:
            axes.plot([place], [bar.published], "D", color="black", markersize=8)
    axes.set_xticks(places, [b.label for b in chart.bars])
    axes.axhline(0, color="#333333", linewidth=0.8)


def _strip(axes: Any, strip: Strip) -> None:
    """Draw a row for each year, the first at the top; a day's cell reaches to the next day of the strip."""
    days = [date.fromisoformat(day) for day in strip.days]
    years = sorted({day.year for day in days})
    starts = [(day - date(day.year, 1, 1)).days for day in days]
    for state, colour in _STATES.items():
        for year in years:
            here = [i for i, day in enumerate(days) if day.year == year]
            ends = [*(starts[i] for i in here[1:]), starts[here[-1]] + 1]
            spans = [
                (starts[i], end - starts[i]) for i, end in zip(here, ends, strict=True) if strip.states[i] == state
            ]
            row = years.index(year)
            axes.broken_barh(spans, (row - 0.4, 0.8), facecolors=colour, label=state or "absent" if not row else None)
    axes.set_yticks(range(len(years)), [str(year) for year in years])
    axes.set_ylim(len(years) - 0.5, -0.5)
    months = [date(2001, month, 1) for month in range(1, 13)]
    axes.set_xticks([(month - date(2001, 1, 1)).days for month in months], [f"{month:%b}" for month in months])
    axes.set_xlim(0, 366)
    axes.grid(visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), fontsize=9, ncols=len(_STATES))


def _scatter(axes: Any, chart: Chart) -> None:
    x, y = np.array(chart.points).T
    axes.plot(x, y, "o", color=_COLOURS[0], alpha=0.35, markersize=4)
    if chart.fit is not None:
        ends = np.array([x.min(), x.max()])
        axes.plot(ends, chart.fit[0] + chart.fit[1] * ends, color=_COLOURS[1], linewidth=2,
                  label=f"β = {chart.fit[1]:.3f}")  # fmt: skip
        axes.legend(loc="best")
    axes.axhline(0, color="#333333", linewidth=0.8)
    axes.axvline(0, color="#333333", linewidth=0.8)
