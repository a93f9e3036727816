"""collateral_low 平均维持担保比例偏低: margin accounts are closer to forced selling than on most known days [DG22, DG24]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Severity, Text
from alerts.percents import decimals_apart
from alerts.rules.base import Condition, Evaluation, Expectation, Message, Rule, ends_lower, final_signal, percent
from processors.parameters import Parameters

#: The multiple of the level above which the alert ends (ours).
_CLEAR = 2.0
_COOLDOWN_DAYS = 5


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Yield whether the ratio is among the lowest of its known history; a rank between the levels changes nothing."""
    signal = final_signal(message, "collateral_ratio")
    if signal is None:
        return
    rank, level = signal.details.get("percentile"), parameters.collateral_low
    if not isinstance(signal.value, (int, float)) or not isinstance(rank, (int, float)):
        yield Evaluation.of(signal, signal.subject, Condition.ABSENT)
        return
    if rank > level:
        yield Evaluation.of(signal, signal.subject, Condition.HOLD if rank <= level * _CLEAR else Condition.END)
        return
    ratio, line = float(signal.value), parameters.collateral_line
    shown = f"{ratio:.{decimals_apart(ratio * 100, line * 100, 0)}%}" if ratio > line else f"{ratio:.0%}"
    distance = _distance(ratio, line)
    yield Evaluation.of(
        signal,
        signal.subject,
        Condition.ON,
        {"percentile": rank, "collateral_ratio": ratio},
        {"level": level, "line": line},
        Text(
            f"Collateral of margin accounts low {signal.trade_date}: {shown} of the debt, at most as high on "
            f"{percent(rank)} of the known days (≤ {percent(level)}). {distance.en}",
            f"平均维持担保比例偏低 {signal.trade_date}：{shown}，历史分位{percent(rank)}（≤{percent(level)}）。{distance.zh}",
        ),
        Text(
            f"Over when more than {percent(level * _CLEAR)} of the known days were not higher.",
            f"历史分位回到{percent(level * _CLEAR)}以上时结束。",
        ),
    )


def _distance(ratio: float, line: float) -> Text:
    """Return how far the average account is from the line of forced selling."""
    if ratio <= line:
        return Text(
            f"The average is at or below the {line:.0%} line of forced selling.", f"平均比例已不高于{line:.0%}平仓线。"
        )
    fall = 1 - line / ratio
    decimals = decimals_apart(fall * 100, 0.0, 1)
    return Text(
        f"A fall of the collateral by {fall:.{decimals}%} brings the average to the {line:.0%} line of forced selling; weaker "
        "accounts reach it earlier.",
        f"担保物再跌{fall:.{decimals}%}即至{line:.0%}平仓线，较弱账户更早触及。",
    )


def rule(parameters: Parameters) -> Rule:
    """Return the rule; its record says whether the index went on falling."""
    return Rule(
        "collateral_low",
        Severity.INFO,
        partial(evaluate, parameters),
        reads=("collateral_ratio",),
        source="[DG22, DG24]",
        cooldown_days=_COOLDOWN_DAYS,
        units={"percentile": "ratio", "line": "ratio"},
        expectations=(
            Expectation(
                Text("SSE Composite lower 20 days later", "20个交易日后上证指数下跌"), ends_lower, figure="percentile"
            ),
        ),
    )
