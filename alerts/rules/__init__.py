"""The built-in alert rules, one module each, built from the parameters of the signals.

A rule evaluates one message by itself, so the order of messages can't change its result. Adding a rule is one module
with ``rule(parameters)`` and one line in `_BUILDERS`.
"""

from __future__ import annotations

from collections.abc import Callable

from alerts.rules import (
    balance_high_low,
    collateral_low,
    data_quality,
    dead_letters,
    digest,
    excess_financing,
    excess_score_top,
    fin_divergence,
    fin_extreme,
    fin_streak,
    industry_risk,
    market_cold,
    market_hot,
    peak_warning,
    quarantine,
    refused_feed,
    risk_premium,
    stale_feed,
    themes,
)
from alerts.rules.base import Rule
from processors.parameters import Parameters

_BUILDERS: tuple[Callable[[Parameters], Rule], ...] = (
    peak_warning.rule,
    peak_warning.early_rule,
    market_hot.rule,
    market_cold.rule,
    excess_financing.rule,
    fin_streak.rule,
    fin_extreme.rule,
    fin_divergence.rule,
    excess_score_top.rule,
    balance_high_low.high_rule,
    balance_high_low.low_rule,
    risk_premium.rule,
    collateral_low.rule,
    industry_risk.rule,
    themes.rule,
    themes.stocks_rule,
    digest.rule,
    data_quality.rule,
    data_quality.note_rule,
    dead_letters.rule,
    quarantine.rule,
    stale_feed.rule,
    refused_feed.rule,
)


def rules(parameters: Parameters) -> tuple[Rule, ...]:
    """Return every built-in rule; conditions, thresholds and texts follow the parameters.

    Parameters
    ----------
    parameters : the parameters that the signals are computed with.
    """
    return tuple(build(parameters) for build in _BUILDERS)
