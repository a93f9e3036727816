"""Industries 行业: how much is borrowed, bought and sold on margin, with ranks across the industries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.codes import among
from processors.events import Floats
from processors.industries import INDUSTRIES
from processors.market_view import DETAIL, INDICES, MarketView
from processors.reference import TOPIC as REFERENCE
from processors.reference import UNKNOWN
from processors.securities import VALUATIONS
from processors.signal import Level, Signal

INPUTS = (DETAIL, INDICES, REFERENCE)
OPTIONAL = (VALUATIONS,)


def _signal(name: str, title: str, title_zh: str, unit: str, formula: str) -> Signal:
    return Signal(name, Level.INDUSTRY, title, title_zh, unit, INPUTS, formula, "[DG22, DG24]", optional=OPTIONAL)


SIGNALS = (
    _signal("fin_balance", "Margin balance", "融资余额", "CNY", "Σ fin_balance over the industry's stocks"),
    _signal("fin_balance_share", "Share of the margin balance", "融资余额占比", "ratio", "fin_balance / Σ over all industries"),
    _signal("fin_balance_to_float_cap", "Margin balance over float cap", "融资余额占流通市值", "ratio", "fin_balance / float cap of the industry's index; where that is not known, both over the stocks whose float cap is (valuations.daily)"),
    _signal("net_buy", "Net buy", "融资净买入", "CNY", "Σ (fin_buy − fin_repay); where repayments are not published, the change of the balance"),
    _signal("buy_to_turnover", "Margin buys over turnover", "融资买入额占成交额", "ratio", "Σ fin_buy / turnover of the industry's index"),
    _signal("industry_coverage", "Share of stocks in the margin list", "两融标的覆盖率", "ratio", "stocks with a margin row / stocks of the reference"),
)  # fmt: skip
RANKED = ("fin_balance", "fin_balance_to_float_cap", "net_buy", "buy_to_turnover")


def compute(view: MarketView) -> tuple[dict[str, Floats], dict[str, str]]:
    """Return the columns (31,) and their ranks ``<column>_rank`` (1 is the largest)."""
    balance, buy, net = (sums(view, name) for name in ("fin_balance", "fin_buy", "net_buy"))
    turnover = index_values(view, "turnover")
    stocks = view.members.stocks
    industry, listed = view.members.stock_industry, among(stocks, view.detail.keys)
    known = industry != UNKNOWN
    total = np.bincount(industry[known], minlength=len(INDUSTRIES))
    eligible = np.bincount(industry[known & listed], minlength=len(INDUSTRIES))
    columns = {
        "fin_balance": balance,
        "fin_balance_share": balance / np.nansum(balance),
        "fin_balance_to_float_cap": balance_to_float_cap(view, balance),
        "net_buy": net,
        "buy_to_turnover": buy / np.where(turnover > 0, turnover, np.nan),
        "industry_coverage": eligible / np.where(total > 0, total, np.nan),
    }
    return columns | {f"{name}_rank": ranks(columns[name]) for name in RANKED}, {}


def balance_to_float_cap(view: MarketView, balance: Floats) -> Floats:
    """Margin balance over float cap (31,): of the industry's index, or of the stocks whose float cap is known."""
    cap, keys = index_values(view, "float_cap"), view.detail.keys
    known = np.where(view.valued("float_cap", keys) > 0, view.detail.columns["fin_balance"], np.nan)
    caps = by_industry(view.members.stock_industry, view.valued("float_cap", view.members.stocks))
    return np.where(cap > 0, balance / cap, by_industry(view.industry, known) / np.where(caps > 0, caps, np.nan))


def sums(view: MarketView, column: str) -> Floats:
    """Sum of a column of the margin detail over each industry's stocks (31,), NaN where none has it."""
    return by_industry(view.industry, view.detail.columns[column])


def by_industry(industry: npt.NDArray[np.intp], values: Floats) -> Floats:
    """Sum of values over each industry (31,), NaN where none has one; rows of an unknown industry are left out."""
    used = (industry != UNKNOWN) & ~np.isnan(values)
    found = industry[used]
    out = np.bincount(found, weights=values[used], minlength=len(INDUSTRIES)).astype(np.float64)
    out[np.bincount(found, minlength=len(INDUSTRIES)) == 0] = np.nan
    return out


def index_values(view: MarketView, name: str) -> Floats:
    """A figure of every industry's index today (31,), NaN where unknown."""
    return view.industry_window(name, 1)[:, -1]


def index_windows(view: MarketView, name: str, days: int) -> Floats:
    """The last ``days`` values of every industry's index (31, days), NaN where unknown."""
    return view.industry_window(name, days)


def ranks(values: Floats) -> Floats:
    """Rank 1 for the largest; NaN where absent."""
    out = np.full(len(values), np.nan)
    known = np.flatnonzero(~np.isnan(values))
    out[known[np.argsort(-values[known], kind="stable")]] = np.arange(1, len(known) + 1)
    return out
