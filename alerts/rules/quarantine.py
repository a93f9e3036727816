"""data_quality 数据质量 (quarantine): a message could not be computed and was set aside; what it says is missing."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import Condition, DeadLetters, Evaluation, Message, Rule, Scope
from processors.parameters import Parameters


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Fire for a quarantined message; end once it was published again or skipped."""
    if not isinstance(message, DeadLetters) or not message.quarantined:
        return
    day, place = message.trade_date, message.quarantined
    if message.resolved:
        yield Evaluation(place, day, message.hour, 1, Condition.END)
        return
    yield Evaluation(
        place,
        day,
        message.hour,
        0,
        Condition.FIRE,
        {"quarantined": 1},
        {"quarantined": 0},
        Text(
            f"Data quality {day}: the message {place} could not be computed and was set aside; its rows are missing. {message.reason[:160]}",
            f"数据质量 {day}：消息{place}无法计算，已隔离，其数据缺失。{message.reason[:160]}",
        ),
        Text(
            "Over once the message is published again or skipped: marginwatch dlq retry, marginwatch dlq skip.",
            "消息重新发布或跳过后结束：marginwatch dlq retry、marginwatch dlq skip。",
        ),
    )


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "data_quality",
        Severity.CRITICAL,
        evaluate,
        reads=(DeadLetters,),
        source="ours",
        about="quarantined messages",
        scope=Scope.DATA,
        within_day=True,
    )
