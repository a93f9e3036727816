"""Lists of a whole market that are cut off: a page of 200 quotes, the first 2,000 names, far fewer than the day before.

A page ends at a round number of rows: 1, 2 or 5 times a power of ten, or whole thousands; a file may end at such a
number of lines, its header among them. A list may have exactly so many names by itself; it is complete if the buys of
its names sum to the published total, or if it lacks no name of the day before. In 2016–2021 the list of all stocks lost
at most 1.5% of its names from one session to the next, a margin list 0.8%.

Trading halts take many names at once out of a list of prices, half of the market in July 2015. Then the turnover of the
names that are left is that of the exchange's index, which that of a page is not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.compared_day import Rows
from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import figure_of, group_names, groups_of
from processors.arrays import Mask
from processors.block import TURNOVER_INDEX
from processors.days import to_date
from processors.events import RowBatch
from processors.kinds import is_fund, is_stock
from processors.needs import INDICES, PRICES, TOTALS, VALUATIONS

#: More names lost in a day than this share of the list, and than this number, are far fewer: by feed of a whole market.
#: A security that does not trade has no price; in 2016–2021 up to 6% of the stocks of a margin list stopped in a day.
_LOST_SHARE = {
    "margin.daily": 0.05, "prices.daily": 0.10, "valuations.daily": 0.10, "etf.daily": 0.05, "prices.intraday": 0.10,
}  # fmt: skip
_LOST = 5
#: Fewer prices of funds are no list of a market: closes that follow from lent shares, of the funds that have some.
_FEWEST_FUNDS = 100
#: The share of names that a list may lose in a day and still end at a round number by itself.
_USUALLY_LOST = {"margin.daily": 0.0, "prices.daily": 0.01, "valuations.daily": 0.01}
WHOLE_MARKET = tuple(_LOST_SHARE)
_SHORTEST_PAGE = 100
#: Fewer lines of a file, its header among them, are no page.
_SHORTEST_FILE = 1_000
#: Relative deviation of the buys of a complete list from the published total; 0.015% is the largest of 2018–2021.
_COMPLETE = 2e-4
#: Names with this share of the turnover of the day before did not trade if less than half of it is missing in that of
#: the index. In 2016–2021 the turnover of the stocks was 0.6% below that of Shanghai's index at most.
_HALTED, _MISSING = 0.03, 0.5
#: Prices of the day that contain this share of the names of a list are those of its market.
_BESIDE = 0.9


def cut_lists(rows: RowBatch, previous: RowBatch | None, whole: Rows) -> Iterator[Finding]:
    """Find lists that are a part of the market.

    Parameters
    ----------
    rows : the rows of a day, with those that are published already, and those that were refused, without figures.
    previous : the rows of the last day before; None if none is known.
    whole : the rows of the day of every topic, as far as they are known.
    """
    if rows.topic not in _LOST_SHARE or not len(rows):
        return
    groups = groups_of(rows.topic, rows.keys)
    before = None if previous is None else groups_of(previous.topic, previous.keys)
    complete, shorter = True, False
    for group in np.unique(groups).tolist():
        name, mask = group_names(rows.topic)[group], groups == group
        now = rows.take(mask)
        then = None if previous is None or before is None else previous.take(before == group)
        then = None if then is None else then.take(~_halted(now, then, name, whole))
        fewer = [] if then is None or not len(then) else list(_fewer(now, then, name))
        yield from fewer
        full = _sums_to_total(now, whole.get(TOTALS), group)
        complete, shorter = complete and full, shorter or bool(fewer)
        if not fewer:
            yield from _round(now, then, name, full=full)
    if len(np.unique(groups)) > 1 and not shorter:
        yield from _round(rows, previous, "the market", full=complete)


def is_page(count: int) -> bool:
    """Whether a list of so many rows may be a page: 100, 200, 500, 1000, 2000, 3000 …

    Examples
    --------
    >>> [is_page(n) for n in (50, 100, 200, 300, 2000, 3000, 2400)]
    [False, True, True, False, True, True, False]
    """
    first = str(count).rstrip("0")
    return count >= _SHORTEST_PAGE and (first in ("1", "2", "5") or count % 1000 == 0)


def is_far_fewer(topic: str, count: int, known: int) -> bool:
    """Whether a list of ``count`` names is far shorter than the one before, which had ``known``."""
    return known - count > max(_LOST, _LOST_SHARE[topic] * known)


def _halted(now: RowBatch, then: RowBatch, name: str, whole: Rows) -> Mask:
    """Return which names of the day before an exchange's list lacks because they do not trade (n,)."""
    gone = ~np.isin(then.keys, now.keys)
    if now.topic == PRICES and name in TURNOVER_INDEX and INDICES in whole and gone.any():
        before = np.nan_to_num(then.figures["turnover"])
        share = float(before[gone].sum() / before.sum()) if before.any() else 0.0
        total = figure_of(whole[INDICES], "turnover", np.array([TURNOVER_INDEX[name]], dtype=np.int32))
        missing = 1 - float(np.nansum(now.figures["turnover"]) / total[0])
        return gone & (share >= _HALTED and abs(missing) < _MISSING * share)
    if now.topic == VALUATIONS and PRICES in whole and np.isin(now.keys, whole[PRICES].keys).mean() >= _BESIDE:
        return gone & ~np.isin(then.keys, whole[PRICES].keys)
    return np.zeros(len(then), dtype=bool)


def _fewer(now: RowBatch, then: RowBatch, name: str) -> Iterator[Finding]:
    """Find stocks or funds of an exchange that are far fewer than the day before."""
    for word, kind, kind_then in (
        ("stocks", is_stock(now.keys), is_stock(then.keys)),
        ("funds", is_fund(now.keys), is_fund(then.keys)),
    ):
        count, known = int(kind.sum()), int(kind_then.sum())
        if word == "funds" and now.topic == "prices.daily" and known < _FEWEST_FUNDS:
            continue
        gone = len(np.setdiff1d(then.keys[kind_then], now.keys))
        what = f"{count:,} {word} of {name}, {known:,} on {to_date(int(then.days.max()))}"
        if count and 2 * gone > known >= _SHORTEST_PAGE:
            text = f"{what}, of which {gone:,} are missing: the names of another list, or of its next page"
            yield _finding(now, Severity.ERROR, text)
        elif count and is_far_fewer(now.topic, count, known):
            text = f"{what}: the list is cut off, or a selection; export all of it"
            yield _finding(now, Severity.ERROR, text)


def _round(now: RowBatch, then: RowBatch | None, name: str, *, full: bool) -> Iterator[Finding]:
    """Find a list that ends at a round number of rows.

    Parameters
    ----------
    full : whether its buys sum to the published total, which a page without its smallest names may do, too.
    """
    count = len(now)
    lines = count + 1 >= _SHORTEST_FILE and is_page(count + 1)
    if now.topic not in _USUALLY_LOST or not (is_page(count) or lines):
        return
    text = f"exactly {count:,} rows of {name}: a page of a longer list"
    if lines:
        text = f"{count:,} rows of {name}, with a header exactly {count + 1:,} lines: the first ones of a longer list"
    if then is None or not len(then):
        if full:
            return
        remedy = f"export all pages, or publish with --force if the list really has {count:,} names"
        yield _finding(now, Severity.ERROR, f"{text}, and no day before is known to compare it with: {remedy}")
        return
    lost = len(np.setdiff1d(then.keys, now.keys))
    day = to_date(int(then.days.max()))
    if lost > _USUALLY_LOST[now.topic] * len(then) and not full:
        yield _finding(
            now, Severity.ERROR, f"{text}, which lacks {lost:,} of the {len(then):,} names of {day}: export all pages"
        )
    elif lost or (len(np.setdiff1d(now.keys, then.keys)) and not full):
        what = f"it has all names of {day}" if not lost else f"it lacks {lost:,} names of {day}"
        yield _finding(now, Severity.WARNING, f"{text}? {what}: check that the source has no more")


def _sums_to_total(rows: RowBatch, totals: RowBatch | None, group: int) -> bool:
    """Whether the buys of an exchange's margin list sum to its published total."""
    if rows.topic != "margin.daily" or totals is None:
        return False
    total = float(totals.figures["fin_buy"][totals.keys == group].sum())
    return total > 0 and abs(float(rows.figures["fin_buy"].sum()) / total - 1) <= _COMPLETE


def _finding(rows: RowBatch, severity: Severity, text: str) -> Finding:
    return Finding(severity, "cut", rows.topic, int(rows.days[0]), text)
