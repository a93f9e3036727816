"""The charts as ECharts options: pure functions of the figures and the view.

A series has an id, so that an update sends its data alone and keeps zoom and hover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from alerts.percents import with_sign
from console import formats, labels
from console.theme import Colours, View
from processors.indicators.ratio_state import RatioState

Points = Sequence[tuple[date, Any]]
Options = dict[str, Any]
PERCENT = formats.script_percent(2)
PERCENT_AXIS = formats.script_percent(0)
#: A plain figure with all of its decimals; ECharts' own format has - for a minus sign.
_PLAIN = (
    "v => typeof v == 'number' ? v.toLocaleString('en-US', {maximumFractionDigits: 12}).replace('-', '−') : v ?? '–'"
)
#: Dashes of the trailing thresholds: short ones, as the fixed thresholds have long ones.
_THIN = [3, 3]
#: Pixels at the right of a chart without labels there.
NO_LABELS = 22
#: Days that a chart shows at first; the slider reaches the rest.
_SHOWN = 250


def points(found: Points) -> list[Any]:
    """Return days and figures in the form that ECharts expects; a missing figure is a gap.

    A figure between two gaps has a mark: a line has nothing to join it to.
    """
    known = [v if isinstance(v, (int, float)) else None for _, v in found]
    out: list[Any] = [[d.isoformat(), v] for (d, _), v in zip(found, known, strict=True)]
    for at, (before, here, after) in enumerate(zip([None, *known], known, [*known[1:], None], strict=False)):
        if before is None and after is None and here is not None:
            out[at] = {"value": out[at], "symbol": "circle", "symbolSize": 5}
    return out


def _plain(c: Colours, tooltip: Options) -> Options:
    """Return the common options of every chart with a tooltip."""
    style = {"confine": True, "backgroundColor": c.card, "borderColor": c.line}
    return {
        "animation": False,
        "textStyle": {"color": c.text, "fontFamily": "inherit"},
        "tooltip": {**style, "textStyle": {"color": c.text, "fontSize": 12}, **tooltip},
    }


def frame(view: View, found: Points) -> Options:
    """Return the options that charts over time share; the last `_SHOWN` days are shown at first."""
    c = view.colours
    start = 100.0 * max(0, len(found) - _SHOWN) / len(found) if found else 0.0
    return {
        **_plain(c, {"trigger": "axis", ":valueFormatter": _PLAIN}),
        "grid": {"left": 48, "right": 52, "top": 26, "bottom": 42},
        "legend": {"type": "scroll", "top": 0, "right": 0, "itemHeight": 8, "itemWidth": 16, "textStyle": {"color": c.muted, "fontSize": 11}},
        "xAxis": {
            "type": "time",
            "axisLine": {"lineStyle": {"color": c.line}},
            "axisLabel": {
                "color": c.muted,
                "fontSize": 11,
                "hideOverlap": True,
                "formatter": {"year": "{yyyy}", "month": "{yyyy}-{MM}", "day": "{MM}-{dd}", "hour": ""},
            },
        },
        "yAxis": axis(view),
        "dataZoom": [
            {"type": "inside", "start": start, "end": 100},
            {
                "type": "slider", "start": start, "end": 100, "height": 14, "bottom": 4, "borderColor": c.line,
                "textStyle": {"color": c.muted, "fontSize": 10}, "brushSelect": False, "showDetail": False,
            },
        ],
        "series": [],
    }  # fmt: skip


def axis(view: View) -> Options:
    """Return a vertical axis of figures."""
    c = view.colours
    return {
        "type": "value",
        "scale": True,
        "name": "",
        "nameTextStyle": {"color": c.muted, "fontSize": 11},
        "axisLabel": {"color": c.muted, "fontSize": 11, ":formatter": _PLAIN},
        "splitLine": {"lineStyle": {"color": c.line, "opacity": 0.6}},
    }


def line(identity: str, name: str, data: list[Any], colour: str, **more: Any) -> Options:
    """Return a series drawn as a line; ``width`` and ``dash`` are of the line, anything else of the series.

    A legend lists every series with a name: one without a figure has neither name nor days.
    """
    if not any(_has_figure(point) for point in data):
        name, data = "", []
    style = {"color": colour, "width": more.pop("width", 2), "type": more.pop("dash", "solid")}
    return {
        "id": identity, "name": name, "type": "line", "symbol": "none", "data": data, "lineStyle": style,
        "itemStyle": {"color": colour}, "emphasis": {"disabled": True}, **more,
    }  # fmt: skip


def _has_figure(point: Any) -> bool:
    return bool((point["value"] if isinstance(point, dict) else point)[1] is not None)


def _levels(levels: Sequence[tuple[float, str, str]], text: str) -> Options:
    """Return horizontal lines with their figure at the right; labels of close levels do not overlap."""
    data = []
    for i, (value, name, colour) in enumerate(levels):
        near = any(0 < other - value < 0.005 for other, _, _ in levels)
        data.append(
            {
                "yAxis": value,
                "name": name,
                "lineStyle": {"color": colour, "type": ("dashed", "dotted", "dashed")[i % 3], "width": 1.2},
                "label": {
                    "formatter": with_sign(f"{value * 100:g}%"),
                    "position": "end",
                    "color": colour,
                    "fontSize": 11,
                    "offset": [0, 6 if near else -4 if i == 0 else 0],
                },
            }
        )
    return {"silent": True, "symbol": "none", "precision": 6, "data": data, "label": {"color": text}}


#: The curves of `history`: id of the series → name of the curve in the model.
RATIO_CURVES = {
    "ratio": "fin_buy_ratio_5d",
    "daily": "fin_buy_ratio",
    "quantile_hot": "ratio_state_quantile.hot",
    "quantile_cold": "ratio_state_quantile.cold",
}


@dataclass(frozen=True, slots=True)
class Break:
    """A break of the ratio: its day, the ratio of that day, and what followed in words."""

    day: date
    ratio: float
    outcome: str
    hit: bool | None


def history(
    view: View,
    curves: Mapping[str, Points],
    tail: Points,
    index: tuple[str, Points] | None = None,
    breaks: Sequence[Break] = (),
) -> Options:
    """Return the mean ratio over time with its fixed thresholds; behind it the daily ratio and the trailing thresholds.

    Parameters
    ----------
    curves : the figures of each of `RATIO_CURVES`.
    index : name and closes of the index behind the ratio, on an axis of its own without labels.
    breaks : marks on the ratio; hovering shows what followed.
    """
    p, c, out = view.parameters, view.colours, frame(view, curves["ratio"])
    out["tooltip"][":valueFormatter"] = PERCENT
    out["yAxis"]["axisLabel"][":formatter"] = PERCENT_AXIS
    out["yAxis"][":min"] = f"v => Math.min({p.ratio_cold - 0.0075:.4f}, Math.floor(v.min * 100) / 100)"
    out["yAxis"][":max"] = f"v => Math.max({p.ratio_hot + 0.005:.4f}, Math.ceil(v.max * 100) / 100)"
    levels = (
        (p.ratio_hot, view.label("line_hot"), c.hot),
        (p.ratio_breakdown, view.label("line_breakdown"), c.warm),
        (p.ratio_cold, view.label("line_cold"), c.cold),
    )
    data = {name: points(found) for name, found in curves.items()}
    out["yAxis"] = [out["yAxis"], {**axis(view), "show": False}]
    out["series"] = [
        index_behind(view, index),
        line("daily", view.label("ratio_daily"), data["daily"], c.muted, width=1, z=1),
        line("quantile_hot", view.label("quantile_hot"), data["quantile_hot"], c.hot, width=1, dash=_THIN, z=2),
        line("quantile_cold", view.label("quantile_cold"), data["quantile_cold"], c.cold, width=1, dash=_THIN, z=2),
        line("ratio", view.label("ratio_5d"), data["ratio"], c.accent, z=3, markLine=_levels(levels, c.muted)),
        provisional(view, tail),
        break_marks(view, breaks),
    ]
    return out


def provisional(view: View, tail: Points) -> Options:
    """Return the series of the provisional figure behind the last final one."""
    return line(
        "tail", view.label("provisional"), points(tail), view.colours.warm, dash="dashed", symbol="emptyCircle",
        symbolSize=7, z=4,
    )  # fmt: skip


def index_behind(view: View, index: tuple[str, Points] | None) -> Options:
    """Return the series of the index behind the ratio."""
    name, found = index or ("", ())
    return line(
        "index", name, points(found), view.colours.index, width=1.2, z=0, yAxisIndex=1, areaStyle={"opacity": 0.1},
        tooltip={":valueFormatter": formats.script(0)},
    )  # fmt: skip


def break_marks(view: View, breaks: Sequence[Break]) -> Options:
    """Return the series of the breaks; a hit is a filled mark, any other a hollow one."""
    c = view.colours
    data = [
        {
            "value": [one.day.isoformat(), one.ratio, one.outcome],
            "symbol": "triangle" if one.hit else "emptyTriangle",
            "symbolRotate": 180,
        }
        for one in breaks
    ]
    name = view.label("break") if breaks else ""  # else the legend would list it
    return {
        "id": "breaks", "name": name, "type": "scatter", "data": data, "symbolSize": 11, "symbolOffset": [0, -9], "z": 5,
        "dimensions": ["day", view.label("ratio"), view.label("outcome")], "encode": {"x": 0, "y": 1, "tooltip": 2},
        "itemStyle": {"color": c.hot, "borderColor": c.hot},
    }  # fmt: skip


def excess(view: View, found: Points, tail: Points) -> Options:
    """Return excess financing over time with its levels."""
    p, c, out = view.parameters, view.colours, frame(view, found)
    out["tooltip"][":valueFormatter"] = PERCENT
    out["yAxis"]["axisLabel"][":formatter"] = PERCENT_AXIS
    levels = ((p.excess_level, "", c.hot), (-p.excess_level, "", c.cold))
    name = view.signal("excess_financing")
    out["series"] = [
        line("excess", name, points(found), c.accent, areaStyle={"opacity": 0.12}, markLine=_levels(levels, c.muted)),
        provisional(view, tail),
    ]
    out["yAxis"][":min"] = f"v => Math.min({-p.excess_level - 0.01}, Math.floor(v.min * 100) / 100)"
    out["yAxis"][":max"] = f"v => Math.max({p.excess_level + 0.01}, Math.ceil(v.max * 100) / 100)"
    return out


def gauge(view: View, value: float | None) -> Options:
    """Return the gauge of the mean ratio between cold and hot; its scale includes every threshold."""
    p, c = view.parameters, view.colours
    low, high = min(0.05, p.ratio_cold - 0.01), max(0.12, p.ratio_hot + 0.01)

    def at(level: float) -> float:
        return (level - low) / (high - low)

    bands = [[at(p.ratio_cold), c.cold], [at(p.ratio_breakdown), c.calm], [at(p.ratio_hot), c.warm], [1, c.hot]]
    return {
        "animation": False,
        "series": [
            {
                "id": "gauge", "type": "gauge", "min": low * 100, "max": high * 100, "startAngle": 205, "endAngle": -25,
                "radius": "100%", "center": ["50%", "62%"], "splitNumber": 7,
                "axisLine": {"lineStyle": {"width": 16, "color": bands}},
                "axisTick": {"show": False},
                "splitLine": {"length": 16, "lineStyle": {"color": c.card, "width": 2}},
                "axisLabel": {"show": False},
                "pointer": {"width": 5, "length": "62%", "itemStyle": {"color": c.text}},
                "anchor": {"show": True, "size": 10, "itemStyle": {"color": c.text}},
                "title": {"show": False},
                "detail": {"show": False},
                "data": gauge_data(value),
            }
        ],
    }  # fmt: skip


def gauge_data(value: float | None) -> list[Options]:
    """Return the needle; none where there is no value."""
    return [] if value is None else [{"value": round(value * 100, 3)}]


def heat_map(view: View, found: Sequence[tuple[str, float, float, float | None]]) -> Options:
    """Return industries by heat (across) and risk (up); the size is the balance, marks repeat the meaning of colours."""
    c = view.colours
    largest = max((b for *_, b in found if b), default=1.0)
    data = []
    for name, heat, risk, balance in found:
        both = heat > 0.5 and risk > 0.5
        data.append(
            {
                "name": labels.industry(name, view.language),
                "value": [round(heat, 3), round(risk, 3)],
                "id": name,
                "symbol": "triangle" if both else "circle",
                "symbolSize": 7 + 18 * ((balance or 0.0) / largest) ** 0.5,
                "itemStyle": {"color": c.hot if both else c.warm if heat > 0 and risk > 0 else c.calm if risk > 0 or heat > 0 else c.cold, "opacity": 0.8},
            }
        )  # fmt: skip
    of_z = axis(view) | {"scale": False, "splitNumber": 4, "nameLocation": "middle", "splitLine": {"show": False}}
    across, up = (f"'{view.label(name)} ' + ({_PLAIN})(p.value[{at}])" for at, name in enumerate(("heat", "risk")))
    shown = f"p => p.name + '<br>' + {across} + ' · ' + {up}"
    return {
        **_plain(c, {":formatter": shown}),
        "grid": {"left": 44, "right": 62 if view.language == "zh" else 96, "top": 8, "bottom": 36},
        "xAxis": {**of_z, "name": view.label("heat") + " →", "nameGap": 20},
        "yAxis": {**of_z, "name": view.label("risk") + " →", "nameGap": 26},
        "dataZoom": [{"type": "inside", "xAxisIndex": 0}, {"type": "inside", "yAxisIndex": 0}],
        "series": [
            {
                "id": "map",
                "type": "scatter",
                "data": data,
                "cursor": "pointer",
                "label": {
                    "show": True,
                    "formatter": "{b}",
                    "position": "right",
                    "color": c.text,
                    "fontSize": 11,
                    "distance": 3,
                    "textBorderColor": c.card,  # readable on the mark of another industry
                    "textBorderWidth": 3,
                },
                "labelLayout": {"hideOverlap": True},
                "markArea": {
                    "silent": True,
                    "itemStyle": {"color": c.hot, "opacity": 0.07},
                    "data": [[{"xAxis": 0.5, "yAxis": 0.5}, {"x": "100%", "y": "0%"}]],
                },
            }
        ],
    }


def two(view: View, left: tuple[str, Points, str], right: tuple[str, Points]) -> Options:
    """Return a line over another figure with an axis of its own."""
    c, out = view.colours, frame(view, left[1] or right[1])
    out["yAxis"] = [axis(view), axis(view)]
    out["yAxis"][1]["splitLine"] = {"show": False}
    out["grid"]["right"] = 64
    behind = line("right", right[0], points(right[1]), c.muted, yAxisIndex=1, areaStyle={"opacity": 0.18}, width=1)
    out["series"] = [behind, line("left", left[0], points(left[1]), left[2], z=3)]
    return out


def lines(view: View, found: Sequence[tuple[str, Points, str, str]]) -> Options:
    """Return figures of one unit over time.

    Parameters
    ----------
    found : name, figures, colour and dash of each line.
    """
    out = frame(view, found[0][1])
    out["grid"]["right"] = NO_LABELS
    out["series"] = [line(name, name, points(data), colour, dash=dash) for name, data, colour, dash in found]
    return out


def single(view: View, name: str, found: Points, colour: str, *, signed_bars: bool = False) -> Options:
    """Return one figure over time, as bars coloured by their sign with ``signed_bars``."""
    out = frame(view, found)
    out["legend"]["show"], out["grid"]["right"] = False, NO_LABELS
    if signed_bars:
        data = [
            {"value": [d.isoformat(), v], "itemStyle": {"color": view.rise if (v or 0) > 0 else view.fall}}
            for d, v in found
        ]
        out["yAxis"]["scale"] = False
        out["series"] = [{"id": "one", "name": name, "type": "bar", "data": data}]
    else:
        out["series"] = [line("one", name, points(found), colour)]
    return out


def rank(found: Points, least: int) -> float | None:
    """Return the share of the known days whose figure is not above the newest known one; None for fewer days than ``least``."""
    known = [v for _, v in found if isinstance(v, (int, float))]
    return sum(v <= known[-1] for v in known) / len(known) if known and len(known) >= least else None


def state_tone(state: str) -> str:
    """Return the CSS class of a state's colour."""
    return {
        RatioState.HOT: "warm",
        RatioState.BREAKDOWN: "hot",
        RatioState.COLD: "cold",
        RatioState.EXTREME_COLD: "cold",
    }.get(RatioState(state), "calm") if state in RatioState.__members__ else "calm"  # fmt: skip
