"""industry_risk_high 行业风险偏高: industries with a high risk score at the end of a week [DG24]."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alerts.model import Member, Severity, Text
from alerts.rules.base import Evaluation, Kind, Message, Rule
from processors.industries import ENGLISH, INDUSTRIES
from processors.outputs import IndustrySignals
from processors.parameters import Parameters

#: Mean of the z-scores of eight factors from which on an industry's risk is high (ours).
LEVEL = 1.0


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Fire at a week's end with every industry at or above the level; end at the end of a week without one."""
    if not isinstance(message, IndustrySignals) or np.isnan(message.columns["week_change"]).all():
        return
    status, risk = message.status, message.columns["risk"]
    found = sorted(
        (Member(INDUSTRIES[i], float(risk[i]), ENGLISH[INDUSTRIES[i]]) for i in np.flatnonzero(risk >= LEVEL).tolist()),
        key=lambda m: -m.value,
    )
    if not found:
        yield Evaluation.of(status, "industries", Kind.END)
        return
    yield Evaluation.of(
        status,
        "industries",
        Kind.FIRE,
        {"industries": len(found), "highest": found[0].value},
        {"risk": LEVEL},
        Text(
            f"Industry risk {status.trade_date}: above {LEVEL:.1f}σ: "
            + ", ".join(f"{m.note} {m.value:.2f}" for m in found)
            + ".",
            f"行业风险 {status.trade_date}：风险得分高于{LEVEL:.1f}σ："
            + "、".join(f"{m.code} {m.value:.2f}" for m in found)
            + "。",
        ),
        Text("Stands for its week; the next week has its own.", "仅代表当周，下周另行评估。"),
        found,
    )


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    return Rule("industry_risk_high", Severity.INFO, evaluate, source="[DG24]")
