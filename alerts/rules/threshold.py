"""Rules that compare one market signal with a level: built-in ones, and those that a desk writes in TOML.

The condition begins when the value reaches the level and ends when the value is back past ``clear`` (hysteresis).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from alerts.model import Text
from alerts.percents import with_sign
from alerts.rules.base import Condition, Evaluation, Message, money, percent
from processors.outputs import MarketSignal
from processors.registry import SIGNALS


@dataclass(frozen=True, slots=True)
class Threshold:
    """The condition that a signal is at or beyond a level.

    Parameters
    ----------
    signal : its id, with its subject where it has one (``llt/000300.SH``).
    level, clear : the condition is true from ``level`` on until the value is back past ``clear``, in the signal's unit.
    above : whether beyond means higher.
    title : the beginning of the alert's text.
    """

    signal: str
    level: float
    clear: float
    above: bool
    title: Text

    def evaluate(self, message: Message) -> Iterator[Evaluation]:
        """Yield whether the condition is true on the message's day; a value between the levels changes nothing."""
        if not isinstance(message, MarketSignal) or message.provisional or message.name != self.signal:
            return
        signal = message
        if not isinstance(signal.value, (int, float)):
            yield Evaluation.of(signal, signal.subject, Condition.ABSENT)
            return
        value, sign = float(signal.value), 1 if self.above else -1
        if sign * (value - self.level) >= 0:
            shown, level, clear = (_formatted(self.signal, figure) for figure in (value, self.level, self.clear))
            than, than_zh = ("at least", "不低于") if self.above else ("at most", "不高于")
            yield Evaluation.of(
                signal,
                signal.subject,
                Condition.ON,
                {self.signal: value},
                {"level": self.level, "clear": self.clear},
                Text(
                    f"{self.title.en} {signal.trade_date}: {shown.en}, {than} {level.en}.",
                    f"{self.title.zh} {signal.trade_date}：{shown.zh}，{than_zh}{level.zh}。",
                ),
                Text(
                    f"Over when it is {'below' if self.above else 'above'} {clear.en}.",
                    f"{'低于' if self.above else '高于'}{clear.zh}时结束。",
                ),
            )
        else:
            yield Evaluation.of(
                signal, signal.subject, Condition.HOLD if sign * (value - self.clear) >= 0 else Condition.END
            )


def _formatted(signal: str, value: float) -> Text:
    """Return a figure of a signal in its unit."""
    declared = SIGNALS.get(signal.partition("/")[0])
    unit = "" if declared is None else declared.unit
    if unit == "CNY":
        return money(value)
    shown = percent(value) if unit == "ratio" else with_sign(f"{value:,.6g}")
    return Text(shown, shown)
