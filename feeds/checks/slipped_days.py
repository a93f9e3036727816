"""Figures of another day: a file that was saved again under the next date, quotes whose previous closes are not those.

In 2016–2025 no exchange repeated the figures of a session before, and nearly all previous closes of stocks are the
closes of the session before; those of indices all are, within 1e-5, but once (Shenwan's of 2017-10-10).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import figure_of, masks_of, over
from feeds.checks.validate import digits
from processors.arrays import Floats, Mask
from processors.codes import EXCHANGES
from processors.days import to_date
from processors.events import FIGURES, RowBatch
from processors.needs import PRICES, VALUATIONS

#: Topic → the figures of which one is not 0 where a security trades.
_TRADED = {
    "margin.daily": ("fin_buy",),
    "margin.market": ("fin_buy",),
    "prices.daily": ("volume", "turnover"),
    "indices.daily": ("volume", "turnover"),
    "etf.daily": ("shares",),
    "valuations.daily": ("turnover_rate",),
}
#: This share of the rows is no chance, if it has more than a figure or two; so many rows are a list of a market.
_SHARE, _FIGURES, _LIST, _LIST_OF_FUNDS = 0.9, 3, 200, 40
#: An error needs so many equal figures of each row: prices with their range, or margin figures. At most 83% of the
#: funds of an exchange had the shares of the day before.
_CERTAIN = {"margin.daily": 2, "prices.daily": 5, "valuations.daily": 2, "etf.daily": 1}
#: Topic → figures of which a tenth at most was that of the session before in 2016–2025, 12% of short sales. So were all
#: figures of one traded row of a day, and never of two. (Up to 79% of the lent shares did not change.)
_MOVING = {
    "margin.daily": ("fin_balance", "fin_buy", "fin_repay", "short_sell", "short_repay", "short_balance"),
    "prices.daily": ("open", "high", "low", "close", "prev_close", "volume", "turnover"),
    "valuations.daily": ("turnover_rate", "float_cap", "pe_ttm", "pb"),
}
#: On 2020-02-19 a vendor's PE and PB were those of the day before in 60% of Shenzhen's rows; else in 25% at most. Of
#: the stocks whose price moved by more than 1%, they were so in 55%, else in 4% at most.
_STALE_AT_TIMES = ("pe_ttm", "pb")
_MOVED, _STALE, _MOVED_STOCKS = 0.01, 0.1, 100
#: The same of topics of a few rows. A figure of so many digits (CNY, shares) is hardly equal on two sessions, and never
#: was with more; nor were the closes of two indices.
_FEW_ROWS = ("margin.market", "margin.collateral", "indices.daily")
_HARDLY_DIGITS, _NEVER_DIGITS, _INDICES = 6, 8, 2
_FEW = 5
#: Rounded amounts, as Shenzhen's to 0.01亿, and a few lots of shares are often equal: an amount (CNY) with so many
#: digits is telling, and so are more shares than these. A row of the day before has so many telling amounts.
_AMOUNTS = frozenset({"fin_balance", "fin_buy", "fin_repay", "short_balance", "turnover"})
SHARES = frozenset({"short_volume", "short_sell", "short_repay", "volume"})
FEW_LOTS = 1_000
_DIGITS, _TELLING = 5, {"margin.daily": 2, "prices.daily": 1}
#: Topic → figures that hardly change from one session to the next. In 2016–2021 at most 10% of Shenzhen's PE changed by
#: more than half in a day (with the reports of a year), 2% of its PB, 4% of the funds' shares, 6% of the float shares,
#: 28% of the balances, 45% of the lent shares. Each has its own bound: a third of a column may be wrong.
_STEADY = {
    "margin.daily": {"fin_balance": 0.4, "short_volume": 0.6},
    "valuations.daily": {"pe_ttm": 0.2, "pb": 0.1, "dividend_yield": 0.4, "float_cap": 0.2},
    "prices.daily": {"float_shares": 0.2},
    "etf.daily": {"shares": 0.2},
}
_CHANGE = 1.5
#: The balances of a new list begin at 0; Beijing's began in 2023 with 56 stocks.
_GROWN_LIST = 100
#: Calendar days; no holiday of the exchanges is longer than half of them.
_FAR = 30
#: So many closes are compared.
_ROWS = 20
#: Closes are equal within a rounding; less than this share of them is equal on a day that does not follow.
_ROUNDING, _EQUAL = 0.005, 0.5
#: Closes of days that do not follow on each other are hardly ever equal within this; an index is never suspended.
_EXACTLY, _ROWS_OF_SEVERAL_DAYS = 1e-5, {"prices.daily": _ROWS, "indices.daily": 1}
#: Adjusted closes all are larger, or smaller; those of another session are larger in this share, and smaller in it.
_ON_BOTH_SIDES = 0.1
#: The same of an index, and a difference that is no rounding and no missed session: the figures of another index.
_INDEX_ROUNDING, _OTHER_INDEX = 0.001, 0.10


def slipped_days(day: ComparedDay) -> Iterator[Finding]:
    """Find exchanges whose figures are those of the day before, or do not follow on the session before."""
    for topic, batch in day.rows.items():
        if topic in _TRADED and topic in day.before:
            yield from _far_days(batch, day.before[topic])
            yield from _repeated(batch, day.before[topic], _moved(day, topic))
        if topic in _FEW_ROWS and topic in day.before:
            yield from _repeated_figures(batch, day.before[topic])
        if topic in _ROWS_OF_SEVERAL_DAYS and topic in day.before:
            before = day.before[topic]
            skipped = before.take(~np.isin(before.days, day.last[topic].days)) if topic in day.last else before
            yield from _of_several_days(batch, skipped)
        if topic in _STEADY and topic in day.last:
            yield from _of_others(batch, day.last[topic])
        if topic == "prices.daily" and topic in day.last:
            yield from _other_closes(batch, day.last[topic])
        if topic == "indices.daily" and topic in day.last:
            yield from _other_index_closes(batch, day.last[topic])


def _far_days(batch: RowBatch, previous: RowBatch) -> Iterator[Finding]:
    """Find days that follow on no day of the weeks before: a gap, or the wrong year or month."""
    day, before = int(batch.days[0]), int(previous.days.max())
    if day - before > _FAR:
        text = f"the last known day before is {to_date(before)}: check the year and the month, or give the days between"
        yield Finding(Severity.WARNING, "gap", batch.topic, day, text)


def _of_several_days(batch: RowBatch, earlier: RowBatch) -> Iterator[Finding]:
    """Find bars of a week or a month: their previous closes are those of a day before the session before.

    Parameters
    ----------
    earlier : the rows of the last known day of each exchange, where it is not the session before.
    """
    then, now = figure_of(earlier, "close", batch.keys), batch.figures["prev_close"]
    with np.errstate(divide="ignore", invalid="ignore"):
        same = np.abs(now / then - 1) <= _EXACTLY
    known = ~np.isnan(then) & ~np.isnan(now)
    for name, mask in masks_of(batch):
        rows, count = int((mask & known).sum()), int((mask & same).sum())
        if rows >= _ROWS_OF_SEVERAL_DAYS[batch.topic] and count > _EQUAL * rows:
            text = (
                f"{count:,} of {rows:,} previous closes of {name} are the closes of "
                f"{to_date(int(earlier.days.max()))}, and there are sessions between: bars of a week or a month; give "
                "those of days"
            )
            yield Finding(Severity.ERROR, "day", batch.topic, int(batch.days[0]), text)


def _moved(day: ComparedDay, topic: str) -> Mask:
    """Return the valuations whose price has moved since the session before (n,); none where prices are not known."""
    batch, prices = day.rows[topic], day.whole.get(PRICES)
    if topic != VALUATIONS or topic not in day.last or prices is None:
        return np.zeros(len(batch), dtype=bool)
    move = over(figure_of(prices, "close", batch.keys), figure_of(prices, "prev_close", batch.keys))
    return np.asarray(np.abs(move - 1) > _MOVED)


def _repeated(batch: RowBatch, previous: RowBatch, moved: Mask) -> Iterator[Finding]:
    names = [one.name for one in FIGURES[batch.topic] if not (one.labels or one.flag or one.date)]
    now = {name: batch.figures[name] for name in names}
    before = {name: figure_of(previous, name, batch.keys) for name in names}
    same = np.logical_and.reduce([(now[n] == before[n]) | (np.isnan(now[n]) & np.isnan(before[n])) for n in names])
    figures = np.sum([now[name] > 0 for name in names], axis=0)
    sums = np.nansum([now[name] for name in names], axis=0)
    trades = [now[name] for name in _TRADED[batch.topic]]
    traded = np.logical_or.reduce([values > 0 for values in trades])
    known = np.logical_or.reduce([~np.isnan(values) for values in trades])
    both = np.logical_or.reduce([~np.isnan(before[n]) for n in names]) & (traded | ~known)
    telling = np.sum([_is_telling(name, now[name]) for name in _AMOUNTS.intersection(names)], axis=0)
    alone = traded & (figures >= _CERTAIN.get(batch.topic, np.inf)) & (telling >= _TELLING.get(batch.topic, np.inf))
    when = to_date(int(previous.days.max()))
    for name, mask in masks_of(batch):
        rows, equal = int((mask & both).sum()), mask & both & same
        several = len(np.unique(sums[equal])) * 2 > equal.sum()  # or they are figures of no market
        whole = equal.sum() >= _SHARE * rows and int(figures[equal].sum()) >= _FIGURES
        remedy = "the file of another day; correct its date, or give that of the day"
        if not whole:
            equal &= alone
            remedy = f"a part of the file is of another day ({names_of(batch, batch.keys[equal])}): export it again"
        count = int(equal.sum())
        reported = several and (whole or count > _FEW)
        if reported:
            text = f"all figures of {count:,} of {rows:,} rows of {name} are those of {when}: {remedy}"
            least = _LIST_OF_FUNDS if batch.topic == "etf.daily" else _LIST
            certain = rows >= least and figures[equal].mean() >= _CERTAIN.get(batch.topic, np.inf)
            severity = Severity.ERROR if certain else Severity.WARNING
            yield Finding(severity, "day", batch.topic, int(batch.days[0]), text)
        here = mask & both
        left = here & moved & ~equal if reported else here & moved
        yield from _repeated_columns(batch, before, when, name, here & ~same if rows >= _LIST else here & False, left)


def _repeated_columns(
    batch: RowBatch, before: Mapping[str, Floats], when: date, name: str, rows: Mask, moved: Mask
) -> Iterator[Finding]:
    """Find columns of an exchange that are those of the day before, beside other figures that are not.

    Most rows of a list are no chance; of the PE and PB of stocks whose price has moved, a tenth is none.

    Parameters
    ----------
    rows : the rows of a list with other figures than the day before (n,).
    moved : the rows whose price has moved, without those that are reported as a whole (n,).
    """
    for figure in _MOVING.get(batch.topic, ()):
        then, now = before[figure], batch.figures[figure]
        known, most, what = rows & (then > 0) & _is_telling(figure, now), _EQUAL, "rows"
        beside = moved & (then != 0) & ~np.isnan(then) & ~np.isnan(now)
        at_times = figure in _STALE_AT_TIMES
        if at_times and beside.sum() >= _MOVED_STOCKS:
            known, most, what = beside, _STALE, f"stocks whose price moved by more than {_MOVED:.0%}"
        stale = known & (then == now)
        count, equal = int(known.sum()), int(stale.sum())
        if count >= _ROWS and equal > most * count:
            text = (
                f"{figure} of {name} is that of {when} in {equal:,} of {count:,} {what}, other figures are not: "
                f"its column is of another day ({names_of(batch, batch.keys[stale])}); export the file again"
            )
            severity = Severity.WARNING if at_times else Severity.ERROR
            yield Finding(severity, "columns", batch.topic, int(batch.days[0]), text)


def _repeated_figures(batch: RowBatch, previous: RowBatch) -> Iterator[Finding]:
    """Find single figures of exchanges and indices that are those of the day before, and closes of several indices."""
    for column in FIGURES[batch.topic]:
        now, then = batch.figures[column.name], figure_of(previous, column.name, batch.keys)
        equal = (now == then) & (now > 0)
        if column.name == "close":
            certain = equal if equal.sum() >= _INDICES and equal.sum() > _EQUAL * (then > 0).sum() else equal & False
            rows = certain
        else:
            rows, certain = equal & (digits(now) >= _HARDLY_DIGITS), equal & (digits(now) >= _NEVER_DIGITS)
        if rows.any():
            text = (
                f"{column.name} of {names_of(batch, batch.keys[rows])} is that of {to_date(int(previous.days.max()))}: "
                "a figure of another day; correct its date, or give that of the day"
            )
            severity = Severity.ERROR if certain.any() else Severity.WARNING
            yield Finding(severity, "columns", batch.topic, int(batch.days[0]), text)


def _is_telling(figure: str, values: Floats) -> Mask:
    """Return which values of a figure are hardly equal on two days by chance (n,)."""
    if figure not in _AMOUNTS:
        return np.asarray(values > (FEW_LOTS if figure in SHARES else 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        step = 10.0 ** (np.floor(np.log10(values)) + 2 - _DIGITS)  # that of one digit less
        return np.asarray(np.abs(np.rint(values / step) * step - values) > step * 1e-6)


def _of_others(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    """Find figures that hardly change in a day, and that changed in many rows: those of other securities or columns."""
    for figure, most in _STEADY[batch.topic].items():
        then, now = figure_of(last, figure, batch.keys), batch.figures[figure]
        ratios = np.where(now * then < 0, np.inf, over(now, then))
        changes = np.fmax(ratios, 1 / ratios)
        for name, mask in masks_of(batch):
            rows, far = int((mask & ~np.isnan(ratios)).sum()), int((mask & (changes > _CHANGE)).sum())
            if rows >= (_GROWN_LIST if batch.topic == "margin.daily" else _ROWS) and far > most * rows:
                text = (
                    f"{figure} of {name} is more than {_CHANGE:g} times that of {to_date(int(last.days.max()))}, "
                    f"less than 1/{_CHANGE:g}, or of the other sign, in {far} of {rows} rows: check that its column is "
                    "not shifted against the codes, swapped with another one, or in another unit"
                )
                yield Finding(Severity.ERROR, "columns", batch.topic, int(batch.days[0]), text)


def _other_closes(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    then, now = figure_of(last, "close", batch.keys), batch.figures["prev_close"]
    known = ~np.isnan(then) & ~np.isnan(now)
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = known & (now / then > 1 + _ROUNDING), known & (now / then < 1 - _ROUNDING)
        other = sides[0] | sides[1]
        same = np.abs(batch.figures["close"] / then - 1) <= _ROUNDING / 10
    same &= now != figure_of(last, "prev_close", batch.keys)  # or all figures are those of the day before
    for name, mask in masks_of(batch):
        rows, count = int((mask & known).sum()), int((mask & other).sum())
        if rows >= _ROWS and rows - count < _EQUAL * rows:
            text = (
                f"{count:,} of {rows:,} previous closes of {name} are not the closes of "
                f"{to_date(int(last.days.max()))}: check the date of the file, and whether its prices are adjusted"
            )
            on_both = min(int((mask & side).sum()) for side in sides) > _ON_BOTH_SIDES * rows
            severity = Severity.ERROR if on_both else Severity.WARNING
            if (repeated := int((mask & known & same).sum())) >= _EQUAL * rows:
                text = f"{text}: {repeated:,} closes are: are both columns swapped?"
                severity = Severity.ERROR
            yield Finding(severity, "day", batch.topic, int(batch.days[0]), text)


def _other_index_closes(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    then, now = figure_of(last, "close", batch.keys), batch.figures["prev_close"]
    with np.errstate(divide="ignore", invalid="ignore"):
        far = np.nan_to_num(np.abs(now / then - 1))
    for name, mask in masks_of(batch):
        other = mask & (far > _INDEX_ROUNDING)
        if not other.any():
            continue
        text = (
            f"{other.sum()} previous closes of indices of {name} are not the closes of "
            f"{to_date(int(last.days.max()))}: {names_of(batch, batch.keys[other])}: check the date of the file, and "
            "whether its codes belong to its figures"
        )
        certain = name in EXCHANGES or bool((far[other] > _OTHER_INDEX).any())
        severity = Severity.ERROR if certain else Severity.WARNING
        yield Finding(severity, "day", batch.topic, int(batch.days[0]), text)
