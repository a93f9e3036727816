"""bottom: cold weeks of the ratio and what followed, bear markets of six indices, turnover and PE at their troughs [DG22]."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from processors.arrays import Floats
from processors.bears import Bear, bear_markets
from processors.days import TradingCalendar, to_date
from processors.indicators.index_pe import pe_percentiles
from processors.parameters import DEFAULTS
from processors.signal import number
from processors.statistics import percentiles
from processors.studies.index_paths import HORIZONS, paths
from processors.studies.measure import episodes, hit_rate, mean
from processors.studies.panel import INDICES, SSE, IndexHistory, Panel
from processors.studies.ratio import weekly_ratio
from processors.studies.result import Cell, Chart, Finding, Kind, Line, Mode, Result, Table, Unit

TITLE = "Bottom 底部: cold weeks, bear markets, turnover and PE"
SOURCE = "[DG22]"
#: The weeks that [DG22] counts as cold: 11, all in 2022, 6 of them with a stop or a rebound.
COLD_WEEK = 0.0625
_PUBLISHED_COLD = 11
#: The days of 2022 in the source's sample.
_COLD_DAYS = ("2022-01-04", "2022-11-30")
#: Year of the peak → published fall of the SSE Composite.
_BEARS = {2015: -0.486, 2018: -0.308, 2021: -0.223}
#: Published PE percentiles of the end of 2022-10, over 15 years.
_PE_MONTH, _PE_YEARS = "2022-10", 15
_PE = {"000852.SH": 0.0777, "399006.SZ": 0.0978, "000016.SH": 0.1001, "000300.SH": 0.1424, SSE: 0.1598}
_MONTH_DAYS = 20
_BEAR_COLUMNS = (
    "index",
    "peak",
    "trough",
    "ended",
    "fall",
    "turnover rate at trough",
    "rank of the rate",
    "PE at trough",
    "rank of the PE",
)


def run(panel: Panel, mode: Mode) -> Result:
    """Return the cold weeks with index returns, and every bear market of six indices with valuations."""
    outcome = paths(panel, mode)
    ends, weekly = weekly_ratio(panel, panel.in_period)
    cold = weekly <= COLD_WEEK
    dates = panel.dates()
    weeks: list[tuple[Cell, ...]] = [
        (dates[at], float(ratio), *(number(outcome.after[h][at]) for h in HORIZONS))
        for at, ratio in zip(ends[cold].tolist(), weekly[cold].tolist(), strict=True)
    ]
    first, end = panel.period()
    counted = cold & panel.sample(SOURCE)[ends]
    after = outcome.after[20][ends[counted]]
    known = after[~np.isnan(after)]
    every = outcome.after[20][panel.used()]
    base = mean((every[~np.isnan(every)] > 0).astype(np.float64))
    cold_weeks = f"weeks with a ratio ≤ {COLD_WEEK:.2%}"
    covered = panel.contains(*_COLD_DAYS)
    findings = [
        Finding(cold_weeks, float(counted.sum()) if covered else None, Unit.COUNT, _PUBLISHED_COLD, kind=Kind.LEVEL,
                note="" if covered else f"published: 11 weeks, all in 2022; the data are of {first} to {end} and have {cold.sum()}"),
        # The source calls the share no signal, so the claim is its level, not a distance from the base rate.
        replace(
            hit_rate(f"{cold_weeks} followed by a rise in 20 days", int((known > 0).sum()), len(known), 6 / _PUBLISHED_COLD,
                     episodes(ends[counted], 20),
                     "" if len(known) else "no such week in the period", base),
            kind=Kind.LEVEL,
        ),
    ]  # fmt: skip
    bears: list[tuple[Cell, ...]] = []
    now: list[tuple[Cell, ...]] = []
    for code, history in panel.histories.items():
        found = bear_markets(history.close, DEFAULTS.bear_market)
        rates, pes = month_rates(history, panel.calendar), history.pe
        ranks = percentiles(rates[None, :], 1), pe_percentiles(pes[None, :], 1)
        bears += [_bear_row(INDICES[code], history, bear, rates) for bear in found]
        last = len(history.days) - 1
        now.append(
            (INDICES[code], _date(history, last), float(history.close[last] / np.nanmax(history.close[-250:]) - 1),
             number(rates[last]), number(ranks[0][0]), number(pes[last]), number(ranks[1][0]), _date(history, 0))
        )  # fmt: skip
        if code == SSE:
            findings += _bear_findings(history, found)
    findings += [_pe_finding(code, value, panel.histories.get(code)) for code, value in _PE.items()]
    units = dict.fromkeys(("fall", "turnover rate at trough", "rank of the rate", "rank of the PE"), Unit.RATIO)
    now_units = dict.fromkeys(("from the year's high", "turnover rate", "rank of turnover", "rank of PE"), Unit.RATIO)
    return Result(
        "bottom", TITLE, SOURCE, mode, first, end, findings,
        [
            Table("cold_weeks", "Cold weeks and the SSE Composite", ("week's end", "ratio", *(f"{h} days" for h in HORIZONS)), weeks,
                  dict.fromkeys(("ratio", *(f"{h} days" for h in HORIZONS)), Unit.RATIO)),
            Table("bears", "Bear markets, with month-average turnover rate and PE at the trough", _BEAR_COLUMNS, bears, units),
            Table("valuations", "On the last day of each index",
                  ("index", "day", "from the year's high", "turnover rate", "rank of turnover", "PE", "rank of PE", "ranked since"),
                  now, now_units),
        ],
        [_drawdown_chart(panel)],
        [
            "a bear market is a fall of 20% from a peak, ended by a rise of 20% from its trough, so the published fall of 2015 is two of ours: the "
            "index rose by more than 20% in between; the deepest bear market of a year counts; ranks are among all earlier days of the data",
            f"coldness is no bottom signal by itself: of the published cold cases, the weeks with a ratio of at most {COLD_WEEK:.2%}, 6 of 11 "
            "were followed by a stop or a rebound; ours counts a rise of the SSE Composite over 20 trading days",
            *(f"{INDICES[code]}: closes from {_date(h, 0)} to {_date(h, len(h.days) - 1)}" for code, h in panel.histories.items()),
        ],
    )  # fmt: skip


def _bear_row(index: str, history: IndexHistory, bear: Bear, rates: Floats) -> tuple[Cell, ...]:
    at = bear.trough
    rate_rank = percentiles(rates[None, : at + 1], 1)[0]
    pe_rank = pe_percentiles(history.pe[None, : at + 1], 1)[0]
    return (index, *(_date(history, i) for i in (bear.peak, at, bear.end)), bear.fall, number(rates[at]), number(rate_rank),
            number(history.pe[at]), number(pe_rank))  # fmt: skip


def _bear_findings(history: IndexHistory, found: list[Bear]) -> list[Finding]:
    """Return the published falls beside ours; a bear market whose end is not known is measured to its lowest close."""
    falls: dict[int, float] = {}
    for bear in found:
        year = to_date(int(history.days[bear.peak])).year
        falls[year] = min(bear.fall, falls.get(year, 0.0))
    tail = history.close[found[-1].trough if found else 0 :]
    if len(tail):
        top = int(np.nanargmax(tail))
        year = to_date(int(history.days[len(history.days) - len(tail) + top])).year
        fall = float(np.nanmin(tail[top:]) / tail[top] - 1)
        if fall <= -DEFAULTS.bear_market:
            falls.setdefault(year, fall)
    lacking = (
        f"no bear market from a peak of that year in the data, which are of {_date(history, 0)} to "
        f"{_date(history, len(history.days) - 1)}"
    )
    return [
        Finding(f"SSE Composite: fall of the bear market from its peak in {year}", falls.get(year), published=published,
                kind=Kind.LEVEL, note="" if year in falls else lacking)
        for year, published in _BEARS.items()
    ]  # fmt: skip


def _pe_finding(code: str, published: float, history: IndexHistory | None) -> Finding:
    what = f"{INDICES[code]}: PE percentile at the end of {_PE_MONTH}"
    if history is None or not _date(history, 0)[:7] <= _PE_MONTH <= _date(history, len(history.days) - 1)[:7]:
        return Finding(what, None, published=published, kind=Kind.LEVEL, note="the data don't reach that month")
    dates = [_date(history, i) for i in range(len(history.days))]
    at = max(i for i, day in enumerate(dates) if day[:7] <= _PE_MONTH)
    since = f"{int(_PE_MONTH[:4]) - _PE_YEARS}{_PE_MONTH[4:]}"
    window = history.pe[[i for i in range(at + 1) if dates[i][:7] > since]]
    ours = number(pe_percentiles(window[None, :], 1)[0])
    if ours is None:
        return Finding(what, None, published=published, kind=Kind.LEVEL, note=f"no PE of {dates[at]} is known")
    return Finding(what, ours, published=published, kind=Kind.LEVEL, cases=int((window > 0).sum()),
                   note=f"share of the days of {_PE_YEARS} years, as far as known, that are not above {dates[at]}")  # fmt: skip


def month_rates(history: IndexHistory, calendar: TradingCalendar) -> Floats:
    """Return the mean turnover rate of 20 sessions (n,), NaN without all of them."""
    sessions = calendar.between(int(history.days[0]), int(history.days[-1]))
    at = np.searchsorted(sessions, history.days)
    rates = np.full(_MONTH_DAYS - 1 + len(sessions), np.nan)
    rates[_MONTH_DAYS - 1 + at] = history.turnover_rate
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rates, _MONTH_DAYS).mean(axis=1)[at])


def _drawdown_chart(panel: Panel) -> Chart:
    lines = []
    for code, h in panel.histories.items():
        fall = h.close / np.fmax.accumulate(h.close) - 1
        weekly = np.arange(len(h.days))[::5]
        lines.append(Line(INDICES[code], [_date(h, i) for i in weekly.tolist()], fall[weekly].tolist()))
    return Chart("bears", "Fall from the highest close so far", Unit.RATIO, lines=lines)


def _date(history: IndexHistory, at: int) -> str:
    return to_date(int(history.days[at])).isoformat()
