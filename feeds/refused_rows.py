"""Rows that were refused, by day: without them no sum of their day is whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np

from feeds.validate import Finding
from processors.codes import Ids

#: Day → topic → keys of the rows that were left out.
RefusedRows: TypeAlias = dict[int, dict[str, Ids]]


def refused_rows(findings: Iterable[Finding]) -> RefusedRows:
    """Return the keys of the rows that findings refuse, where their day and key are known."""
    keys: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in findings:
        if one.lost is not None and one.day is not None:
            keys[one.day][one.topic].append(one.lost)
    return {
        day: {topic: np.array(of_topic, dtype=np.int32) for topic, of_topic in topics.items()}
        for day, topics in keys.items()
    }
