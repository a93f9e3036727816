"""data_quality 数据质量: a day was closed although something is missing, or its figures contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

from alerts.commands import FeedState
from alerts.model import Member, Severity, Text
from alerts.rules.base import DeadLetters, Evaluation, Kind, Message, Rule
from processors.outputs import DayStatus, IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import Parameters

#: The signals whose missing inputs are reported, one per group of feeds: one gap is one alert.
_REPORTED = {"fin_balance": "margin.market", "fin_buy_ratio": "margin.market + indices.daily"}


#: Single securities break the identity on many days; a larger share of them is a warning (ours).
_BROKEN_SHARE = 0.01


def evaluate(message: Message) -> Iterator[Evaluation]:
    """Fire for a degraded day or one whose figures contradict each other; end with the next good one."""
    if isinstance(message, (DeadLetters, FeedState, IndustrySignals)):
        return
    if isinstance(message, SecuritySignals):
        if message.family != "financing":
            return  # missing prices are reported by the signals that need them
        yield from _completeness("margin.daily", message.status)
        yield from _detail_identity(message.status)
    elif message.signal in _REPORTED and not message.provisional:
        yield from _completeness(_REPORTED[message.signal], message)
        if message.signal == "fin_balance":
            yield from _totals_identity(message)


def _completeness(subject: str, s: MarketSignal | DayStatus) -> Iterator[Evaluation]:
    missing = s.missing
    if not missing:
        yield Evaluation.of(s, subject, Kind.END)
        return
    lacks = ", ".join(f"{feed}: {'everything' if n < 0 else f'{n} rows'}" for feed, n in sorted(missing.items()))
    lacks_zh = "，".join(f"{feed}：{'全部' if n < 0 else f'{n}行'}" for feed, n in sorted(missing.items()))
    yield Evaluation.of(
        s,
        subject,
        Kind.FIRE,
        dict(missing),
        {"expected_missing": 0},
        Text(
            f"Data quality {s.trade_date}: closed incomplete, missing {lacks}. Signals of the day are degraded or absent.",
            f"数据质量 {s.trade_date}：当日数据不完整，缺少{lacks_zh}。相关信号降级或缺失。",
        ),
        Text("Superseded when the missing rows arrive.", "缺失数据补齐后自动更正。"),
    )


def _detail_identity(s: DayStatus) -> Iterator[Evaluation]:
    subject, check = "margin.daily identity", s.identity
    if check.broken <= _BROKEN_SHARE * check.checked:
        yield Evaluation.of(s, subject, Kind.END)
        return
    yield Evaluation.of(
        s,
        subject,
        Kind.FIRE,
        {"broken": check.broken, "checked": check.checked},
        {"broken_share": _BROKEN_SHARE},
        Text(
            f"Data quality {s.trade_date}: in {check.broken} of {check.checked} securities the margin balance is not the previous one plus buys less repayments. Figures stand as published.",
            f"数据质量 {s.trade_date}：{check.checked}只证券中有{check.broken}只的融资余额不等于前一日余额加买入减偿还。数据按公布值使用。",
        ),
        Text("Superseded when corrected figures arrive.", "更正数据到达后自动更正。"),
        [Member(code, gap, "CNY") for code, gap in check.worst.items()],
    )


def _totals_identity(s: MarketSignal) -> Iterator[Evaluation]:
    subject, gaps = "margin.market identity", s.identity_gaps
    if not gaps:
        yield Evaluation.of(s, subject, Kind.END)
        return
    listed = ", ".join(f"{exchange} {gap:+,.0f} CNY" for exchange, gap in sorted(gaps.items()))
    yield Evaluation.of(
        s,
        subject,
        Kind.FIRE,
        dict(gaps),
        {"expected_gap": 0},
        Text(
            f"Data quality {s.trade_date}: an exchange's total margin balance is not the previous one plus buys less repayments: {listed}. Figures stand as published.",
            f"数据质量 {s.trade_date}：交易所融资余额不等于前一日余额加买入减偿还：{listed}。数据按公布值使用。",
        ),
        Text("Superseded when corrected figures arrive.", "更正数据到达后自动更正。"),
    )


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    return Rule("data_quality", Severity.WARNING, evaluate, source="ours")
