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
#: A case is a top if the index is at most this far above its entry after 20 days (ours).
TOP = 0.02
_HORIZONS = (5, 20, 60)
_PUBLISHED = (("maximum", 1.0, 0.1201), ("90% quantile", 0.9, 0.103), ("median", 0.5, 0.0838),
              ("10% quantile", 0.1, 0.0675), ("minimum", 0.0, 0.0533))  # fmt: skip


def run(panel: Panel, mode: Mode) -> Result:
    """Return quantiles of three forms of the ratio, and the index returns after every breakdown and cold spell."""
    forms = {
        "daily": panel.column("fin_buy_ratio")[panel.in_period],
        "5-day sum/sum": panel.column("fin_buy_ratio_5d")[panel.in_period],
        "weekly sum/sum": _weekly(panel),
    }
    quantiles = [
        (name, *(_quantile(values, q) for values in forms.values()), published) for name, q, published in _PUBLISHED
    ]
    findings = [
        Finding(f"weekly {name}", _quantile(forms["weekly sum/sum"], q), published=p) for name, q, p in _PUBLISHED
    ]
    cases: list[tuple[Cell, ...]] = []
    for form, state, published in (("5-day", "ratio_state", 8.0), ("daily", "ratio_state_daily", 27.0)):
        found = _entries(panel, state, {"BREAKDOWN"})
        findings.append(Finding(f"{form} breakdowns", float(len(found)), Unit.COUNT, published))
        rows = _cases(panel, mode, found, form, "fin_buy_ratio_5d" if form == "5-day" else "fin_buy_ratio")
        cases += rows
        tops = [row[-1] for row in rows if row[-1] is not None]
        what = f"{form} breakdowns that were tops"
        findings.append(hit_rate(what, tops.count("yes"), len(tops), 0.8, episodes(found, 20)))
    findings.append(_base(panel, mode))
    cold = _entries(panel, "ratio_state", {"COLD", "EXTREME_COLD"})
    after = panel.index_forward(SSE, panel.entry(mode, at_open=True), 20, mode)[cold]
    known = after[~np.isnan(after)]
    rises = int((known > 0).sum())
    what = "cold spells followed by a rise in 20 days"
    findings.append(hit_rate(what, rises, len(known), 6 / 11, episodes(cold, 20)))
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
            f"a breakdown was a top if the SSE Composite was at most {TOP:.0%} above its entry 20 trading days later (ours; "
            "the source judges by eye: about 80% tops or high-level ranges)",
            "weeks are calendar weeks, Σ margin buys / Σ turnover; the state machine runs on the 5-day ratio",
        ],
    )  # fmt: skip


_COLUMNS = ("form", "date", "ratio", "entry", *(f"{h} days" for h in _HORIZONS), "drawdown in 60 days", "top")
_UNITS = dict.fromkeys(("ratio", *(f"{h} days" for h in _HORIZONS), "drawdown in 60 days"), Unit.RATIO)


def _verdict_strip(panel: Panel) -> Chart:
    """Return the verdict of every day of the period with margin figures."""
    shown = np.flatnonzero(panel.in_period & (panel.available > 0))
    dates, verdicts = panel.dates(), panel.text("verdict")
    strip = Strip([dates[i] for i in shown], [str(verdicts[i]) for i in shown])
    return Chart("verdict_strip", "The verdict by day: near a top?", Unit.COUNT, strip=strip)


def _weekly(panel: Panel) -> Floats:
    frame = pd.DataFrame({"buy": panel.column("fin_buy_cny"), "turnover": panel.column("turnover_cny")})
    weeks = np.array([to_date(day).isocalendar()[:2] for day in panel.days.tolist()])
    frame = frame[panel.in_period].groupby([weeks[panel.in_period, 0], weeks[panel.in_period, 1]]).sum(min_count=1)
    return (frame["buy"] / frame["turnover"]).to_numpy(dtype=np.float64)


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
    close, values = panel.closes[SSE], panel.column(ratio)
    rows: list[tuple[Cell, ...]] = []
    for day in found.tolist():
        path = close[entry[day] : day + 61] / (close if mode is Mode.AS_SOURCE else panel.opens[SSE])[entry[day]] - 1
        twenty = after[20][day]
        rows.append(
            (
                form, dates[day], float(values[day]), dates[entry[day]] if entry[day] < len(dates) else None,
                *(None if np.isnan(after[h][day]) else float(after[h][day]) for h in _HORIZONS),
                float(np.nanmin(path)) if len(path) else None,
                None if np.isnan(twenty) else ("yes" if twenty <= TOP else "no"),
            )
        )  # fmt: skip
    return rows


def _base(panel: Panel, mode: Mode) -> Finding:
    after = panel.index_forward(SSE, panel.entry(mode, at_open=True), 20, mode)[panel.in_period & (panel.available > 0)]
    known = after[~np.isnan(after)]
    return Finding(
        "any day that was a top, for comparison", float((known <= TOP).mean()) if len(known) else None, cases=len(known),
        note="the same test on every day of the period",
    )  # fmt: skip
