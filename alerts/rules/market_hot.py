"""market_hot 市场过热: the mean financing-buy ratio entered the hot zone [DG22]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from alerts.model import Severity, Text
from alerts.rules.base import INDEX_HIGHER, Condition, Evaluation, Message, Rule, percent
from alerts.rules.ratio import MEAN_BASIS, UNITS, basis_text, state_change
from processors.indicators.ratio_state import BASIS, RatioState
from processors.parameters import Parameters

#: Sessions after which the alert ends in a market that stays as it is (ours).
HORIZON_DAYS = 120
EXPECTATION = replace(INDEX_HIGHER, figure="ratio")


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire on entering HOT; end in any other state."""
    change = state_change(message)
    if change is None or change.basis != MEAN_BASIS:
        return
    s = change.signal
    if change.state is None:
        yield Evaluation.of(s, change.basis, Condition.ABSENT)
    elif change.state is RatioState.HOT and change.before != RatioState.HOT:
        hot, line, name = change.threshold("hot"), change.threshold("breakdown"), basis_text(change.basis, parameters)
        yield Evaluation.of(
            s,
            change.basis,
            Condition.FIRE,
            {"ratio": change.ratio},
            {"hot": hot},
            Text(
                f"Market hot {s.trade_date}: the {name.en} financing-buy ratio is {change.ratio_text} (≥ {percent(hot)}). "
                f"A fall below {percent(line)} from here is the peak warning.",
                f"市场过热 {s.trade_date}：{name.zh}融资买入占比为{change.ratio_text}（≥{percent(hot)}）。此后跌破{percent(line)}即触发顶部预警。",
            ),
            Text(f"Over when the ratio falls below {percent(line)}.", f"占比跌破{percent(line)}时结束。"),
        )
    else:
        yield Evaluation.of(s, change.basis, Condition.HOLD if change.state is RatioState.HOT else Condition.END)


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "market_hot",
        Severity.INFO,
        partial(evaluate, parameters),
        version=2,
        reads=tuple(BASIS),
        source="[DG22]",
        horizon_days=HORIZON_DAYS,
        expectations=(EXPECTATION,),
        units=UNITS,
        study="ratio",
    )
