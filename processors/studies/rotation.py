"""rotation: weekly portfolios of industries chosen by the change and breadth of their balances [SW14]."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.studies.industry_weeks import WEEKS_A_YEAR, IndustryWeeks, held, industry_weeks, mean_of
from processors.studies.measure import RATIO_INTERVAL, block_interval, compounded, hit_rate, ratio_interval
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Kind, Line, Mode, Result, Table, Unit

TITLE = "Rotation 行业轮动: six weekly portfolios of industries"
SOURCE = "[SW14]"
#: Name → published weekly excess return, IR, weekly win rate.
PORTFOLIOS: dict[str, tuple[float, float, float] | None] = {
    "change_top9": (0.0010, 1.11, 0.5978),
    "breadth_top9": (0.0009, 0.90, 0.5217),
    "dual_1": (0.0016, 1.21, 0.5543),
    "dual_2": (0.0030, 2.31, 0.6087),
    "dual_3": (0.0046, 2.09, 0.5761),
    "equal_weight": None,
}
_COLUMNS = ("portfolio", "weeks", "industries held", "raw mean", "raw σ", "excess mean", "excess σ", "IR", "win rate", "best", "worst")  # fmt: skip
_UNITS = dict.fromkeys(("raw mean", "raw σ", "excess mean", "excess σ", "win rate", "best", "worst"), Unit.RATIO)


def run(panel: Panel, mode: Mode) -> Result:
    """Return weekly portfolios, held from week's end to week's end; excess over the mean of all industries with a price."""
    weeks = industry_weeks(panel, mode)
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    lines: list[Line] = []
    bars: list[Bars] = []
    excesses: dict[str, Floats] = {}
    for name, published in PORTFOLIOS.items():
        flags = np.ones_like(weeks.returns) if published is None else selection(panel, weeks, name)
        raw = mean_of(weeks.returns, flags)
        excess = raw - weeks.market
        known = ~np.isnan(excess)
        if not known.any():
            findings += _absent(name, published)
            continue
        used, earned = excess[known], raw[known]
        mean, sigma = float(used.mean()), _sigma(used)
        ratio = float(mean / sigma * np.sqrt(WEEKS_A_YEAR)) if sigma else None
        wins = int((used > 0).sum())
        rows.append(
            (name, len(used), held(weeks.returns, flags), float(earned.mean()), _sigma(earned), mean, sigma, ratio,
             wins / len(used), float(used.max()), float(used.min()))
        )  # fmt: skip
        if published is None:
            continue
        excesses[name] = excess
        lines.append(panel.cumulative(name, weeks.stops[known], used))
        low, high = block_interval(used, np.arange(len(used)), 4)
        bars.append(Bars(name, mean, low, high, published[0]))
        findings += [
            Finding(f"{name}: weekly mean", mean, published=published[0], low=low, high=high, interval="block bootstrap",
                    cases=len(used), kind=Kind.EFFECT),
            Finding(f"{name}: IR", ratio, Unit.NUMBER, published[1], *ratio_interval(ratio, len(used), WEEKS_A_YEAR),
                    RATIO_INTERVAL, cases=len(used), kind=Kind.EFFECT),
            hit_rate(f"{name}: weekly win rate", wins, len(used), published[2], base=0.5),
        ]  # fmt: skip
    first, last = panel.period()
    years = np.unique(weeks.years).tolist()
    return Result(
        "rotation", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("portfolios", "Weekly return, and excess over all industries", _COLUMNS, rows, _UNITS),
            annual_table("annual", "Excess return by year", excesses, weeks),
        ],
        [
            Chart("rotation", "Cumulative excess return over the equal-weight mean", Unit.RATIO, lines=lines),
            Chart("rotation_means", "Weekly excess return; diamond: published", Unit.RATIO, bars=bars),
        ],
        [
            "benchmark: the equal-weight mean of all industries with a price (ours); a week without a selection is left out; no costs",
            f"industries with a price in the mean week: {_priced(weeks):.1f} of {weeks.returns.shape[1]}; some industry indices of the 2021 "
            "edition have no earlier history",
            f"published figures are of 2013–2014, ours of {years[0]}–{years[-1]}, with other editions of the industries and another list of "
            "eligible stocks" if years else "no week with a selection and prices",
        ],
    )  # fmt: skip


def selection(panel: Panel, weeks: IndustryWeeks, name: str) -> Floats:
    """Return the flags of a selection at the start of each week (weeks, 31); NaN where it is unknown."""
    found = panel.industries.get(name)
    return np.full_like(weeks.returns, np.nan) if found is None else found[weeks.starts]


def annual_table(name: str, title: str, excesses: dict[str, Floats], weeks: IndustryWeeks) -> Table:
    """Return the compounded excess return of each portfolio over the known weeks of every year, and their number."""
    years = np.unique(weeks.years).tolist()
    rows: list[tuple[Cell, ...]] = [
        (
            label,
            *(compounded(excess[weeks.years == year]) for year in years),
            *(int((~np.isnan(excess[weeks.years == year])).sum()) for year in years),
        )
        for label, excess in excesses.items()
    ]
    columns = tuple(str(year) for year in years)
    counts = tuple(f"weeks {year}" for year in years)
    return Table(name, title, ("portfolio", *columns, *counts), rows, dict.fromkeys(columns, Unit.RATIO))


def _sigma(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def _priced(weeks: IndustryWeeks) -> float:
    return float((~np.isnan(weeks.returns)).sum(axis=1).mean()) if len(weeks.returns) else 0.0


def _absent(name: str, published: tuple[float, float, float] | None) -> list[Finding]:
    note = "no week with a selection: is there a membership of industries?"
    if published is None:
        return []
    return [
        Finding(f"{name}: {what}", None, unit, value, note=note, kind=Kind.EFFECT)
        for (what, unit), value in zip(
            (("weekly mean", Unit.RATIO), ("IR", Unit.NUMBER), ("weekly win rate", Unit.RATIO)), published, strict=True
        )
    ]
