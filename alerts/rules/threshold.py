"""Rules about one market signal and a level: those of the contract, and those that a desk writes in TOML.

A condition begins when the value reaches the level and is over when it comes back past ``clear`` (hysteresis).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from alerts.model import Severity, Text
from alerts.rules.base import Expectation, Kind, Message, Rule, Verdict, percent
from processors.outputs import MarketSignal
from processors.registry import SIGNALS


@dataclass(frozen=True, slots=True)
class Threshold:
    """When a signal stands beyond a level.

    Parameters
    ----------
    signal : its id, with its subject where it has one (``llt/000300.SH``).
    level, clear : it holds from ``level`` on until the value is back past ``clear``.
    above : whether beyond means higher.
    title : what people read.
    """

    signal: str
    level: float
    clear: float
    above: bool
    title: Text

    def judge(self, message: Message) -> Iterator[Verdict]:
        """Say whether the condition holds on the message's day; a value between the levels changes nothing."""
        if (
            not isinstance(message, MarketSignal)
            or message.provisional
            or message.name != self.signal
            or not isinstance(message.value, (int, float))
        ):
            return
        value, sign = float(message.value), 1 if self.above else -1
        if sign * (value - self.level) >= 0:
            shown, level = _shown(self.signal, value), _shown(self.signal, self.level)
            clear = _shown(self.signal, self.clear)
            than, than_zh = ("at least", "不低于") if self.above else ("at most", "不高于")
            yield Verdict.on(
                message,
                message.subject,
                Kind.ON,
                {self.signal: value},
                {"level": self.level, "clear": self.clear},
                Text(
                    f"{self.title.en} {message.trade_date}: {shown}, {than} {level}.",
                    f"{self.title.zh} {message.trade_date}：{shown}，{than_zh}{level}。",
                ),
                Text(
                    f"Over when it is {'below' if self.above else 'above'} {clear}.",
                    f"{'低于' if self.above else '高于'}{clear}时结束。",
                ),
            )
        else:
            yield Verdict.on(message, message.subject, Kind.HOLD if sign * (value - self.clear) >= 0 else Kind.END)


def rule(
    name: str,
    severity: Severity,
    threshold: Threshold,
    *,
    source: str,
    minimum_days: int = 1,
    cooldown_days: int = 0,
    expectation: Expectation | None = None,
) -> Rule:
    """Return a rule about a threshold."""
    return Rule(
        name,
        severity,
        threshold.judge,
        source=source,
        minimum_days=minimum_days,
        cooldown_days=cooldown_days,
        expectation=expectation,
    )


def _shown(signal: str, value: float) -> str:
    declared = SIGNALS.get(signal.partition("/")[0])
    return percent(value) if declared is not None and declared.unit == "ratio" else f"{value:,.6g}"


def _after(word: str, word_zh: str, hit: Callable[[float], bool]) -> Expectation:
    return Expectation(Text(f"SSE Composite {word} 20 days later", f"20个交易日后上证指数{word_zh}"), hit)


#: The threshold rules of the contract.
RULES: tuple[Rule, ...] = (
    rule(
        "balance_new_high", Severity.INFO,
        Threshold("new_high_low", 1.0, 1.0, True, Text("Margin balance at its 250-day high (1 = high)", "融资余额创250日新高（1＝新高）")),
        source="[DG22]", cooldown_days=20, expectation=_after("higher", "上涨", lambda after: after > 0),
    ),
    rule(
        "balance_new_low", Severity.INFO,
        Threshold("new_high_low", -1.0, -1.0, False, Text("Margin balance at its 250-day low (−1 = low)", "融资余额创250日新低（−1＝新低）")),
        source="[DG22]", cooldown_days=20, expectation=_after("higher", "上涨", lambda after: after > 0),
    ),
    rule(
        "risk_premium_high", Severity.INFO,
        Threshold("risk_premium", 0.04, 0.038, True, Text("Equity risk premium high (5 times since 2016)", "股权风险溢价偏高（2016年以来5次）")),
        source="[GF25]", cooldown_days=5, expectation=_after("higher", "上涨", lambda after: after > 0),
    ),
)  # fmt: skip
