"""The answer to the desk's question: are we near a top? From the state of the ratio and the alerts, and why so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from alerts.model import State
from console import labels
from console.labels import Language
from console.model import ConsoleModel
from processors.indicators.ratio_state import RatioState
from processors.parameters import Parameters

#: So close below the hot line the heat is worth watching (ours).
NEAR = 0.005


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, the tone it is shown in, and the reason."""

    key: str  # of `labels.VERDICTS`
    tone: str  # hot, warm, cold, calm
    why: str

    def answer(self, language: Language) -> str:
        """The answer in words; a mark tells the tone without colour."""
        mark = {"hot": "▲▲ ", "warm": "▲ ", "cold": "▼ ", "calm": ""}[self.tone]
        return mark + labels.pick(labels.VERDICTS[self.key], language)


def verdict(book: ConsoleModel, p: Parameters, language: Language) -> Verdict:
    """Judge by final values; a provisional breakdown is told as such."""
    ratio, state = book.latest.get("fin_buy_ratio_5d"), book.latest.get("ratio_state")
    english = language == "en"
    warnings = [a for a in book.alerts.values() if a.rule == "peak_warning" and a.state is State.FIRING]
    if ratio is None or state is None or not isinstance(ratio.value, float) or not isinstance(state.value, str):
        return _without_ratio(book, max((a.trade_date for a in warnings), default=None), language)
    hot, line = labels.percent(p.ratio_hot), labels.percent(p.ratio_breakdown)
    now = labels.percent(ratio.value)
    room = labels.percent(p.ratio_hot - ratio.value)
    extra = _excess(book, p, language)
    if warnings or state.value == RatioState.BREAKDOWN:
        since = max((a.trade_date for a in warnings), default=state.trade_date)
        why = (
            f"5-day ratio {now}: below {line} after a hot phase (≥ {hot}); warned on {since}, void at {hot} again."
            if english
            else f"5日占比{now}：过热（≥{hot}）后跌破{line}；{since}发出预警，重回{hot}则失效。"
        )
        return Verdict("peak", "hot", why + extra)
    if state.value == RatioState.HOT:
        live = book.live.get("ratio_state")
        if live is not None and live.value == RatioState.BREAKDOWN:
            why = (
                f"The running session is below {line}; the close decides."
                if english
                else f"盘中估算已跌破{line}，以收盘数据为准。"
            )
            return Verdict("peak_live", "hot", why + extra)
        why = (
            f"5-day ratio {now}, at or above {hot} before; a fall below {line} is the peak warning."
            if english
            else f"5日占比{now}，已达{hot}以上；跌破{line}即为顶部预警。"
        )
        return Verdict("hot", "warm", why + extra)
    if ratio.value >= p.ratio_hot - NEAR:
        why = f"5-day ratio {now}, {room} below {hot}." if english else f"5日占比{now}，距过热线{hot}仅{room}。"
        return Verdict("near", "warm", why + extra)
    if state.value in (RatioState.COLD, RatioState.EXTREME_COLD):
        cold = labels.percent(p.ratio_cold)
        why = (
            f"5-day ratio {now}, at most {cold}; no bottom signal by itself."
            if english
            else f"5日占比{now}，不高于{cold}；低迷本身并非底部信号。"
        )
        return Verdict("cold" if state.value == RatioState.COLD else "extreme_cold", "cold", why + extra)
    why = (
        f"5-day ratio {now}, {room} below the hot line {hot}."
        if english
        else f"5日占比{now}，距过热线{hot}还有{room}。"
    )
    return Verdict("no", "calm", why + extra)


def _without_ratio(book: ConsoleModel, warned: date | None, language: Language) -> Verdict:
    """The newest ratio is absent: nothing is carried forward, but a warning that fires still stands."""
    english = language == "en"
    signal = book.latest.get("fin_buy_ratio_5d")
    if signal is None:
        return Verdict("unknown", "calm", labels.pick(labels.WORDS["waiting"], language))
    why = (
        f"The ratio of {signal.trade_date} is absent: {signal.reason}."
        if english
        else f"{signal.trade_date}占比缺失：{signal.reason}。"
    )
    known = book.last_known("fin_buy_ratio_5d")
    if known is not None:
        day, value = known
        shown = labels.percent(value)
        why += f" Last known: {shown} on {day}." if english else f"最近一次：{day} {shown}。"
    if warned is None:
        return Verdict("unknown", "calm", why)
    stands = f"The warning of {warned} stands. " if english else f"{warned}的预警仍有效。"
    return Verdict("peak", "hot", stands + why)


def _excess(book: ConsoleModel, p: Parameters, language: Language) -> str:
    """What excess financing adds while it stands at a level."""
    level, excess = book.latest.get("excess_level"), book.latest.get("excess_financing")
    if level is None or excess is None or not isinstance(level.value, (int, float)) or not level.value:
        return ""
    shown = labels.percent(excess.value, signed=True)
    band = labels.percent(p.excess_level, 0)
    return f" Excess financing {shown} (beyond ±{band})." if language == "en" else f" 超额融资{shown}（超出±{band}）。"
