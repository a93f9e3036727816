"""The rows of one exchange: the group within which a day is compared with the day before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache

import numpy as np
import pandas as pd

from processors.arrays import Days, Floats, Ids, Indexer, Mask
from processors.codes import EXCHANGES, SHENWAN, exchange_of, isin_sorted, reindex_sorted
from processors.days import to_day
from processors.events import INPUT_ROWS, KEYS, RowBatch, concat

#: No security has this number; it counts the refused rows of an exchange whose codes can't be read.
UNREAD = 999_999
#: Since this day shares that are sold short are lent until the next session at least; before, they could be bought back
#: on the same day, so that the sales of a day may be any number of times what is lent at its end.
_LENT_OVERNIGHT = to_day(date(2015, 8, 3))


def groups_of(topic: str, keys: Ids) -> Ids:
    """Return the group of each key (n,), within which days are compared: the index of its exchange, or 0."""
    field = INPUT_ROWS[topic].key_field
    if field == "code":
        return exchange_of(keys)
    return keys if field == "exchange" else np.zeros(len(keys), np.int32)


def counts(topic: str, keys: Ids) -> dict[str, int]:
    """Return the number of keys of each group that has any, by its name."""
    numbers = np.bincount(groups_of(topic, keys)).tolist()
    return {group_names(topic)[group]: number for group, number in enumerate(numbers) if number}


def group_of(topic: str, key: int) -> str:
    """Return the name of the group of a key."""
    (name,) = counts(topic, np.array([key], dtype=np.int32))
    return name


def masks_of(batch: RowBatch) -> Iterator[tuple[str, Mask]]:
    """Yield each group of a batch by its name, with the mask of its rows (n,)."""
    groups = groups_of(batch.topic, batch.keys)
    for group in np.unique(groups).tolist():
        yield group_names(batch.topic)[group], groups == group


def day_groups(topic: str, keys: Ids, days: Days | None) -> Indexer:
    """Return the number of the group and day of each row (n,); of the group alone where days are not known."""
    groups = groups_of(topic, keys).astype(np.int64)
    return pd.factorize(groups if days is None else groups + days.astype(np.int64) * 8)[0]


def count_in(flags: Mask, places: Indexer) -> Floats:
    """Return how many rows with a flag there are in the group of each row (n,), as of `day_groups`."""
    return np.asarray(np.bincount(places, weights=flags)[places])


def named(topic: str, keys: Ids) -> str:
    """Return the names of the groups of keys."""
    names = group_names(topic)
    return ", ".join(dict.fromkeys(names[group] for group in np.unique(groups_of(topic, keys)).tolist()))


def figure_of(previous: RowBatch, name: str, keys: Ids) -> Floats:
    """Return a figure of an earlier day for keys (n,), NaN where it has no row."""
    order = np.argsort(previous.keys, kind="stable")
    return reindex_sorted(keys, previous.keys[order], previous.figures[name][order])


@cache
def group_names(topic: str) -> tuple[str, ...]:
    """Return the name of each group of a topic: exchanges, or the topic where its keys have none."""
    field = INPUT_ROWS[topic].key_field
    if field not in ("code", "exchange"):
        return (topic,)
    names = KEYS[field] if field == "exchange" else EXCHANGES
    return (*names, *("Shenwan" for _ in range(len(names), SHENWAN + 1)))


def overlaid(rows: RowBatch, below: RowBatch | None) -> RowBatch:
    """Return rows, and those rows of ``below`` whose keys they do not contain."""
    if below is None:
        return rows
    left = ~isin_sorted(below.keys, np.unique(rows.keys))
    return concat([rows, replace(below.take(left), figures={name: below.figures[name][left] for name in rows.figures})])


def is_unread(keys: Ids) -> Mask:
    """Return which keys count refused rows whose codes can't be read (n,)."""
    return np.asarray(keys // 4 == UNREAD)


def rows_of_keys(rows: RowBatch, keys: Ids) -> RowBatch:
    """Return rows of keys, of the day of ``rows``, whose figures are absent."""
    days, none = np.full(len(keys), rows.days[0], np.int32), np.zeros(len(keys), np.int32)
    figures = {name: np.full(len(keys), np.nan) for name in rows.figures}
    return RowBatch(rows.topic, keys.astype(np.int32), days, none, none.astype(np.int64), figures)


def is_bounded(upper: str, lower: str, day: int) -> bool:
    """Whether the ratio of two margin figures has a bound on a day."""
    return (upper, lower) != ("short_sell", "short_volume") or day >= _LENT_OVERNIGHT


def over(upper: Floats, lower: Floats) -> Floats:
    """Return the ratio of two figures (n,), NaN where one of them is 0 or absent."""
    return np.asarray(np.divide(upper, lower, out=np.full(len(upper), np.nan), where=(upper > 0) & (lower > 0)))
