"""peak_warning 顶部预警: the financing-buy ratio broke down after a hot phase [DG22]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Severity, Text
from alerts.rules.base import Evaluation, Expectation, Kind, Message, Rule, percent
from alerts.rules.ratio import COLD_STATES, basis_text, state_change
from processors.indicators.ratio_state import RatioState
from processors.parameters import Parameters

#: A top or high-level range: the index is not more than this above its close 20 trading days later (ours).
TOP = 0.02


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire on BREAKDOWN; end when the market is hot again (void) or cold (the warning has come true)."""
    change = state_change(message)
    if change is None:
        return
    s, name = change.signal, basis_text(change.basis, parameters)
    hot, line = change.threshold("hot"), change.threshold("breakdown")
    if change.state is RatioState.BREAKDOWN:
        yield Evaluation.of(
            s,
            change.basis,
            Kind.FIRE,
            {"ratio": change.ratio},
            {"hot": hot, "breakdown": line},
            Text(
                f"PEAK WARNING {s.trade_date}: the {name.en} financing-buy ratio fell to {change.ratio_text}, below "
                f"{percent(line)} after a hot phase (≥ {percent(hot)}). About 80% of such breaks were published as tops "
                "or high-level ranges [DG22].",
                f"顶部预警 {s.trade_date}：{name.zh}融资买入占比降至{change.ratio_text}，过热（≥{percent(hot)}）后跌破{percent(line)}。"
                "历史上约八成对应顶部或高位震荡［东莞证券2022］。",
            ),
            Text(
                f"Void if the {name.en} ratio reaches {percent(hot)} again.",
                f"若{name.zh}占比重回{percent(hot)}以上则失效。",
            ),
        )
    else:
        ended = change.state is RatioState.HOT or change.state in COLD_STATES
        yield Evaluation.of(s, change.basis, Kind.END if ended else Kind.HOLD)


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "peak_warning",
        Severity.CRITICAL,
        partial(evaluate, parameters),
        source="[DG22]",
        expectations=(
            Expectation(
                Text("SSE Composite at most 2% higher 20 days later", "20个交易日后上证指数涨幅不超过2%"),
                lambda path: path[:, -1] <= TOP,
            ),
        ),
    )
