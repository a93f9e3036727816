"""Every signal there is. Topic schema, metric, status and documentation follow from the declarations found here.

Adding an indicator is one module in `processors.indicators` and one line here.
"""

from __future__ import annotations

from types import ModuleType

from processors.indicators import (
    bottom_panel,
    breadth,
    coverage,
    divergence,
    equal_weight,
    etf_flow,
    excess_financing,
    excess_score,
    extreme,
    fin_balance,
    fin_buy_ratio,
    fin_change,
    float_cap,
    gftd,
    groups,
    index_close,
    industry_balance,
    industry_heat,
    industry_rotation,
    llt,
    margin_trade_share,
    oversold,
    price_level,
    ratio_state,
    regime,
    risk_premium,
    short_balance,
    streak,
)
from processors.signal import Level, Signal

#: Market indicators: ``compute(view)`` gives every declared signal of a day. Order matters where one reads
#: another's value of the same day (ratio_state reads fin_buy_ratio).
MARKET_INDICATORS: tuple[ModuleType, ...] = (
    fin_balance,
    short_balance,
    fin_buy_ratio,
    ratio_state,
    excess_financing,
    float_cap,
    margin_trade_share,
    risk_premium,
    regime,
    oversold,
    llt,
    gftd,
    etf_flow,
    bottom_panel,
    groups,
    coverage,
    breadth,
    equal_weight,
    index_close,
)

#: Security indicators that need prices as well: ``compute(view)`` gives columns over the day's margin detail.
PRICING_INDICATORS: tuple[ModuleType, ...] = (price_level, excess_score, divergence)
PRICING_INPUTS: tuple[str, ...] = excess_score.INPUTS

#: Industry indicators: ``compute(view)`` gives columns over all industries, and what is left out of them.
INDUSTRY_INDICATORS: tuple[ModuleType, ...] = (industry_balance, industry_rotation, industry_heat)
INDUSTRY_INPUTS: tuple[str, ...] = industry_balance.INPUTS
INDUSTRY_OPTIONAL: tuple[str, ...] = industry_balance.OPTIONAL

#: Security indicators: functions over the columns of a day, called by `processors.securities` (own history of a
#: security) and `processors.extremes` (all securities of a day).
SECURITY_INDICATORS: tuple[ModuleType, ...] = (fin_change, streak, extreme)

#: Signals of the market and of securities by id; industries have ids of their own in `INDUSTRY_SIGNALS`.
SIGNALS: dict[str, Signal] = {
    signal.id: signal
    for module in (*MARKET_INDICATORS, *SECURITY_INDICATORS, *PRICING_INDICATORS)
    for signal in module.SIGNALS
}
INDUSTRY_SIGNALS: dict[str, Signal] = {signal.id: signal for module in INDUSTRY_INDICATORS for signal in module.SIGNALS}


def signals_of(level: Level) -> tuple[Signal, ...]:
    """Return the declared signals of a level, in order."""
    return tuple(s for s in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values()) if s.level is level)
