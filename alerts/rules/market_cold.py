"""market_cold 市场低迷: the mean financing-buy ratio entered the cold zone; no bottom signal by itself [DG22]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from alerts.model import PublishedClaim, Severity, Text
from alerts.rules.base import INDEX_HIGHER, Condition, Evaluation, Message, Rule, percent
from alerts.rules.ratio import MEAN_BASIS, UNITS, basis_text, state_change
from processors.indicators.ratio_state import BASIS, COLD_STATES
from processors.parameters import Parameters

#: Sessions after which the alert ends in a market that stays as it is (ours).
HORIZON_DAYS = 120
EXPECTATION = replace(
    INDEX_HIGHER,
    figure="ratio",
    claim=PublishedClaim(
        Text(
            "6 of 11 weeks with a ratio at or below 6.25% were followed by a stop or rebound",
            "周占比不高于6.25%的11次中6次随后止跌或反弹",
        ),
        "[DG22]",
        "2022",
    ),
)


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire on entering COLD or EXTREME_COLD; end in any other state."""
    change = state_change(message)
    if change is None or change.basis != MEAN_BASIS:
        return
    s = change.signal
    if change.state is None:
        yield Evaluation.of(s, change.basis, Condition.ABSENT)
    elif change.state in COLD_STATES and change.before not in COLD_STATES:
        cold, name = change.threshold("cold"), basis_text(change.basis, parameters)
        yield Evaluation.of(
            s,
            change.basis,
            Condition.FIRE,
            {"ratio": change.ratio},
            {"cold": cold, "extreme_cold": change.threshold("extreme_cold")},
            Text(
                f"Market cold {s.trade_date}: the {name.en} financing-buy ratio is {change.ratio_text} (≤ {percent(cold)}). "
                "Coldness is no bottom signal by itself.",
                f"市场低迷 {s.trade_date}：{name.zh}融资买入占比为{change.ratio_text}（≤{percent(cold)}）。低迷本身不是见底信号。",
            ),
            Text(f"Over when the ratio is above {percent(cold)}.", f"占比回到{percent(cold)}以上时结束。"),
        )
    else:
        yield Evaluation.of(s, change.basis, Condition.HOLD if change.state in COLD_STATES else Condition.END)


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "market_cold",
        Severity.INFO,
        partial(evaluate, parameters),
        version=2,
        reads=tuple(BASIS),
        source="[DG22]",
        horizon_days=HORIZON_DAYS,
        expectations=(EXPECTATION,),
        units=UNITS,
        study="bottom",
    )
