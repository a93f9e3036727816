"""The numbers that the indicators may be tuned by; every default of [signals.md] in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of the signals. Ratios are fractions, windows are trading days, money is CNY."""

    # excess_financing [ZT21]
    excess_lag_days: int = 15
    excess_level: float = 0.05
    excess_hysteresis: float = 0.01
    # fin_buy_ratio and ratio_state [DG22]
    ratio_window_days: int = 5
    ratio_hot: float = 0.103
    ratio_breakdown: float = 0.100
    ratio_cold: float = 0.0675
    ratio_extreme_cold: float = 0.0625
    ratio_thresholds: Literal["fixed", "trailing"] = "fixed"
    ratio_quantile_days: int = 250
    # fin_balance
    high_low_days: int = 250
    # fin_change
    inclusion_quiet_days: int = 5
    minimum_balance_cny: float = 1e7
    # streak, extreme [SW14]
    streak_flags: tuple[int, int] = (5, 8)
    extreme_share: float = 0.05
    # provisional values: share of the last published balance that margin.intraday must cover
    intraday_coverage: float = 0.9
    # balance = previous balance + buys − repayments: a larger gap is no rounding any more (ours)
    identity_tolerance_cny: float = 100.0
    # how far back a late or corrected row is still inserted
    late_days: int = 60

    @property
    def market_history_days(self) -> int:
        """Days that the market indicators look back from any day that may still change."""
        return max(self.high_low_days, self.excess_lag_days, self.ratio_window_days, self.ratio_quantile_days) + 1
