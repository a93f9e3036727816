"""risk_premium_high 股权风险溢价偏高: shares are cheap against government bonds [GF25]."""

from __future__ import annotations

from alerts.model import Severity, Text
from alerts.rules.base import INDEX_HIGHER, Rule
from alerts.rules.threshold import Threshold
from processors.parameters import Parameters

#: The published level, and the level below which the alert ends (ours), fractions.
_LEVEL, _CLEAR = 0.04, 0.038
_COOLDOWN_DAYS = 5


def rule(_: Parameters) -> Rule:
    """Return the rule."""
    title = Text(
        "Equity risk premium high (published: 5 times from 2016 to 2025-07)",
        "股权风险溢价偏高（公开报告：2016年至2025年7月共5次）",
    )
    return Rule(
        "risk_premium_high",
        Severity.INFO,
        Threshold("risk_premium", _LEVEL, _CLEAR, True, title).evaluate,
        source="[GF25]",
        cooldown_days=_COOLDOWN_DAYS,
        expectations=(INDEX_HIGHER,),
    )
