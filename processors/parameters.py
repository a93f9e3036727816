"""The tunable parameters of the indicators with their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from processors.index_members import FIELDS, MOST_INDICES, is_code


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters of the signals. Ratios are fractions, windows are trading days, money is CNY.

    Raises
    ------
    ValueError : if a date is none, a group no further index, a window too short, a share none, or two parameters
        contradict each other.
    """

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
    # ratio_state_quantile: window of the trailing thresholds, and their quantiles (ours)
    ratio_quantile_days: int = 750
    ratio_quantile_hot: float = 0.90
    ratio_quantile_cold: float = 0.10
    # verdict: sessions after a breakdown for which it warns, and as many again for which it cools (ours)
    warning_sessions: int = 60
    # fin_balance
    high_low_days: int = 250
    # percentiles of ratios: window in trading days, and known days required in it (ours)
    percentile_days: int = 1250
    percentile_least: int = 250
    # first day of expanding windows: percentiles of ratios [DG24], episodes of a high risk premium [GF25]
    expanding_since: str = "2016-01-04"
    # lead_lag: window [DG22], and days required in it (ours)
    lead_lag_days: int = 250
    lead_lag_least: int = 200
    # etf_flow: days of the cumulative flow (ours)
    etf_flow_days: int = 20
    # oversold, llt, gftd: their indices; oversold compares with a reference date [GF25]
    timing_indices: tuple[str, ...] = ("000001.SH", "000300.SH", "000905.SH", "399006.SZ")
    oversold_days: int = 250
    oversold_reference: str = "2018-12-28"
    llt_days: int = 39
    gftd_lag: int = 4
    gftd_setup: int = 4
    gftd_count: int = 4
    # risk_premium [GF25]: the index whose PE is used, and further ones; window of mean and σ (ours)
    risk_premium_index: str = "000985.SH"
    risk_premium_others: tuple[str, ...] = ("000300.SH",)
    risk_premium_days: int = 1250
    # index_pe_percentile [DG22]: its indices, and the first day of their history, that of the Shanghai exchange (ours)
    valuation_indices: tuple[str, ...] = (
        "000001.SH", "000016.SH", "000300.SH", "000905.SH", "000852.SH", "399006.SZ", "000985.SH",
    )  # fmt: skip
    valuation_since: str = "1990-12-19"
    # a high premium [GF25], and the days in a row below it that end an episode (ours)
    risk_premium_high: float = 0.04
    risk_premium_gap_days: int = 20
    # collateral_ratio: the line of forced selling; percentile at which the alert fires; window, longer than the known
    # history (ours)
    collateral_line: float = 1.30
    collateral_low: float = 0.05
    collateral_days: int = 5000
    # regime (ours)
    regime_index: str = "000300.SH"
    regime_days: int = 60
    regime_return: float = 0.10
    # bottom_panel [DG22]: its indices; the fall that begins a bear market, and the rise from its trough that ends it
    bottom_indices: tuple[str, ...] = (
        "000001.SH", "000016.SH", "000300.SH", "000905.SH", "000852.SH", "399006.SZ",
    )  # fmt: skip
    bear_market: float = 0.20
    # index_cycle [GF25]: its indices, bears as above
    cycle_indices: tuple[str, ...] = ("399330.SZ",)
    # group_balance, group_net_buy, group_theme_score: indices whose members are groups, beside the CSI 300, the CSI 500
    # and the ChiNext index (ours)
    group_indices: tuple[str, ...] = ()
    # index_return [GF25]: broad indices, and the style indices of Guozheng (large, mid and small; growth, then value)
    return_indices: tuple[str, ...] = (
        "000001.SH", "000016.SH", "000300.SH", "000905.SH", "000852.SH", "399006.SZ",
        "399372.SZ", "399373.SZ", "399374.SZ", "399375.SZ", "399376.SZ", "399377.SZ",
    )  # fmt: skip
    # fin_change
    inclusion_quiet_days: int = 5
    minimum_balance_cny: float = 1e7
    # breadth_200 [GF25]: window of the mean, and days with a price required in it (ours)
    breadth_days: int = 200
    breadth_least: int = 160
    # excess_score [ZT21]: window of return and growth, share of flagged stocks
    score_days: int = 15
    score_top: float = 0.10
    # chart_top: share of flagged stocks (ours)
    chart_top: float = 0.10
    # divergence [SW14]: length of the streak, excess return over the streak in a range
    divergence_streak: int = 8
    divergence_excess: float = -0.10
    # streak, extreme [SW14]
    streak_flags: tuple[int, int] = (5, 8)
    extreme_share: float = 0.05
    # provisional values: share of the last published balance that margin.intraday must cover
    intraday_coverage: float = 0.9
    # the most trading minutes between its parts and those of the turnover: twice the interval of 15-minute bars (ours)
    intraday_minutes: int = 30
    # balance = previous balance + buys − repayments: largest gap that counts as rounding (ours)
    identity_tolerance_cny: float = 100.0
    # a break that matters: gap of an exchange as a share of its balance; share of the checked balance whose securities
    # break by more than a share of their own balance (ours: on real days 90% of the securities break by 10⁻⁵)
    identity_exchange_gap: float = 0.0005
    identity_security_gap: float = 0.01
    identity_broken_share: float = 0.05
    # single securities break on many days: share of the checked ones above which small breaks are noted (ours)
    identity_noted_share: float = 0.01
    # number of newest days that accept late and corrected rows
    late_days: int = 60

    def __post_init__(self) -> None:
        for name in ("oversold_reference", "expanding_since", "valuation_since"):
            try:
                date.fromisoformat(getattr(self, name))
            except ValueError:
                raise ValueError(f"{name} is {getattr(self, name)!r}: write a date, such as 2016-01-04") from None
        self._check_groups()
        self._check_ranges()
        for names in _ASCENDING:
            values = [getattr(self, name) for name in names]
            if values != sorted(values):
                found = ", ".join(f"{name} {value}" for name, value in zip(names, values, strict=True))
                raise ValueError(f"{found}: each must be at most the next one")
        if self.streak_flags[0] >= self.streak_flags[1]:
            raise ValueError(f"streak_flags are {self.streak_flags}: write the shorter streak first")

    def _check_ranges(self) -> None:
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} is {getattr(self, name)}: write {least} or more")
        for name in _SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)}: write a fraction between 0 and 1, such as 0.05 for 5%"
                )
        if min(self.streak_flags) < 1:
            raise ValueError(f"streak_flags are {self.streak_flags}: write lengths of 1 or more")

    def _check_groups(self) -> None:
        for code in self.group_indices:
            if code in FIELDS:
                raise ValueError(f"group_indices has {code}, whose members are a group without it: remove it")
            if not is_code(code):
                raise ValueError(f"group_indices has {code!r}: write codes of indices, such as 000852.SH")
        if len(set(self.group_indices)) < len(self.group_indices) or len(self.group_indices) > MOST_INDICES:
            raise ValueError(f"group_indices has a code twice, or more than {MOST_INDICES}: remove some")


#: The least value of each count: a window of one day has no change, rank, deviation or mean of its own.
_LEAST = {
    "excess_lag_days": 1,
    "ratio_window_days": 1,
    "ratio_quantile_days": 2,
    "warning_sessions": 1,
    "high_low_days": 2,
    "percentile_days": 2,
    "percentile_least": 1,
    "lead_lag_days": 3,
    "lead_lag_least": 3,
    "etf_flow_days": 1,
    "oversold_days": 2,
    "llt_days": 1,
    "gftd_lag": 1,
    "gftd_setup": 1,
    "gftd_count": 1,
    "risk_premium_days": 2,
    "risk_premium_gap_days": 1,
    "collateral_days": 2,
    "regime_days": 2,
    "inclusion_quiet_days": 0,
    "breadth_days": 2,
    "breadth_least": 1,
    "score_days": 1,
    "divergence_streak": 1,
    "intraday_minutes": 0,
    "late_days": 1,
}
_SHARES = (
    "ratio_hot", "ratio_breakdown", "ratio_cold", "ratio_extreme_cold", "ratio_quantile_hot", "ratio_quantile_cold",
    "collateral_low", "bear_market", "score_top", "chart_top", "extreme_share", "intraday_coverage",
    "identity_exchange_gap", "identity_security_gap", "identity_broken_share", "identity_noted_share",
)  # fmt: skip
#: Parameters that contradict each other in another order.
_ASCENDING = (
    ("ratio_extreme_cold", "ratio_cold", "ratio_breakdown", "ratio_hot"),
    ("ratio_quantile_cold", "ratio_quantile_hot"),
    ("percentile_least", "percentile_days"),
    ("lead_lag_least", "lead_lag_days"),
    ("breadth_least", "breadth_days"),
)
#: Every parameter at its default, for documentation. A computation takes its parameters as an argument.
DEFAULTS = Parameters()
