"""streaks: excess returns after streaks of rising or falling balances, by length, year and regime [SW14]."""

from __future__ import annotations

import numpy as np

from processors.days import to_date
from processors.studies.events import COLUMNS, UNITS, Forward, prices_in_hand
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Mode, Result, Table, Unit

TITLE = "Streaks 连续增减: forward excess return by the streak's length, phase and regime"
SOURCE = "[SW14]"
HORIZONS = (5, 20)
_LONG = 8


def run(panel: Panel, mode: Mode) -> Result:
    """Return excess returns by length of the streak. A streak is one case of every length that it reached."""
    rows = panel.securities
    streak = rows.columns["fin_streak"].astype(int)
    # A paused streak repeats its length without a change of the balance: only the day that reaches a length counts.
    moved = ~np.isnan(rows.of("fin_change"))
    regime = panel.text("regime")[rows.at]
    years = np.array([to_date(day).year for day in panel.days.tolist()])[rows.at]
    forward = Forward(panel, mode)
    by_length: list[tuple[Cell, ...]] = []
    bars: list[Bars] = []
    findings: list[Finding] = []
    for length in (*range(-_LONG, 0), *range(1, _LONG + 1)):
        chosen = moved & (streak == length)
        for horizon in HORIZONS:
            group = forward.of(chosen, horizon)
            by_length.append((length, horizon, *group.row()))
            if horizon == 20 and group.mean is not None:
                bars.append(Bars(f"{length:+d}", group.mean, group.low, group.high))
            if abs(length) == _LONG and horizon == 20:
                side = "up" if length > 0 else "down"
                findings.append(group.mean_finding(f"{side}-streak of {_LONG}: excess over 20 days"))
    for what, chosen, published in (
        (f"up-streak of {_LONG} in a RANGE", (streak == _LONG) & (regime == "RANGE"), "leads (in phase A, too)"),
        (f"down-streak of {_LONG} in a RALLY", (streak == -_LONG) & (regime == "RALLY"), "lags"),
    ):
        group = forward.of(moved & chosen, 20)
        findings.append(group.mean_finding(f"{what}: excess over 20 days", note=f"published: {published}"))
    phases: list[tuple[Cell, ...]] = []
    for side, long in (("up", streak == _LONG), ("down", streak == -_LONG)):
        for name, where in (
            *((label, regime == label) for label in ("RANGE", "RALLY")),
            *((str(year), years == year) for year in np.unique(years[panel.in_period[rows.at]]).tolist()),
        ):
            phases.append((side, name, *forward.of(moved & long & where, 20).row()))
    first, last = panel.period()
    return Result(
        "streaks", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("lengths", "By length", ("length", "horizon", *COLUMNS), by_length, UNITS),
            Table("phases", f"Streaks of {_LONG} by regime and year, 20 days", ("side", "phase", *COLUMNS), phases, UNITS),
        ],
        [Chart("streaks", "Excess return over 20 days by streak length", Unit.RATIO, bars=bars, x_label="streak, days")],
        [
            "excess over the equal-weight mean of the stocks in the margin list; [SW14] covers 2013–2014: long up-streaks lead "
            "in ranges and in its phase A (2013-01-31 to 2013-09-13), down-streaks of 8 and more days lag in rallies",
            "regime by rule, not by hindsight as in [SW14]",
            "intervals: moving-block bootstrap of trading days (blocks as long as the horizon)",
            prices_in_hand(panel),
        ],
    )  # fmt: skip
