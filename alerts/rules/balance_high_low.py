"""balance_new_high, balance_new_low 融资余额创新高/新低: the total balance at the end of its range [DG22]."""

from __future__ import annotations

from alerts.model import Severity, Text
from alerts.rules.base import INDEX_HIGHER, Rule
from alerts.rules.threshold import Threshold
from processors.parameters import Parameters

_COOLDOWN_DAYS = 20


def high_rule(parameters: Parameters) -> Rule:
    """Return the rule on a new high over `Parameters.high_low_days`."""
    days = parameters.high_low_days
    title = Text(f"Margin balance at its {days}-day high (1 = high)", f"融资余额创{days}日新高（1＝新高）")
    return _rule("balance_new_high", Threshold("new_high_low", 1.0, 1.0, True, title))


def low_rule(parameters: Parameters) -> Rule:
    """Return the rule on a new low over `Parameters.high_low_days`."""
    days = parameters.high_low_days
    title = Text(f"Margin balance at its {days}-day low (−1 = low)", f"融资余额创{days}日新低（−1＝新低）")
    return _rule("balance_new_low", Threshold("new_high_low", -1.0, -1.0, False, title))


def _rule(name: str, threshold: Threshold) -> Rule:
    return Rule(
        name,
        Severity.INFO,
        threshold.evaluate,
        source="[DG22]",
        cooldown_days=_COOLDOWN_DAYS,
        expectations=(INDEX_HIGHER,),
    )
