"""data_quality 数据质量 (stale feed): live prices stopped within a trading session."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.commands import LiveFeedState
from alerts.model import Severity, Text
from alerts.rules.base import Condition, Evaluation, Message, Rule, Scope
from processors.days import SHANGHAI, microseconds
from processors.parameters import Parameters


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Fire for a stop of the feed; end once it runs again, on the same day or a later one."""
    if not isinstance(message, LiveFeedState):
        return
    # Later rows count. A repeated report changes nothing, and a stop is newer than the run up to the same row.
    revision = 2 * microseconds(message.silent_since or message.at) + (message.silent_since is not None)
    if message.silent_since is None:
        yield Evaluation(message.feed, message.trade_date, message.at, revision, Condition.END)
        return
    clock = f"{message.silent_since.astimezone(SHANGHAI):%H:%M}"
    yield Evaluation(
        message.feed,
        message.trade_date,
        message.at,
        revision,
        Condition.FIRE,
        {"silent_since": clock},
        {},
        Text(
            f"Data quality {message.trade_date}: {message.feed} has sent nothing since {clock} (Shanghai), within the session. Provisional values are not updated meanwhile.",
            f"数据质量 {message.trade_date}：{message.feed}自{clock}起在交易时段内无新数据，盘中估算值停止更新。",
        ),
        Text("Over once the feed runs again.", "该行情恢复后结束。"),
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
        within_day=True,
    )
