"""Panels of market signals: their titles, units, formulas and pages follow from the declarations."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, timeseries
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as model

from console import labels
from console.dashboards.panels import COLD, DAY, HOT, UNITS, WARM, Panel, Steps, bars, curves, figure, targets
from processors.indicators.ratio_state import RatioState
from processors.registry import SIGNALS

#: `basis:marginwatch_ratio_state:code` in deploy/prometheus/rules.yml.
STATES = {
    RatioState.EXTREME_COLD: (-2, "dark-green"),
    RatioState.COLD: (-1, COLD),
    RatioState.NORMAL: (0, "blue"),
    RatioState.HOT: (1, WARM),
    RatioState.BREAKDOWN: (2, HOT),
}
STATE_CODE = "basis:marginwatch_ratio_state:code"
#: The trade date of the verdict, which every board shows beside it: an answer is of that day.
VERDICT_DAY = "max(marginwatch_verdict_trade_date_seconds)"
#: Below 0 as falling, above as rising; 0 is neither, and a threshold is part of the colour that begins at it.
FALLS: Steps = [(None, COLD), (0, "text"), (1e-12, HOT)]


def page_of(signal: str) -> str:
    """Return the page of a market signal."""
    return f"signals/market/{signal}"


def title_of(signal: str) -> str:
    """Return the title of a signal in both languages."""
    declared = SIGNALS[signal]
    return f"{declared.title} {declared.title_zh}"


def newest(signals: str, by: str = "signal", **labels: str) -> str:
    """Return the query of the newest value; while the market partition moves, two workers may export one.

    Parameters
    ----------
    labels : label → value, or a regular expression.
    """
    picked = "".join(f', {name}=~"{value}"' for name, value in labels.items())
    return f'max by ({by}) (marginwatch_signal{{signal=~"{signals}"{picked}}})'


def detail(signal: str, name: str, by: str = "subject", **labels: str) -> str:
    """Return the query of the newest value of a detail; parameters as of `newest`."""
    picked = "".join(f', {label}=~"{value}"' for label, value in labels.items())
    return f'max by ({by}) (marginwatch_signal_detail{{signal="{signal}", detail=~"{name}"{picked}}})'


def curve(signal: str, *others: str, lines: Steps | None = None) -> timeseries.Panel:
    """Return a panel of signals of one unit over time, final and provisional values apart."""
    queries = {}
    for name in (signal, *others):
        legend = f"{SIGNALS[name].title_zh} {name}"
        queries[legend] = newest(name, provisional="false")
        if SIGNALS[name].provisional:
            queries[f"{legend} (provisional 盘中)"] = newest(name, provisional="true")
    return curves(title_of(signal), UNITS[SIGNALS[signal].unit], queries, SIGNALS[signal].formula, lines)


def by_subject(signal: str, variable: str) -> timeseries.Panel:
    """Return a panel of the final values of a signal with subjects over time, those that a variable chooses."""
    queries = {"{{subject}}": newest(signal, "subject", provisional="false", subject=f"${variable}")}
    return curves(title_of(signal), UNITS[SIGNALS[signal].unit], queries, SIGNALS[signal].formula)


def bars_of(signal: str, variable: str) -> Panel:
    """Return a bar per subject of a signal, the largest first."""
    expr = newest(signal, "subject", provisional="false", subject=f"${variable}")
    return bars(title_of(signal), UNITS[SIGNALS[signal].unit], expr, FALLS, SIGNALS[signal].formula, by="subject")


def final(signal: str, steps: Steps, decimals: int | None = 2) -> stat.Panel:
    """Return a panel of the newest final value of a signal."""
    declared = SIGNALS[signal]
    expr = newest(signal, provisional="false")
    return figure(title_of(signal), UNITS[declared.unit], expr, steps, declared.formula, decimals=decimals)


def state() -> stat.Panel:
    """Return the panel of the state of the 5-day ratio in words."""
    text = SIGNALS["ratio_state"].formula
    return figure(
        title_of("ratio_state"), "short", f'{STATE_CODE}{{basis="ratio_state"}}', text=text, mappings=state_words()
    )


def state_words() -> list[model.ValueMapping]:
    """Return the words and colours of the states of the ratio."""
    return [
        model.ValueMap(
            options={
                str(code): model.ValueMappingResult(text=f"{name} {labels.STATES[name][1]}", color=colour, index=i)
                for i, (name, (code, colour)) in enumerate(STATES.items())
            }
        )
    ]


def verdict() -> stat.Panel:
    """Return the panel of the verdict in words; while the market partition moves, the newer of two workers' words."""
    expr = "topk(1, marginwatch_verdict_trade_date_seconds)"
    legends = ("{{answer}} {{why}} {{change}}", "{{answer_zh}} {{why_zh}} {{change_zh}}")
    return (
        figure("Near a top? 是否接近顶部？", DAY, expr, [(None, "text")], SIGNALS["verdict"].formula)
        .targets([*targets(dict.fromkeys(legends, expr), instant=True)])
        .text_mode(kinds.BigValueTextMode.NAME)
    )


def trade_date(expr: str) -> stat.Panel:
    """Return a panel of the trade date of what a board shows; ``expr`` is in seconds since the epoch."""
    text = "The trade date of the newest final values; margin figures of a day appear before the open of the next."
    return figure("Trade date 交易日", DAY, f"{expr} * 1000", [(None, "text")], text)
