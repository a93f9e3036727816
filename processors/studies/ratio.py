"""ratio: quantiles of the financing-buy ratio, and the balances at the ends of months [DG22]."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd

from processors.arrays import Floats, Indexer, Mask
from processors.days import to_date
from processors.signal import number
from processors.studies.panel import CSI300, INDICES, Panel
from processors.studies.result import Cell, Chart, Finding, Kind, Line, Mode, Result, Table, Unit
from processors.studies.samples import SAMPLES

TITLE = "Financing-buy ratio 融资买入占比: quantiles, and balances at the ends of months"
SOURCE = "[DG22]"
_PUBLISHED = (("maximum", 1.0, 0.1201), ("90% quantile", 0.9, 0.103), ("median", 0.5, 0.0838),
              ("10% quantile", 0.1, 0.0675), ("minimum", 0.0, 0.0533))  # fmt: skip
#: Month → published margin balance at its end, CNY; and the highest short balance.
_MONTHS = {"2021-11": 1_724.0e9, "2022-04": 1_433.7e9}
_SHORT_PEAK = 164.89e9
_BN = 1e9
_A_MONTH = 31
_SHOWN = (CSI300, "000905.SH")


def run(panel: Panel, mode: Mode) -> Result:
    """Return quantiles of three forms of the ratio in the sample of the source, and a table of months."""
    sample = panel.sample(SOURCE)
    _, weekly = weekly_ratio(panel, sample)
    forms = {
        "daily": panel.column("fin_buy_ratio")[sample],
        "5-day sum/sum": panel.column("fin_buy_ratio_5d")[sample],
        "weekly sum/sum": weekly,
    }
    quantiles: list[tuple[Cell, ...]] = [
        (name, *(_quantile(values, q) for values in forms.values()), published) for name, q, published in _PUBLISHED
    ]
    findings = [
        Finding(
            f"weekly {name}", _quantile(weekly, q), published=p, kind=Kind.LEVEL, cases=int((~np.isnan(weekly)).sum())
        )
        for name, q, p in _PUBLISHED
    ]
    months = _months(panel)
    findings += _month_findings(panel, months)
    dates, used = panel.dates(), panel.used()
    days = [dates[i] for i in used]
    ratio = panel.column("fin_buy_ratio_5d")
    charts = [
        Chart("ratio", "5-day financing-buy ratio", Unit.RATIO, lines=[Line("5-day ratio", days, ratio[used].tolist())],
              levels={"hot 10.3%": 0.103, "breakdown 10.0%": 0.100, "cold 6.75%": 0.0675}),
        Chart("indices", "CSI 300 and CSI 500 since the first day", Unit.RATIO,
              lines=[Line(INDICES[code], days, _since_first(panel.closes[code][used])) for code in _SHOWN]),
        Chart("months", "Margin balance at the ends of months, bn CNY", Unit.NUMBER,
              lines=[Line("margin balance", [str(r[1]) for r in months], [float(r[2] or np.nan) for r in months])]),
    ]  # fmt: skip
    first, last = panel.period()
    inside = used[sample[used]]
    ours = (
        "the days of that sample in the data" if panel.reaches(SOURCE) else "all days of the data, none of that sample"
    )
    return Result(
        "ratio", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("quantiles", "Quantiles of the ratio", ("quantile", *forms, "published"), quantiles,
                  dict.fromkeys((*forms, "published"), Unit.RATIO)),
            Table("months", "Ends of months: balances in bn CNY", _MONTH_COLUMNS, months, {"ratio of the month": Unit.RATIO}),
        ],
        charts,
        [
            f"published quantiles are of 2018-01 to 2022-11; ours are of {ours}: {dates[inside[0]]} to {dates[inside[-1]]}"
            if len(inside) else "no day with margin figures",
            "weeks are calendar weeks, Σ margin buys / Σ turnover; a week or month has no ratio without each of its sessions",
        ],
    )  # fmt: skip


_MONTH_COLUMNS = (
    "month",
    "last day",
    "margin balance",
    "short balance",
    "ratio of the month",
    *(INDICES[c] for c in _SHOWN),
)


def weekly_ratio(panel: Panel, days: Mask) -> tuple[Indexer, Floats]:
    """Return the last of the given days with margin figures in every calendar week, and the week's ratio (weeks,).

    The ratio is NaN where a session of the week is not among the days, or a figure of it is unknown.
    """
    return _sums(panel, days, _week)


def _sums(panel: Panel, days: Mask, label: Callable[[date], int]) -> tuple[Indexer, Floats]:
    """Return the last day and Σ buys / Σ turnover of the days with each label; NaN without each of its sessions."""
    first, last = (int(panel.days[i]) for i in (0, -1))
    sessions = Counter(
        label(to_date(day)) for day in panel.calendar.between(first - _A_MONTH, last + _A_MONTH).tolist()
    )
    frame = pd.DataFrame({"buy": panel.column("fin_buy_cny"), "turnover": panel.column("turnover_cny")})
    known = frame.notna().all(axis=1)
    frame = frame.assign(known=known, day=np.arange(len(frame)), label=[label(to_date(d)) for d in panel.days.tolist()])
    grouped = frame[days & (panel.available > 0)].groupby("label")
    sums = grouped[["buy", "turnover", "known"]].sum()
    whole = sums["known"] == [sessions[one] for one in sums.index]
    ratio = (sums["buy"] / sums["turnover"]).where(whole)
    return grouped["day"].max().to_numpy(), ratio.to_numpy(dtype=np.float64)


def _months(panel: Panel) -> list[tuple[Cell, ...]]:
    """Return a row for each month whose last session has margin figures."""
    if not panel.used().size:
        return []
    ends, ratio = _sums(panel, panel.in_period, _month)
    dates = panel.dates()
    balance, short = panel.column("fin_balance"), panel.column("short_balance")
    return [
        (dates[at][:7], dates[at], number(balance[at] / _BN), number(short[at] / _BN), number(value),
         *(number(panel.closes[code][at]) for code in _SHOWN))
        for at, value in zip(ends.tolist(), ratio.tolist(), strict=True) if _ends_month(panel, at)
    ]  # fmt: skip


def _week(day: date) -> int:
    year, week, _ = day.isocalendar()
    return year * 100 + week


def _month(day: date) -> int:
    return day.year * 100 + day.month


def _ends_month(panel: Panel, at: int) -> bool:
    """Return whether the calendar has no later session in the month of a day."""
    day = int(panel.days[at])
    following = panel.calendar.after(day, 1)
    return following is not None and _month(to_date(following)) != _month(to_date(day))


def _month_findings(panel: Panel, months: list[tuple[Cell, ...]]) -> list[Finding]:
    """Return the published balances beside ours, where the data reach their dates."""
    ends = {str(row[0]): row for row in months}
    first, end = panel.period()
    outside = f"not in the data, which are of {first} to {end}"
    out = []
    for month, published in _MONTHS.items():
        value = ends[month][2] if month in ends else None
        ours = value if isinstance(value, float) else None
        out.append(Finding(f"margin balance at the end of {month}, bn CNY", ours, Unit.NUMBER, published / _BN,
                           note="" if ours else outside, kind=Kind.LEVEL))  # fmt: skip
    short = panel.column("short_balance")[panel.sample(SOURCE)]
    highest = float(np.nanmax(short)) / _BN if (~np.isnan(short)).any() else None
    reached = panel.contains(*map(str, SAMPLES[SOURCE]))
    out.append(
        Finding("highest short balance of the sample, bn CNY", highest if reached else None, Unit.NUMBER, _SHORT_PEAK / _BN,
                note="" if reached or highest is None else f"{outside}: their highest is {highest:.2f} bn", kind=Kind.LEVEL)
    )  # fmt: skip
    return out


def _since_first(closes: Floats) -> list[float]:
    known = closes[~np.isnan(closes)]
    first = known[0] if len(known) else np.nan
    return [float(value) for value in closes / first - 1]


def _quantile(values: Floats, q: float) -> float | None:
    known = values[~np.isnan(values)]
    return float(np.quantile(known, q)) if len(known) else None
