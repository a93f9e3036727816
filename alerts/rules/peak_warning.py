"""peak_warning 顶部预警: the financing-buy ratio broke down after a hot phase [DG22]."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.model import Severity, Text
from alerts.rules.base import Expectation, Kind, Message, Rule, Verdict, percent
from alerts.rules.ratio import COLD_STATES, state_change
from processors.indicators.ratio_state import RatioState

#: A top or high-level range: the index is not more than this above its close 20 trading days later (ours).
TOP = 0.02


def judge(message: Message) -> Iterator[Verdict]:
    """Fire on BREAKDOWN; over when the market is hot again (void) or has gone cold (played out)."""
    change = state_change(message)
    if change is None:
        return
    s, (en, zh) = change.signal, change.names
    hot, line = change.threshold("hot"), change.threshold("breakdown")
    if change.state is RatioState.BREAKDOWN:
        yield Verdict.on(
            s,
            change.basis,
            Kind.FIRE,
            {"ratio": change.ratio},
            {"hot": hot, "breakdown": line},
            Text(
                f"PEAK WARNING {s.trade_date}: the {en} financing-buy ratio fell to {change.shown}, below "
                f"{percent(line)} after a hot phase (≥ {percent(hot)}). About 80% of such breaks were published as tops "
                "or high-level ranges [DG22].",
                f"顶部预警 {s.trade_date}：{zh}融资买入占比降至{change.shown}，过热（≥{percent(hot)}）后跌破{percent(line)}。"
                "历史上约八成对应顶部或高位震荡［东莞证券2022］。",
            ),
            Text(f"Void if the {en} ratio reaches {percent(hot)} again.", f"若{zh}占比重回{percent(hot)}以上则失效。"),
        )
    else:
        over = change.state is RatioState.HOT or change.state in COLD_STATES
        yield Verdict.on(s, change.basis, Kind.END if over else Kind.HOLD)


RULE = Rule(
    "peak_warning",
    Severity.CRITICAL,
    judge,
    source="[DG22]",
    expectation=Expectation(
        Text("SSE Composite at most 2% higher 20 days later", "20个交易日后上证指数涨幅不超过2%"),
        lambda after: after <= TOP,
    ),
)
