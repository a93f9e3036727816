"""extremes: excess returns after extreme rises and falls of balances, once and twice in a row [SW14]."""

from __future__ import annotations

import numpy as np

from processors.studies.events import COLUMNS, UNITS, Forward, prices_in_hand
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Mode, Result, Table, Unit

TITLE = "Extremes 变动极值: forward excess return after extreme and consecutive extreme changes"
SOURCE = "[SW14]"
HORIZONS = (5, 20)
_FELL = -0.05


def run(panel: Panel, mode: Mode) -> Result:
    """Return excess returns by kind, side and the excess return over the preceding streak."""
    rows = panel.securities
    once, twice, before = rows.of("extreme"), rows.of("consecutive_extreme"), rows.of("streak_excess")
    forward = Forward(panel, mode)
    table: list[tuple[Cell, ...]] = []
    bars: list[Bars] = []
    findings: list[Finding] = []
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
                        findings.append(group.win_finding(what, 0.35, "published: below 35%"))
    everything = forward.of(~np.isnan(once), 20)
    findings.append(
        Finding(
            "win rate over 20 days of all stocks, for comparison", everything.wins, cases=len(everything.returns),
            episodes=everything.episodes, note="a mean of a skewed distribution is above its median",
        )
    )  # fmt: skip
    first, last = panel.period()
    return Result(
        "extremes", TITLE, SOURCE, mode, first, last, findings,
        [Table("groups", "By kind and side", ("kind", "side", "excess before", "horizon", *COLUMNS), table, UNITS)],
        [Chart("extremes", "Excess return over 20 days after extremes", Unit.RATIO, bars=bars)],
        [
            "excess before: over the days of the security's running streak (at most 60), as the divergence signal has it; the "
            "source does not say over which days",
            "intervals: moving-block bootstrap of trading days",
            prices_in_hand(panel),
        ],
    )  # fmt: skip
