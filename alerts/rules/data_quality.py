"""data_quality 数据质量: a day was closed although something that its signals need is missing."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import DeadLetters, Kind, Message, Rule, Verdict
from processors.outputs import DayStatus, SecuritySignals

#: One signal per feed group speaks for it, so that one hole is one alert.
_SPEAKERS = {"fin_balance": "margin.market", "fin_buy_ratio": "margin.market + indices.daily"}


def judge(message: Message) -> Iterator[Verdict]:
    """Fire for a degraded day; over with the next complete one."""
    if isinstance(message, DeadLetters):
        return
    if isinstance(message, SecuritySignals):
        subject, s = "margin.daily", message.status
    elif message.signal in _SPEAKERS and not message.provisional:
        subject = _SPEAKERS[message.signal]
        s = DayStatus(
            trade_date=message.trade_date,
            available_at=message.available_at,
            revision=message.revision,
            missing=message.missing,
        )
    else:
        return
    missing = s.missing
    if not missing:
        yield Verdict(subject, s.trade_date, s.available_at, s.revision, Kind.END)
        return
    lacks = ", ".join(f"{feed}: {'everything' if n < 0 else f'{n} rows'}" for feed, n in sorted(missing.items()))
    lacks_zh = "，".join(f"{feed}：{'全部' if n < 0 else f'{n}行'}" for feed, n in sorted(missing.items()))
    yield Verdict(
        subject,
        s.trade_date,
        s.available_at,
        s.revision,
        Kind.FIRE,
        dict(missing),
        {"expected_missing": 0},
        Text(
            f"Data quality {s.trade_date}: closed incomplete, missing {lacks}. Signals of the day are degraded or absent.",
            f"数据质量 {s.trade_date}：当日数据不完整，缺少{lacks_zh}。相关信号降级或缺失。",
        ),
        Text("Superseded when the missing rows arrive.", "缺失数据补齐后自动更正。"),
    )


RULE = Rule("data_quality", Severity.WARNING, judge)
