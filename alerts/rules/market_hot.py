"""market_hot 市场过热: the 5-day financing-buy ratio entered the hot zone [DG22]."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import Expectation, Kind, Message, Rule, Verdict, percent
from alerts.rules.ratio import state_change
from processors.indicators.ratio_state import RatioState


def judge(message: Message) -> Iterator[Verdict]:
    """Fire on entering HOT; over when the state is anything else."""
    change = state_change(message)
    if change is None or change.basis != "fin_buy_ratio_5d":
        return
    s, hot = change.signal, change.threshold("hot")
    if change.state is RatioState.HOT and change.before != RatioState.HOT:
        line = change.threshold("breakdown")
        yield Verdict.on(
            s,
            change.basis,
            Kind.FIRE,
            {"ratio": change.ratio},
            {"hot": hot},
            Text(
                f"Market hot {s.trade_date}: the 5-day financing-buy ratio reached {change.shown} (≥ {percent(hot)}). "
                f"A fall below {percent(line)} from here is the peak warning.",
                f"市场过热 {s.trade_date}：5日融资买入占比升至{change.shown}（≥{percent(hot)}）。此后跌破{percent(line)}即触发顶部预警。",
            ),
            Text(f"Over when the ratio falls below {percent(line)}.", f"占比跌破{percent(line)}时结束。"),
        )
    else:
        yield Verdict.on(
            s,
            change.basis,
            Kind.HOLD if change.state is RatioState.HOT else Kind.END,
        )


RULE = Rule(
    "market_hot",
    Severity.INFO,
    judge,
    source="[DG22]",
    expectation=Expectation(
        Text("SSE Composite higher 20 days later", "20个交易日后上证指数上涨"), lambda after: after > 0
    ),
)
