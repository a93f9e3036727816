"""ratio: quantiles of the financing-buy ratio, and index returns after its breakdowns and cold spells [DG22]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from processors.days import to_date
from processors.events import Floats
from processors.studies.measure import episodes, hit_rate
from processors.studies.panel import SSE, Panel
from processors.studies.result import Cell, Chart, Finding, Line, Mode, Result, Strip, Table, Unit

TITLE = "Financing-buy ratio 融资买入占比: quantiles, breakdowns, cold spells"
SOURCE = "[DG22]"
#: A case is a top or high-level range if no close of so many days is further above its entry than this (ours).
TOP, TOP_DAYS = 0.05, 60
#: The weeks that [DG22] counts as cold: 11, all in 2022, 6 of them with a stop or a rebound.
COLD_WEEK = 0.0625
_HORIZONS = (5, 20, 60)
_PUBLISHED = (("maximum", 1.0, 0.1201), ("90% quantile", 0.9, 0.103), ("median", 0.5, 0.0838),
              ("10% quantile", 0.1, 0.0675), ("minimum", 0.0, 0.0533))  # fmt: skip


def run(panel: Panel, mode: Mode) -> Result:
    """Return quantiles of three forms of the ratio, and the index returns after every breakdown and cold week."""
    week_ends, weekly = _weekly(panel)
    forms = {
        "daily": panel.column("fin_buy_ratio")[panel.in_period],
        "5-day sum/sum": panel.column("fin_buy_ratio_5d")[panel.in_period],
        "weekly sum/sum": weekly,
    }
    quantiles = [
        (name, *(_quantile(values, q) for values in forms.values()), published) for name, q, published in _PUBLISHED
    ]
    findings = [
        Finding(f"weekly {name}", _quantile(forms["weekly sum/sum"], q), published=p) for name, q, p in _PUBLISHED
    ]
    cases: list[tuple[Cell, ...]] = []
    for form, state in (("5-day", "ratio_state"), ("daily", "ratio_state_daily")):
        found = _entries(panel, state, {"BREAKDOWN"})
        findings.append(Finding(f"{form} breakdowns", float(len(found)), Unit.COUNT, note="[DG22] publishes no count"))
        rows = _cases(panel, mode, found, form, "fin_buy_ratio_5d" if form == "5-day" else "fin_buy_ratio")
        cases += rows
        tops = [row[-1] for row in rows if row[-1] is not None]
        what = f"{form} breakdowns that were tops or high-level ranges"
        findings.append(hit_rate(what, tops.count("yes"), len(tops), 0.8, episodes(found, TOP_DAYS)))
    findings.append(_base(panel, mode))
    cold = week_ends[weekly <= COLD_WEEK]
    after = panel.index_forward(SSE, panel.entry(mode, at_open=True), 20, mode)[cold]
    known = after[~np.isnan(after)]
    cold_weeks = f"weeks with a ratio ≤ {COLD_WEEK:.2%}"
    findings.append(Finding(cold_weeks, float(len(cold)), Unit.COUNT, 11.0, note="published: 11 weeks, all in 2022"))
    note = "" if len(known) else "no such week in the period: coldness is no bottom signal by itself"
    rises = int((known > 0).sum())
    what = f"{cold_weeks} followed by a rise in 20 days"
    findings.append(hit_rate(what, rises, len(known), 6 / 11, episodes(cold, 20), note))
    dates = panel.dates()
    in_period = np.flatnonzero(panel.in_period)
    ratio = panel.column("fin_buy_ratio_5d")
    chart = Chart(
        "ratio", "5-day financing-buy ratio with its breakdowns", Unit.RATIO,
        lines=[Line("5-day ratio", [dates[i] for i in in_period], ratio[in_period].tolist())],
        levels={"hot 10.3%": 0.103, "breakdown 10.0%": 0.100, "cold 6.75%": 0.0675},
        marks=[dates[i] for i in _entries(panel, "ratio_state", {"BREAKDOWN"}).tolist()],
    )  # fmt: skip
    first, last = panel.period()
    return Result(
        "ratio", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("quantiles", "Quantiles of the ratio", ("quantile", *forms, "published"), quantiles,
                  dict.fromkeys((*forms, "published"), Unit.RATIO)),
            Table("breakdowns", "Breakdowns and what the SSE Composite did", _COLUMNS, cases, _UNITS),
        ],
        [chart, _verdict_strip(panel)],
        [
            "published figures are of 2018-01…2022-11; ours end where the data do",
            f"a breakdown was a top or high-level range if no close of the next {TOP_DAYS} trading days was more than {TOP:.0%} "
            "above its entry (ours; the source judges by eye: about 80%)",
            f"published cold cases are the weeks with a ratio of at most {COLD_WEEK:.2%}; 6 of 11 were followed by a stop or a "
            "rebound, ours counts a rise of the SSE Composite over 20 trading days",
            "weeks are calendar weeks, Σ margin buys / Σ turnover; the state machine runs on the 5-day ratio",
        ],
    )  # fmt: skip


_COLUMNS = ("form", "date", "ratio", "entry", *(f"{h} days" for h in _HORIZONS), "drawdown in 60 days",
            "highest in 60 days", "top")  # fmt: skip
_UNITS = dict.fromkeys(
    ("ratio", *(f"{h} days" for h in _HORIZONS), "drawdown in 60 days", "highest in 60 days"), Unit.RATIO
)


def _verdict_strip(panel: Panel) -> Chart:
    """Return the verdict of every day of the period with margin figures."""
    shown = np.flatnonzero(panel.in_period & (panel.available > 0))
    dates, verdicts = panel.dates(), panel.text("verdict")
    strip = Strip([dates[i] for i in shown], [str(verdicts[i]) for i in shown])
    return Chart("verdict_strip", "The verdict by day: near a top?", Unit.COUNT, strip=strip)


def _weekly(panel: Panel) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the last day of every calendar week of the period, and the week's ratio (weeks,)."""
    frame = pd.DataFrame({"buy": panel.column("fin_buy_cny"), "turnover": panel.column("turnover_cny")})
    frame["day"] = np.arange(len(frame))
    weeks = np.array([to_date(day).isocalendar()[:2] for day in panel.days.tolist()])[panel.in_period]
    grouped = frame[panel.in_period].groupby([weeks[:, 0], weeks[:, 1]])
    sums = grouped[["buy", "turnover"]].sum(min_count=1)
    return grouped["day"].max().to_numpy(), (sums["buy"] / sums["turnover"]).to_numpy(dtype=np.float64)


def _quantile(values: Floats, q: float) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, q)) if len(known) else None


def _entries(panel: Panel, name: str, states: set[str]) -> npt.NDArray[np.intp]:
    """Return the days of the period on which the state machine entered one of the states."""
    state = panel.text(name)
    inside = np.isin(state, list(states))
    before = np.concatenate([[False], inside[:-1]])
    return np.flatnonzero(inside & ~before & panel.in_period)


def _cases(panel: Panel, mode: Mode, found: npt.NDArray[np.intp], form: str, ratio: str) -> list[tuple[Cell, ...]]:
    entry, dates = panel.entry(mode, at_open=True), panel.dates()
    after = {h: panel.index_forward(SSE, entry, h, mode) for h in _HORIZONS}
    lowest, highest = _extremes(panel, mode)
    values = panel.column(ratio)
    rows: list[tuple[Cell, ...]] = []
    for day in found.tolist():
        top = highest[day]
        rows.append(
            (
                form, dates[day], float(values[day]), dates[entry[day]] if entry[day] < len(dates) else None,
                *(_cell(after[h][day]) for h in _HORIZONS), _cell(lowest[day]), _cell(top),
                None if np.isnan(top) else ("yes" if top <= TOP else "no"),
            )
        )  # fmt: skip
    return rows


def _cell(value: float) -> Cell:
    return None if np.isnan(value) else float(value)


def _extremes(panel: Panel, mode: Mode) -> tuple[Floats, Floats]:
    """Return the lowest close from each day's entry on, as far as it is known, and the highest behind the day (days,).

    Both are returns over `TOP_DAYS`; the highest is NaN where one of its closes is unknown.
    """
    entry, close = panel.entry(mode, at_open=True), panel.closes[SSE]
    price = close if mode is Mode.AS_SOURCE else panel.opens[SSE]
    low, high = (np.full(len(close), np.nan) for _ in range(2))
    for day, start in enumerate(entry.tolist()):
        end = day + TOP_DAYS + 1
        if start == len(close):
            continue  # nobody could act on it in the data in hand
        if not np.isnan(path := close[start:end]).all():
            low[day] = np.nanmin(path) / price[start] - 1
        if end <= len(close):
            high[day] = close[day + 1 : end].max() / price[start] - 1
    return low, high


def _base(panel: Panel, mode: Mode) -> Finding:
    highest = _extremes(panel, mode)[1][panel.in_period & (panel.available > 0)]
    known = highest[~np.isnan(highest)]
    return Finding(
        "any day that was a top or high-level range, for comparison", float((known <= TOP).mean()) if len(known) else None,
        cases=len(known), note="the same test on every day of the period",
    )  # fmt: skip
