"""The charts of panels: small multiples with their quantiles, flows into funds, candles of one security."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from console import labels
from console.charts import PERCENT, Options, Points, axis, frame, line, points
from console.theme import View


def multiple(view: View, name: str, found: Points, *, percent: bool) -> Options:
    """Return a small chart of one figure with the band of the 10% to 90% quantiles of its known days."""
    c, out = view.colours, frame(view, found)
    out["legend"]["show"] = False
    out["grid"] = {"left": 44, "right": 8, "top": 8, "bottom": 20}
    out["dataZoom"] = [{"type": "inside", "start": out["dataZoom"][0]["start"], "end": 100}]
    if percent:
        out["tooltip"][":valueFormatter"] = PERCENT
        out["yAxis"]["axisLabel"][":formatter"] = "value => (value * 100).toFixed(1) + '%'"
    out["yAxis"]["splitNumber"] = 3
    out["series"] = [line("one", name, points(found), c.accent, **band(view, found))]
    return out


def band(view: View, found: Points) -> Options:
    """Return the quantiles of the known days as an area from 10% to 90% and a line at the median."""
    known = [v for _, v in found if isinstance(v, (int, float))]
    if not known:
        return {"markArea": {"data": []}, "markLine": {"data": []}}
    low, middle, high = np.quantile(known, (0.1, 0.5, 0.9)).tolist()
    c = view.colours
    return {
        "markArea": {"silent": True, "itemStyle": {"color": c.muted, "opacity": 0.13}, "data": [[{"yAxis": low}, {"yAxis": high}]]},
        "markLine": {
            "silent": True, "symbol": "none", "label": {"show": False}, "data": [{"yAxis": middle}],
            "lineStyle": {"color": c.muted, "type": "dotted"},
        },
    }  # fmt: skip


def rank(found: Points) -> float | None:
    """Return the share of the known days whose figure is not above the newest known one."""
    known = [v for _, v in found if isinstance(v, (int, float))]
    return sum(v <= known[-1] for v in known) / len(known) if known else None


def flows(view: View, found: Mapping[str, Points], total: Points) -> Options:
    """Return net flows per style as stacked bars, and the sum of all of them since the first day shown as a line.

    The line starts anew behind a day without a total: a sum with an unknown part is absent.
    """
    colours = (view.colours.accent, view.colours.warm, view.colours.cold, view.colours.hot, view.colours.calm)
    out = frame(view, total)
    out["yAxis"] = [axis(view), {**axis(view), "splitLine": {"show": False}}]
    out["series"] = [
        {
            "id": style, "name": labels.subject_name(style, view.language), "type": "bar", "stack": "flow",
            "data": points(data), "itemStyle": {"color": colours[i % len(colours)], "opacity": 1.0 if i < 5 else 0.55},
        }
        for i, (style, data) in enumerate(found.items())
    ]  # fmt: skip
    running, sums = 0.0, []
    for day, value in total:
        running = running + value if isinstance(value, (int, float)) else 0.0
        sums.append((day, running if isinstance(value, (int, float)) else None))
    out["series"].append(line("sum", view.label("cumulative"), points(sums), view.colours.text, yAxisIndex=1))
    return out
