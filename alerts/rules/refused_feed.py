"""data_quality 数据质量 (refused feed): a feed left out rows, sheets or cells, or published nothing because of errors."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.commands import FeedRun
from alerts.model import Severity, Text
from alerts.plurals import counted
from alerts.rules.base import Condition, Evaluation, Message, Rule, Scope
from processors.parameters import Parameters

_LONGEST = 300


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Fire for a run that refused anything; end with the next run of the same source that did not."""
    if not isinstance(message, FeedRun):
        return
    subject, revision = f"feed {message.source}", int(message.at.timestamp() * 1000)  # the newest run of a day counts
    if not message.refused and not message.errors:
        yield Evaluation(subject, message.trade_date, message.at, revision, Condition.END)
        return
    reason = message.reason[:_LONGEST]
    done, done_zh = (
        ("published nothing", "未发布任何数据") if message.errors else ("published the rest", "其余数据已发布")
    )
    refused = f"{message.refused} {'row, sheet or cell' if message.refused == 1 else 'rows, sheets or cells'}"
    yield Evaluation(
        subject,
        message.trade_date,
        message.at,
        revision,
        Condition.FIRE,
        {"refused": message.refused, "errors": message.errors},
        {"expected_refused": 0, "expected_errors": 0},
        Text(
            f"Data quality {message.trade_date}: the feed {message.source} refused {refused}, "
            f"found {counted(message.errors, 'error')} and {done}; the first: {reason}",
            f"数据质量 {message.trade_date}：数据源{message.source}拒收{message.refused}项，发现{message.errors}处错误，{done_zh}；首项：{reason}",
        ),
        Text(
            "Over at its next run that refuses nothing and finds no error.", "该数据源下一次运行无拒收、无错误时结束。"
        ),
    )


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "data_quality",
        Severity.WARNING,
        evaluate,
        reads=(FeedRun,),
        source="ours",
        about="runs of feeds",
        scope=Scope.DATA,
        updates=True,  # the next run that refuses the same is no news
        within_day=True,
    )
