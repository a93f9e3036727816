"""The rows of one exchange: the group within which a day is compared with the day before."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from processors.codes import EXCHANGES, SHENWAN, Ids, exchange_of, isin_sorted
from processors.events import INPUT_ROWS, KEYS, RowBatch, concat


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
