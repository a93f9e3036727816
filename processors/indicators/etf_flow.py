"""etf_flow ETF资金流: net flow into listed funds by style, the change of shares × price."""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.block import Block
from processors.events import FIGURES
from processors.needs import FUNDS, funds
from processors.signal import Column, Level, Signal

STYLES = next(c.labels for c in FIGURES[FUNDS] if c.name == "style")

SIGNALS = (
    Signal(
        "etf_flow",
        Level.MARKET,
        "Net flow into funds of a style",
        "ETF净流入（按风格）",
        "CNY",
        (funds(), funds(back=1)),
        "per style: Σ (shares_t − shares_{t−1}) × price_t over funds with both; details: shares and the sum of 20 days",
        "[GF25], window of the sum ours",
        subjects=True,
        retain="etf_flow_days",
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return one column per style of the funds on the block's days; the details contain the cumulative flow."""
    rows = [(block.fund_rows(i, 0), block.fund_rows(i, 1)) for i in range(len(block))]
    styles = {int(number) for today, _ in rows if len(today["key"]) for number in np.unique(today["style"])}
    return {f"etf_flow/{STYLES[number]}": _style(block, STYLES[number], number, rows) for number in sorted(styles)}


def _style(block: Block, style: str, number: int, rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> Column:
    days = block.parameters.etf_flow_days
    flows = np.full(len(block), np.nan)
    priced_funds, unpriced_funds = np.zeros(len(block), dtype=int), np.zeros(len(block), dtype=int)
    absent, unpublished = dict[int, str](), set[int]()
    for i, (today, before) in enumerate(rows):
        of_style = today["style"] == number if len(today["key"]) else np.zeros(0, dtype=bool)
        both, now, earlier = np.intersect1d(today["key"][of_style], before["key"], return_indices=True)
        if not of_style.any():
            unpublished.add(i)
            continue
        if not len(both):
            absent[i] = f"{FUNDS}: no fund of the style has shares of the day before"
            continue
        change = today["shares"][of_style][now] - before["shares"][earlier]
        price = today["price"][of_style][now]
        priced = ~np.isnan(price)
        if not priced.any():
            absent[i] = f"{FUNDS}: none of the {len(both)} funds of the style has a price"
            continue
        flows[i] = float((change[priced] * price[priced]).sum())
        priced_funds[i], unpriced_funds[i] = priced.sum(), (~priced).sum()
    window = block.own_window(f"etf_flow/{style}", flows, days)
    known = ~np.isnan(window)
    details = {
        "funds": priced_funds,
        "without_price": unpriced_funds,
        "days": known.sum(axis=1),
        "cumulative": np.where(known, window, 0.0).sum(axis=1),
    }
    return Column(flows, details, absent=absent, unpublished=frozenset(unpublished))
