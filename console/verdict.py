"""The answer to the question "are we near a top?", from the state of the ratio and the alerts, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from alerts.model import State
from console import labels
from console.labels import Language
from console.model import ConsoleModel
from processors.indicators.ratio_state import RatioState
from processors.parameters import Parameters

#: Distance below the hot threshold within which the answer is "watch" (ours), a fraction.
NEAR = 0.005


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer, its tone, and the reason."""

    key: str  # of `labels.VERDICTS`
    tone: str  # hot, warm, cold, calm
    why: str

    def answer(self, language: Language) -> str:
        """Return the answer as text; a mark shows the tone without colour."""
        mark = {"hot": "▲▲ ", "warm": "▲ ", "cold": "▼ ", "calm": ""}[self.tone]
        return mark + labels.pick(labels.VERDICTS[self.key], language)


def verdict(model: ConsoleModel, p: Parameters, language: Language) -> Verdict:
    """Answer from final values; a provisional breakdown has an answer of its own."""
    ratio, state = model.latest.get("fin_buy_ratio_5d"), model.latest.get("ratio_state")
    warnings = [a for a in model.alerts.values() if a.rule == "peak_warning" and a.state is State.FIRING]
    if ratio is None or state is None or not isinstance(ratio.value, float) or not isinstance(state.value, str):
        return _without_ratio(model, max((a.trade_date for a in warnings), default=None), language)
    hot, line = labels.percent(p.ratio_hot), labels.percent(p.ratio_breakdown)
    now, days = labels.percent(ratio.value), p.ratio_window_days
    room = labels.percent(p.ratio_hot - ratio.value)
    extra = _excess(model, p, language)

    def answer(key: str, tone: str, why: str, why_zh: str) -> Verdict:
        return Verdict(key, tone, (why if language == "en" else why_zh) + extra)

    if warnings or state.value == RatioState.BREAKDOWN:
        since = max((a.trade_date for a in warnings), default=state.trade_date)
        return answer(
            "peak",
            "hot",
            f"{days}-day ratio {now}: below {line} after a hot phase (≥ {hot}); warned on {since}, "
            f"void at {hot} again.",
            f"{days}日占比{now}：过热（≥{hot}）后跌破{line}；{since}发出预警，重回{hot}则失效。",
        )
    if state.value == RatioState.HOT:
        live = model.live.get("ratio_state")
        if live is not None and live.value == RatioState.BREAKDOWN:
            why = f"The running session is below {line}; the close decides."
            return answer("peak_live", "hot", why, f"盘中估算已跌破{line}，以收盘数据为准。")
        why = f"{days}-day ratio {now}, at or above {hot} before; a fall below {line} is the peak warning."
        return answer("hot", "warm", why, f"{days}日占比{now}，已达{hot}以上；跌破{line}即为顶部预警。")
    if ratio.value >= p.ratio_hot - NEAR:
        why = f"{days}-day ratio {now}, {room} below {hot}."
        return answer("near", "warm", why, f"{days}日占比{now}，距过热线{hot}仅{room}。")
    if state.value in (RatioState.COLD, RatioState.EXTREME_COLD):
        cold = labels.percent(p.ratio_cold)
        key = "cold" if state.value == RatioState.COLD else "extreme_cold"
        why = f"{days}-day ratio {now}, at most {cold}; no bottom signal by itself."
        return answer(key, "cold", why, f"{days}日占比{now}，不高于{cold}；低迷本身并非底部信号。")
    why = f"{days}-day ratio {now}, {room} below the hot line {hot}."
    return answer("no", "calm", why, f"{days}日占比{now}，距过热线{hot}还有{room}。")


def _without_ratio(model: ConsoleModel, warned: date | None, language: Language) -> Verdict:
    """Answer where the newest ratio is absent: nothing is carried forward, but a firing warning stays valid."""
    english = language == "en"
    signal = model.latest.get("fin_buy_ratio_5d")
    if signal is None:
        return Verdict("unknown", "calm", labels.pick(labels.LABELS["waiting"], language))
    why = (
        f"The ratio of {signal.trade_date} is absent: {signal.reason}."
        if english
        else f"{signal.trade_date}占比缺失：{signal.reason}。"
    )
    known = model.last_known("fin_buy_ratio_5d")
    if known is not None:
        day, value = known
        shown = labels.percent(value)
        why += f" Last known: {shown} on {day}." if english else f"最近一次：{day} {shown}。"
    if warned is None:
        return Verdict("unknown", "calm", why)
    prefix = f"The warning of {warned} is in force. " if english else f"{warned}的预警仍有效。"
    return Verdict("peak", "hot", prefix + why)


def _excess(model: ConsoleModel, p: Parameters, language: Language) -> str:
    """Return what excess financing adds to the reason while a level is in force."""
    level, excess = model.latest.get("excess_level"), model.latest.get("excess_financing")
    if level is None or excess is None or not isinstance(level.value, (int, float)) or not level.value:
        return ""
    shown = labels.percent(excess.value, signed=True)
    band = labels.percent(p.excess_level, 0)
    return f" Excess financing {shown} (beyond ±{band})." if language == "en" else f" 超额融资{shown}（超出±{band}）。"
