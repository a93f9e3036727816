"""data_quality 数据质量: a closed day lacks rows or the financing-buy ratio, or its figures contradict each other materially.

Immaterial breaks of the balance identity are usual, because brokers resubmit: they go to the data note, a section of the
day's digest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from alerts import reasons
from alerts.model import Member, Severity, Text
from alerts.percents import with_sign
from alerts.plurals import counted
from alerts.rules.base import Condition, Evaluation, Message, Rule, Scope, final_signal, security_frame, short_percent
from alerts.rules.digest import OF_ITS_DAY
from processors.codes import EXCHANGES
from processors.needs import DETAIL, VALUATIONS
from processors.outputs import FINANCING, DayStatus, IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import Parameters

#: The signal whose missing inputs are reported of each feed: one gap is one alert. A feed that never had rows has none.
_REPORTED = {
    "fin_balance": "margin.market",
    "coverage": "reference",
    "turnover_mean_5d": "indices.daily",
    "breadth_200": "prices.daily",
    "etf_flow_total": "etf.daily",
    "risk_premium": "rates.daily",
    "collateral_ratio": "margin.collateral",
}
#: The figure that answers whether a top is near: one absent index makes it absent, though its feed lacks no exchange.
_RATIO = "fin_buy_ratio"
#: What lies between a feed and the earlier day of which rows are missing.
_EARLIER = " of "
_DETAIL, _TOTALS = "margin.daily identity", "margin.market identity"
_UNITS = dict.fromkeys(("broken_share", "gap", "share"), "ratio") | dict.fromkeys(EXCHANGES, "CNY")
_CORRECTED = Text(
    "Superseded when corrected figures arrive; over on the next day without such a break.",
    "更正数据到达后自动更正；次日无此类偏差时结束。",
)


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire for a degraded day or one whose figures contradict each other materially; end with the next good one."""
    if (frame := security_frame(message, FINANCING)) is not None:
        yield from _completeness(DETAIL, frame.status, frame.status.missing)
    elif isinstance(message, IndustrySignals):
        yield from _completeness(VALUATIONS, message.status, _of_day(VALUATIONS, message.status))
    elif isinstance(message, MarketSignal) and message.signal in _REPORTED and not message.provisional:
        feed = _REPORTED[message.signal]
        yield from _completeness(feed, message, _of_day(feed, message))
    elif (ratio := final_signal(message, _RATIO)) is not None:
        yield _known(ratio)
    yield from _identity(parameters, True, message)


def _identity(parameters: Parameters, material: bool, message: Message) -> Iterator[Evaluation]:
    """Fire for breaks of the balance identity that are material, or for those that are not; end on any other day."""
    if (frame := security_frame(message, FINANCING)) is not None:
        yield from _detail_identity(parameters, material, frame.status)
    elif (balance := final_signal(message, "fin_balance")) is not None:
        yield from _totals_identity(parameters, material, balance)


def _of_day(feed: str, s: MarketSignal | DayStatus) -> dict[str, int]:
    """Return what one feed lacks of the day itself: an earlier day that figures are compared with has its own alert."""
    return {name: rows for name, rows in s.missing.items() if name.startswith(f"{feed} ") and _EARLIER not in name}


def _completeness(subject: str, s: MarketSignal | DayStatus, missing: Mapping[str, int]) -> Iterator[Evaluation]:
    if not missing:
        yield Evaluation.of(s, subject, Condition.END)
        return
    lacks = ", ".join(f"{feed}: {'everything' if n < 0 else counted(n, 'row')}" for feed, n in sorted(missing.items()))
    lacks_zh = "，".join(
        f"{feed.replace(_EARLIER, '，')}：{'全部' if n < 0 else f'{n}行'}" for feed, n in sorted(missing.items())
    )
    found = Text(
        f"closed incomplete, missing {lacks}. Signals of the day are degraded or absent.",
        f"当日数据不完整，缺少{lacks_zh}。相关信号降级或缺失。",
    )
    if all(_EARLIER in feed for feed in missing):
        found = Text(
            f"complete, but an earlier day lacks {lacks}. Signals that compare with it are degraded or absent.",
            f"当日数据完整，此前缺少{lacks_zh}。与之比较的信号降级或缺失。",
        )
    yield Evaluation.of(
        s,
        subject,
        Condition.FIRE,
        dict(missing),
        {"expected_missing": 0},
        Text(f"Data quality {s.trade_date}: {found.en}", f"数据质量 {s.trade_date}：{found.zh}"),
        Text(
            "Superseded when the missing rows arrive; over on the next day that lacks nothing, also without them.",
            "缺失数据补齐后自动更正；未补齐时，下一个无缺失的交易日结束。",
        ),
    )


def _known(s: MarketSignal) -> Evaluation:
    """Return whether the ratio of a day is absent; rows that a feed is known to lack have their own alert."""
    if s.value is not None or s.missing:
        return Evaluation.of(s, _RATIO, Condition.END if s.value is not None else Condition.HOLD)
    return Evaluation.of(
        s,
        _RATIO,
        Condition.ON,
        {"absent": 1},
        {"expected_absent": 0},
        Text(
            f"Data quality {s.trade_date}: the financing-buy ratio is absent although its feeds are closed, so nothing says "
            f"whether a top is near: {s.reason}.",
            f"数据质量 {s.trade_date}：数据源均已收齐，融资买入占比仍缺失，无法判断是否接近顶部："
            f"{reasons.shown(s.reason, 'zh')}。",
        ),
        Text(
            "Superseded when what is absent arrives; over on the next day with a ratio.",
            "缺失数据补齐后自动更正；下一个有占比的交易日结束。",
        ),
    )


def _detail_identity(parameters: Parameters, material: bool, s: DayStatus) -> Iterator[Evaluation]:
    check, limit = s.identity, parameters.identity_broken_share
    noted = check.broken_balance > 0 or check.broken > parameters.identity_noted_share * check.checked
    if not noted or (check.broken_share > limit) != material:
        yield Evaluation.of(s, _DETAIL, Condition.END)
        return
    gap = short_percent(parameters.identity_security_gap)
    yield Evaluation.of(
        s,
        _DETAIL,
        Condition.FIRE,
        {"broken": check.broken, "checked": check.checked, "broken_share": check.broken_share},
        {"broken_share": limit, "gap": parameters.identity_security_gap},
        _text(
            s,
            material,
            f"{check.broken} of {check.checked} securities {'has' if check.broken == 1 else 'have'} a balance that is not "
            f"the previous one plus buys less repayments; {check.broken_share:.2%} of the balance is in those off by more than {gap}.",
            f"{check.checked}只证券中{check.broken}只的余额不等于前一日余额加买入减偿还；偏差超过{gap}的证券占余额"
            f"{check.broken_share:.2%}。",
        ),
        _CORRECTED if material else OF_ITS_DAY,
        [Member(code, gap, "CNY") for code, gap in check.worst.items()],
    )


def _totals_identity(parameters: Parameters, material: bool, s: MarketSignal) -> Iterator[Evaluation]:
    gaps, limit = s.identity_gaps, parameters.identity_exchange_gap
    # A signal without shares names no balance of an exchange: the whole market's is the nearest one.
    whole = s.value if isinstance(s.value, float) else 0.0
    shares = {e: s.identity_shares.get(e, gap / whole if whole else 1.0) for e, gap in gaps.items()}
    if not gaps or any(abs(share) > limit for share in shares.values()) != material:
        yield Evaluation.of(s, _TOTALS, Condition.END)
        return
    shown = [
        (exchange, with_sign(f"{gap:+,.0f}"), with_sign(f"{shares[exchange]:+.4%}"))
        for exchange, gap in sorted(gaps.items())
    ]
    listed = ", ".join(f"{exchange} {gap} CNY ({share})" for exchange, gap, share in shown)
    listed_zh = "，".join(f"{exchange} {gap}元（{share}）" for exchange, gap, share in shown)
    yield Evaluation.of(
        s,
        _TOTALS,
        Condition.FIRE,
        dict(gaps),
        {"share": limit},
        _text(
            s,
            material,
            f"an exchange's balance is not the previous one plus buys less repayments: {listed}.",
            f"交易所融资余额不等于前一日余额加买入减偿还：{listed_zh}。",
        ),
        _CORRECTED if material else OF_ITS_DAY,
    )


def _text(about: MarketSignal | DayStatus, material: bool, finding: str, finding_zh: str) -> Text:
    """Return the text of a warning, or the shorter one of a section of the digest."""
    if not material:
        return Text(f"Data note: {finding}", f"数据提示：{finding_zh}")
    return Text(
        f"Data quality {about.trade_date}: {finding} The figures are used as published.",
        f"数据质量 {about.trade_date}：{finding_zh}数据按公布值使用。",
    )


def rule(parameters: Parameters) -> Rule:
    """Return the rule of what a person must look at."""
    return Rule(
        "data_quality",
        Severity.WARNING,
        partial(evaluate, parameters),
        reads=(SecuritySignals, IndustrySignals, *_REPORTED, _RATIO),
        source="ours",
        about="figures of a closed day",
        units=_UNITS,
        scope=Scope.DATA,
        updates=True,  # the rows of a late day come in pieces: each changes what is missing, and is no alert of its own
    )


def note_rule(parameters: Parameters) -> Rule:
    """Return the rule of the data note: immaterial breaks of the balance identity."""
    return Rule(
        "data_note",
        Severity.INFO,
        partial(_identity, parameters, False),
        reads=(SecuritySignals, "fin_balance"),
        source="ours",
        about="figures of a closed day",
        units=_UNITS,
        digest=(_TOTALS, _DETAIL),
        scope=Scope.DATA,
    )
