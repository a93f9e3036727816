"""industry_risk_high 行业风险偏高: an industry's risk score is newly high at the end of a week [DG24].

The score is a mean of z-scores, whose σ across industries is about 0.5 to 0.7 instead of 1. The rule states it in its own σ.
A score of fewer than half of the factors counts as absent (ours): in the first weeks of a history, or while the other inputs
of a day arrive, it is one of balance shares and a week's prices. A score of some of them says of how many.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alerts.model import Alert, Basis, Severity, Text
from alerts.rules.base import Condition, Evaluation, Expectation, Message, Rule, Scope, ends_lower
from processors.indicators.industry_heat import RISK, in_own_sigma
from processors.industries import CODE_OF, ENGLISH, INDUSTRIES
from processors.outputs import IndustrySignals
from processors.parameters import Parameters

#: The level from which on an industry's risk is high, and below which it is high no more, in σ (ours).
LEVEL, CLEAR = 2.0, 1.5
#: A score may stay high for months; 60 sessions also leave room for weeks that arrive far behind market signals.
_HORIZON_DAYS = 60
_ABSENT = np.full(len(INDUSTRIES), np.nan)
_LAGS = Text("lags the mean of all industries over 20 days", "20日跑输行业均值")


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Yield for each industry at a week's end whether its risk is high; what is between the levels changes nothing."""
    if not isinstance(message, IndustrySignals) or not _ends_week(message):
        return
    status = message.status
    used = (~np.isnan([message.columns.get(f"risk_{factor}", _ABSENT) for factor in RISK])).sum(axis=0)
    scores = in_own_sigma(np.where(used * 2 >= len(RISK), message.columns["risk"], np.nan))
    order = np.argsort(np.argsort(-scores, kind="stable"), kind="stable")
    ranked = zip(INDUSTRIES, scores.tolist(), (order + 1).tolist(), used.tolist(), strict=True)
    for name, score, rank, factors in ranked:
        if np.isnan(score):
            yield Evaluation.of(status, name, Condition.ABSENT)
            continue
        if score < LEVEL:
            yield Evaluation.of(status, name, Condition.HOLD if score >= CLEAR else Condition.END)
            continue
        known = int((~np.isnan(scores)).sum())
        by = Text("", "") if factors == len(RISK) else Text(
            f", by {factors} of its {len(RISK)} factors", f"，仅含{len(RISK)}项因子中的{factors}项"
        )  # fmt: skip
        yield Evaluation.of(
            status,
            name,
            Condition.ON,
            {"risk_sigma": score, "rank": rank},
            {"level": LEVEL, "clear": CLEAR},
            Text(
                f"Industry risk {status.trade_date}: {ENGLISH[name]} is high, {score:.1f}σ above the mean of the "
                f"{known} industries (rank {rank}{by.en}).",
                f"行业风险 {status.trade_date}：{name}风险得分偏高，高出{known}个行业均值{score:.1f}σ（第{rank}位{by.zh}）。",
            ),
            Text(
                f"Over at the end of a week on which it is below {CLEAR:.1f}σ.",
                f"周末得分低于{CLEAR:.1f}σ时结束。",
            ),
        )


def _ends_week(signals: IndustrySignals) -> bool:
    """Return whether a day ends a week: it alone has a change of the week, or the reason why it has none.

    The change needs the end of the week before, too, which the score does not.
    """
    return "week_change" in signals.left_out or not np.isnan(signals.columns["week_change"]).all()


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "industry_risk_high",
        Severity.INFO,
        evaluate,
        reads=(IndustrySignals,),
        source="[DG24]",
        about="industries",
        horizon_days=_HORIZON_DAYS,
        expectations=(Expectation(_LAGS, ends_lower, basis=Basis.INDUSTRIES, members=_industry, figure="risk_sigma"),),
        scope=Scope.INDUSTRY,
        study="heat",
    )


def _industry(alert: Alert) -> list[str]:
    return [CODE_OF[alert.subject]]
