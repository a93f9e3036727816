"""data_quality 数据质量 (dead letters): more messages of a topic were refused in an hour than the settings allow."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import Condition, DeadLetters, Evaluation, Message, Rule, Scope
from processors.days import SHANGHAI
from processors.parameters import Parameters


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Fire for an hour with more refused messages than the limit; the figures are those of the first message beyond it."""
    if isinstance(message, DeadLetters) and message.count > message.threshold:
        clock = f"{message.hour.astimezone(SHANGHAI):%H:%M}"
        yield Evaluation(
            f"{message.topic} {clock}",
            message.trade_date,
            message.hour,
            0,
            Condition.FIRE,
            {"refused": message.count},
            {"per_hour": message.threshold},
            Text(
                f"Data quality {message.trade_date}: more than {message.threshold} messages of {message.topic} were "
                f"refused within the hour from {clock} (Shanghai); the latest: {message.reason[:160]}",
                f"数据质量 {message.trade_date}：{message.topic}自{clock}起一小时内超过{message.threshold}条消息被拒；"
                f"最近一条：{message.reason[:160]}",
            ),
            Text(
                "It covers its hour only and ends on the next session; the dead-letter topic contains the messages.",
                "仅代表该小时，下一交易日结束；消息保存在死信主题中。",
            ),
        )


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "data_quality",
        Severity.WARNING,
        evaluate,
        reads=(DeadLetters,),
        source="ours",
        about="refused messages",
        scope=Scope.DATA,
        horizon_days=1,
    )
