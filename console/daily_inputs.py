"""Recent rows of input topics that a security's page shows beside the signals: prices, its margin buys, its industry.

Rows are kept as they arrive; of several rows of a security and day the one with the highest revision counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
import numpy.typing as npt

from processors.arrays import Ids, Ints, Revisions
from processors.codes import to_codes, to_id
from processors.days import to_date
from processors.errors import RowError
from processors.events import FIGURES, RowBatch
from processors.industries import INDUSTRIES
from processors.needs import DETAIL, PRICES, REFERENCE
from processors.signal import number

#: The figures that are kept, by topic.
FIGURES_KEPT: dict[str, tuple[str, ...]] = {
    PRICES: ("open", "high", "low", "close", "prev_close", "volume", "turnover"),
    DETAIL: ("fin_buy",),
    REFERENCE: ("industry",),
}
#: Parts of a day that are joined once there are more: single events make a part each.
_MOST_PARTS = 16
_INDUSTRIES = next(column.labels for column in FIGURES[REFERENCE] if column.name == "industry")
Figures = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one topic and day: ``keys`` (n,) ascending, one row a key; ``columns`` (n,) float32 by name."""

    keys: Ids
    revisions: Revisions
    stamps: Ints  # available_at, µs since the epoch
    columns: Mapping[str, npt.NDArray[np.float32]]


class DailyInputs:
    """The rows of the newest days.

    Parameters
    ----------
    days_kept : how many days of each topic are kept; of the reference the newest row of each security.
    """

    def __init__(self, days_kept: int) -> None:
        self._kept = days_kept
        self._days: dict[str, dict[int, list[_Rows]]] = {topic: {} for topic in FIGURES_KEPT}
        self._moment: int | None = None  # µs since the epoch: later rows are not known
        self._industry: dict[int, tuple[int, int, int]] = {}  # key → day, revision, place in `_INDUSTRIES`

    def offer(self, batch: RowBatch) -> None:
        """Store the rows of a batch of one of the topics."""
        if batch.topic == REFERENCE:
            self._learn_industries(batch)
            return
        days = self._days[batch.topic]
        for day in np.unique(batch.days).tolist():
            of_day = batch.take(np.flatnonzero(batch.days == day))
            columns = {
                name: of_day.figures[name].astype(np.float32)
                for name in FIGURES_KEPT[batch.topic]
                if name in of_day.figures
            }
            parts = days.setdefault(day, [])
            parts.append(_newest([_Rows(of_day.keys, of_day.revisions, of_day.stamps, columns)]))
            if len(parts) > _MOST_PARTS:
                parts[:] = [_newest(parts)]
        for day in sorted(days)[: -self._kept]:
            del days[day]

    def _learn_industries(self, batch: RowBatch) -> None:
        rows = zip(
            batch.keys.tolist(), batch.days.tolist(), batch.revisions.tolist(), batch.figures["industry"].tolist(),
            strict=True,
        )  # fmt: skip
        for key, day, revision, place in rows:
            if (day, revision) >= self._industry.get(key, (0, 0, 0))[:2]:
                self._industry[key] = day, revision, -1 if place != place else int(place)

    def of(self, code: str) -> list[tuple[date, Figures]]:
        """Return the figures of a security by day, of all topics together; empty for an unknown code."""
        try:
            key = to_id(code)
        except RowError:
            return []
        found: dict[int, Figures] = {}
        for days in self._days.values():
            for day, parts in days.items():
                row = _row(parts, key, self._moment)
                if row:
                    found.setdefault(day, {}).update(row)
        return [(to_date(day), found[day]) for day in sorted(found)]

    def known_at(self, moment: datetime) -> DailyInputs:
        """Return the rows that were known at a moment; industries are the newest ones.

        Of a row that was corrected later, only the correction is kept: before it the row is not known.
        """
        out = DailyInputs(self._kept)
        out._days, out._industry, out._moment = self._days, self._industry, int(moment.timestamp() * 1e6)
        return out

    def industry(self, code: str) -> str:
        """Return the industry of a security by its newest reference row; "" where it is not known."""
        try:
            _, _, place = self._industry.get(to_id(code), (0, 0, -1))
        except RowError:
            return ""
        return _INDUSTRIES[place] if place >= 0 else ""

    def members(self, industry: str) -> list[str]:
        """Return the codes of the securities of an industry."""
        place = _INDUSTRIES.index(industry) if industry in INDUSTRIES else -2
        return to_codes(np.array([key for key, (_, _, of) in self._industry.items() if of == place], dtype=np.int32))


def _newest(parts: Sequence[_Rows]) -> _Rows:
    """Join parts of a day; of each key the row with the highest revision remains, of equal ones the last."""
    keys = np.concatenate([part.keys for part in parts])
    revisions = np.concatenate([part.revisions for part in parts])
    order = np.lexsort((np.arange(len(keys)), revisions, keys))
    last = order[np.append(keys[order][1:] != keys[order][:-1], True)]
    names = dict.fromkeys(name for part in parts for name in part.columns)
    columns = {name: np.concatenate([part.columns.get(name, _absent(part)) for part in parts])[last] for name in names}
    return _Rows(keys[last], revisions[last], np.concatenate([part.stamps for part in parts])[last], columns)


def _absent(part: _Rows) -> npt.NDArray[np.float32]:
    return np.full(len(part.keys), np.nan, dtype=np.float32)


def _row(parts: Sequence[_Rows], key: int, moment: int | None) -> Figures:
    best: tuple[int, Figures] = (-1, {})
    for part in parts:
        at = int(np.searchsorted(part.keys, key))
        if at == len(part.keys) or part.keys[at] != key or (moment is not None and part.stamps[at] > moment):
            continue
        if part.revisions[at] >= best[0]:
            best = int(part.revisions[at]), {name: number(values[at]) for name, values in part.columns.items()}
    return best[1]


def adjusted(rows: Sequence[tuple[date, Figures]]) -> list[tuple[date, Figures]]:
    """Return prices without the jumps of corporate actions; the newest day keeps its prices.

    A day's factor is the product of prev_close / close of the day before over all later days (``prev_close`` is
    ex-right adjusted); where a price is absent the factor stays.
    """
    out: list[tuple[date, Figures]] = []
    factor = 1.0
    later: Figures = {}
    for day, row in reversed(rows):
        close, next_before = row.get("close"), later.get("prev_close")
        if close and next_before:
            factor *= next_before / close
        prices = {
            name: None if (v := row.get(name)) is None else v * factor for name in ("open", "high", "low", "close")
        }
        out.append((day, {**row, **prices}))
        later = row if close else later
    return out[::-1]
