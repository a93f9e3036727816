"""fin_divergence 背离: the day's securities with a long streak of financing that the price does not follow [SW14]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from alerts.model import Basis, PublishedClaim, Severity, Text
from alerts.plurals import counted
from alerts.rules.base import Condition, Evaluation, Expectation, Message, Rule, Scope, ends_lower, security_frame
from alerts.rules.digest import LAGS, OF_ITS_DAY, members, named, noted
from processors.outputs import PRICING, SecuritySignals
from processors.parameters import Parameters

_NOTES = {1: "range", 2: "rally"}


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with every divergence; its members' figure is the excess return over the streak."""
    frame = security_frame(message, PRICING)
    if frame is None:
        return
    status, case = frame.status, frame.columns["divergence"]
    flagged = (case == 1) | (case == 2)
    if not flagged.any():
        yield Evaluation.of(status, "stocks", Condition.END)
        return
    notes = [_NOTES[int(c)] for c in case[flagged].tolist()]
    found = members(frame, flagged, "streak_excess", notes, np.abs(frame.columns["streak_excess"][flagged]))
    days, excess = parameters.divergence_streak, parameters.divergence_excess
    yield Evaluation.of(
        status,
        "stocks",
        Condition.FIRE,
        {note: sum(m.note == note for m in found) for note in _NOTES.values()},
        {"streak_days": days, "excess": excess},
        Text(
            f"Divergences: {counted(len(found), 'stock')} with {days} days or more of one-way financing against their price: "
            f"{named(found)}.",
            f"背离：{len(found)}只股票融资连续{days}日以上单向变动而股价不随：{named(found, '、')}。",
        ),
        OF_ITS_DAY,
        found,
    )


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "fin_divergence",
        Severity.INFO,
        partial(evaluate, parameters),
        reads=(SecuritySignals,),
        source="[SW14]",
        expectations=tuple(
            Expectation(
                LAGS,
                ends_lower,
                basis=Basis.MEMBERS,
                name=note,
                members=partial(noted, note),
                claim=PublishedClaim(
                    Text(f"mean excess return of {mean} over 20 days", f"20日平均超额收益{mean}"), "[SW14]", "2013–2014"
                ),
            )
            for note, mean in (("range", "−2.04%"), ("rally", "−3.10%"))
        ),
        about="stocks",
        units={"excess": "ratio"},
        member_signal="streak_excess",
        digest=("stocks",),
        scope=Scope.SECURITY,
        covers_day=True,
        study="divergence",
    )
