"""streaks: excess returns after streaks of rising or falling balances, by length, phase, bucket and regime [SW14]."""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from processors.arrays import Floats, Mask
from processors.bears import bear_markets
from processors.days import to_day
from processors.kinds import is_stock
from processors.studies.events import COLUMNS, UNITS, Forward, prices_in_hand
from processors.studies.panel import CSI300, Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Kind, Mode, Result, Table, Unit

TITLE = "Streaks 连续增减: forward excess return by the streak's length, phase and regime"
SOURCE = "[SW14]"
HORIZONS = (5, 20)
_LONG = 8
#: Phases of [SW14]; days of other years belong to the phase whose list had their number of securities.
_PHASES = {
    "A": (date(2013, 1, 31), date(2013, 9, 13)),
    "B": (date(2013, 9, 16), date(2014, 9, 19)),
    "C": (date(2014, 9, 22), date(2014, 12, 31)),
}
_SIZES = (700, 900)
#: Sessions of the median size, against days on which a part of the list is missing.
_AROUND = 21
#: Phase → published share of long streaks.
_LONG_SHARES = {"A": 0.0736, "B": 0.0672, "C": 0.0858}
#: Bucket → its shortest and longest streak.
_BUCKETS = {"1": (1, 1), "2–4": (2, 4), "5–7": (5, 7), "≥ 8": (_LONG, 10_000)}
#: A rise from a trough by this share is a rally, in hindsight (ours).
_RALLY = 0.20


def run(panel: Panel, mode: Mode) -> Result:
    """Return excess returns by length of the streak. A streak is one case of every length that it reached."""
    rows = panel.securities
    streak = rows.columns["fin_streak"].astype(int)
    # A paused streak repeats its length without a change of the balance: only the day that reaches a length counts.
    moved = ~np.isnan(rows.of("fin_change"))
    regime, hindsight = panel.text("regime")[rows.at], hindsight_regimes(panel.closes[CSI300])[rows.at]
    phase, years = phases(panel)[rows.at], panel.years()[rows.at]
    forward = Forward(panel, mode)
    by_length: list[tuple[Cell, ...]] = []
    bars: list[Bars] = []
    findings: list[Finding] = []
    base = forward.of(moved, 20).mean
    for length in (*range(-_LONG, 0), *range(1, _LONG + 1)):
        chosen = moved & (streak == length)
        for horizon in HORIZONS:
            group = forward.of(chosen, horizon)
            by_length.append((f"{length:+d}", horizon, *group.row()))
            if horizon == 20 and group.mean is not None:
                bars.append(Bars(f"{length:+d}", group.mean, group.low, group.high))
            if abs(length) == _LONG and horizon == 20:
                side = "up" if length > 0 else "down"
                findings.append(group.mean_finding(f"{side}-streak of {_LONG}: excess over 20 days", base=base))
    up, down = streak == _LONG, streak == -_LONG
    for what, chosen, kind in (
        (f"up-streak of {_LONG} in a RANGE", up & (regime == "RANGE"), Kind.RISES),
        (f"down-streak of {_LONG} in a RALLY", down & (regime == "RALLY"), Kind.FALLS),
        (f"up-streak of {_LONG} in a RANGE by hindsight", up & (hindsight == "RANGE"), Kind.RISES),
        (f"down-streak of {_LONG} in a RALLY by hindsight", down & (hindsight == "RALLY"), Kind.FALLS),
        (f"up-streak of {_LONG} in phase A", up & (phase == "A"), Kind.RISES),
    ):
        group = forward.of(moved & chosen, 20)
        said = "published: leads" if kind is Kind.RISES else "published: lags"
        note = said if len(group.returns) else f"{said}; no case in the period"
        findings.append(group.mean_finding(f"{what}: excess over 20 days", None, note, kind, base))
    stock = is_stock(rows.keys) & panel.in_period[rows.at] & moved & (streak != 0)
    shares = _shares(streak, phase, stock)
    for name, published in _LONG_SHARES.items():
        inside = stock & (phase == name)
        ours = float((np.abs(streak[inside]) >= _LONG).mean()) if inside.any() else None
        findings.append(Finding(f"share of stock-days in a streak of at least {_LONG}, phase {name}", ours, published=published,
                                cases=int(inside.sum()), note="" if inside.any() else "no day of that phase", kind=Kind.LEVEL))  # fmt: skip
    split: list[tuple[Cell, ...]] = []
    by_bucket: list[tuple[Cell, ...]] = []
    for side, sign in (("up", 1), ("down", -1)):
        for name, where in (
            *((label, regime == label) for label in ("RANGE", "RALLY")),
            *((f"{label} by hindsight", hindsight == label) for label in ("RANGE", "RALLY")),
            *((f"phase {label}", phase == label) for label in _PHASES if (phase == label).any()),
            *((str(year), years == year) for year in np.unique(years[panel.in_period[rows.at]]).tolist()),
        ):
            split.append((side, name, *forward.of(moved & (streak == sign * _LONG) & where, 20).row()))
        for name, (low, high) in _BUCKETS.items():
            inside = (sign * streak >= low) & (sign * streak <= high)
            by_bucket.append((side, name, *forward.of(moved & inside, 20).row()))
    first, last = panel.period()
    return Result(
        "streaks", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("lengths", "By length", ("length", "horizon", *COLUMNS), by_length, UNITS),
            Table("phases", f"Streaks of {_LONG} by regime, phase and year, 20 days", ("side", "when", *COLUMNS), split, UNITS),
            Table("buckets", "Every day of a streak by bucket, 20 days", ("side", "days", *COLUMNS), by_bucket, UNITS),
            Table("shares", "Frequency of the buckets by phase", ("phase", "side", "days", "stock-days", "share"), shares, {"share": Unit.RATIO}),
        ],
        [Chart("streaks", "Excess return over 20 days by streak length", Unit.RATIO, bars=bars, x_label="streak, days")],
        [
            "excess over the equal-weight mean of the stocks in the margin list; [SW14] covers 2013–2014: long up-streaks lead "
            "in ranges and in its phase A (2013-01-31 to 2013-09-13), down-streaks of 8 and more days lag in rallies",
            f"days outside 2013–2014 belong to the phase with their size of the list (≤ {_SIZES[0]}: A, ≤ {_SIZES[1]}: B, more: C)",
            f"RANGE and RALLY by rule; by hindsight a RALLY is a rise of the CSI 300 of at least {_RALLY:.0%} from a trough to its peak (ours)",
            "the source does not say of what its share of long streaks is: ours is of the stock-days in a streak",
            "intervals: moving-block bootstrap of trading days (blocks as long as the horizon)",
            prices_in_hand(panel),
        ],
    )  # fmt: skip


def phases(panel: Panel) -> npt.NDArray[np.object_]:
    """Return the phase of every day (days,); "" on days without a margin list."""
    number = np.bincount(panel.securities.at, minlength=len(panel.days))
    middle = pd.Series(np.where(number > 0, number, np.nan)).rolling(_AROUND, center=True, min_periods=1).median()
    size = middle.to_numpy()
    by_size = np.select([number == 0, size <= _SIZES[0], size <= _SIZES[1]], ["", "A", "B"], "C").astype(object)
    for name, (first, last) in _PHASES.items():
        by_size[(panel.days >= to_day(first)) & (panel.days <= to_day(last)) & (number > 0)] = name
    return by_size


def hindsight_regimes(closes: Floats) -> npt.NDArray[np.object_]:
    """Return RALLY for the days of a rise of at least 20% from a trough to its peak, else RANGE (days,)."""
    out = np.full(len(closes), "RANGE", dtype=object)
    # A rise is a fall of the inverse price. One that has not ended yet is known by its size alone.
    for rise in bear_markets(1 / closes, 1 - 1 / (1 + _RALLY)):
        out[rise.peak + 1 : rise.trough + 1] = "RALLY"
    return out


def _shares(streak: npt.NDArray[np.int_], phase: npt.NDArray[np.object_], stock: Mask) -> list[tuple[Cell, ...]]:
    out: list[tuple[Cell, ...]] = []
    for name in _PHASES:
        inside = stock & (phase == name)
        if not inside.any():
            continue
        lengths = streak[inside]
        for side, sign in (("up", 1), ("down", -1)):
            for bucket, (low, high) in _BUCKETS.items():
                number = int(((sign * lengths >= low) & (sign * lengths <= high)).sum())
                out.append((name, side, bucket, number, number / len(lengths)))
    return out
