"""Balances that do not follow on those of the session before: balance = previous balance + buys − repayments.

Shenzhen publishes no repayments; they are what the identity leaves, and can't be negative. In 2016–2021 they were in
0.12% of its rows of a day at most; with the figures of another day they are in more than 2%.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import figure_of, masks_of
from processors.events import RowBatch

_TOLERANCE_CNY = 100.0  # as the stream's own check: processors.parameters.identity_tolerance_cny
#: More rows than these do not follow: the figures are those of another day.
_MANY, _NEARLY_ALL = 20, 0.9
_FEW, _NEGATIVE = 5, 0.01
#: Of so many rows with short sales and repayments at most 86% did not follow in 2016–2025.
_MANY_MOVED, _NEARLY_ALL_MOVED, _ODD_SHARES = 100, 0.95, 0.5


def balance_changes(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    """Find rows of margin figures whose balances do not follow on those of the session before."""
    if not batch.topic.startswith("margin.") or "fin_repay" not in batch.figures:
        return
    figures = batch.figures
    repaid = figure_of(last, "fin_balance", batch.keys) + figures["fin_buy"] - figures["fin_balance"]
    gap = repaid - figures["fin_repay"]
    broken = np.flatnonzero(np.abs(gap) > _TOLERANCE_CNY)
    if len(broken):
        worst, known = int(broken[np.argmax(np.abs(gap[broken]))]), int((~np.isnan(gap)).sum())
        other_day = ": is it the file of another day?" if len(broken) >= max(_MANY, _NEARLY_ALL * known) else ""
        text = (
            f"balance ≠ previous + buys − repayments for {len(broken)} of {known}; worst "
            f"{names_of(batch, batch.keys[[worst]])} by {gap[worst]:,.0f} CNY{other_day}"
        )
        yield Finding(Severity.WARNING, "identity", batch.topic, int(batch.days[0]), text)
    yield from _lent_shares(batch, last)
    derived = np.isnan(figures["fin_repay"]) & ~np.isnan(repaid)
    negative = derived & (repaid < -_TOLERANCE_CNY)
    for name, mask in masks_of(batch):
        rows, wrong = int((derived & mask).sum()), negative & mask
        if wrong.sum() > max(_FEW, _NEGATIVE * rows):
            text = (
                f"previous balance + buys − balance of {name}, which is what was repaid, is negative for {wrong.sum()} "
                f"of {rows}: {names_of(batch, batch.keys[wrong])}: check the date of the file, and its columns"
            )
            yield Finding(Severity.ERROR, "identity", batch.topic, int(batch.days[0]), text)


def _lent_shares(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    """Find exchanges whose lent shares do not follow on those of the session before in nearly every row."""
    figures = batch.figures
    if not {"short_volume", "short_sell", "short_repay"} <= figures.keys():
        return
    gap = figure_of(last, "short_volume", batch.keys) + figures["short_sell"] - figures["short_repay"]
    gap -= figures["short_volume"]
    moved = (figures["short_sell"] > 0) & (figures["short_repay"] > 0) & ~np.isnan(gap)
    for name, mask in masks_of(batch):
        rows, broken = int((moved & mask).sum()), int((moved & mask & (np.abs(gap) > _ODD_SHARES)).sum())
        if rows >= _MANY_MOVED and broken > _NEARLY_ALL_MOVED * rows:
            text = (
                f"short_volume ≠ previous + sales − repayments of {name} for {broken} of {rows} rows with both: check "
                "that no column is shifted against the codes"
            )
            yield Finding(Severity.ERROR, "identity", batch.topic, int(batch.days[0]), text)
