"""sorts: industries sorted each week into groups by change and breadth of their balances; annual excess [SW14]."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.studies.industry_weeks import WEEKS_A_YEAR, IndustryWeeks, industry_weeks, mean_of
from processors.studies.measure import block_interval, compounded
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Kind, Mode, Result, Table, Unit
from processors.studies.rotation import annual_table, selection

TITLE = "Sorts 行业分组: industries in 3 and 9 groups by change and breadth"
SOURCE = "[SW14]"
_GROUPS = (3, 9)
_SORTED_BY = {"change": "week_change", "breadth": "week_breadth"}
#: Year → published annual excess return of dual_2.
_DUAL_2 = {2013: 0.0466, 2014: 0.3334}
_COLUMNS = ("sorted by", "groups", "group", "industries", "weeks", "weekly excess", "low", "high", "annual excess")
_UNITS = dict.fromkeys(("weekly excess", "low", "high", "annual excess"), Unit.RATIO)


def run(panel: Panel, mode: Mode) -> Result:
    """Return weekly excess returns of groups of industries, 1 with the largest change; industries with a price only."""
    weeks = industry_weeks(panel, mode)
    rows: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    charts: list[Chart] = []
    annual: dict[str, Floats] = {}
    for name, column in _SORTED_BY.items():
        values = selection(panel, weeks, column)
        for number in _GROUPS:
            group = groups(values, weeks.returns, number)
            means = [mean_of(weeks.returns, (group == g).astype(np.float64)) - weeks.market for g in range(number)]
            bars = []
            for g, excess in enumerate(means):
                used = excess[~np.isnan(excess)]
                if not len(used):
                    continue
                low, high = block_interval(used, np.arange(len(used)), 4)
                size = float((group == g).sum(axis=1)[~np.isnan(excess)].mean())
                year = float(np.prod(1 + used) ** (WEEKS_A_YEAR / len(used)) - 1)
                rows.append((name, number, f"{g + 1}", size, len(used), float(used.mean()), low, high, year))
                bars.append(Bars(f"{g + 1}", float(used.mean()), low, high))
            if bars:
                charts.append(
                    Chart(
                        f"{name}_{number}",
                        f"Weekly excess by {name}, {number} groups; 1: largest",
                        Unit.RATIO,
                        bars=bars,
                    )
                )
                annual |= {f"{name}, group {g + 1} of {number}": means[g] for g in (0, number - 1)}
            findings.append(_spread(f"{name}, {number} groups: first less last, a week", means[0] - means[-1]))
    dual = mean_of(weeks.returns, selection(panel, weeks, "dual_2")) - weeks.market
    annual["dual_2"] = dual
    for year, published in _DUAL_2.items():
        inside = dual[weeks.years == year]
        ours, known = compounded(inside), int((~np.isnan(inside)).sum())
        findings.append(Finding(f"dual_2: excess in {year}", ours, published=published, cases=known, kind=Kind.EFFECT,
                                note="" if ours is not None else "not in the data"))  # fmt: skip
    findings.append(_worst_year(dual, weeks))
    first, last = panel.period()
    return Result(
        "sorts", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("groups", "Weekly excess return by group; group 1 has the largest values", _COLUMNS, rows, _UNITS),
            annual_table("annual", "Excess return by year", annual, weeks),
            _held(panel, weeks),
        ],
        charts,
        [
            "groups of the industries with a price at the entry and the exit, by rank, as equal in number as possible; excess over the "
            "equal-weight mean of these industries; no costs",
            "the published annual figures are of the edition of the industries and the list of eligible stocks of 2013–2014",
        ],
    )  # fmt: skip


def groups(values: Floats, returns: Floats, number: int) -> Floats:
    """Return the group of each industry, 0 with the largest values (weeks, 31); NaN without a value or a return.

    Examples
    --------
    >>> groups(np.array([[3.0, 1.0, 2.0, np.nan]]), np.zeros((1, 4)), 3).tolist()
    [[0.0, 2.0, 1.0, nan]]
    """
    out = np.full(values.shape, np.nan)
    for week in range(len(values)):
        known = np.flatnonzero(~np.isnan(values[week]) & ~np.isnan(returns[week]))
        if len(known) >= number:
            ordered = known[np.argsort(-values[week, known], kind="stable")]
            for g, part in enumerate(np.array_split(ordered, number)):
                out[week, part] = g
    return out


def _spread(what: str, values: Floats) -> Finding:
    used = values[~np.isnan(values)]
    low, high = block_interval(used, np.arange(len(used)), 4)
    return Finding(what, float(used.mean()) if len(used) else None, low=low, high=high, interval="block bootstrap",
                   cases=len(used), note="published: change and breadth select winners", kind=Kind.RISES)  # fmt: skip


def _worst_year(dual: Floats, weeks: IndustryWeeks) -> Finding:
    """Return the mean annual excess of dual_2 in years outside the source's, beside the mean of its two years."""
    found = {y: compounded(dual[weeks.years == y]) for y in np.unique(weeks.years).tolist() if y not in _DUAL_2}
    known = {y: excess for y, excess in found.items() if excess is not None}
    years, annual = list(known), list(known.values())
    return Finding("dual_2: mean excess of the other years", float(np.mean(annual)) if annual else None,
                   published=float(np.mean(list(_DUAL_2.values()))), cases=len(annual), kind=Kind.EFFECT,
                   note=f"years: {', '.join(map(str, years))}; best {max(annual):.2%}, worst {min(annual):.2%}" if annual else "no other year")  # fmt: skip


def _held(panel: Panel, weeks: IndustryWeeks) -> Table:
    """Return how many industries each selection flags, and how many of them have prices."""
    rows: list[tuple[Cell, ...]] = []
    for name in ("change_top9", "breadth_top9", "dual_1", "dual_2", "dual_3"):
        flags = selection(panel, weeks, name) == 1
        some = flags.any(axis=1)
        if some.any():
            priced = flags & ~np.isnan(weeks.returns)
            rows.append(
                (name, float(flags[some].sum(axis=1).mean()), float(priced[some].sum(axis=1).mean()), int(some.sum()))
            )
    return Table(
        "held",
        "Industries selected, and really held because they have prices",
        ("portfolio", "selected", "held", "weeks"),
        rows,
    )
