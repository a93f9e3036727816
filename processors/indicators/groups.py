"""Index and board groups 指数与板块: balance and net buy of the CSI 300, the CSI 500, the ChiNext index, boards, funds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.block import Block
from processors.codes import EXCHANGES
from processors.cross_sections import Gap, merged, reasons
from processors.events import Floats
from processors.kinds import is_chinext, is_fund, is_star
from processors.needs import DETAIL, members, security
from processors.signal import Column, Level, Signal
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
    whole = np.array([not gap for gap in block.gaps(DETAIL)])
    out: dict[str, Column] = {}
    for group, member in groups_of(block, section.keys).items():
        named = block.unnamed if group in _BY_REFERENCE else [{}] * len(block)
        unknown, unknown_flow = (
            reasons(_of_group(group, merged(gaps, named))) for gaps in (block.gaps(DETAIL), flow_gaps)
        )
        totals, shares, flows = (np.full(len(block), np.nan) for _ in range(3))
        count, known_count = np.zeros(len(block), dtype=int), np.zeros(len(block), dtype=int)
        for i in range(len(block)):
            rows = section.rows(i)
            inside = member[rows]
            count[i] = inside.sum()
            if not count[i]:
                continue
            totals[i] = balance[rows][inside].sum()
            shares[i] = totals[i] / balance[rows].sum() if whole[i] else np.nan
            of_group = flow[rows][inside]
            known = ~np.isnan(of_group)
            known_count[i] = known.sum()
            if known_count[i] and i not in unknown_flow:
                flows[i] = of_group[known].sum()
        absent = dict.fromkeys(np.flatnonzero(count == 0).tolist(), f"no security of the day belongs to {group}")
        name = f"group_net_buy/{group}"
        out[f"group_balance/{group}"] = Column(totals, {"share": shares, "members": count}, absent=absent | unknown)
        out[name] = Column(
            flows,
            {"members": known_count} | {sums: _sum(block, name, flows, days) for sums, days in _SUMS.items()},
            f"{DETAIL} of the day before is not known",
            absent | unknown_flow,
        )
    return out


def _sum(block: Block, name: str, flows: Floats, days: int) -> Floats:
    """Return the sum of the last ``days`` net buys of a group (k,); NaN where one of them is unknown."""
    return rolling_sums(block.own_window(name, flows, days), days)[:, 0]


def _of_group(group: str, gaps: list[Gap]) -> list[Gap]:
    """Return the gaps on the exchanges whose securities a group may have."""
    exchanges = [EXCHANGES.index(exchange) for exchange in _EXCHANGES[group]]
    return [{number: gap[number] for number in exchanges if number in gap} for gap in gaps]


def groups_of(block: Block, keys: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return by group which of the margin detail's securities belong to it."""
    section = block.section(DETAIL)

    def of_index(name: str) -> npt.NDArray[np.bool_]:
        parts = [m.in_index(keys[section.rows(i)], name) for i, m in enumerate(block.members)]
        return np.concatenate(parts)

    return {
        **{group: of_index(figure) for group, figure in _BY_REFERENCE.items()},
        "ChiNext": is_chinext(keys),
        "STAR": is_star(keys),
        "ETF": is_fund(keys),
    }
