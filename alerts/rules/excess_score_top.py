"""excess_score_top 超额得分前列: the day's securities with the largest excess scores [ZT21]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Basis, Severity, Text
from alerts.rules.base import (
    Condition,
    Evaluation,
    Expectation,
    Message,
    Rule,
    Scope,
    ends_higher,
    security_frame,
    short_percent,
)
from alerts.rules.digest import LEADS, OF_ITS_DAY, either, members, noted
from processors.outputs import PRICING, SecuritySignals
from processors.parameters import Parameters

EARLY, CHASING = "early positioning", "chasing"
_NOTES = {-1: EARLY, 0: "", 1: CHASING}


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with the top of the scores."""
    frame = security_frame(message, PRICING)
    if frame is None:
        return
    status, top = frame.status, frame.columns["excess_top"] == 1
    if not top.any():
        yield Evaluation.of(status, "stocks", Condition.END)
        return
    notes = [_NOTES[int(k)] for k in frame.columns["excess_kind"][top].tolist()]
    # On either side of the median the score orders like the log distance that flags; the sides have groups of their own.
    found = members(frame, top, "excess_score", notes, frame.columns["excess_score"][top])
    early, chasing = ([m for m in found if m.note == note] for note in (EARLY, CHASING))
    groups = either(
        [
            (Text(f"{len(early)} {EARLY}:", f"提前布局{len(early)}只"), early),
            (Text(f"{len(chasing)} {CHASING}:", f"追涨{len(chasing)}只"), chasing),
        ]
    )
    share = short_percent(parameters.score_top)
    yield Evaluation.of(
        status,
        "stocks",
        Condition.FIRE,
        {"early_positioning": len(early), "chasing": len(chasing)},
        {"share": parameters.score_top},
        Text(
            f"Excess scores: top {share} ({len(found)}): {groups.en}.",
            f"超额得分：前{share}共{len(found)}只：{groups.zh}。",
        ),
        OF_ITS_DAY,
        found,
    )


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "excess_score_top",
        Severity.INFO,
        partial(evaluate, parameters),
        reads=(SecuritySignals,),
        source="[ZT21]",
        expectations=tuple(
            Expectation(LEADS, ends_higher, basis=Basis.MEMBERS, name=note, members=partial(noted, note))
            for note in (EARLY, CHASING)
        ),
        about="stocks",
        units={"share": "ratio"},
        member_signal="excess_score",
        digest=("stocks",),
        scope=Scope.SECURITY,
        covers_day=True,
        study="factor",
    )
