"""market_cold 市场过冷: the 5-day financing-buy ratio entered the cold zone; no bottom signal by itself [DG22]."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import Expectation, Kind, Message, Rule, Verdict, percent
from alerts.rules.ratio import COLD_STATES, state_change


def judge(message: Message) -> Iterator[Verdict]:
    """Fire on entering COLD or EXTREME_COLD; over when the state is neither."""
    change = state_change(message)
    if change is None or change.basis != "fin_buy_ratio_5d":
        return
    s, cold = change.signal, change.threshold("cold")
    if change.state in COLD_STATES and change.before not in COLD_STATES:
        yield Verdict.on(
            s,
            change.basis,
            Kind.FIRE,
            {"ratio": change.ratio},
            {"cold": cold, "extreme_cold": change.threshold("extreme_cold")},
            Text(
                f"Market cold {s.trade_date}: the 5-day financing-buy ratio fell to {change.shown} (≤ {percent(cold)}). "
                "Coldness is no bottom signal by itself: 6 of 11 cases were followed by a stop or rebound [DG22].",
                f"市场过冷 {s.trade_date}：5日融资买入占比降至{change.shown}（≤{percent(cold)}）。过冷本身不是见底信号："
                "11次中仅6次随后止跌或反弹［东莞证券2022］。",
            ),
            Text(f"Over when the ratio is above {percent(cold)}.", f"占比回到{percent(cold)}以上时结束。"),
        )
    else:
        yield Verdict.on(
            s,
            change.basis,
            Kind.HOLD if change.state in COLD_STATES else Kind.END,
        )


RULE = Rule(
    "market_cold",
    Severity.INFO,
    judge,
    source="[DG22]",
    expectation=Expectation(
        Text("SSE Composite higher 20 days later", "20个交易日后上证指数上涨"), lambda after: after > 0
    ),
)
