"""data_quality 数据质量 (stale feed): live prices stopped within a trading session."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.commands import LiveFeedState
from alerts.model import Severity, Text
from alerts.rules.base import Condition, Evaluation, Message, Rule, Scope
from processors.days import SHANGHAI
from processors.parameters import Parameters


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Fire for a day on which the feed stopped; end on the next day on which it runs."""
    if not isinstance(message, LiveFeedState):
        return
    if message.silent_since is None:
        yield Evaluation(message.feed, message.trade_date, message.at, 0, Condition.END)
        return
    clock = f"{message.silent_since.astimezone(SHANGHAI):%H:%M}"
    yield Evaluation(
        message.feed,
        message.trade_date,
        message.at,
        1,
        Condition.FIRE,
        {"silent_since": clock},
        {},
        Text(
            f"Data quality {message.trade_date}: {message.feed} has sent nothing since {clock} (Shanghai), within the session. Provisional values are not updated meanwhile.",
            f"数据质量 {message.trade_date}：{message.feed}自{clock}起在交易时段内无新数据，盘中暂估值停止更新。",
        ),
        Text("Over on the next day on which the feed runs.", "该行情下一交易日恢复后结束。"),
    )


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "data_quality",
        Severity.WARNING,
        evaluate,
        reads=(LiveFeedState,),
        source="ours",
        about="live feeds",
        scope=Scope.DATA,
    )
