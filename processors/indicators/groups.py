"""Index and board groups 指数与板块: balance and net buy of the CSI 300, the CSI 500, ChiNext and listed funds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.block import Block
from processors.codes import is_chinext
from processors.needs import DETAIL, members, security
from processors.signal import Column, Level, Signal

_DAYS = 5
BALANCE, BUY, REPAY, MEMBERS = security("fin_balance"), security("fin_buy"), security("fin_repay"), members()

SIGNALS = (
    Signal(
        "group_balance",
        Level.MARKET,
        "Margin balance of a group",
        "分组融资余额",
        "CNY",
        (BALANCE, MEMBERS),
        "Σ fin_balance over the group's securities (CSI300, CSI500 by reference; ChiNext and ETF by code); details: share of all",
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
        "details: sum of 5 days",
        "[DG24]",
        subjects=True,
        retain=_DAYS,
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return balance and net buy by group; a column per group and signal."""
    section = block.section(DETAIL)
    balance, flow = block.on(section, BALANCE), block.on(section, BUY) - block.on(section, REPAY)
    out: dict[str, Column] = {}
    for group, member in groups_of(block, section.keys).items():
        totals, shares, flows = (np.full(len(block), np.nan) for _ in range(3))
        count, known_count = np.zeros(len(block), dtype=int), np.zeros(len(block), dtype=int)
        for i in range(len(block)):
            rows = section.rows(i)
            inside = member[rows]
            count[i] = inside.sum()
            if not count[i]:
                continue
            totals[i] = balance[rows][inside].sum()
            shares[i] = totals[i] / balance[rows].sum()
            of_group = flow[rows][inside]
            known = ~np.isnan(of_group)
            known_count[i] = known.sum()
            if known_count[i]:
                flows[i] = of_group[known].sum()
        absent = dict.fromkeys(np.flatnonzero(count == 0).tolist(), f"no security of the day belongs to {group}")
        name = f"group_net_buy/{group}"
        out[f"group_balance/{group}"] = Column(totals, {"share": shares, "members": count}, absent=absent)
        out[name] = Column(
            flows,
            {"members": known_count, "five_days": block.own_window(name, flows, _DAYS).sum(axis=1)},
            f"{DETAIL} of the day before is not known",
            absent,
        )
    return out


def groups_of(block: Block, keys: npt.NDArray[np.int32]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return by group which of the margin detail's securities belong to it."""
    section = block.section(DETAIL)

    def of_index(name: str) -> npt.NDArray[np.bool_]:
        parts = [m.in_index(keys[section.rows(i)], name) for i, m in enumerate(block.members)]
        return np.concatenate(parts)

    return {
        "CSI300": of_index("csi300"),
        "CSI500": of_index("csi500"),
        "ChiNext": is_chinext(keys),
        "ETF": ~block.stocks,
    }
