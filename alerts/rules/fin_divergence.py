"""fin_divergence 背离: the day's securities with a long streak of financing that the price does not follow [SW14]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Basis, Severity, Text
from alerts.rules.base import Evaluation, Expectation, Kind, Message, Rule, ends_lower
from alerts.rules.digest import LAGS, OF_ITS_DAY, members, named
from processors.outputs import SecuritySignals
from processors.parameters import Parameters

_NOTES = {1: "range", 2: "rally"}


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with every divergence; its members' figure is the excess return over the streak."""
    if not isinstance(message, SecuritySignals) or message.family != "pricing":
        return
    status, case = message.status, message.columns["divergence"]
    flagged = (case == 1) | (case == 2)
    if not flagged.any():
        yield Evaluation.of(status, "stocks", Kind.END)
        return
    found = members(message, flagged, "streak_excess", [_NOTES[int(c)] for c in case[flagged].tolist()])
    days, excess = parameters.divergence_streak, parameters.divergence_excess
    yield Evaluation.of(
        status,
        "stocks",
        Kind.FIRE,
        {"range": sum(m.note == "range" for m in found), "rally": sum(m.note == "rally" for m in found)},
        {"streak_days": days, "excess": excess},
        Text(
            f"Divergence {status.trade_date}: {len(found)} stocks with {days} days or more of one-way financing against their "
            f"price: {named(found)}. Published: about −2% (range) and −3% (rally) against the market over 20 days.",
            f"背离 {status.trade_date}：{len(found)}只股票融资连续{days}日以上单向变动而股价不随：{named(found)}。"
            "公布的后续20日超额收益：震荡市约−2%，上涨市约−3%。",
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
        source="[SW14]",
        expectations=(Expectation(LAGS, ends_lower, basis=Basis.MEMBERS),),
    )
