"""extremes: boundaries of extreme changes of balances, and excess returns after them, once and twice in a row [SW14]."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from processors.arrays import Floats
from processors.days import to_date
from processors.kinds import is_stock
from processors.studies.events import COLUMNS, UNITS, Forward, prices_in_hand
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Kind, Line, Mode, Result, Table, Unit

TITLE = "Extremes 变动极值: boundaries, and forward excess return after extreme changes"
SOURCE = "[SW14]"
HORIZONS = (5, 20)
_FELL, _WIN_RATE = -0.05, 0.35
_TAILS = (0.05, 0.95)
#: Excess return over the streak before: the lower bounds of the rows of the table of win rates.
_STEPS = (-np.inf, -0.10, -0.05, 0.0, 0.05, 0.10, np.inf)
_WIN_COLUMNS = (
    "kind",
    "side",
    f"excess before < {_STEPS[1]:.0%}",
    *(f"excess before {a:.0%} … {b:.0%}" for a, b in pairwise(_STEPS[1:-1])),
    f"excess before ≥ {_STEPS[-2]:.0%}",
)


def run(panel: Panel, mode: Mode) -> Result:
    """Return excess returns by kind, side and the excess return over the preceding streak."""
    rows = panel.securities
    once, twice, before = rows.of("extreme"), rows.of("consecutive_extreme"), rows.of("streak_excess")
    forward = Forward(panel, mode)
    everything = forward.of(~np.isnan(once), 20)
    table: list[tuple[Cell, ...]] = []
    wins: list[tuple[Cell, ...]] = []
    bars: list[Bars] = []
    findings = []
    for kind, values in (("extreme", once), ("consecutive", twice)):
        for side, sign in (("rise", 1.0), ("fall", -1.0)):
            for prior, where in (
                ("any", np.ones(len(values), dtype=bool)),
                (f"< {_FELL:.0%}", before < _FELL),
                (f"≥ {_FELL:.0%}", before >= _FELL),
            ):
                for horizon in HORIZONS:
                    group = forward.of((values == sign) & where, horizon)
                    table.append((kind, side, prior, horizon, *group.row()))
                    if horizon == 20 and prior == "any" and group.mean is not None:
                        bars.append(Bars(f"{kind} {side}", group.mean, group.low, group.high))
                    if (kind, side, horizon) == ("consecutive", "rise", 20) and prior == f"< {_FELL:.0%}":
                        what = "win rate over 20 days after consecutive extreme rises, excess before below −5%"
                        findings.append(
                            group.win_finding(what, _WIN_RATE, "published: below 35%", Kind.BELOW, everything.wins)
                        )
            groups = [
                forward.of((values == sign) & (before >= low) & (before < high), 20) for low, high in pairwise(_STEPS)
            ]
            wins.append(
                (kind, side, *(f"{g.wins:.1%} of {len(g.returns)}" if g.wins is not None else None for g in groups))
            )
    note = "a mean of a skewed distribution is above its median"
    findings.append(everything.win_finding("win rate over 20 days of all stocks, for comparison", note=note))
    months, lines = _boundaries(panel)
    first, last = panel.period()
    columns = ("month", "5% boundary", "95% boundary")
    return Result(
        "extremes", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("groups", "By kind and side", ("kind", "side", "excess before", "horizon", *COLUMNS), table, UNITS),
            Table("win_rates", "Win rate over 20 days by the excess return before", _WIN_COLUMNS, wins),
            Table("boundaries", "Boundaries of the daily change, mean of each month", columns, months, dict.fromkeys(columns[1:], Unit.RATIO)),
        ],
        [
            Chart("extremes", "Excess return over 20 days after extremes", Unit.RATIO, bars=bars),
            Chart("boundaries", "5% and 95% boundaries of the daily change of balances, by month", Unit.RATIO, lines=lines),
        ],
        [
            "excess before: over the days of the security's running streak (at most 60), as the divergence signal has it; the "
            "source does not say over which days",
            "intervals: moving-block bootstrap of trading days",
            prices_in_hand(panel),
        ],
    )  # fmt: skip


def boundaries(panel: Panel) -> Floats:
    """Return the 5% and the 95% quantile of the change of balances across the stocks of every day (days, 2)."""
    rows = panel.securities
    change, out = rows.of("fin_change"), np.full((len(panel.days), len(_TAILS)), np.nan)
    used = is_stock(rows.keys) & ~np.isnan(change)
    at, values = rows.at[used], change[used]
    bounds = np.searchsorted(at, np.arange(len(panel.days) + 1))
    for day, (start, end) in enumerate(zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)):
        if end > start:
            out[day] = np.quantile(values[start:end], _TAILS)
    return out


def _boundaries(panel: Panel) -> tuple[list[tuple[Cell, ...]], list[Line]]:
    """Return the mean boundaries of each month as rows and lines."""
    values = boundaries(panel)
    known = np.flatnonzero(panel.in_period & ~np.isnan(values).any(axis=1))
    months = np.array([f"{to_date(day):%Y-%m}" for day in panel.days[known].tolist()])
    rows: list[tuple[Cell, ...]] = [
        (str(month), *values[known[months == month]].mean(axis=0).tolist()) for month in np.unique(months).tolist()
    ]
    days = [f"{row[0]}-15" for row in rows]
    return rows, [Line(name, days, [float(row[i] or 0) for row in rows]) for i, name in ((1, "5%"), (2, "95%"))]
