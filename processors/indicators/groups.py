"""Index and board groups 指数与板块: balance and net buy of the CSI 300, the CSI 500, further indices, boards, funds."""

from __future__ import annotations

import numpy as np

from processors.arrays import Counts, Floats, Ids, Mask
from processors.block import Block
from processors.codes import EXCHANGES, exchange_of
from processors.cross_sections import Gap, Section, merged, reasons
from processors.index_members import groups_by_reference
from processors.kinds import is_chinext, is_fund, is_star
from processors.needs import DETAIL, members, security
from processors.reference import Members
from processors.signal import Column, Level, Signal, Values
from processors.statistics import rolling_sums

_SUMS = {"five_days": 5, "twenty_days": 20}
BALANCE, BUY, REPAY, MEMBERS = security("fin_balance"), security("fin_buy"), security("fin_repay"), members()

SIGNALS = (
    Signal(
        "group_balance",
        Level.MARKET,
        "Margin balance of a group",
        "分组融资余额",
        "CNY",
        (BALANCE, MEMBERS),
        "Σ fin_balance over the group's securities (CSI300, CSI500, ChiNextIndex and each of group_indices by reference; "
        "ChiNext, STAR and ETF by code); details: share of all",
        "[DG24]",
        subjects=True,
        parameters=("group_indices",),
    ),
    Signal(
        "group_net_buy",
        Level.MARKET,
        "Net buy of a group, day",
        "分组融资净买入",
        "CNY",
        (BUY, REPAY, MEMBERS),
        "Σ (fin_buy − fin_repay) over the group's securities (where repayments are not published: the change of the balance); "
        "details: sums of 5 and 20 days, all of which are known",
        "[DG24]",
        subjects=True,
        parameters=("group_indices",),
        retain=max(_SUMS.values()),
    ),
)


#: The exchanges whose securities a group may have; the groups of further indices: those of their members.
_EXCHANGES = {
    "CSI300": ("SSE", "SZSE"),
    "CSI500": ("SSE", "SZSE"),
    "ChiNextIndex": ("SZSE",),
    "ChiNext": ("SZSE",),
    "STAR": ("SSE",),
    "ETF": ("SSE", "SZSE"),
}
#: The exchanges whose stocks the reference must name for the group of a further index.
_OF_ANY_INDEX = ("SSE", "SZSE")


def compute(block: Block) -> dict[str, Column]:
    """Return balance and net buy by group; a column per group and signal."""
    section = block.section(DETAIL)
    balance, (flow, flow_gaps) = block.on(section, BALANCE), block.net_buys(BUY, REPAY)
    every = np.array([balance[section.rows(i)].sum() for i in range(len(block))])
    every[[bool(gap) for gap in block.gaps(DETAIL)]] = np.nan
    out: dict[str, Column] = {}
    by_reference = groups_by_reference(block.parameters.group_indices)
    for group, member in groups_of(block, section.keys).items():
        exchanges = _exchanges(block, group)
        named = exchanges if group in _EXCHANGES else exchanges | _flags(_OF_ANY_INDEX)
        unnamed = _on(named, block.unnamed) if group in by_reference else [{}] * len(block)
        unknown, unknown_flow = (
            reasons([dict(sorted(gap.items())) for gap in merged(_on(exchanges, gaps), unnamed)])
            for gaps in (block.gaps(DETAIL), flow_gaps)
        )
        totals, count = _sums(section, member, balance)
        flows, known_count = _sums(section, member & ~np.isnan(flow), flow)
        flows[list(unknown_flow)] = np.nan
        absent = dict.fromkeys(np.flatnonzero(count == 0).tolist(), f"no security of the day belongs to {group}")
        name = f"group_net_buy/{group}"
        out[f"group_balance/{group}"] = Column(
            totals, {"share": totals / every, "members": count}, absent=absent | unknown
        )
        out[name] = Column(
            flows,
            {"members": known_count} | _windows(block, name, flows),
            f"{DETAIL} of the day before is not known",
            absent | unknown_flow,
        )
    return out


def _sums(section: Section, used: Mask, values: Floats) -> tuple[Floats, Counts]:
    """Return the sum of the used rows of each day (k,), NaN where there are none, and their number (k,)."""
    rows, days = section.split(used)
    found = values[rows]
    counts = np.array([day.stop - day.start for day in days])
    sums = np.array([np.add.reduce(found[day]) for day in days])
    return np.where(counts > 0, sums, np.nan), counts


def _windows(block: Block, name: str, flows: Floats) -> dict[str, Values]:
    """Return the sums of the last net buys of a group (k,); NaN where one of them is unknown."""
    window = block.own_window(name, flows, max(_SUMS.values()))
    return {sums: rolling_sums(window[:, -days:], days)[:, 0] for sums, days in _SUMS.items()}


def _exchanges(block: Block, group: str) -> Mask:
    """Return the exchanges whose securities a group may have, by day (k, 3)."""
    if group in _EXCHANGES:
        return np.tile(_flags(_EXCHANGES[group]), (len(block), 1))

    def of_members(found: Members) -> Mask:
        inside = exchange_of(found.keys[found.in_index(found.keys, group)])
        return np.bincount(inside, minlength=len(EXCHANGES))[: len(EXCHANGES)] > 0

    return np.asarray(block.by_members(of_members))


def _flags(exchanges: tuple[str, ...]) -> Mask:
    return np.isin(EXCHANGES, exchanges)


def _on(exchanges: Mask, gaps: list[Gap]) -> list[Gap]:
    """Return the gaps of each day on its exchanges (k, 3)."""
    return [
        {number: reason for number, reason in gap.items() if number < len(one) and one[number]}
        for gap, one in zip(gaps, exchanges, strict=True)
    ]


def groups_of(block: Block, keys: Ids) -> dict[str, Mask]:
    """Return by group which of the margin detail's securities belong to it."""
    return {
        **{
            group: block.of_reference(figure) == 1.0
            for group, figure in groups_by_reference(block.parameters.group_indices).items()
        },
        "ChiNext": is_chinext(keys),
        "STAR": is_star(keys),
        "ETF": is_fund(keys),
    }
