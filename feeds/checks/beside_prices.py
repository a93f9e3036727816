"""Turnover rates, float caps and margin figures of an exchange beside the prices of the same day.

A list whose column is off by a factor of ten agrees with itself, and no unit has this factor. On a first day there is
nothing else to compare it with than the prices:

- turnover rate = volume / float shares. In 2016–2021 it was 0.40 to 3.21 times that in each of 2.3 million rows of
  Shenzhen, because vendors count float shares differently; the median of a day 1.00 to 1.02 times.
- float cap = close × float shares, but for free float caps: the median shows a unit, single rows do not.
- 8% to 26% of the turnover of a stock is bought on margin (medians of a day in 2016–2021), and its balance is at most
  7.6% of its float cap. Margin lists of the years before are shorter, and less was bought.
- a PE moves with the price. In 2016–2021 none was 10 times, a tenth or minus that of the session before times the move.

No stock has a turnover rate above 300%, with prices or without; the largest one of 2016–2021 was 88%.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import figure_of, masks_of, over
from processors.arrays import Floats, Mask
from processors.days import to_day
from processors.events import RowBatch
from processors.kinds import is_stock
from processors.needs import DETAIL, PRICES, VALUATIONS

#: So many stocks of an exchange are judged by their median.
_STOCKS = 20
#: Topic → figure, its words in prices, and the least and largest median of their ratio.
_MEDIANS: dict[str, tuple[tuple[str, str, float, float], ...]] = {
    VALUATIONS: (("turnover_rate", "volume / float shares", 1 / 3, 3.0), ("float_cap", "the float cap", 1 / 5, 5.0)),
    DETAIL: (("fin_buy", "the turnover", 0.02, 0.6), ("fin_balance", "the float cap", 0.0, 0.12)),
}
#: The words → the figure, of the prices' figures by name.
_OF_PRICES: dict[str, Callable[[Callable[[str], Floats]], Floats]] = {
    "volume / float shares": lambda figure: over(figure("volume"), figure("float_shares")),
    "the turnover": lambda figure: figure("turnover"),
    "the float cap": lambda figure: figure("close") * figure("float_shares"),
}
_LISTS_SINCE = to_day(date(2016, 1, 1))
#: How far a turnover rate is from volume / float shares in no row, as a ratio either way; in more rows than this share
#: it is no single cell.
_FAR, _PART = 5.0, 0.02
_LARGEST_RATE = 3.0
#: A PE is off by one of these factors, within a rounding.
_FACTORS, _EXACT = (10.0, 0.1, -1.0), 1e-3


def beside_prices(day: ComparedDay) -> Iterator[Finding]:
    """Find columns, and single turnover rates, that the prices of the day contradict."""
    if VALUATIONS in day.last and PRICES in day.whole:
        yield from _beside_moves(day.rows[VALUATIONS], day.last[VALUATIONS], day.whole[PRICES])
    for topic, limits in _MEDIANS.items():
        if topic not in day.whole:
            continue
        batch = day.whole[topic]
        if topic == VALUATIONS and topic in day.rows:
            yield from _largest_rates(day.rows[topic])
        if PRICES not in day.whole or not {topic, PRICES} & day.rows.keys():
            continue
        if topic == DETAIL and int(batch.days[0]) < _LISTS_SINCE:
            continue
        prices, stocks = day.whole[PRICES], is_stock(batch.keys)
        for name, words, least, most in limits:
            ratios = over(batch.figures[name], _expected(words, prices, batch))
            for exchange, mask in masks_of(batch):
                known = mask & stocks & ~np.isnan(ratios)
                middle = float(np.median(ratios[known])) if known.sum() >= _STOCKS else np.nan
                if middle < least or middle > most:
                    text = (
                        f"{name} of {exchange} is {middle:,.4g} times {words} (median of {known.sum():,} stocks), "
                        f"expected {least:,.2g} to {most:,.2g}: check the unit of the column, and those of the prices"
                    )
                    yield Finding(Severity.ERROR, "unit", topic, int(batch.days[0]), text)
                elif name == "turnover_rate":
                    yield from _far_rates(batch, known, ratios, exchange)


def _expected(words: str, prices: RowBatch, batch: RowBatch) -> Floats:
    """Return a figure of prices for the keys of a batch (n,), NaN where it is not known."""
    return _OF_PRICES[words](lambda name: figure_of(prices, name, batch.keys))


def _far_rates(batch: RowBatch, known: Mask, ratios: Floats, exchange: str) -> Iterator[Finding]:
    far = known & (np.fmax(ratios, 1 / ratios) > _FAR)
    if not far.any():
        return
    many = far.sum() > max(_PART * known.sum(), 1)
    text = (
        f"turnover_rate of {exchange} is more than {_FAR:g} times volume / float shares, or less than 1/{_FAR:g}, in "
        f"{far.sum():,} of {known.sum():,} stocks: {names_of(batch, batch.keys[far])}: "
        + ("check the unit of the column" if many else "correct the cell that is wrong")
    )
    yield Finding(
        Severity.ERROR if many else Severity.WARNING, "unit" if many else "cell", batch.topic, int(batch.days[0]), text
    )


def _beside_moves(batch: RowBatch, last: RowBatch, prices: RowBatch) -> Iterator[Finding]:
    """Find a PE that is ten times, a tenth or minus what its price makes of it; a PB has too few digits."""
    move = over(figure_of(prices, "close", batch.keys), figure_of(prices, "prev_close", batch.keys))
    now, usual = batch.figures["pe_ttm"], figure_of(last, "pe_ttm", batch.keys) * move
    off = np.logical_or.reduce([np.abs(now - f * usual) <= _EXACT * np.abs(f * usual) for f in _FACTORS])
    off &= usual != 0
    if off.any() and off.sum() <= _PART * len(batch):
        text = (
            f"pe_ttm of {names_of(batch, batch.keys[off])} is 10 times, a tenth or minus that of the day before, "
            "moved with its price: correct the cell that is wrong"
        )
        yield Finding(Severity.WARNING, "cell", VALUATIONS, int(batch.days[0]), text)


def _largest_rates(batch: RowBatch) -> Iterator[Finding]:
    large = is_stock(batch.keys) & (batch.figures["turnover_rate"] > _LARGEST_RATE)
    if large.any():
        text = (
            f"turnover_rate is above {_LARGEST_RATE:.0%} in {large.sum():,} stocks: "
            f"{names_of(batch, batch.keys[large])}: correct the cells, or the unit of the column"
        )
        yield Finding(Severity.ERROR, "cell", batch.topic, int(batch.days[0]), text)
