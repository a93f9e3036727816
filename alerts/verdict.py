"""The verdict in words: the question with its day, the answer, the reason, and what would change it.

Console, dashboards, terminal, latest values and alerts show the same words, because they come from this module alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

import msgspec

from alerts import reasons
from alerts.model import Text
from alerts.percents import decimals_below, percent_below
from alerts.plurals import counted
from processors.indicators.ratio_state import RatioState
from processors.indicators.verdict import VERDICT, Verdict
from processors.outputs import MarketSignal
from processors.signal import Value

#: How a reader should feel about an answer; pages choose colour and mark by it.
Tone = Literal["hot", "warm", "cold", "calm"]
#: What the verdict answers.
QUESTION = Text("Near a top?", "是否接近顶部？")
#: What each verdict means, in one line.
MEANINGS: dict[Verdict, Text] = {
    Verdict.NO: Text("NO", "否"),
    Verdict.HOT: Text("HOT: the peak warning is armed", "过热：顶部预警待触发"),
    Verdict.WARNED: Text("WARNED", "已预警"),
    Verdict.COOLING: Text("COOLING: the warning has expired", "降温：预警已到期"),
    Verdict.COLD: Text("NO: COLD", "否：市场低迷"),
}
_TONES: dict[Verdict, Tone] = {
    Verdict.NO: "calm", Verdict.HOT: "warm", Verdict.WARNED: "hot", Verdict.COOLING: "warm", Verdict.COLD: "cold",
}  # fmt: skip


#: What marks words about a day whose figures are not final, before and behind them.
_PROVISIONAL, _NOT_FINAL = Text("PROVISIONAL: ", "盘中估算："), Text(" The close decides.", "以收盘数据为准。")
#: Answer, reason, what would change it, and tone.
_Words = tuple[Text, Text, Text, Tone]


class VerdictText(msgspec.Struct, frozen=True):
    """A verdict in words."""

    answer: Text
    why: Text
    change: Text  # what would change it
    tone: Tone
    of_day: Text  # the trade date of its figures


def verdict_text(signal: MarketSignal) -> VerdictText:
    """Return a verdict in words.

    Parameters
    ----------
    signal : a `verdict`, final or provisional, with or without a value.
    """
    answer, why, change, tone = (
        _absent(signal) if signal.value is None else _known(Verdict(str(signal.value)), signal.details)
    )
    if signal.provisional:
        answer, why = _joined(_PROVISIONAL, answer), _joined(why, _NOT_FINAL)
    of_day = Text(f"figures of {signal.trade_date}", f"{signal.trade_date}数据")
    return VerdictText(answer, why, change, tone, of_day)


def overdue(final: MarketSignal | None, due: Mapping[str, date]) -> date | None:
    """Return the newest trade date whose verdict is due, by the deadlines of its inputs; None while it is known.

    Parameters
    ----------
    due : feed → the newest trade date whose deadline has passed.
    """
    newest = min((day for feed, day in due.items() if feed in VERDICT.inputs), default=None)
    return newest if final is not None and newest is not None and final.trade_date < newest else None


def heading(final: MarketSignal | None, late: date | None) -> Text:
    """Return the question with the trade date of its answer, and with the newer day that is due, if one is.

    Prices of a day arrive the evening before its margin figures: figures beside an answer may be a day newer than it.

    Parameters
    ----------
    final : the newest final `verdict`.
    late : see `overdue`.
    """
    found = QUESTION
    if final is not None:
        of_day = verdict_text(final).of_day
        found = Text(f"{found.en} · {of_day.en}", f"{found.zh} · {of_day.zh}")
    if late is not None:
        found = _joined(found, _joined(Text(" · ", " · "), late_text(late)))
    return found


def late_text(late: date) -> Text:
    """Return the warning that a newer day than that of the answer is due."""
    return Text(f"⚠ late: figures of {late} are due", f"⚠ 迟到：{late}数据应已公布")


def early_sign(daily: MarketSignal | None, verdict: MarketSignal | None) -> Text | None:
    """Return the sentence about a breakdown of the daily ratio, which is no part of the verdict.

    None where there is no breakdown, or where the market is WARNED already.

    Parameters
    ----------
    daily, verdict : the newest `ratio_state_daily`, final or provisional, and `verdict`.
    """
    warned = verdict is not None and verdict.value == Verdict.WARNED
    if warned or daily is None or daily.value != RatioState.BREAKDOWN:
        return None
    ratio, line, day = _ratio(daily.details, "breakdown"), _percent(daily.details, "breakdown"), daily.trade_date
    found = Text(
        f"Early sign: the daily ratio fell to {ratio} on {day}, below {line} after a hot phase.",
        f"早期信号：{day}当日占比过热后跌至{ratio}，低于{line}。",
    )
    return _joined(_joined(Text("◔ ", "◔ "), _joined(_PROVISIONAL, found)), _NOT_FINAL) if daily.provisional else found


def warning_end(hot: str, cold: str) -> Text:
    """Return what ends a warning before it expires: the lines as percent."""
    return Text(f"≥ {hot} voids it; ≤ {cold} plays it out", f"重回{hot}以上则失效，降至{cold}以下则兑现")


def _known(verdict: Verdict, details: Mapping[str, Value]) -> _Words:
    hot, line, cold = (_percent(details, name) for name in ("hot", "breakdown", "cold"))
    days, lasts = details["ratio_days"], details["warning_sessions"]
    ratio = _ratio(details, "hot" if verdict is Verdict.NO else "breakdown")
    now = Text(f"{days}-day ratio {ratio}", f"{days}日占比{ratio}")
    answer, tone = MEANINGS[verdict], _TONES[verdict]
    if verdict is Verdict.HOT:
        why = Text(
            f"{now.en}; it reached {hot} and has not fallen below {line} since.",
            f"{now.zh}，曾达到{hot}，此后未跌破{line}。",
        )
        change = Text(f"< {line} is the peak warning.", f"跌破{line}即为顶部预警。")
    elif verdict is Verdict.WARNED:
        since, left = details["since"], int(details["expires_in"])
        answer = _warned(details)
        why = Text(
            f"{now.en}; on {since} it fell below {line} after a hot phase (≥ {hot}).",
            f"{now.zh}，{since}过热（≥{hot}）后跌破{line}。",
        )
        before = warning_end(hot, cold)
        change = Text(f"{before.en}; {_ends_en(left)}.", f"{before.zh}，{_ends_zh(left)}。")
    elif verdict is Verdict.COOLING:
        since, left = details["since"], int(details["expires_in"])
        why = Text(
            f"{now.en}; the warning of {since} ended after {counted(int(lasts), 'session')}, neither void nor played "
            "out.",
            f"{now.zh}，{since}的预警在{lasts}个交易日后到期，既未失效也未兑现。",
        )
        change = Text(
            f"≥ {hot} arms a new warning; ≤ {cold} is COLD; the cooling {_ends_en(left).removeprefix('it ')}.",
            f"重回{hot}以上则重新待触发，降至{cold}以下则为低迷，降温期{_ends_zh(left)}。",
        )
    elif verdict is Verdict.COLD:
        extreme = details["state"] == RatioState.EXTREME_COLD
        limit = _percent(details, "extreme_cold") if extreme else cold
        if extreme:
            answer = Text("NO: EXTREMELY COLD", "否：市场极度低迷")
        why = Text(
            f"{now.en}, at most {limit}. Coldness is no bottom signal by itself: 6 of 11 weeks at or below 6.25% "
            "preceded a stop or rebound [DG22].",
            f"{now.zh}，不高于{limit}。低迷本身并非底部信号：周占比不高于6.25%的11次中6次随后止跌或反弹［东莞证券2022］。",
        )
        change = Text(f"> {cold} ends it.", f"升至{cold}以上即结束。")
    else:
        value, limit_hot = float(details["ratio"]), float(details["hot"])
        room = f"{(limit_hot - value) * 100:.{decimals_below(value, limit_hot)}f}"
        why = Text(f"{now.en}, {room} points below the hot line.", f"{now.zh}，距过热线还有{room}个百分点。")
        change = Text(f"≥ {hot} arms the peak warning.", f"达到{hot}则顶部预警进入待触发。")
    return answer, why, change, tone


def _absent(signal: MarketSignal) -> _Words:
    """Describe a day without a ratio; the warning of an earlier day goes on ageing."""
    details, day = signal.details, signal.trade_date
    why = Text(
        f"The ratio of {day} is absent: {signal.reason}.", f"{day}占比缺失：{reasons.shown(signal.reason, 'zh')}。"
    )
    nothing = Text("UNKNOWN", "未知")
    if "since" not in details:
        return nothing, why, Text("The next known ratio decides.", "以下一个已知占比为准。"), "calm"
    since, left = details["since"], int(details["expires_in"])
    if details["life"] == Verdict.WARNED:
        unknown = Text(f"UNKNOWN on {day}; ", f"{day}未知；")  # figures are read on the morning after their day
        answer, tone = _joined(unknown, _warned(details)), _TONES[Verdict.WARNED]
        life = Text(f" The warning of {since} goes on.", f"{since}的预警继续有效。")
        change = Text(f"The next known ratio decides; {_ends_en(left)}.", f"以下一个已知占比为准，{_ends_zh(left)}。")
    else:
        answer, tone = nothing, _TONES[Verdict.COOLING]
        life = Text(f" The warning of {since} has expired.", f"{since}的预警已到期。")
        change = Text("The next known ratio decides.", "以下一个已知占比为准。")
    return answer, _joined(why, life), change, tone


def _warned(details: Mapping[str, Value]) -> Text:
    """Return how long ago the warning was, and when it expires."""
    sessions, left = int(details["sessions"]), int(details["expires_in"])
    if not sessions:
        since = details["since"]
        return Text(f"WARNED on {since}, expires in {counted(left, 'session')}", f"{since}预警，{left}个交易日后到期")
    ago = Text(f"WARNED {counted(sessions, 'session')} ago", f"{sessions}个交易日前预警")
    ends = Text(f", expires in {left}", f"，{left}个交易日后到期") if left else Text(", last session", "，当日到期")
    return _joined(ago, ends)


def _ends_en(left: int) -> str:
    return f"it expires in {counted(left, 'session')}" if left else "this is its last session"


def _ends_zh(left: int) -> str:
    return f"{left}个交易日后到期" if left else "当日到期"


def _ratio(details: Mapping[str, Value], line: str) -> str:
    """Return the ratio as percent; one that is below a line also reads below it."""
    return percent_below(float(details["ratio"]), float(details[line]))


def _percent(details: Mapping[str, Value], name: str) -> str:
    return f"{float(details[name]):.2%}"


def _joined(first: Text, second: Text) -> Text:
    return Text(first.en + second.en, first.zh + second.zh)
