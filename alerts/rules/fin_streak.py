"""fin_streak 连续增减: the day's securities whose balance reached a flagged number of days in a row [SW14]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from alerts.model import Alert, Basis, PublishedClaim, Severity, Text
from alerts.plurals import counted
from alerts.rules.base import (
    Condition,
    Evaluation,
    Expectation,
    Message,
    Rule,
    Scope,
    ends_higher,
    ends_lower,
    security_frame,
)
from alerts.rules.digest import LAGS, LEADS, OF_ITS_DAY, either, members
from processors.indicators.regime import RALLY, RANGE
from processors.outputs import FINANCING, SecuritySignals
from processors.parameters import Parameters


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with every security that reached one of `Parameters.streak_flags` that day."""
    frame = security_frame(message, FINANCING)
    if frame is None:
        return
    flags = parameters.streak_flags
    status, streak = frame.status, frame.columns["fin_streak"]
    flagged = np.isin(np.abs(streak), flags) & ~np.isnan(frame.columns["fin_change"])
    if not flagged.any():
        yield Evaluation.of(status, "securities", Condition.END)
        return
    lengths = np.abs(streak[flagged]).astype(float)
    found = members(frame, flagged, "fin_streak", [""] * int(flagged.sum()), lengths)
    longest = max(flags)
    figures: dict[str, float | int | str] = {
        "flagged": len(found),
        "up": sum(m.value > 0 for m in found),
        "down": sum(m.value < 0 for m in found),
        "longest_flag": sum(abs(m.value) >= longest for m in found),
    }
    rising, falling = [m for m in found if m.value >= longest], [m for m in found if m.value <= -longest]
    most = either([(Text("up", "连增"), rising), (Text("down", "连减"), falling)])
    yield Evaluation.of(
        status,
        "securities",
        Condition.FIRE,
        figures,
        {"flags_days": ", ".join(map(str, flags))},
        Text(
            f"Streaks: {counted(len(found), 'balance')} reached {' or '.join(map(str, flags))} days in a row "
            f"({figures['up']} up, {figures['down']} down); {longest} days: {most.en}.",
            f"连续增减：{len(found)}只证券融资余额连续{'或'.join(map(str, flags))}日（增{figures['up']}，减{figures['down']}）；"
            f"{longest}日：{most.zh}。",
        ),
        OF_ITS_DAY,
        found,
    )


def _long_streaks(longest: int, sign: int, alert: Alert) -> list[str]:
    return [m.code for m in alert.members if m.value * sign >= longest]


def rule(parameters: Parameters) -> Rule:
    """Return the rule: long rises are scored as leaders in ranges, long falls as laggards in rallies."""
    longest = max(parameters.streak_flags)
    return Rule(
        "fin_streak",
        Severity.INFO,
        partial(evaluate, parameters),
        reads=(SecuritySignals,),
        source="[SW14]",
        expectations=(
            Expectation(
                LEADS,
                ends_higher,
                basis=Basis.MEMBERS,
                name="up in a range",
                members=partial(_long_streaks, longest, 1),
                regime=RANGE,
                claim=PublishedClaim(
                    Text("long up-streaks lead in ranges and in phase A (2013-01 to 2013-09)",
                         "震荡市及阶段A（2013年1月至9月）融资长期连增个股跑赢"), "[SW14]", "2013–2014",
                ),
            ),
            Expectation(
                LAGS,
                ends_lower,
                basis=Basis.MEMBERS,
                name="down in a rally",
                members=partial(_long_streaks, longest, -1),
                regime=RALLY,
                claim=PublishedClaim(
                    Text("down-streaks of 8 days and more lag in rallies", "上涨市融资连减8日以上个股跑输"), "[SW14]",
                    "2013–2014",
                ),
            ),
        ),
        about="securities",
        member_signal="fin_streak",
        digest=("securities",),
        scope=Scope.SECURITY, covers_day=True, study="streaks",
    )  # fmt: skip
