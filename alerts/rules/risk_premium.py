"""risk_premium_high 股权风险溢价偏高: shares are cheap against government bonds [GF25]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from alerts.model import Severity, Text
from alerts.plurals import counted
from alerts.rules.base import INDEX_HIGHER, Condition, Evaluation, Message, Rule
from alerts.rules.threshold import Threshold
from processors.outputs import MarketSignal
from processors.parameters import Parameters

_SIGNAL = "risk_premium"
#: The share of the level below which the alert ends (ours).
_CLEAR = 0.95
_COOLDOWN_DAYS = 5


@dataclass(frozen=True, slots=True)
class HighPremium:
    """The condition that the premium is high; its text says which episode it is.

    Parameters
    ----------
    threshold : level and end of the condition.
    since : first day on which episodes are counted, ``2016-01-04``; the text of an earlier day has none.
    """

    threshold: Threshold
    since: str

    def evaluate(self, message: Message) -> Iterator[Evaluation]:
        """Yield the evaluation of the threshold, with the number of episodes where it is true."""
        for one in self.threshold.evaluate(message):
            details = message.details if isinstance(message, MarketSignal) else {}
            number, known = details.get("episodes"), details.get("days_since_start")
            if one.condition is not Condition.ON or not number or not known:
                yield one
                continue
            text = Text(
                f"{one.text.en} Episode {number} in the {counted(f'{known:,}', 'known day')} since {self.since}.",
                f"{one.text.zh}{self.since}以来已知的{known:,}日中第{number}次。",
            )
            yield msgspec.structs.replace(one, figures=one.figures | {"episodes": number}, text=text)


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    title = Text(
        "Equity risk premium high (published: 5 times from 2016 to 2025-07)",
        "股权风险溢价偏高（公开报告：2016年至2025年7月共5次）",
    )
    level = parameters.risk_premium_high
    return Rule(
        "risk_premium_high",
        Severity.INFO,
        HighPremium(Threshold(_SIGNAL, level, level * _CLEAR, True, title), parameters.expanding_since).evaluate,
        reads=(_SIGNAL,),
        source="[GF25]",
        cooldown_days=_COOLDOWN_DAYS,
        expectations=(INDEX_HIGHER,),
    )
