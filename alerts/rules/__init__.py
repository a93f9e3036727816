"""One file per rule. A rule judges one message by itself, so the order of messages can't change its verdict.

Adding a rule is one module and one line in `RULES`.
"""

from __future__ import annotations

from alerts.rules import (
    data_quality,
    dead_letters,
    excess_financing,
    excess_score_top,
    fin_divergence,
    fin_extreme,
    fin_streak,
    industry_risk,
    market_cold,
    market_hot,
    peak_warning,
    stale_feed,
    threshold,
)
from alerts.rules.base import Rule

RULES: tuple[Rule, ...] = (
    peak_warning.RULE,
    market_hot.RULE,
    market_cold.RULE,
    excess_financing.RULE,
    fin_streak.RULE,
    fin_extreme.RULE,
    fin_divergence.RULE,
    excess_score_top.RULE,
    *threshold.RULES,
    industry_risk.RULE,
    data_quality.RULE,
    dead_letters.RULE,
    stale_feed.RULE,
)
