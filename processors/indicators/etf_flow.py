"""etf_flow ETF资金流: net flow into listed funds by style, the change of shares × price."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from processors.arrays import Array, Floats, Indexer, Mask
from processors.block import Block
from processors.codes import places_sorted
from processors.cross_sections import merged, reasons
from processors.events import FIGURES
from processors.kinds import FUND_LIMIT, LIMIT_TOLERANCE
from processors.needs import FUNDS, funds
from processors.signal import Column, Level, Signal

STYLES = next(c.labels for c in FIGURES[FUNDS] if c.name == "style")

ETF_FLOW_TOTAL = Signal(
    "etf_flow_total",
    Level.MARKET,
    "Net flow into funds of all styles",
    "ETF净流入（合计）",
    "CNY",
    (funds(), funds(back=1)),
    "Σ etf_flow over the styles that have a fund on the day; absent where the flow of one of them is; details: styles",
    "[GF25]",
)
SIGNALS = (
    Signal(
        "etf_flow",
        Level.MARKET,
        "Net flow into funds of a style",
        "ETF净流入（按风格）",
        "CNY",
        (funds(), funds(back=1)),
        "per style: Σ (shares_t − shares_{t−1}) × price_t over funds with both shares, 0 for a fund whose shares were split; absent where "
        "a fund whose shares changed has no price; details: funds, and the sum of <etf_flow_days> days where all of them are known",
        "[GF25], window of the sum ours",
        subjects=True,
        retain="etf_flow_days",
    ),
    ETF_FLOW_TOTAL,
)

#: The rows of a day and of the day before it, and the place of each of the day's funds in the latter; −1 without one.
_Rows = tuple[dict[str, Array], dict[str, Array], Indexer]
_NONE = np.empty(0)
#: Ratios of a split are multiples of one half up to this one, and published shares have them this exactly.
_LARGEST_SPLIT, _SPLIT_TOLERANCE = 20, 2e-3
_NO_FUND = f"{FUNDS}: no fund of the style has a row"


def compute(block: Block) -> dict[str, Column]:
    """Return one column per style, with the cumulative flow in its details, and one for all styles."""
    rows = [_rows(block, i) for i in range(len(block))]
    styles = {
        int(number) for day in rows for found in day[:2] if len(found["key"]) for number in np.unique(found["style"])
    }
    unknown = reasons(merged(block.gaps(FUNDS), block.gaps(FUNDS, 1)))
    nothing = Column(np.full(len(block), np.nan), absent=dict.fromkeys(range(len(block)), _NO_FUND))
    flows = {
        style: _style(block, style, number, rows, unknown) if number in styles else nothing
        for number, style in enumerate(STYLES)
    }
    return {f"etf_flow/{style}": flow for style, flow in flows.items()} | {"etf_flow_total": _total(flows, len(block))}


def _rows(block: Block, i: int) -> _Rows:
    today, before = block.fund_rows(i, 0), block.fund_rows(i, 1)
    return today, before, places_sorted(today["key"], before["key"])


def _total(flows: Mapping[str, Column], days: int) -> Column:
    """Return the sum over the styles that have a fund on the day: (k,) CNY."""
    totals, count, absent = np.zeros(days), np.zeros(days, dtype=int), dict[int, str]()
    for i in range(days):
        for style, flow in flows.items():
            reason = flow.absent.get(i)
            if reason is None:
                totals[i] += flow.values[i]
                count[i] += 1
            elif reason != _NO_FUND:
                absent.setdefault(i, f"etf_flow of {style} is absent: {reason}")
        if not count[i]:
            absent.setdefault(i, f"{FUNDS}: no fund has a row")
    return Column(totals, {"styles": count}, absent=absent)


def _style(
    block: Block,
    style: str,
    number: int,
    rows: list[_Rows],
    unknown: Mapping[int, str],
) -> Column:
    days = block.parameters.etf_flow_days
    flows = np.full(len(block), np.nan)
    counted, splits = (np.zeros(len(block), dtype=int) for _ in range(2))
    absent = dict[int, str]()
    for i, (today, before, places) in enumerate(rows):
        of_style = today["style"] == number if len(today["key"]) else np.zeros(0, dtype=bool)
        if i in unknown and (of_style.any() or (before.get("style", _NONE) == number).any()):
            absent[i] = unknown[i]
            continue
        if not of_style.any():
            absent[i] = _NO_FUND
            continue
        now = np.flatnonzero(of_style & (places >= 0))
        if not len(now):
            absent[i] = f"{FUNDS}: no fund of the style has shares of the day before"
            continue
        earlier = places[now]
        shares, shares_before = today["shares"][now], before["shares"][earlier]
        price = today["price"][now]
        split = is_split(shares / shares_before, price / before["price"][earlier])
        change = np.where(split, 0.0, shares - shares_before)
        unpriced = int((np.isnan(price) & (change != 0)).sum())
        counted[i], splits[i] = len(now), split.sum()
        if unpriced:
            absent[i] = f"{FUNDS}: {unpriced} of the {len(now)} funds of the style changed shares and have no price"
            continue
        flows[i] = float(np.where(change == 0, 0.0, change * price).sum())
    window = block.own_window(f"etf_flow/{style}", flows, days)
    known = ~np.isnan(window)
    details = {
        "funds": counted,
        "splits": splits,
        "days": known.sum(axis=1),
        "cumulative": window.sum(axis=1),
    }
    return Column(flows, details, absent=absent)


def is_split(shares: Floats, price: Floats) -> Mask:
    """Return which funds were split or consolidated (n,).

    Their shares jump, and the price moves inversely, beyond its limit. A fund that is suspended on the day of its split
    keeps its last price: a price that is exactly the same beside shares that jump by a simple ratio (1.5, 2, 2.5 … 20, or
    the inverse) is a split, too. Shanghai's seven splits of 2020 and early 2021 were on suspended days; nine other jumps of
    2018–2021 have such a ratio, and none of those with a known price an unchanged one.

    Parameters
    ----------
    shares, price : (n,) ratios to the day before; NaN or ∞ where there is none.

    Examples
    --------
    >>> is_split(np.array([2.05, 0.5, 2.0, 1.0, 3.0]), np.array([0.5, 1.98, 1.01, 0.5, 1.0])).tolist()
    [True, True, False, False, True]
    """
    jumped = np.abs(price - 1) > FUND_LIMIT + LIMIT_TOLERANCE
    # What was created or redeemed on the day, and the day's return, remain of the product.
    inverse = jumped & (np.abs(shares * price - 1) <= FUND_LIMIT)
    with np.errstate(divide="ignore"):
        times = np.maximum(shares, 1 / shares)
    halves = np.clip(np.round(2 * times), 3, 2 * _LARGEST_SPLIT)
    return np.asarray(inverse | ((price == 1) & (np.abs(2 * times - halves) <= _SPLIT_TOLERANCE * halves)))
