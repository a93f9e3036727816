"""The charts of panels: small multiples with their quantiles, flows into funds, candles of one security."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from alerts.subject_names import subject_name
from console import formats
from console.charts import NO_LABELS, PERCENT, PERCENT_AXIS, Options, Points, axis, frame, line, points
from console.theme import View

#: A chart up to this width, in pixels, shows so many candles at first: more could not be told apart.
_PHONE_WIDTH, _PHONE_CANDLES = 500, 60
#: Volumes in 亿股 or millions of shares, with as many of three digits as a figure has.
SHARES_AXIS = {"zh": "v => +(v / 1e8).toPrecision(3) + '亿'", "en": "v => +(v / 1e6).toPrecision(3) + 'm'"}


def multiple(view: View, name: str, found: Points, *, percent: bool) -> Options:
    """Return a small chart of one figure with the band of the 10% to 90% quantiles of its known days."""
    c, out = view.colours, frame(view, found)
    out["legend"]["show"] = False
    out["grid"] = {"left": 44, "right": NO_LABELS, "top": 8, "bottom": 20}
    out["dataZoom"] = [{"type": "inside", "start": out["dataZoom"][0]["start"], "end": 100}]
    if percent:
        out["tooltip"][":valueFormatter"] = PERCENT
        out["yAxis"]["axisLabel"][":formatter"] = formats.script_percent(1)
    out["yAxis"]["splitNumber"] = 3
    out["series"] = [line("one", name, points(found), c.accent, **band(view, found))]
    return out


def band(view: View, found: Points) -> Options:
    """Return the quantiles of the known days as an area from 10% to 90% and a line at the median; none of few days."""
    known = [v for _, v in found if isinstance(v, (int, float))]
    if len(known) < view.parameters.percentile_least:
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


def flows(view: View, found: Mapping[str, Points], total: Points) -> Options:
    """Return net flows per style as stacked bars, and the sum of all of them since the first day shown as a line.

    The line starts at zero again after a day without a total: a sum with an unknown part is absent.
    """
    colours = (view.colours.accent, view.colours.warm, view.colours.cold, view.colours.hot, view.colours.calm)
    out, unit = frame(view, total), formats.MONEY_UNIT[view.language][1]
    out["yAxis"] = [axis(view), {**axis(view), "splitLine": {"show": False}}]
    out["series"] = [
        {
            "id": style, "name": subject_name(style, view.language), "type": "bar", "stack": "flow",
            "data": points(data), "unit": unit, "itemStyle": {"color": colours[i % len(colours)], "opacity": 1.0 if i < 5 else 0.55},
        }
        for i, (style, data) in enumerate(found.items())
    ]  # fmt: skip
    running, sums = 0.0, []
    for day, value in total:
        running = running + value if isinstance(value, (int, float)) else 0.0
        sums.append((day, running if isinstance(value, (int, float)) else None))
    out["series"].append(
        line("sum", view.label("cumulative"), points(sums), view.colours.text, yAxisIndex=1, unit=unit)
    )
    return out


@dataclass(frozen=True, slots=True)
class Mark:
    """A flag of a security on a day: above the candle where its side is a rise, else below it."""

    day: date
    price: float
    side: int
    text: str


def candles(
    view: View,
    prices: Sequence[tuple[date, Mapping[str, float | None]]],
    balance: Points,
    share: Points,
    marks: Sequence[Mark],
) -> Options:
    """Return adjusted candles over the balance; below them the volume, and the margin buys as a share of turnover.

    Parameters
    ----------
    prices : open, high, low, close and volume by day; a day without a close is a gap.
    balance : margin balance, in the unit of the chart's title.
    share : margin buys / turnover, a fraction.
    """
    days, unit = sorted({day.isoformat() for day, _ in (*prices, *balance)}), formats.MONEY_UNIT[view.language][1]
    c, out = view.colours, frame(view, balance or [(day, None) for day, _ in prices])
    grids = ({"top": 26, "height": "52%"}, {"top": "64%", "height": "12%"}, {"top": "80%", "height": "11%"})
    side = {"left": 52, "right": 60}
    text = {"color": c.muted, "fontSize": 11, "hideOverlap": True}
    time = {"type": "category", "data": days, "axisLabel": text, "axisLine": out["xAxis"]["axisLine"]}
    hidden = {**time, "axisLabel": {"show": False}, "axisTick": {"show": False}}
    small = {**axis(view), "splitNumber": 2, "scale": False}
    narrow = 100.0 * max(0, len(days) - _PHONE_CANDLES) / len(days) if days else 0.0
    candle = {"color": view.rise, "color0": view.fall, "borderColor": view.rise, "borderColor0": view.fall}
    closed = [(day, row) for day, row in prices if row.get("close") is not None]
    of_day = {day.isoformat(): row for day, row in closed}
    out |= {
        "grid": [{**side, **grid} for grid in grids],
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "xAxis": [{**hidden, "gridIndex": 0}, {**hidden, "gridIndex": 1}, {**time, "gridIndex": 2}],
        "yAxis": [
            {**axis(view), "gridIndex": 0}, {**axis(view), "gridIndex": 0, "splitLine": {"show": False}},
            {**small, "gridIndex": 1, "axisLabel": {**small["axisLabel"], ":formatter": SHARES_AXIS[view.language]}},
            {**small, "gridIndex": 2, "axisLabel": {**small["axisLabel"], ":formatter": PERCENT_AXIS}},
        ],
        "dataZoom": [{**zoom, "xAxisIndex": [0, 1, 2]} for zoom in out["dataZoom"]],
        "media": [{"query": {"maxWidth": _PHONE_WIDTH}, "option": {"dataZoom": [{"start": narrow}, {"start": narrow}]}}],
        "series": [
            line("balance", view.label("fin_balance"), points(balance), c.muted, yAxisIndex=1, width=1, z=1, areaStyle={"opacity": 0.16}, unit=unit),
            {
                "id": "candles", "name": view.label("price"), "type": "candlestick", "itemStyle": candle, "z": 2,
                "dimensions": [view.label(name) for name in ("open_price", "close_price", "low_price", "high_price")],
                "data": [_candle(of_day.get(day, {})) for day in days],
            },
            {
                "id": "volume", "name": view.label("volume"), "type": "bar", "xAxisIndex": 1, "yAxisIndex": 2,
                "data": points([(day, row.get("volume")) for day, row in closed]), "itemStyle": {"color": c.calm, "opacity": 0.7},
            },
            line("share", view.label("buy_turnover"), points(share), c.warm, xAxisIndex=2, yAxisIndex=3, width=1.5, tooltip={":valueFormatter": PERCENT}),
            {
                "id": "marks", "name": view.label("flags"), "type": "scatter", "z": 4, "symbolSize": 9, "itemStyle": {"color": c.accent},
                "dimensions": ["day", view.label("price"), view.label("flag")], "encode": {"x": 0, "y": 1, "tooltip": 2},
                "data": [
                    {
                        "value": [m.day.isoformat(), m.price, m.text], "symbol": "triangle",
                        "symbolRotate": 180 if m.side > 0 else 0, "symbolOffset": [0, -12 if m.side > 0 else 12],
                    }
                    for m in marks
                ],
            },
        ],
    }  # fmt: skip
    return out


def _candle(row: Mapping[str, float | None]) -> list[float | str]:
    """Return open, close, low, high; the close where the feed has no such price, a gap ("-") without a close."""
    prices = (row.get("close") if row.get(name) is None else row[name] for name in ("open", "close", "low", "high"))
    return ["-" if price is None else round(price, 3) for price in prices]
