"""Columns of zeros in place of figures that a vendor does not have: they are absent, not zero.

Shenzhen publishes no repayments and Shanghai no value of lent shares. A vendor that writes 0 there would turn every buy
into a net buy. A market in which nobody repays does not exist, so that a column of zeros shows itself, also where a few
of its rows have a figure. A price of 0 does not exist at all: a single one is that of a security that does not trade, a
column of them is reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import count_in, day_groups, named
from processors.arrays import Days, Floats, Ids, Indexer, Mask
from processors.days import to_date

#: Figure → the figure beside which zeros in every row can't be, the least number of such rows of a day, and the share
#: of zeros beside which a few other figures change nothing. In 2016–2025 the largest shares were 1.6%, 51% and 0%.
_BESIDE = {
    "fin_repay": ("fin_buy", 2, 0.8),
    "short_repay": ("short_sell", 20, 0.95),
    "short_balance": ("short_volume", 3, 0.8),
    "short_volume": ("short_balance", 3, 0.8),
}
#: Totals in 亿股 and 万股 round few lent shares to 0.
_ROUNDED = ("margin.market", "short_volume")
_PRICES = (2, 0.95)
#: So many rows of a day have a share, and so many of all days of a file are a column of zeros.
_MANY = 20


def zero_columns_removed(frame: pd.DataFrame, topic: str, where: str) -> Iterator[Finding]:
    """Make margin figures absent that are zero in (nearly) all rows of an exchange and day; report each column once.

    Parameters
    ----------
    frame : rows of a topic, changed in place.
    """
    if not topic.startswith("margin.") or not len(frame):
        return
    day = frame["day"].to_numpy() if "day" in frame else None
    rows = _Rows.of(topic, frame["key"].to_numpy(np.int32), day)
    for name, (beside, least, share) in _BESIDE.items():
        if name not in frame or beside not in frame or (topic, name) == _ROUNDED:
            continue
        values = frame[name].to_numpy()
        least = 1 if topic == "margin.market" else least
        zero, nearly = rows.zeros(values == 0, ~np.isnan(values), frame[beside].to_numpy() > 0, least, share)
        if zero.any():
            frame.loc[zero, name] = np.nan
            yield rows.finding(name, zero, nearly, f"though {beside} is not", where)


def zero_prices(
    zeros: Mapping[str, Mask], figures: Mapping[str, Floats], topic: str, keys: Ids, days: Days | None, where: str
) -> Iterator[Finding]:
    """Report prices that are absent because they are zero in (nearly) all rows of an exchange and day.

    Parameters
    ----------
    zeros : figure → whether its source has 0 (n,), in place of a price.
    figures : all figures of the rows, these zeros absent.
    """
    rows = _Rows.of(topic, keys, days)
    for name, zero in zeros.items():
        others = [values > 0 for other, values in figures.items() if other != name]
        if not zero.any() or not others:
            continue
        counted = np.logical_or.reduce(others)
        found, nearly = rows.zeros(zero, zero | ~np.isnan(figures[name]), counted, *_PRICES)
        if found.any():
            yield rows.finding(name, found, nearly, "though other figures are not", where)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a topic: their keys, days, and the numbers of their groups (n,)."""

    topic: str
    keys: Ids
    days: Days | None
    of_day: Indexer
    of_file: Indexer

    @classmethod
    def of(cls, topic: str, keys: Ids, days: Days | None) -> _Rows:
        return cls(topic, keys, days, day_groups(topic, keys, days), day_groups(topic, keys, None))

    def zeros(self, zero: Mask, known: Mask, counted: Mask, least: int, share: float) -> tuple[Mask, bool]:
        """Return which zeros are of a column of them (n,), and whether other figures are among these.

        Parameters
        ----------
        known : rows with a figure.
        counted : rows in which a zero is improbable.
        least : so many of them, and no other figure, are a column of zeros.
        share : so many of the counted ones of a group of `_MANY` are a column of zeros beside other figures.
        """
        other = count_in(known & ~zero, self.of_day)
        zeros = count_in(zero & counted, self.of_day)
        every = (other == 0) & (zeros >= least)
        rows = count_in(known & counted, self.of_day)
        nearly = (other > 0) & (rows >= _MANY) & (zeros >= share * rows)
        every |= (count_in(known & ~zero, self.of_file) == 0) & (count_in(zero & counted, self.of_file) >= _MANY)
        return zero & (every | nearly), bool((zero & nearly).any())

    def finding(self, name: str, zero: Mask, nearly: bool, beside: str, where: str) -> Finding:
        """Return the finding of a column of zeros."""
        places = named(self.topic, self.keys[zero])
        first = "" if self.days is None else f" from {to_date(int(self.days[zero].min()))} on"
        text = (
            f"{where}, {name}: 0 in {'nearly ' if nearly else ''}every row of {places}{first}, {beside}: the source "
            "does not have this figure; it is absent"
        )
        return Finding(Severity.WARNING, "zeros", self.topic, None, text)
