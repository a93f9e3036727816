"""Pages of a sorted list in place of a whole market, where no day before is known to compare them with.

Quotes are shown by pages of 20, 50, 80 or 200, the largest gains first. A file with one of them names a few stocks, all
of which rose, and its rows are in the order of their gains; files of a whole market are in the order of their codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import groups_of
from feeds.files.dataset import SourceTable
from feeds.mappings.row_order import FEWEST
from processors.arrays import Floats
from processors.codes import isin_sorted
from processors.kinds import is_stock

#: Fewer stocks than a market has had since 2001.
_MARKET = 1_000


def sorted_pages(tables: Iterable[SourceTable], day: ComparedDay) -> Iterator[Finding]:
    """Find tables that are pages of a sorted list, on exchanges of which no day before is known."""
    for topic, rows in day.rows.items():
        at = int(rows.days[0])
        pages = [one for one in tables if one.topic == topic and at in one.sorted_by]
        if not pages:
            continue
        keys = np.unique(np.concatenate([one.frame["key"][one.frame["day"] == at].to_numpy(np.int32) for one in pages]))
        if topic in day.before:
            keys = keys[~np.isin(groups_of(topic, keys), groups_of(topic, day.before[topic].keys))]
        stocks = rows.take(isin_sorted(rows.keys, keys) & is_stock(rows.keys))
        close, before = (stocks.figures.get(name, np.full(len(stocks), np.nan)) for name in ("close", "prev_close"))
        reason = page_of(len(stocks), close / before - 1)
        if reason is not None:
            names = ", ".join(dict.fromkeys(f"{one.origin} by {one.sorted_by[at]!r}" for one in pages))
            text = (
                f"{reason}, and no day before is known to compare them with: a page of a sorted list ({names}); export "
                "all pages, or publish with --force if the list really has no more"
            )
            yield Finding(Severity.ERROR, "cut", topic, at, text)


def page_of(stocks: int, gains: Floats) -> str | None:
    """Return why stocks in the order of a figure are no whole market; None if they may be.

    Parameters
    ----------
    gains : close / prev_close − 1 of the stocks (n,), NaN where it is not known.
    """
    known = gains[~np.isnan(gains)]
    if 0 < stocks < _MARKET:
        return f"{stocks:,} stocks"
    if len(known) >= FEWEST and ((known >= 0).all() or (known <= 0).all()):
        return f"{stocks:,} stocks, of which none {'fell' if (known >= 0).all() else 'rose'}"
    return None
