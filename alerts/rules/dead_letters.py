"""data_quality 数据质量 (dead letters): more messages of a topic were refused in an hour than is normal."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import DeadLetters, Kind, Message, Rule, Verdict


def judge(message: Message) -> Iterator[Verdict]:
    """Fire for an hour past the limit; the figures are those of the moment it was passed."""
    if isinstance(message, DeadLetters) and message.count > message.threshold:
        yield Verdict(
            f"{message.topic} {message.hour:%H}h UTC",
            message.trade_date,
            message.hour,
            0,
            Kind.FIRE,
            {"refused": message.count},
            {"per_hour": message.threshold},
            Text(
                f"Data quality {message.trade_date}: more than {message.threshold} messages of {message.topic} were "
                f"refused within the hour; the latest: {message.reason[:160]}",
                f"数据质量 {message.trade_date}：{message.topic}一小时内超过{message.threshold}条消息被拒；最近一条：{message.reason[:160]}",
            ),
            Text("Stands for its hour; see the dead-letter topic.", "仅代表该小时，详见死信主题。"),
        )


RULE = Rule("data_quality", Severity.WARNING, judge, source="signals.md §2")
