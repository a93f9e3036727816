"""Rows of ``reference`` from spells, beside the other master data of the same files, and those that are published.

A file of spells tells about the securities that it names, from the first of its spells of each on; lists of all members
of an index tell about all securities, from the first list on. Whatever else is
published of them stays: every row of the topic replaces all of the row before, so the new rows contain it, too.

A history may be fed in parts. All spells and all days of the files decide what the rows of a part are, and which stocks
are listed; what lies outside the part is not published. So the parts publish what the whole does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeAlias

import numpy as np
import pandas as pd

from feeds.errors import InputError
from feeds.files.index_codes import is_cut_off
from feeds.files.spells import Part, has_suspensions, reference_rows, refuse_traded, refuse_unended, sessions_from
from processors.arrays import Ids
from processors.code_changes import CodeChanges
from processors.codes import NO_IDS, exchange_of
from processors.days import TradingCalendar, to_date, to_day
from processors.events import RowBatch, concat
from processors.index_members import columns_of
from processors.kinds import is_stock
from processors.needs import DETAIL, PRICES, REFERENCE

#: Topics of all securities: master data are needed from their first day on.
_OF_STOCKS = (DETAIL, PRICES, "valuations.daily")
#: Topics whose rows show that a stock is listed.
_LISTING = (DETAIL, PRICES)
_LISTS = "listed_from"  # see `feeds.files.index_codes.until_next_list`
#: Returns the published rows, see `newest_rows`; None if there is none.
MasterData: TypeAlias = Callable[[], RowBatch | None]


def nothing_published() -> None:
    """Return no published row."""
    return


def newest_rows(batches: Iterable[RowBatch]) -> RowBatch | None:
    """Return one row for each day and key, sorted by both: the first one of the highest revision; None without rows."""
    found = [batch for batch in batches if len(batch)]
    if not found:
        return None
    rows = concat(found)
    order = np.lexsort((np.arange(len(rows)), -rows.revisions.astype(np.int64), rows.keys, rows.days))
    place = (rows.days[order].astype(np.int64) << 32) + rows.keys[order]
    return rows.take(order[np.r_[True, place[1:] != place[:-1]]])


def seen_in(topic: str, frame: pd.DataFrame, calendar: TradingCalendar) -> pd.DataFrame | None:
    """Return the first and the last session of each key, as rows of ``key`` and ``day``; None where it shows no stock.

    Parameters
    ----------
    frame : rows of a topic of all days of a file.
    """
    if topic not in _OF_STOCKS or frame.empty:
        return None
    days = frame[calendar.contains(frame["day"].to_numpy())].groupby("key")["day"].agg(["min", "max"])
    return pd.DataFrame({"key": np.repeat(days.index.to_numpy(np.int32), 2), "day": days.to_numpy().ravel()})


def rows_of_spells(
    spells: Sequence[pd.DataFrame],
    every: Mapping[str, Sequence[pd.DataFrame]],
    seen: Mapping[str, Sequence[pd.DataFrame]],
    calendar: TradingCalendar,
    changes: CodeChanges,
    origins: Sequence[str],
    published: RowBatch | None,
    start: date | None = None,
    end: date | None = None,
) -> pd.DataFrame:
    """Return the rows of spells. Other rows of master data last until the next ones, where no spell knows more.

    Parameters
    ----------
    spells : see `feeds.files.spells.reference_rows`.
    every : the frames of all topics of the same files, between ``start`` and ``end``.
    seen : topic → what `seen_in` returns of its files.
    origins : the name of each ``table``, for errors.
    published : the published master data, sorted by day and key; None for none.
    start, end : the first and the last day of the part that is fed; None for no limit.
    """
    refuse_unended((frame for frame in spells if _LISTS not in frame), origins)
    refuse_traded(spells, every.get(PRICES, ()), calendar, origins)
    listing = [frame for topic in _LISTING for frame in seen.get(topic, ())] if seen.get(PRICES) else []
    if not listing:  # suspensions show which stocks are listed only beside the prices of all
        spells = [frame.drop(columns="listed", errors="ignore") for frame in spells]
    given = {name for frame in spells for name in frame}
    dated = {column.name for column in columns_of(REFERENCE, given) if column.name in given}
    others = [frame.drop(columns=dated & set(frame)).assign(until=np.nan) for frame in every.get(REFERENCE, [])]
    firsts = [int(frame["day"].min()) for topic in _OF_STOCKS for frame in every.get(topic, []) if len(frame)]
    begin = None if start is None else int(sessions_from(np.array([to_day(start)]), calendar)[0])
    part = Part(min(firsts) if firsts else begin, begin, None if end is None else to_day(end))
    if not has_suspensions([*spells, *others]):
        listing = []
    # A code that was changed is no delisting.
    listing, renamed, known = (
        [frame.assign(key=changes.newest(frame["key"].to_numpy(np.int32))) for frame in frames]
        for frames in (listing, [*spells, *others], spells)
    )
    keys = [frame["key"].to_numpy() for frames in seen.values() for frame in frames]
    exchanges = set(exchange_of(np.concatenate(keys)).tolist()) if keys else set()
    if published is not None and part.end is not None:  # a part corrects nothing behind it
        published = published.take(published.days <= part.end)
    listed = _listed_before(published, part.first) if listing else NO_IDS
    renamed += _beside([*known, *renamed[len(spells) :]], published, {"listed"} if listing else set(), listed)
    return reference_rows(renamed, listing, exchanges, part, calendar, origins, listed)


def _listed_before(published: RowBatch | None, first: int | None) -> Ids:
    """Return the stocks that are listed in what is published of the days before ``first`` (n,), ascending."""
    if published is None or first is None:
        return NO_IDS
    rows = published.take((published.days < first) & is_stock(published.keys))
    newest = pd.Series(rows.figures["listed"]).fillna(1.0).groupby(rows.keys).last()
    return newest.index[newest == 1.0].to_numpy(np.int32)


def _beside(
    frames: Sequence[pd.DataFrame], published: RowBatch | None, without: set[str], listed: Ids
) -> list[pd.DataFrame]:
    """Return what is published of the securities of frames, as spells: each attribute until the frames begin with it.

    Parameters
    ----------
    without : attributes that are left out.
    listed : further securities, which may be listed no longer (n,).

    Raises
    ------
    InputError : for a list of members that is far shorter than what is published.
    """
    if published is None:
        return []
    attributes = [name for name in published.figures if name not in without]
    first = {
        name: pd.concat([f[["key", "day"]] for f in frames if name in f]).groupby("key")["day"].min()
        for name in attributes
        if any(name in frame for frame in frames)
    }
    lists = {
        name: min(float(f[_LISTS].min()) for f in frames if _LISTS in f and name in f)
        for name in first
        if any(_LISTS in f and name in f for f in frames)
    }
    named = [f["key"].to_numpy() for f in frames if any(column.name in f for column in columns_of(REFERENCE, f))]
    named += [published.keys[published.figures[name] == 1.0] for name in lists]
    rows = np.isin(published.keys, np.concatenate([listed, *named]))
    whole = pd.DataFrame({"key": published.keys, "day": published.days} | published.figures)[rows]
    whole = whole.assign(row=0, table=0, rank=0)
    place = ["key", "day", "row", "table", "rank"]
    out = [whole[[*place, *(name for name in attributes if name not in first)]].assign(until=np.nan)]
    for name, begins in first.items():
        if name in lists:
            _refuse_cut(name, int(lists[name]), frames, whole)
        until = np.fmin(whole["key"].map(begins).to_numpy(np.float64), lists.get(name, np.nan)) - 1
        frame = whole[[*place, name]].assign(until=until)
        out.append(frame[~(frame["until"] < frame["day"])])
    return out


def _refuse_cut(name: str, day: int, frames: Sequence[pd.DataFrame], published: pd.DataFrame) -> None:
    """Raise `InputError` if the first list of members, that of ``day``, is far shorter than what is published then."""
    listed = pd.concat([frame[["key", "day"]] for frame in frames if _LISTS in frame and name in frame])
    count = listed.loc[listed["day"] == day, "key"].nunique()
    newest = published[published["day"] <= day].sort_values("day").groupby("key")[name].last()
    known = int((newest == 1.0).sum())
    if is_cut_off(count, known):
        raise InputError(
            f"{count} members of {name} on {to_date(day)}, {known} are published: the list is cut off; load all of it"
        )
