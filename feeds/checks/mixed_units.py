"""A part of the rows of a day in another unit than the others: 万元 beside 元, 手 beside 股, percent beside fractions.

The median of a column, by which `feeds.checks.validate` finds a unit, shows nothing while most of its rows are right.
Here rows count one by one: how many of them are 100, 1e3, 1e4, 1e6 or 1e8 times what they were on the day before, or
what another figure of the same row lets expect. In 2016–2021 at most 0.4% of the balances and buys of an exchange were
near 1e4 times those of the day before, and 1.3% of its volumes near 100 times (on 2020-02-04, after a day on which
nearly all stocks fell by the limit).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import is_bounded, masks_of, over
from feeds.checks.validate import beside
from processors.days import to_date
from processors.events import RowBatch
from processors.kinds import is_stock

#: Factors of a unit; and how near to one a ratio is, as the logarithm of a ratio either way.
_LARGE, _SMALL = (1e4, 1e6, 1e8), (1e2, 1e3)
_NEAR_LARGE, _NEAR_SMALL = 0.5, 0.3
#: So many rows of an exchange are compared, and so many of them are no chance.
_ROWS, _FEWEST = 20, 5
#: More than these shares of the rows near a large and near a small factor are no chance.
_SHARES = (0.02, 0.05)
#: Figures that change more from day to day; in 2016–2021 the largest shares were 0.2% and 4.8%, 0.4% and 1.4%, 4% and
#: 12% (of the lent shares of 60 securities).
_OWN_SHARES = {
    "fin_buy": (0.02, 0.12),
    "fin_repay": (0.02, 0.06),
    "short_volume": (0.05, 0.20),
    "short_sell": (0.08, 0.25),
    "short_repay": (0.08, 0.25),
    "short_balance": (0.05, 0.20),
}
#: Of stocks: figure, the one beside it, their ratios that hardly any has, and the share of rows that is no chance; in
#: 2016–2021 at most 0.3% of the buys of an exchange were outside, 0.3% of the repayments, no short sales, 3.9% of the
#: repayments of shares.
_BESIDE = (
    ("fin_buy", "fin_balance", 1e-4, 30.0, 0.05),
    ("fin_repay", "fin_buy", 1e-3, 1e3, 0.02),
    ("short_sell", "short_volume", 0.0, 30.0, 0.02),
    ("short_repay", "short_sell", 1e-3, 1e3, 0.10),
)


def mixed_units(day: ComparedDay) -> Iterator[Finding]:
    """Find columns of which a part is in another unit than on the day before, or than the column beside it."""
    for topic, batch in day.rows.items():
        found = list(_beside_the_day_before(batch, day.before[topic])) if topic in day.before else []
        if topic == "margin.daily" and not found:
            found = list(_beside_each_other(batch))
        yield from found


def _beside_the_day_before(batch: RowBatch, previous: RowBatch) -> Iterator[Finding]:
    for name, figure, keys, now, before, then in beside(batch, previous):
        both = (now > 0) & (before > 0)
        rows = int(both.sum())
        if rows < _ROWS:
            continue
        steps = np.log10(now[both] / before[both])
        for factors, near, share in zip((_LARGE, _SMALL), (_NEAR_LARGE, _NEAR_SMALL),
                                        _OWN_SHARES.get(figure, _SHARES), strict=True):  # fmt: skip
            for power in np.log10(factors):
                for step in (power, -power):
                    mixed = np.abs(steps - step) < near
                    if mixed.sum() > max(_FEWEST, share * rows):
                        yield _finding(
                            batch,
                            f"{figure} of {name} is about {10**step:g} times that of {to_date(then)} in {mixed.sum()} "
                            f"of {rows} rows ({names_of(batch, keys[both][mixed])})",
                        )


def _beside_each_other(batch: RowBatch) -> Iterator[Finding]:
    """Find exchanges where a figure of a part of the stocks is in another unit than the one beside it."""
    for upper, lower, least, most, share in _BESIDE:
        if not is_bounded(upper, lower, int(batch.days[0])):
            continue
        ratios = over(batch.figures[upper], batch.figures[lower])
        for name, mask in masks_of(batch):
            known = mask & ~np.isnan(ratios) & is_stock(batch.keys)
            rows = int(known.sum())
            for word, wrong in ((f"less than {least:g}", ratios < least), (f"more than {most:g}", ratios > most)):
                wrong &= known
                if rows >= _ROWS and wrong.sum() > max(_FEWEST, share * rows):
                    text = f"{upper} of {name} is {word} times {lower} in {wrong.sum()} of {rows} rows"
                    yield _finding(batch, f"{text} ({names_of(batch, batch.keys[wrong])})")


def _finding(batch: RowBatch, text: str) -> Finding:
    text = f"{text}: a part of the file is in another unit; export it in one unit"
    return Finding(Severity.ERROR, "unit", batch.topic, int(batch.days[0]), text)
