"""Industries 行业: margin balance, buys and net buys of each industry, with ranks across the industries."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from processors.arrays import Counts, Floats, Mask
from processors.block import Block
from processors.cross_sections import Gap, merged, reasons
from processors.industries import INDUSTRIES
from processors.needs import DETAIL, VALUATIONS, Need, industry_index, members, security, valuation
from processors.reference import UNKNOWN, Members
from processors.signal import Level, Signal

BALANCE, BUY, REPAY, MEMBERS = security("fin_balance"), security("fin_buy"), security("fin_repay"), members()
TURNOVER, INDEX_FLOAT_CAP, STOCK_FLOAT_CAP = (
    industry_index("turnover"),
    industry_index("float_cap"),
    valuation("float_cap"),
)

#: Columns (k, 31), and for each day the missing columns with reasons.
IndustryColumns: TypeAlias = tuple[dict[str, Floats], list[dict[str, str]]]


RANKED = ("fin_balance", "fin_balance_to_float_cap", "net_buy", "buy_to_turnover")


def _signal(name: str, title: str, title_zh: str, unit: str, needs: tuple[Need, ...], formula: str) -> Signal:
    rank = (f"{name}_rank",) if name in RANKED else ()
    return Signal(name, Level.INDUSTRY, title, title_zh, unit, (*needs, MEMBERS), formula, "[DG22, DG24]", beside=rank)


SIGNALS = (
    _signal("fin_balance", "Margin balance", "融资余额", "CNY", (BALANCE,), "Σ fin_balance over the industry's stocks"),
    _signal("fin_balance_share", "Share of the margin balance", "融资余额占比", "ratio", (BALANCE,), "fin_balance / Σ over all industries"),
    _signal("fin_balance_to_float_cap", "Margin balance over float cap", "融资余额占流通市值", "ratio", (BALANCE, INDEX_FLOAT_CAP, STOCK_FLOAT_CAP), "fin_balance / float cap of the industry's index; where that is not known, both over the stocks whose float cap is (valuations.daily)"),
    _signal("net_buy", "Net buy", "融资净买入", "CNY", (BUY, REPAY), "Σ (fin_buy − fin_repay); where repayments are not published, the change of the balance"),
    _signal("fin_buy", "Margin buys", "融资买入额", "CNY", (BUY,), "Σ fin_buy over the industry's stocks"),
    _signal("turnover", "Turnover", "成交额", "CNY", (TURNOVER,), "turnover of the industry's index"),
    _signal("buy_to_turnover", "Margin buys over turnover", "融资买入额占成交额", "ratio", (BUY, TURNOVER), "Σ fin_buy / turnover of the industry's index"),
    _signal("industry_coverage", "Share of stocks in the margin list", "两融标的覆盖率", "ratio", (BALANCE,), "stocks with a margin row / stocks of the reference"),
    _signal("industry_coverage_by_float_cap", "Share of the float cap in the margin list", "两融标的流通市值覆盖率", "ratio", (BALANCE, STOCK_FLOAT_CAP), "Σ float cap of the stocks with a margin row / Σ float cap of the stocks of the reference, of those with one (valuations.daily)"),
)  # fmt: skip


def compute(block: Block) -> IndustryColumns:
    """Return the columns and their ranks ``<column>_rank`` (1 is the largest)."""
    net_gaps = flow_gaps(block)
    unknown, unknown_flows = block.unknown_industries(block.gaps(DETAIL)), block.unknown_industries(net_gaps)
    balance, buy, net = sums(block, BALANCE), sums(block, BUY), net_buys(block)
    turnover, detail = block[TURNOVER], block.section(DETAIL)
    total = block.by_members(_stocks_by_industry)
    used = block.listed_stocks(DETAIL) & (block.industry != UNKNOWN)
    eligible = detail.counts(block.industry, len(INDUSTRIES), used)
    columns = {
        "fin_balance": balance,
        "fin_balance_share": balance_shares(block, balance),
        "fin_balance_to_float_cap": balance_to_float_cap(block, balance),
        "net_buy": net,
        "fin_buy": buy,
        "turnover": turnover,
        "buy_to_turnover": buy / np.where(turnover > 0, turnover, np.nan),
        "industry_coverage": np.where(unknown | (total == 0), np.nan, eligible / total),
        "industry_coverage_by_float_cap": _coverage_by_float_cap(block),
    }
    left_out = [dict[str, str]() for _ in range(len(block))]
    for name in tuple(columns):
        flags, gaps = unknown, block.gaps(DETAIL)
        if name == "net_buy":
            flags, gaps = unknown_flows, net_gaps
        elif name in ("fin_balance_to_float_cap", "industry_coverage_by_float_cap"):
            gaps = merged(gaps, block.gaps(VALUATIONS))
            flags = np.isnan(columns[name]) & block.unknown_industries(gaps)
        if name in RANKED:
            # A rank compares all industries.
            columns[f"{name}_rank"] = np.where(flags.any(axis=1, keepdims=True), np.nan, ranks(columns[name]))
        explain(left_out, name, flags, gaps, block)
    return columns, left_out


def _stocks_by_industry(found: Members) -> Counts:
    """Return the number of listed stocks of each industry (31,)."""
    return np.bincount(found.stock_industry[found.stock_industry != UNKNOWN], minlength=len(INDUSTRIES))


def explain(left_out: list[dict[str, str]], name: str, unknown: Mask, gaps: list[Gap], block: Block) -> None:
    """Add the reason why a column is absent for industries on the days of ``unknown`` (k, 31)."""
    why = reasons(merged(gaps, block.unclassified))
    for i in np.flatnonzero(unknown.any(axis=1)).tolist():
        left_out[i][name] = why[i]


def flow_gaps(block: Block) -> list[Gap]:
    """Return the exchanges whose net buys are unknown, by day (k,)."""
    return block.net_buys(BUY, REPAY)[1]


def balance_shares(block: Block, balance: Floats) -> Floats:
    """Return the share of each industry in the sum over all industries (k, 31); absent if one of them is unknown."""
    whole = ~block.unknown_industries(block.gaps(DETAIL)).any(axis=1)
    total = np.where(np.isnan(balance), 0.0, balance).sum(axis=1)
    return np.asarray(balance / np.where(whole, total, np.nan)[:, None])


def balance_to_float_cap(block: Block, balance: Floats) -> Floats:
    """Return margin balance over float cap (k, 31), by the industry's index, else by the stocks with a known float cap."""
    cap, detail, valued = block[INDEX_FLOAT_CAP], block.section(DETAIL), block.section(VALUATIONS)
    balances = np.where(block.on(detail, STOCK_FLOAT_CAP) > 0, block.on(detail, BALANCE), np.nan)
    of_stocks = block.by_industry(detail, balances)
    of_stocks[block.unknown_industries(merged(block.gaps(DETAIL), block.gaps(VALUATIONS)))] = np.nan
    caps = block.by_industry(valued, block.on(valued, STOCK_FLOAT_CAP))
    return np.where(cap > 0, balance / cap, of_stocks / np.where(caps > 0, caps, np.nan))


def _coverage_by_float_cap(block: Block) -> Floats:
    """Return the float cap of the stocks in the margin list over that of all stocks with one (k, 31)."""
    valued = block.section(VALUATIONS)
    caps = block.on(valued, STOCK_FLOAT_CAP)
    caps = np.where(caps > 0, caps, np.nan)
    eligible = block.places(valued, DETAIL) >= 0
    out = block.by_industry(valued, np.where(eligible, caps, 0.0 * caps)) / block.by_industry(valued, caps)
    out[block.unknown_industries(merged(block.gaps(DETAIL), block.gaps(VALUATIONS)))] = np.nan
    return out


def sums(block: Block, need: Need) -> Floats:
    """Return the sum of a figure of the margin detail over each industry's stocks (k, 31); NaN where none has it, or where
    one of the industry's exchanges is missing."""
    section = block.section(DETAIL)
    out = block.by_industry(section, block.on(section, need))
    out[block.unknown_industries(block.gaps(DETAIL))] = np.nan
    return out


def net_buys(block: Block) -> Floats:
    """Return the sum of buys less repayments over each industry's stocks (k, 31), CNY; NaN where none has both, or
    where one of the industry's exchanges is missing on the day or, if its repayments are derived, on the day before."""
    flows, gaps = block.net_buys(BUY, REPAY)
    out = block.by_industry(block.section(DETAIL), flows)
    out[block.unknown_industries(gaps)] = np.nan
    return out


def ranks(values: Floats) -> Floats:
    """Return ranks (k, n), 1 for the largest value of each day; ties rank in their order. NaN where absent.

    Examples
    --------
    >>> ranks(np.array([[5.0, np.nan, 9.0]]))
    array([[ 2., nan,  1.]])
    """
    out = np.argsort(np.argsort(-values, axis=-1, kind="stable"), axis=-1) + 1.0
    out[np.isnan(values)] = np.nan
    return np.asarray(out)
