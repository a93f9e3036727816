"""Master data that lose what they had, or contradict the figures beside them: industries, members, special treatment.

A row of ``reference`` replaces all of the row before, and no signal compares it with anything: an empty column ends an
industry of every stock. What securities are on the last day of the rows is compared with what was published of them,
and with the stocks that trade on that day. In 2016–2021 96% of these or more had an industry, no industry had more than
a tenth of them, and at most 6% were under special treatment. A shift of industries against codes is seen only beside
published ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.validate import TOO_MANY_ROWS, TOO_MANY_SHARE
from feeds.files.index_codes import lacks_members
from feeds.files.master_data import MasterData, nothing_published
from processors.codes import EXCHANGES, NO_IDS, exchange_of
from processors.days import to_date
from processors.events import RowBatch
from processors.index_members import columns_of
from processors.industries import INDUSTRIES
from processors.kinds import is_stock
from processors.needs import DETAIL, PRICES, REFERENCE

CHECK = "members"
#: So many stocks are judged, of Shanghai and Shenzhen; Beijing's were classified later.
_STOCKS, _JUDGED = 100, [EXCHANGES.index(name) for name in ("SSE", "SZSE")]
#: Shares of the stocks that trade: without an industry, in one industry, under special treatment.
_WITHOUT, _IN_ONE, _SPECIAL = 0.1, 0.5, 0.2
#: Of the stocks with a spell of it, so many have no mark in their prices.
_OTHERS = 0.5
#: So many industries are others than published. The edition of 2021 changed 12% of them, the years 2008–2025 38%; a
#: column that is shifted by a row changes 85%.
_CHANGED = 0.5
#: An index of which so many members are lost at once has had no such revision.
_LOST, _MEMBERS = 0.5, 20


def memberships(
    batch: RowBatch | None, figures: Mapping[str, RowBatch], published: MasterData = nothing_published
) -> Iterator[Finding]:
    """Find what master data lose, and what the stocks that trade on the last day of their dataset contradict.

    Parameters
    ----------
    batch : rows of ``reference`` of all days, sorted by day and key; None for none.
    figures : topic → the rows of its last day.
    published : returns the master data that are published.
    """
    traded = [figures[topic].take(is_stock(figures[topic].keys)) for topic in (PRICES, DETAIL) if topic in figures]
    traded = [one for one in traded if len(one)]
    if batch is not None and traded:  # spells go on behind the figures
        batch = batch.take(batch.days <= max(int(one.days[0]) for one in traded))
    if batch is None or not len(batch):
        return
    now, last = _newest(batch), batch.take(batch.days == batch.days.max())
    known = published()
    if known is not None and len(earlier := known.take(known.days <= last.days[0])):
        before = _newest(earlier)
        yield from _lost(last, now, before)
        now = pd.concat([now, before[~before.index.isin(now.index)]])
    yield from _lacking_members(last, now)
    stocks = np.unique(np.concatenate([one.keys for one in traded])) if traded else NO_IDS
    stocks = stocks[np.isin(exchange_of(stocks), _JUDGED)]
    if len(stocks) >= _STOCKS:
        yield from _industries(last, now.reindex(stocks))
        yield from _special(last, now.reindex(stocks), [one for one in traded if one.topic == PRICES])


def _newest(rows: RowBatch) -> pd.DataFrame:
    """Return the attributes of each security after the last of its rows, by key."""
    names = [column.name for column in columns_of(REFERENCE, rows.figures) if column.name in rows.figures]
    frame = pd.DataFrame({name: rows.figures[name] for name in names}, index=rows.keys)
    return frame[~frame.index.duplicated(keep="last")]


def _lost(last: RowBatch, now: pd.DataFrame, before: pd.DataFrame) -> Iterator[Finding]:
    """Find industries, and members of indices, that many securities had and have no longer."""
    both = now.index.intersection(before.index)
    then, industry = before["industry"].reindex(both).notna(), now["industry"].reindex(both)
    lost = then & industry.isna() & (now["listed"].reindex(both) != 0.0)
    if lost.sum() > max(TOO_MANY_ROWS, TOO_MANY_SHARE * then.sum()):
        text = f"the industries of {lost.sum():,} of {then.sum():,} securities end ({_named(last, lost)})"
        yield _finding(last, Severity.ERROR, f"{text}: fill in their column, or leave these rows out")
    changed = then & industry.notna() & (industry != before["industry"].reindex(both))
    if then.sum() >= _STOCKS and changed.sum() > _CHANGED * then.sum():
        text = f"{changed.sum():,} of {then.sum():,} securities get another industry ({_named(last, changed)})"
        yield _finding(last, Severity.ERROR, f"{text}: check that no column is shifted against the codes")
    for column in columns_of(REFERENCE, before.columns):
        if column.name not in before or not column.flag or column.name in ("st", "listed"):
            continue
        members = before[column.name] == 1.0
        still = now[column.name].reindex(both) if column.name in now else pd.Series(np.nan, both)
        gone = members.reindex(both) & (still != 1.0)
        if members.sum() >= _MEMBERS and gone.sum() > _LOST * members.sum():
            text = f"{gone.sum():,} of {members.sum():,} members of {column.name} leave it ({_named(last, gone)})"
            yield _finding(last, Severity.ERROR, f"{text}: fill in their column, or leave these rows out")


def _lacking_members(last: RowBatch, now: pd.DataFrame) -> Iterator[Finding]:
    for column in columns_of(REFERENCE, now.columns):
        if column.name not in now or not column.flag:
            continue
        count = int((now[column.name] == 1.0).sum())
        if (size := lacks_members(column.name, count)) is not None:
            text = f"{count:,} members of {column.name}, the index has {size:,}: does the file lack a part of them?"
            yield _finding(last, Severity.WARNING, text)


def _industries(last: RowBatch, stocks: pd.DataFrame) -> Iterator[Finding]:
    """Find industries that many of the stocks that trade lack, or that most of them have."""
    known = stocks["industry"].dropna()
    if not len(known):
        return
    without = stocks["industry"].isna()
    if without.sum() > _WITHOUT * len(stocks):
        text = f"{without.sum():,} of {len(stocks):,} stocks that trade have no industry ({_named(last, without)})"
        yield _finding(last, Severity.WARNING, f"{text}: does the file lack a part of them?")
    counts = known.value_counts()
    if len(known) >= _STOCKS and counts.iloc[0] > _IN_ONE * len(known):
        text = f"{counts.iloc[0]:,} of {len(known):,} stocks are in one industry, {INDUSTRIES[int(counts.index[0])]}"
        yield _finding(last, Severity.ERROR, f"{text}: check the column of industries")


def _special(last: RowBatch, stocks: pd.DataFrame, prices: list[RowBatch]) -> Iterator[Finding]:
    """Find special treatment of far too many stocks, or of others than those whose prices have its mark."""
    spelled = stocks["st"] == 1.0
    if not spelled.any():
        return
    if spelled.sum() > _SPECIAL * len(stocks):
        text = f"{spelled.sum():,} of {len(stocks):,} stocks that trade are under special treatment (ST)"
        yield _finding(last, Severity.ERROR, f"{text}: check the flags and the last days of the spells")
    for one in prices:
        marked = pd.Series(one.figures["st"] == 1.0, one.keys).reindex(stocks.index)
        both, wrong = spelled & marked.notna(), spelled & (marked == False)  # noqa: E712
        if marked.eq(True).any() and wrong.sum() > max(TOO_MANY_ROWS, _OTHERS * both.sum()):
            text = f"{wrong.sum():,} of {both.sum():,} stocks under special treatment (ST) have no mark of it in their"
            text = f"{text} prices ({_named(last, wrong)}): check the codes and the last days of the spells"
            yield _finding(last, Severity.ERROR, text)


def _named(last: RowBatch, which: pd.Series) -> str:
    return names_of(last, np.asarray(which.index[which], np.int32))


def _finding(last: RowBatch, severity: Severity, text: str) -> Finding:
    return Finding(severity, CHECK, REFERENCE, int(last.days[0]), f"on {to_date(int(last.days[0]))} {text}")
