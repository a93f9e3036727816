"""fin_extreme 融资余额极值: the day's largest rises and falls of the margin balance across stocks [SW14]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Alert, Basis, Severity, Text
from alerts.rules.base import Evaluation, Expectation, Kind, Message, Rule, ends_lower, short_percent
from alerts.rules.digest import LAGS, OF_ITS_DAY, members, named
from processors.outputs import SecuritySignals
from processors.parameters import Parameters


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with every extreme; consecutive ones, the stronger signal, are marked."""
    if not isinstance(message, SecuritySignals) or message.family != "financing":
        return
    status, side = message.status, message.columns["extreme"]
    flagged = (side == 1) | (side == -1)
    if not flagged.any():
        yield Evaluation.of(status, "stocks", Kind.END)
        return
    twice = message.columns["consecutive_extreme"][flagged] != 0
    found = members(message, flagged, "fin_change", ["consecutive" if t else "" for t in twice.tolist()])
    repeated = [m for m in found if m.note]
    rises = [m for m in repeated if m.value > 0]
    figures: dict[str, float | int | str] = {
        "rises": sum(m.value > 0 for m in found),
        "falls": sum(m.value < 0 for m in found),
        "consecutive": len(repeated),
    }
    tail = short_percent(parameters.extreme_share)
    yield Evaluation.of(
        status,
        "stocks",
        Kind.FIRE,
        figures,
        {"share": parameters.extreme_share},
        Text(
            f"Extremes {status.trade_date}: {figures['rises']} rises and {figures['falls']} falls in the {tail} tails, "
            f"{len(repeated)} of them for the second day (the stronger signal); rises: {named(rises) or 'none'}.",
            f"融资余额极值 {status.trade_date}：{tail}尾部增{figures['rises']}只、减{figures['falls']}只，其中连续两日{len(repeated)}只"
            f"（信号更强）；连增：{named(rises) or '无'}。",
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
        source="[SW14]",
        expectations=(Expectation(LAGS, ends_lower, basis=Basis.MEMBERS, members=_repeated_rises),),
    )
