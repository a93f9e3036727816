"""divergence: long streaks against the price, by regime [SW14]."""

from __future__ import annotations

import numpy as np

from processors.studies.events import COLUMNS, UNITS, Forward, prices_in_hand
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Kind, Mode, Result, Table, Unit

TITLE = "Divergence 背离: excess return over 20 days after streaks that the price does not follow"
SOURCE = "[SW14]"
_CASES = (
    (1.0, "RANGE: up-streak ≥ 8, excess over it < −10%", -0.0204),
    (2.0, "RALLY: down-streak ≥ 8, excess over it > 0", -0.0310),
)


def run(panel: Panel, mode: Mode) -> Result:
    """Return excess returns after divergences. Every day of a divergence is a case; ``days apart`` counts disjoint ones."""
    divergence = panel.securities.of("divergence")
    forward = Forward(panel, mode)
    table: list[tuple[Cell, ...]] = []
    findings: list[Finding] = []
    bars: list[Bars] = []
    for number, name, published in _CASES:
        for horizon in (5, 20, 60):
            group = forward.of(divergence == number, horizon)
            table.append((name, horizon, *group.row()))
            if horizon == 20:
                base = forward.of(~np.isnan(divergence), horizon).mean
                findings.append(group.mean_finding(name, published, kind=Kind.EFFECT, base=base))
                if group.mean is not None:
                    bars.append(Bars(name.partition(":")[0], group.mean, group.low, group.high, published))
    first, last = panel.period()
    return Result(
        "divergence", TITLE, SOURCE, mode, first, last, findings,
        [Table("cases", "By case and horizon", ("case", "horizon", *COLUMNS), table, UNITS)],
        [Chart("divergence", "Excess return over 20 days; diamond: published", Unit.RATIO, bars=bars)],
        [
            "regime by rule (CSI 300 above its 60-day mean and up 10% in 60 days is a RALLY), not by hindsight as in [SW14]",
            "intervals: moving-block bootstrap of trading days",
            prices_in_hand(panel),
        ],
    )  # fmt: skip
