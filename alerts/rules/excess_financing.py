"""excess_financing 超额融资: the margin balance grew faster or slower than the index by a level [ZT21]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from alerts.model import Alert, PublishedClaim, Severity, Text
from alerts.percents import with_sign
from alerts.plurals import counted
from alerts.rules.base import (
    Condition,
    Evaluation,
    Expectation,
    Message,
    Rule,
    ends_higher,
    ends_lower,
    final_signal,
    number,
)
from processors.parameters import Parameters

_CLAIM = PublishedClaim(
    Text(
        "the return of the next 5 days rises with the excess (β = 0.098, t = 3.352)",
        "未来5日收益随超额融资上升（β＝0.098，t＝3.352）",
    ),
    "[ZT21]",
    "2018–2021",
)


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire when a level comes into force; end when the signal returns to 0 (its hysteresis is in the signal)."""
    signal = final_signal(message, "excess_level")
    if signal is None:
        return
    if signal.value is None:
        yield Evaluation.of(signal, "market", Condition.ABSENT)
        return
    level, before = float(signal.value), number(signal.details, "before")
    if level and level != before:
        excess = number(signal.details, "excess")
        faster = level > 0
        line = with_sign(f"{level * 100:+g}")
        days, points = parameters.excess_lag_days, f"{parameters.excess_hysteresis * 100:g}"
        yield Evaluation.of(
            signal,
            "market",
            Condition.FIRE,
            {"excess_financing": excess},
            {"level": level},
            Text(
                f"Excess financing {signal.trade_date}: over {days} days the margin balance grew "
                f"{abs(excess) * 100:.2f} percentage points {'more' if faster else 'less'} than the SSE Composite (line "
                f"{line}).",
                f"超额融资 {signal.trade_date}：{days}个交易日融资余额增速{'超过' if faster else '落后'}上证指数"
                f"{abs(excess) * 100:.2f}个百分点（警戒线{line}）。",
            ),
            Text(
                f"Over when it is nearer to zero than the line by {counted(points, 'percentage point')}.",
                f"回落至警戒线以内{points}个百分点时结束。",
            ),
        )
    else:
        yield Evaluation.of(signal, "market", Condition.HOLD if level else Condition.END)


def rule(parameters: Parameters) -> Rule:
    """Return the rule: [ZT21] regresses the return of the next 5 days on the level, so each side predicts its own sign."""
    return Rule(
        "excess_financing",
        Severity.WARNING,
        partial(evaluate, parameters),
        reads=("excess_level",),
        source="[ZT21]",
        expectations=tuple(
            Expectation(
                Text(f"SSE Composite {en} 5 days later", f"5个交易日后上证指数{zh}"),
                hit,
                horizon_days=5,
                name=name,
                applies=partial(_is_on_side, sign),
                figure="excess_financing",
                claim=_CLAIM,
            )
            for name, sign, hit, en, zh in (
                ("up", 1, ends_higher, "higher", "上涨"), ("down", -1, ends_lower, "lower", "下跌"),
            )
        ),
        study="excess",
    )  # fmt: skip


def _is_on_side(sign: int, alert: Alert) -> bool:
    return float(alert.thresholds["level"]) * sign > 0
