"""market_cold 市场过冷: the mean financing-buy ratio entered the cold zone; no bottom signal by itself [DG22]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Severity, Text
from alerts.rules.base import INDEX_HIGHER, Evaluation, Kind, Message, Rule, percent
from alerts.rules.ratio import COLD_STATES, MEAN_BASIS, basis_text, state_change
from processors.parameters import Parameters


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire on entering COLD or EXTREME_COLD; end in any other state."""
    change = state_change(message)
    if change is None or change.basis != MEAN_BASIS:
        return
    s, cold = change.signal, change.threshold("cold")
    if change.state in COLD_STATES and change.before not in COLD_STATES:
        name = basis_text(change.basis, parameters)
        yield Evaluation.of(
            s,
            change.basis,
            Kind.FIRE,
            {"ratio": change.ratio},
            {"cold": cold, "extreme_cold": change.threshold("extreme_cold")},
            Text(
                f"Market cold {s.trade_date}: the {name.en} financing-buy ratio fell to {change.ratio_text} (≤ {percent(cold)}). "
                "Coldness is no bottom signal by itself: 6 of 11 cases were followed by a stop or rebound [DG22].",
                f"市场过冷 {s.trade_date}：{name.zh}融资买入占比降至{change.ratio_text}（≤{percent(cold)}）。过冷本身不是见底信号："
                "11次中仅6次随后止跌或反弹［东莞证券2022］。",
            ),
            Text(f"Over when the ratio is above {percent(cold)}.", f"占比回到{percent(cold)}以上时结束。"),
        )
    else:
        yield Evaluation.of(s, change.basis, Kind.HOLD if change.state in COLD_STATES else Kind.END)


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "market_cold", Severity.INFO, partial(evaluate, parameters), source="[DG22]", expectations=(INDEX_HIGHER,)
    )
