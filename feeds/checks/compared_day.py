"""The rows of a day beside what they are compared with: the published rows of the same day, and the day before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from feeds.checks.row_groups import overlaid, rows_of_keys
from processors.arrays import Ids
from processors.codes import NO_IDS
from processors.days import TradingCalendar
from processors.events import RowBatch, concat

Rows = Mapping[str, RowBatch]
#: Topic → keys of the rows that were left out.
RefusedKeys = Mapping[str, Ids]


@dataclass(frozen=True, slots=True)
class ComparedDay:
    """The rows of one day, and of the days that they are compared with; each by topic, none without a row.

    Parameters
    ----------
    rows : the rows that were read.
    whole : these, and the published rows of the day whose keys they do not contain, of any topic.
    before : the rows of the last known day before, of each exchange its own.
    last : those of them that are of the session before.
    refused : the keys that the day lacks because their rows were refused, now or by an earlier command.
    """

    rows: Rows
    whole: Rows
    before: Rows
    last: Rows
    refused: RefusedKeys

    @classmethod
    def of(
        cls,
        rows: Rows,
        before: Rows,
        calendar: TradingCalendar,
        published: Mapping[str, RowBatch | None],
        refused: RefusedKeys | None = None,
    ) -> ComparedDay:
        """Return the rows of a day with those of the day before; ``published`` are rows of the same day."""
        rows = {topic: batch for topic, batch in rows.items() if len(batch)}
        known = {topic: batch for topic, batch in published.items() if batch is not None and len(batch)}
        whole = known | {topic: overlaid(batch, known.get(topic)) for topic, batch in rows.items()}
        before = {topic: before[topic] for topic in rows if topic in before and len(before[topic])}
        last = {}
        for topic, batch in before.items():
            session = batch.take(batch.days == calendar.before(int(rows[topic].days[0])))
            if len(session):
                last[topic] = session
        lacked = {
            topic: np.setdiff1d(keys, whole[topic].keys) for topic, keys in (refused or {}).items() if topic in whole
        }
        return cls(rows, whole, before, last, lacked)

    def refused_of(self, topic: str) -> Ids:
        """Return the keys of a topic that the day lacks because their rows were refused (n,)."""
        return self.refused.get(topic, NO_IDS)

    def listed(self, topic: str) -> RowBatch:
        """Return the whole rows of a topic, and those that were refused, without figures."""
        whole, refused = self.whole[topic], self.refused_of(topic)
        return concat([whole, rows_of_keys(whole, refused)]) if len(refused) else whole
