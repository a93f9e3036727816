"""fin_extreme 融资余额极值: the day's largest rises and falls of the margin balance across stocks [SW14]."""

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
    ends_lower,
    security_frame,
    short_percent,
)
from alerts.rules.digest import LAGS, OF_ITS_DAY, either, members
from processors.outputs import FINANCING, SecuritySignals
from processors.parameters import Parameters

_STRONGER = 1e9


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with every extreme; consecutive ones, the stronger signal, are marked."""
    frame = security_frame(message, FINANCING)
    if frame is None:
        return
    status, side = frame.status, frame.columns["extreme"]
    flagged = (side == 1) | (side == -1)
    if not flagged.any():
        yield Evaluation.of(status, "stocks", Condition.END)
        return
    twice = np.abs(frame.columns["consecutive_extreme"][flagged]) == 1  # absent where the day before is not known
    notes = ["consecutive" if t else "" for t in twice.tolist()]
    # A second day in a row is stronger than any size of a single day.
    strength = np.abs(frame.columns["fin_change"][flagged]) + np.where(twice, _STRONGER, 0.0)
    found = members(frame, flagged, "fin_change", notes, strength)
    repeated = [m for m in found if m.note]
    rises, falls = [m for m in repeated if m.value > 0], [m for m in repeated if m.value < 0]
    figures: dict[str, float | int | str] = {
        "rises": sum(m.value > 0 for m in found),
        "falls": sum(m.value < 0 for m in found),
        "consecutive": len(repeated),
    }
    strongest = either([(Text("rises", "连增"), rises), (Text("falls", "连减"), falls)])
    tail = short_percent(parameters.extreme_share)
    yield Evaluation.of(
        status,
        "stocks",
        Condition.FIRE,
        figures,
        {"share": parameters.extreme_share},
        Text(
            f"Extremes: {counted(figures['rises'], 'rise')} and {counted(figures['falls'], 'fall')} in the {tail} tails, {len(repeated)} for the "
            f"second day (stronger): {strongest.en}.",
            f"融资余额极值：{tail}尾部增{figures['rises']}只、减{figures['falls']}只，其中连续两日{len(repeated)}只（信号更强）："
            f"{strongest.zh}。",
        ),
        OF_ITS_DAY,
        found,
    )


def _repeated_rises(alert: Alert) -> list[str]:
    return [m.code for m in alert.members if m.note and m.value > 0]


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "fin_extreme",
        Severity.INFO,
        partial(evaluate, parameters),
        reads=(SecuritySignals,),
        source="[SW14]",
        expectations=(
            Expectation(
                LAGS,
                ends_lower,
                basis=Basis.MEMBERS,
                name="consecutive rises",
                members=_repeated_rises,
                claim=PublishedClaim(
                    Text("fewer than 35% win over 20 days where the excess return before was below −5%; this record has all of them",
                         "此前超额收益低于−5%者，20日胜率低于35%；本记录不限此条件"), "[SW14]", "2013–2014",
                ),
            ),
        ),
        about="stocks",
        units={"share": "ratio"},
        member_signal="fin_change",
        digest=("stocks",),
        scope=Scope.SECURITY, covers_day=True, study="extremes",
    )  # fmt: skip
