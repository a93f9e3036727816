"""rotation: weekly portfolios of industries chosen by the change and breadth of their balances [SW14]."""

from __future__ import annotations

import numpy as np

from processors.events import Floats
from processors.industries import INDUSTRIES
from processors.studies.measure import block_interval, hit_rate
from processors.studies.panel import Panel
from processors.studies.result import Cell, Chart, Finding, Line, Mode, Result, Table, Unit

TITLE = "Rotation 行业轮动: six weekly portfolios of industries"
SOURCE = "[SW14]"
_WEEKS = 52
#: Name → published weekly excess return, IR, weekly win rate.
PORTFOLIOS: dict[str, tuple[float, float, float] | None] = {
    "change_top9": (0.0010, 1.11, 0.5978),
    "breadth_top9": (0.0009, 0.90, 0.5217),
    "dual_1": (0.0016, 1.21, 0.5543),
    "dual_2": (0.0030, 2.31, 0.6087),
    "dual_3": (0.0046, 2.09, 0.5761),
    "equal_weight": None,
}
_COLUMNS = ("portfolio", "weeks", "industries", "weekly mean", "σ", "IR", "win rate", "best", "worst", "published mean", "published IR", "published win rate")  # fmt: skip
_UNITS = dict.fromkeys(
    ("weekly mean", "σ", "win rate", "best", "worst", "published mean", "published win rate"), Unit.RATIO
)


def run(panel: Panel, mode: Mode) -> Result:
    """Return weekly portfolios, held from week's end to week's end; excess over the mean of all industries with a price."""
    ends = panel.week_ends()
    opens, closes = (np.array([p[name] for name in INDUSTRIES]).T for p in (panel.opens, panel.closes))
    entry = panel.entry(mode, at_open=True)
    starts, stops = ends[:-1], ends[1:]
    inside = (entry[starts] < len(panel.days)) & (panel.available[starts] > 0)
    starts, stops = starts[inside], stops[inside]
    price = (closes if mode is Mode.AS_SOURCE else opens)[entry[starts]]
    week = closes[stops] / np.where(price > 0, price, np.nan) - 1
    market = _mean(week, np.ones_like(week))
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    lines: list[Line] = []
    for name, published in PORTFOLIOS.items():
        flags = (
            np.ones_like(week)
            if published is None
            else panel.industries.get(name, np.full_like(closes, np.nan))[starts]
        )
        portfolio = _mean(week, flags)
        excess = portfolio - (market if published is not None else 0.0)
        known = ~np.isnan(excess)
        if not known.any():
            findings.append(Finding(f"{name}: weekly mean", None, published=published[0] if published else None,
                                    note="no week with a selection: is there a membership of industries?"))  # fmt: skip
            continue
        used = excess[known]
        mean, sigma = float(used.mean()), float(used.std(ddof=1))
        ratio, wins = mean / sigma * np.sqrt(_WEEKS), int((used > 0).sum())
        rows.append(
            (name, len(used), float(np.nansum(flags[known], axis=1).mean()), mean, sigma, float(ratio), wins / len(used),
             float(used.max()), float(used.min()), *(published or (None, None, None)))
        )  # fmt: skip
        if published is None:
            continue
        lines.append(panel.cumulative(name, stops[known], used))
        low, high = block_interval(used, np.arange(len(used)), 4)
        findings += [
            Finding(f"{name}: weekly mean", mean, published=published[0], low=low, high=high, interval="block bootstrap", cases=len(used)),
            Finding(f"{name}: IR", float(ratio), Unit.NUMBER, published[1], cases=len(used)),
            hit_rate(f"{name}: weekly win rate", wins, len(used), published[2]),
        ]  # fmt: skip
    first, last = panel.period()
    return Result(
        "rotation", TITLE, SOURCE, mode, first, last, findings,
        [Table("portfolios", "Weekly excess return", _COLUMNS, rows, _UNITS)],
        [Chart("rotation", "Cumulative excess return over the equal-weight mean", Unit.RATIO, lines=lines)],
        [
            "benchmark: the equal-weight mean of all industries with a price (ours); a week without a selection is left out; no costs",
            "the membership of industries is that of one later date, not of the day; some industry indices of the 2021 edition "
            "have no earlier history",
            "published figures are of 2013–2014, another edition of the industries, and another list of eligible stocks",
        ],
    )  # fmt: skip


def _mean(returns: Floats, flags: Floats) -> Floats:
    """Return the mean return of the flagged industries by week (weeks,); NaN where no industry is flagged."""
    chosen = (flags == 1) & ~np.isnan(returns)
    count = chosen.sum(axis=1)
    return np.asarray(np.where(chosen, returns, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan))
