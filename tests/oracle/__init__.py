"""The signals once more, in plain pandas, straight from the definitions: what the stream is checked against.

It imports nothing of the project. It computes every signal over the whole history at once, and prefers the obvious way
to the fast one. Absent is NaN (None for a state), never 0. `MARKET`, `SECURITY` and `INDUSTRY` are the signals' ids
with what computes them: ``entry(data, parameters)`` gives tables of day × subject.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.oracle import charts, industries, market, securities, timing, valuations
from tests.oracle.data import Data
from tests.oracle.market import Tables, basic, float_cap_share, shares, trade_share, two_way_share, whole
from tests.oracle.securities import own, score

Entry = Callable[[Data, Any], Tables]

MARKET: dict[str, Entry] = {
    **{
        name: basic(name)
        for name in (
            "fin_balance", "fin_balance_change", "streak", "new_high_low", "short_balance", "short_balance_change",
            "fin_buy_ratio", "fin_buy_ratio_5d", "ratio_state", "ratio_state_daily", "excess_financing", "excess_level",
        )
    },
    **shares("fin_balance_to_float_cap", float_cap_share),
    **shares("two_way_to_float_cap", two_way_share),
    **shares("margin_trade_share", trade_share),
    "ratio_state_quantile": market.ratio_state_quantile,
    "verdict": market.verdict,
    "risk_premium": market.risk_premium,
    "risk_premium_by_index": market.risk_premium_by_index,
    "collateral_ratio": market.collateral_ratio,
    "index_pe_percentile": valuations.index_pe_percentile,
    "index_cycle": valuations.index_cycle,
    "lead_lag": timing.lead_lag,
    "peak_lag": timing.peak_lag,
    "regime": market.regime,
    "oversold": market.oversold,
    "llt": market.llt,
    "gftd": market.gftd,
    "etf_flow": market.etf_flow,
    "etf_flow_total": market.etf_flow_total,
    "etf_flow_5d": market.etf_flow_5d,
    "fin_change_5d": market.fin_change_5d,
    "turnover_mean_5d": market.turnover_mean_5d,
    "bottom_panel": market.bottom_panel,
    "group_balance": securities.group_balance,
    "group_net_buy": securities.group_net_buy,
    "coverage": securities.coverage,
    "breadth_200": securities.breadth,
    "ytd_distribution": securities.ytd,
    "equal_weight_return": lambda data, _p: whole(securities.equal_weight(data)),
    "index_close": market.index_close,
    "index_return": market.index_return,
    "large_small": market.style("000300.SH", "000852.SH"),
    "large_small_growth": market.style("399372.SZ", "399376.SZ"),
    "large_small_value": market.style("399373.SZ", "399377.SZ"),
    "value_growth_large": market.style("399373.SZ", "399372.SZ"),
    "value_growth_small": market.style("399377.SZ", "399376.SZ"),
    "group_theme_score": charts.group_themes,
}  # fmt: skip
SECURITY: dict[str, Entry] = {
    **{name: own(name) for name in ("fin_change", "fin_streak", "extreme", "consecutive_extreme")},
    "price_level": securities.price_level,
    "open_to_close": securities.open_to_close,
    **{name: score(name) for name in ("excess_score", "excess_kind", "excess_top")},
    "streak_excess": lambda data, p: {"": securities.streak_excess(data, p)},
    "divergence": securities.divergence,
    "chart_score": charts.chart_score,
    "chart_top": charts.chart_top,
}
INDUSTRY: dict[str, Entry] = {
    **{n: industries.basic(n, rank=True) for n in ("fin_balance", "fin_balance_to_float_cap", "net_buy",
                                                   "buy_to_turnover")},
    **{n: industries.basic(n) for n in ("fin_balance_share", "fin_buy", "turnover", "industry_coverage",
                                            "industry_coverage_by_float_cap")},
    **{
        name: industries.weekly(name)
        for name in ("week_change", "week_breadth", "change_top9", "breadth_top9", "dual_1", "dual_2", "dual_3")
    },
    "index_close": lambda data, _p: {"": industries.of_index(data, "close")},
    "index_open": lambda data, _p: {"": industries.of_index(data, "open")},
    "heat": industries.composite(industries.HEAT),
    "risk": industries.composite(industries.RISK),
    "theme_score": charts.theme_score,
    "theme_top5": charts.theme_top5,
}  # fmt: skip
#: By level, as the declarations name it.
ENTRIES: dict[str, dict[str, Entry]] = {"market": MARKET, "security": SECURITY, "industry": INDUSTRY}
