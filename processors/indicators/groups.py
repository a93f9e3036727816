"""Index and board groups 指数与板块: balance and net buy of the CSI 300, the CSI 500, the ChiNext index, boards, funds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.block import Block
from processors.codes import EXCHANGES, Ids
from processors.cross_sections import Flags, Gap, Section, merged, reasons
from processors.events import Floats
from processors.kinds import is_chinext, is_fund, is_star
from processors.needs import DETAIL, members, security
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
        "Σ fin_balance over the group's securities (CSI300, CSI500 and ChiNextIndex by reference; ChiNext, STAR and ETF by "
        "code); details: share of all",
        "[DG24]",
        subjects=True,
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
        retain=max(_SUMS.values()),
    ),
)


#: The exchanges whose securities a group may have.
_EXCHANGES = {
    "CSI300": ("SSE", "SZSE"),
    "CSI500": ("SSE", "SZSE"),
    "ChiNextIndex": ("SZSE",),
    "ChiNext": ("SZSE",),
    "STAR": ("SSE",),
    "ETF": ("SSE", "SZSE"),
}
#: Groups by the reference → the figure of it that names their members.
_BY_REFERENCE = {"CSI300": "csi300", "CSI500": "csi500", "ChiNextIndex": "chinext_index"}


def compute(block: Block) -> dict[str, Column]:
    """Return balance and net buy by group; a column per group and signal."""
    section = block.section(DETAIL)
    balance, (flow, flow_gaps) = block.on(section, BALANCE), block.net_buys(BUY, REPAY)
    every = np.array([balance[section.rows(i)].sum() for i in range(len(block))])
    every[[bool(gap) for gap in block.gaps(DETAIL)]] = np.nan
    out: dict[str, Column] = {}
    for group, member in groups_of(block, section.keys).items():
        named = block.unnamed if group in _BY_REFERENCE else [{}] * len(block)
        unknown, unknown_flow = (
            reasons(_of_group(group, merged(gaps, named))) for gaps in (block.gaps(DETAIL), flow_gaps)
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


def _sums(section: Section, used: Flags, values: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
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


def _of_group(group: str, gaps: list[Gap]) -> list[Gap]:
    """Return the gaps on the exchanges whose securities a group may have."""
    exchanges = [EXCHANGES.index(exchange) for exchange in _EXCHANGES[group]]
    return [{number: gap[number] for number in exchanges if number in gap} for gap in gaps]


def groups_of(block: Block, keys: Ids) -> dict[str, Flags]:
    """Return by group which of the margin detail's securities belong to it."""
    return {
        **{group: block.of_reference(figure) == 1.0 for group, figure in _BY_REFERENCE.items()},
        "ChiNext": is_chinext(keys),
        "STAR": is_star(keys),
        "ETF": is_fund(keys),
    }
