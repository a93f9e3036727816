"""Spells of master data (a member from a day to a day) as rows of ``reference``, each with all that is known.

A row of ``reference`` replaces all of the row before. So the spells of all files of a feed are put together: on each
day on which an attribute of a security begins, ends or changes, one row has every attribute of it. A change on a day
without a session counts from the next session on. Changes before the first day of the other figures count as known
on that day, and those behind the last wanted day are left out.

A stock that has no price, no suspension and no place in the margin list is not listed: where a feed has prices and
suspensions of the whole market, its rows carry ``listed`` from the first to the last of these days. A stock that is
published as listed, and has none of them, is listed no longer from the first wanted day on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from feeds.errors import InputError
from feeds.files.index_codes import crowded
from processors.arrays import Days, Floats, Ids, Ints
from processors.codes import exchange_of, to_code
from processors.days import TradingCalendar, to_date, to_day
from processors.index_members import columns_of
from processors.kinds import is_stock
from processors.needs import REFERENCE

#: In place of an open end: after every day.
_OPEN = np.float64(2**31)
_ENDED = -1.0
#: More spells without an end before another one than this, and than this share, have lost it; no spell of a member, of
#: special treatment or of a suspension in 2007–2021 was one.
_AGAIN, _AGAIN_SHARE = 5, 0.02
#: More rows of stocks that trade though they are suspended than these, and than this share of all suspended ones, are
#: no halts within a session; in 2016–2021 none of 159,301 traded.
_TRADED, _TRADED_SHARE = 5, 0.1
_LAST_DATE = to_day(date.max)


class Part(NamedTuple):
    """The days of a feed, days since 1970-01-01; None for no limit.

    Parameters
    ----------
    first : the first day wanted, on which all earlier changes count as known.
    start, end : the first and the last day of the part of the history that is fed.
    """

    first: int | None = None
    start: int | None = None
    end: int | None = None


def has_suspensions(spells: Iterable[pd.DataFrame]) -> bool:
    """Return whether spells name suspensions, which with prices of the whole market show which stocks are listed."""
    return any("listed" in frame and frame["listed"].eq(1.0).any() for frame in spells)


def refuse_unended(spells: Iterable[pd.DataFrame], origins: Sequence[str]) -> None:
    """Raise `InputError` if many securities begin a spell of a flag though the one before has no end.

    Parameters
    ----------
    spells : as of `reference_rows`, of one table each.
    """
    for frame in spells:
        for column in columns_of(REFERENCE, frame):
            if not column.flag or column.name not in frame:
                continue
            found = frame[frame[column.name] == 1.0].sort_values(["key", "day"], kind="stable")
            following = found.shift(-1)
            again = found["until"].isna() & (found["key"] == following["key"]) & (found["day"] < following["day"])
            if again.sum() > max(_AGAIN, _AGAIN_SHARE * len(found)):
                one = found[again].iloc[0]
                raise InputError(
                    f"{origins[int(one['table'])]}, row {int(one['row'])}: the spell of {column.name} of "
                    f"{to_code(int(one['key']))} from {to_date(int(one['day']))} on has no end, and another one begins "
                    f"later ({again.sum():,} such rows): last days are missing; export all of it again"
                )


def refuse_traded(
    spells: Iterable[pd.DataFrame], prices: Sequence[pd.DataFrame], calendar: TradingCalendar, origins: Sequence[str]
) -> None:
    """Raise `InputError` if stocks trade though they are suspended: flags, codes or days of the spells are shifted.

    Parameters
    ----------
    spells : as of `reference_rows`, of one table each.
    prices : frames of ``prices.daily`` of the same files.
    """
    traded = [frame.loc[frame["volume"] > 0, ["key", "day"]] for frame in prices if "volume" in frame]
    if not sum(map(len, traded)):
        return
    rows = pd.concat(traded)
    at = np.sort(_key_days(rows["key"], rows["day"]))
    first, last = int(rows["day"].min()), int(rows["day"].max())
    for frame in spells:
        if "listed" not in frame:
            continue
        known = frame[(frame["listed"] == 1.0) & (frame["day"] <= last) & ~(frame["until"] < first)]
        begin, end = known["day"].clip(lower=first), known["until"].fillna(last).clip(upper=last)
        places = np.searchsorted(at, _key_days(known["key"], begin))
        counts = np.searchsorted(at, _key_days(known["key"], end), side="right") - places
        sessions = calendar.between(first, last)
        suspended = np.searchsorted(sessions, end, side="right") - np.searchsorted(sessions, begin)
        if counts.sum() > max(_TRADED, _TRADED_SHARE * suspended.sum()):
            place = int(np.argmax(counts > 0))
            one, day = known.iloc[place], to_date(int(at[places[place]] % 2**32))
            raise InputError(
                f"{origins[int(one['table'])]}, row {int(one['row'])}: {to_code(int(one['key']))} trades on {day}, and "
                f"is suspended ({counts.sum():,} such rows of {suspended.sum():,}): check that flags, codes and days "
                "of the spells are not shifted against each other"
            )


def _key_days(keys: pd.Series, days: pd.Series) -> Ints:
    return np.asarray(keys.to_numpy(np.int64) * 2**32 + days.to_numpy(np.int64))


def reference_rows(
    spells: Sequence[pd.DataFrame],
    seen: Sequence[pd.DataFrame],
    exchanges: Collection[int],
    part: Part,
    calendar: TradingCalendar,
    origins: Sequence[str],
    listed: Ids,
) -> pd.DataFrame:
    """Return the rows of ``reference`` (``row``, ``table``, ``rank``, ``day``, ``key`` and figures) of spells.

    Parameters
    ----------
    spells : frames with ``key``, ``day`` (the first) and ``until`` (the last day, NaN for none) and figures.
    seen : ``key`` and ``day`` of the rows of all stocks in prices and the margin list; none without prices, or without
        suspensions.
    exchanges : indices into `EXCHANGES` of those of which the feed has any stock.
    origins : the name of each ``table``, for errors.
    listed : stocks that are published as listed before the part (n,).

    Raises
    ------
    InputError : for a spell that ends before it begins, two that give a security two values from one day on, or far
        more members of an index than it has.
    """
    # A spell without a value ends the one before.
    columns = columns_of(REFERENCE, {name for frame in spells for name in frame})
    known, flags = [column.name for column in columns], {column.name for column in columns if column.flag}
    valued = [f.assign(**{n: f[n].fillna(_ENDED) for n in f.columns.intersection(known)}) for f in spells]
    every = pd.concat(valued, ignore_index=True)
    every["until"] = every["until"].where(every["until"] < calendar.last)  # 9999-12-31 and the like: it lasts
    reversed_ = every[every["until"] < every["day"]]
    if len(reversed_):
        one = reversed_.iloc[0]
        raise InputError(
            f"{origins[int(one['table'])]}, row {int(one['row'])}: the spell ends on {to_date(int(one['until']))}, "
            f"before it begins on {to_date(int(one['day']))}: correct the dates"
        )
    listings = _listings(every, seen, exchanges, part, listed) if seen else None
    names = [n for n in known if n in every and (n != "listed" or listings is None) and every[n].notna().any()]
    parts = [*map(partial(_changes, every, origins, flags), names), *([] if listings is None else [listings])]
    if not parts:
        return every.iloc[:0]
    changes = pd.concat(parts, ignore_index=True)
    changes["day"] = sessions_from(changes["day"].to_numpy(np.int64), calendar)
    ended = changes[(changes["name"] == "listed") & (changes["value"] == _ENDED)]
    delisted = ended["key"][ended["day"] >= (part.first or 0 if part.start is None else part.start)]
    if part.end is not None:
        changes = changes[changes["day"] <= part.end]
    if part.first is not None:
        changes["day"] = changes["day"].clip(lower=part.first)
    # `changes` is in the order of its days by key and attribute, and the last change on a session counts.
    wide = changes.pivot_table(index=["key", "day"], columns="name", values="value", aggfunc="last")
    wide = wide.groupby(level="key").ffill()
    for name in wide.columns.intersection(list(flags)):
        _refuse_crowded(name, wide[name].eq(1.0))
    if "listed" in wide and listings is None:
        wide = wide.fillna({"listed": 1.0})
    elif "listed" in wide:
        stocks = is_stock(wide.index.get_level_values("key").to_numpy(np.int32))
        wide = wide[wide["listed"].notna() | ~stocks].fillna({"listed": 1.0})
        never = wide["listed"].eq(_ENDED) & ~wide["listed"].eq(1.0).groupby(level="key").cummax()
        wide = wide[~never | wide.index.get_level_values("key").isin(delisted)]
    out = wide.mask(wide == _ENDED)
    for name in out.columns.intersection(list(flags)):
        out[name] = out[name].fillna(0.0)
    out = out.reset_index().rename_axis(columns=None)
    place = {name: every[name].iloc[0] for name in ("table", "rank") if name in every}
    return out.assign(row=0, **place).astype({"key": np.int32, "day": np.int32})


def _changes(every: pd.DataFrame, origins: Sequence[str], flags: Collection[str], name: str) -> pd.DataFrame:
    """Return key, name, day and value of each change of an attribute; `_ENDED` where it ends."""
    found = every[every[name].notna()]
    found = found.assign(until=found["until"].fillna(_OPEN)).sort_values(["key", "day", "until"], kind="stable")
    key, day, until = (found[column].to_numpy(np.float64) for column in ("key", "day", "until"))
    value = found[name].to_numpy(np.float64)
    same = np.r_[False, key[1:] == key[:-1]] if len(key) else np.zeros(0, bool)
    twice = same & np.r_[False, (day[1:] == day[:-1]) & (value[1:] != value[:-1])] if len(key) else same
    if twice.any():
        at = int(np.argmax(twice))
        pair = found.iloc[at - 1 : at + 1]
        places = [f"{origins[t]}, row {row}" for t, row in zip(pair["table"], pair["row"].astype(int), strict=True)]
        code = to_code(int(key[at]))
        raise InputError(f"{code} has two values of {name} from {to_date(int(day[at]))} on: {' and '.join(places)}")
    until = np.where(np.r_[same[1:], False], np.minimum(until, np.r_[day[1:] - 1, _OPEN]), until) if len(key) else until
    if name in flags:
        until = _covered(key, day, found["until"].to_numpy(np.float64))
    follows = np.r_[same[1:] & (day[1:] <= until[:-1] + 1), False] if len(key) else same
    ends = (until < _OPEN) & ~follows
    return pd.DataFrame(
        {
            "key": np.concatenate([key, key[ends]]),
            "name": name,
            "day": np.concatenate([day, until[ends] + 1]),
            "value": np.concatenate([value, np.full(int(ends.sum()), _ENDED)]),
        }
    ).sort_values(["key", "day"], kind="stable", ignore_index=True)


def _refuse_crowded(name: str, member: pd.Series) -> None:
    """Raise `InputError` if an index has far more members on a day than its rules give it.

    Parameters
    ----------
    member : whether a security is one from a day on, by key and day.
    """
    steps = member.astype(np.int64).groupby(level="key").diff().fillna(member.astype(np.int64))
    counts = steps.groupby(level="day").sum().cumsum()
    place = int(np.argmax(counts.to_numpy()))
    most, day = int(counts.iloc[place]), int(counts.index[place])
    if (size := crowded(name, most)) is not None:
        raise InputError(
            f"{most:,} members of {name} on {to_date(day)}, the index has {size:,}: last days of "
            "spells are missing or too late, or members of another index are among them; export all of it again"
        )


def _covered(key: Floats, day: Floats, stated: Floats) -> Floats:
    """Return the last day that a flag has from each spell on: a longer spell goes on behind a shorter one within it."""
    longest = pd.Series(stated).groupby(key).cummax().to_numpy()
    following = np.r_[key[1:] == key[:-1], False]
    return np.where(following, np.minimum(longest, np.r_[day[1:] - 1, _OPEN]), longest)


def _listings(
    every: pd.DataFrame, rows: Sequence[pd.DataFrame], exchanges: Collection[int], part: Part, listed: Ids
) -> pd.DataFrame:
    """Return the days from which each stock is listed or no longer listed."""
    suspended = every[every["listed"].eq(1.0)]
    last = max(int(frame["day"].max()) for frame in rows)
    seen = pd.concat(
        [frame.groupby("key")["day"].agg(["min", "max"]) for frame in rows]
        + [
            pd.DataFrame({"min": suspended["day"], "max": suspended["until"].fillna(_OPEN)}).set_axis(
                suspended["key"], axis=0
            )
        ]
    )
    seen = seen.groupby(level=0).agg({"min": "min", "max": "max"})
    seen = seen[is_stock(seen.index.to_numpy(np.int32))]
    keys = np.unique(every["key"].to_numpy(np.int32))
    keys = keys[is_stock(keys)]
    per_exchange = [np.bincount(exchange_of(some), minlength=4) for some in (seen.index.to_numpy(np.int32), keys)]
    # The prices of an exchange are those of all of its stocks, or the feed has nothing of it: none of them is listed.
    counted = np.isin(np.arange(4), list(exchanges))
    whole = (2 * per_exchange[0] >= per_exchange[1]) | ~counted
    seen = seen[(whole & counted)[exchange_of(seen.index.to_numpy(np.int32))]]
    if part.first is not None:  # published stocks count as seen on the day before
        before = listed[(whole & counted)[exchange_of(listed)]]
        days = pd.DataFrame({"min": part.first - 1, "max": part.first - 1}, index=before)
        seen = pd.concat([seen, days]).groupby(level=0).agg({"min": "min", "max": "max"})
    others, partly = np.setdiff1d(keys[whole[exchange_of(keys)]], seen.index), keys[~whole[exchange_of(keys)]]
    gone = seen[seen["max"] < last]
    return pd.DataFrame(
        {
            "key": np.concatenate([others, partly, seen.index, gone.index]),
            "name": "listed",
            "day": np.concatenate([np.zeros(len(others) + len(partly)), seen["min"], gone["max"] + 1]),
            "value": np.repeat([_ENDED, 1.0, _ENDED], [len(others), len(partly) + len(seen), len(gone)]),
        }
    )


def sessions_from(days: Days, calendar: TradingCalendar) -> Days:
    """Return the first session from each day on."""
    sessions = calendar.between(calendar.first, calendar.last)
    at = np.searchsorted(sessions, days)
    if (at == len(sessions)).any():
        late = min(int(days[at == len(sessions)].min()), _LAST_DATE)
        raise InputError(f"{to_date(late)} lies after the end of the calendar, see `marginwatch calendar check`")
    return np.asarray(sessions[at])
