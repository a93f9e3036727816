"""Index and board groups 指数与板块: balance and net buy of the CSI 300, the CSI 500, ChiNext and listed funds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from processors.codes import is_chinext
from processors.market_view import DETAIL, MarketView
from processors.reference import TOPIC as REFERENCE
from processors.signal import Absent, Level, Reading, Signal, Value

_INPUTS = (DETAIL, REFERENCE)
_DAYS = 5

SIGNALS = (
    Signal(
        "group_balance",
        Level.MARKET,
        "Margin balance of a group",
        "分组融资余额",
        "CNY",
        _INPUTS,
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
        _INPUTS,
        "Σ (fin_buy − fin_repay) over the group's securities (where repayments are not published: the change of the balance); "
        "details: sum of 5 days",
        "[DG24]",
        window_days=2,
        subjects=True,
    ),
)


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return balance and net buy by group."""
    columns, out = view.detail.columns, dict[str, Reading | Absent]()
    for group, member in _groups(view):
        balance, bought = f"group_balance/{group}", f"group_net_buy/{group}"
        if not member.any():
            out[balance] = out[bought] = Absent(f"no security of the day belongs to {group}")
            continue
        held = float(columns["fin_balance"][member].sum())
        share = held / float(columns["fin_balance"].sum())
        out[balance] = Reading(held, {"share": share, "members": int(member.sum())})
        flows = columns["net_buy"][member]
        known = ~np.isnan(flows)
        if not known.any():
            out[bought] = Absent(f"{DETAIL} of the day before is not known")
            continue
        flow = float(flows[known].sum())
        details: dict[str, Value] = {"members": int(known.sum())}
        past = [view.result(bought, back) for back in range(1, _DAYS)]
        if all(isinstance(value, float) for value in past):
            details["five_days"] = flow + sum(float(value) for value in past if value is not None)
        out[bought] = Reading(flow, details)
    return out


def _groups(view: MarketView) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    keys = view.detail.keys
    yield "CSI300", view.members.belongs(keys, "csi300")
    yield "CSI500", view.members.belongs(keys, "csi500")
    yield "ChiNext", is_chinext(keys)
    yield "ETF", ~view.stock
