"""excess_financing 超额融资: the margin balance grew faster or slower than the index by a level [ZT21]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from alerts.model import Alert, Severity, Text
from alerts.rules.base import INDEX_HIGHER, Evaluation, Kind, Message, Rule, final_signal, number, percent
from processors.parameters import Parameters


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire when a level comes into force; end when the signal returns to 0 (its hysteresis is in the signal)."""
    signal = final_signal(message)
    if signal is None or signal.signal != "excess_level" or not isinstance(signal.value, (int, float)):
        return
    level, before = float(signal.value), number(signal.details, "before")
    if level and level != before:
        excess = number(signal.details, "excess")
        faster = level > 0
        days, points = parameters.excess_lag_days, f"{parameters.excess_hysteresis * 100:g}"
        yield Evaluation.of(
            signal,
            "market",
            Kind.FIRE,
            {"excess_financing": excess},
            {"level": level},
            Text(
                f"Excess financing {signal.trade_date}: over {days} days the margin balance grew "
                f"{percent(abs(excess))} {'more' if faster else 'less'} than the SSE Composite "
                f"(level {percent(level)}).",
                f"超额融资 {signal.trade_date}：{days}个交易日融资余额增速{'超过' if faster else '落后'}上证指数"
                f"{percent(abs(excess))}（警戒水平{percent(level)}）。",
            ),
            Text(
                f"Over when it is nearer to zero than the level by {points} percentage point{'' if points == '1' else 's'}.",
                f"回落至警戒水平以内{points}个百分点时结束。",
            ),
        )
    else:
        yield Evaluation.of(signal, "market", Kind.HOLD if level else Kind.END)


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "excess_financing",
        Severity.WARNING,
        partial(evaluate, parameters),
        source="[ZT21]",
        expectations=tuple(
            replace(INDEX_HIGHER, name=name, applies=partial(_is_on_side, sign))
            for name, sign in (("up", 1), ("down", -1))
        ),
    )


def _is_on_side(sign: int, alert: Alert) -> bool:
    return float(alert.thresholds["level"]) * sign > 0
