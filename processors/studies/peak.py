"""peak: every breakdown of the financing-buy ratio, and what the SSE Composite did after it [DG22]."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats, Indexer
from processors.signal import number
from processors.studies.index_paths import HORIZONS, TOP, TOP_DAYS, Paths, paths
from processors.studies.measure import episodes, hit_rate, mean
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Line, Mode, Result, Strip, Table, Unit

TITLE = "Peak warning 顶部预警: breakdowns of the ratio after a hot phase"
SOURCE = "[DG22]"
_SHARE = 0.8
_FORMS = (("5-day", "ratio_state", "fin_buy_ratio_5d"), ("daily", "ratio_state_daily", "fin_buy_ratio"))
_COLUMNS = ("form", "date", "ratio", "entry", *(f"{h} days" for h in HORIZONS), "lowest in 60 days", "highest in 60 days", "top or range", "fell 5% first")  # fmt: skip
_UNITS = dict.fromkeys(
    ("ratio", *(f"{h} days" for h in HORIZONS), "lowest in 60 days", "highest in 60 days"), Unit.RATIO
)
_YEAR_COLUMNS = ("year", "days", "any day: top or range", "any day: fell 5% first", "5-day breakdowns", "top or range", "fell 5% first", "daily breakdowns", "daily: top or range")  # fmt: skip
_YEAR_UNITS = dict.fromkeys(("any day: top or range", "any day: fell 5% first"), Unit.RATIO)


def run(panel: Panel, mode: Mode) -> Result:
    """Return all breakdowns with their outcome under two definitions, beside the base rates by year."""
    outcome = paths(panel, mode)
    used = panel.used()
    base_top, base_fell = mean(_known(outcome.topped[used])), mean(_known(outcome.fell_first[used]))
    findings: list[Finding] = []
    cases: list[tuple[Cell, ...]] = []
    found = {form: breakdowns(panel, state) for form, state, _ in _FORMS}
    for form, _, ratio in _FORMS:
        at = found[form]
        cases += _cases(panel, mode, outcome, at, form, panel.column(ratio))
        findings.append(Finding(f"{form} breakdowns", float(len(at)), Unit.COUNT, note="[DG22] publishes no count"))
        for what, values, base in (
            ("tops or high-level ranges", outcome.topped, base_top),
            ("a fall of 5% before a rise of 5%", outcome.fell_first, base_fell),
        ):
            known = _known(values[at])
            note = "base: the same test on every day of the period"
            hits = int(known.sum())
            apart = episodes(at[~np.isnan(values[at])], TOP_DAYS)
            published = _SHARE if what.startswith("tops") else None
            findings.append(
                hit_rate(f"{form} breakdowns that were {what}", hits, len(known), published, apart, note, base)
            )
    dates = panel.dates()
    days = [dates[i] for i in used]
    chart = Chart(
        "peak", "5-day financing-buy ratio with its breakdowns", Unit.RATIO,
        lines=[Line("5-day ratio", days, panel.column("fin_buy_ratio_5d")[used].tolist())],
        levels={"hot 10.3%": 0.103, "breakdown 10.0%": 0.100},
        marks=[dates[i] for i in found["5-day"].tolist()],
    )  # fmt: skip
    rates = Chart(
        "peak_rates", "Share of tops and high-level ranges; diamond: published", Unit.RATIO,
        bars=[Bars(f"{f.what.partition(' ')[0]} breakdowns", f.ours, f.low, f.high, f.published)
              for f in findings if f.ours is not None and f.published is not None]
        + ([Bars("any day", base_top)] if base_top is not None else []),
    )  # fmt: skip
    verdicts = panel.text("verdict")
    strip = Strip(days, [str(verdicts[i]) for i in used])
    first, last = panel.period()
    return Result(
        "peak", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("breakdowns", "Breakdowns and what the SSE Composite did", _COLUMNS, cases, _UNITS),
            Table("years", "Base rates and breakdowns by year", _YEAR_COLUMNS, _years(panel, outcome, found), _YEAR_UNITS),
        ],
        [chart, rates, Chart("verdict_strip", "The verdict by day: near a top?", Unit.COUNT, strip=strip)],
        [
            f"top or range: no close of the next {TOP_DAYS} trading days is more than {TOP:.0%} above the entry; fell first: a close "
            f"{TOP:.0%} below the entry before one {TOP:.0%} above it, within {TOP_DAYS} trading days (both ours; the source judges by eye: about 80%)",
            "the published share is of 2018-01 to 2022-11; the state machine runs on the 5-day ratio",
        ],
    )  # fmt: skip


def breakdowns(panel: Panel, name: str) -> Indexer:
    """Return the days of the period on which the state machine entered BREAKDOWN."""
    inside = panel.text(name) == "BREAKDOWN"
    before = np.concatenate([[False], inside[:-1]])
    return np.flatnonzero(inside & ~before & panel.in_period)


def _cases(panel: Panel, mode: Mode, outcome: Paths, at: Indexer, form: str, ratio: Floats) -> list[tuple[Cell, ...]]:
    entry, dates = panel.entry(mode, at_open=True), panel.dates()
    return [
        (
            form, dates[day], float(ratio[day]), dates[entry[day]] if entry[day] < len(dates) else None,
            *(number(outcome.after[h][day]) for h in HORIZONS), number(outcome.lowest[day]), number(outcome.highest[day]),
            _yes(outcome.topped[day]), _yes(outcome.fell_first[day]),
        )
        for day in at.tolist()
    ]  # fmt: skip


def _years(panel: Panel, outcome: Paths, found: dict[str, Indexer]) -> list[tuple[Cell, ...]]:
    years, used = panel.years(), panel.used()
    out: list[tuple[Cell, ...]] = []
    for year in np.unique(years[used]).tolist():
        days = used[years[used] == year]
        five, daily = (at[years[at] == year] for at in found.values())
        out.append(
            (
                year, len(days), mean(_known(outcome.topped[days])), mean(_known(outcome.fell_first[days])),
                len(five), _of(outcome.topped[five]), _of(outcome.fell_first[five]), len(daily), _of(outcome.topped[daily]),
            )
        )  # fmt: skip
    return [tuple(str(cell) if i == 0 else cell for i, cell in enumerate(row)) for row in out]


def _of(values: Floats) -> Cell:
    known = _known(values)
    return f"{int(known.sum())} of {len(known)}" if len(known) else None


def _known(values: Floats) -> Floats:
    return values[~np.isnan(values)]


def _yes(value: float) -> Cell:
    return None if np.isnan(value) else ("yes" if value else "no")
