"""excess_financing 超额融资: borrowed money ran ahead of (or behind) the index by a whole level [ZT21]."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import Expectation, Kind, Message, Rule, Verdict, number, percent
from processors.outputs import MarketSignal


def judge(message: Message) -> Iterator[Verdict]:
    """Fire when a level comes into force; over when it is given up (hysteresis lies in the signal)."""
    if (
        not isinstance(message, MarketSignal)
        or message.signal != "excess_level"
        or message.provisional
        or message.value is None
    ):
        return
    level, before = float(message.value), number(message.details, "before")
    if level and level != before:
        excess = number(message.details, "excess")
        faster = level > 0
        yield Verdict.on(
            message,
            "market",
            Kind.FIRE,
            {"excess_financing": excess},
            {"level": level},
            Text(
                f"Excess financing {message.trade_date}: over 15 days the margin balance grew "
                f"{percent(abs(excess))} {'more' if faster else 'less'} than the SSE Composite "
                f"(level {percent(level)}).",
                f"超额融资 {message.trade_date}：15个交易日融资余额增速{'超过' if faster else '落后'}上证指数"
                f"{percent(abs(excess))}（警戒水平{percent(level)}）。",
            ),
            Text(
                "Over when it is nearer to zero than the level by 1 percentage point.",
                "回落至警戒水平以内1个百分点时结束。",
            ),
        )
    else:
        yield Verdict.on(message, "market", Kind.HOLD if level else Kind.END)


RULE = Rule(
    "excess_financing",
    Severity.WARNING,
    judge,
    source="[ZT21]",
    expectation=Expectation(
        Text("SSE Composite higher 20 days later", "20个交易日后上证指数上涨"),
        lambda after: after > 0,
        side=lambda alert: "up" if float(alert.thresholds["level"]) > 0 else "down",
    ),
)
