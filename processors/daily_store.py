"""The rows of one daily topic by trade date and key: revisions, late rows, closing.

A `DailyStore` answers three questions. Which figure is valid for a day and key? Is a day closed, and is it complete?
How often did a closed day change? It computes no indicator.

**Revision of a day.** After the close of day t, every change to a row of day t or an earlier day raises the revision of
t by the step of that row's own revision (an absent row counts as −1). The sum telescopes. Therefore it depends on the
rows alone, and not on how they were batched, repeated or ordered after the close.

**Closing.** `EndOfDay` punctuation closes a day once it has the row counts of every required exchange. In a topic
without any punctuation, the first row of a later day does. A day that is open then, or at its deadline, is incomplete.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from processors.arrays import Days, Floats, Ids, Indexer, Mask, Revisions
from processors.codes import EXCHANGES
from processors.column_table import ColumnTable
from processors.day_rows import Day, day_layout, from_columns, to_columns
from processors.days import moment, to_date, to_day
from processors.events import FIGURES, EndOfDay, RowBatch
from processors.key_index import KeyIndex
from processors.margin_exchanges import on_day
from processors.outputs import DayStatus
from processors.table import DAY, TEXT, Table, TableSet, ValueCodec

_ANY = "any"


@dataclass(slots=True)
class ApplyResult:
    """Result of folding a batch: counts for metrics, and the closed days to compute."""

    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0  # rows with a stored revision but other figures; the store keeps the first row
    too_old: int = 0
    touched: set[int] = field(default_factory=set)  # days that it closed, and closed days whose revision rose

    def add(self, other: ApplyResult) -> None:
        """Add the result of another batch."""
        self.accepted += other.accepted
        self.duplicates += other.duplicates
        self.conflicts += other.conflicts
        self.too_old += other.too_old
        self.touched |= other.touched


class DailyStore:
    """The last ``keep_days`` days of one topic. It refuses rows older than the newest ``late_days`` days.

    Parameters
    ----------
    topic : a daily input topic.
    required : exchanges whose punctuation closes a day with margin trading; if empty, any punctuation closes it.
    late_days : number of newest days that accept late and corrected rows.
    history_days : number of days before those that indicators read.
    label_keys : whether keys are labels such as exchanges (``margin.market``) instead of codes.
    further : names of figures that batches have besides those of the topic.
    on_change : called with the earliest closed day of each change.
    """

    def __init__(
        self,
        topic: str,
        required: tuple[str, ...],
        *,
        late_days: int,
        history_days: int,
        label_keys: bool = False,
        further: tuple[str, ...] = (),
        on_change: Callable[[int], None] = lambda _day: None,
    ) -> None:
        self.topic = topic
        self.names = (*(c.name for c in FIGURES[topic]), *further)
        self.required = required
        self.late_days = late_days
        self.keep_days = late_days + history_days
        self.label_keys = label_keys
        self.days = ColumnTable[int, Day](
            topic,
            DAY,
            day_layout(self.names),
            to_columns=lambda entry: to_columns(entry, self.key_index, self.names),
            from_columns=lambda _day, stored: from_columns(stored, self.key_index, self.names),
        )
        self.sorted_days: list[int] = []  # days, ascending
        self.key_index = KeyIndex()
        self._punctuated: Table[str, bool] = Table(f"{topic}.marked", TEXT, ValueCodec(bool))
        self.tables = TableSet(self.days, self._punctuated, on_load=self._loaded)
        self._on_change = on_change
        self._open: set[int] = set()
        self._known_at: dict[int, int] = {}
        self._counts: dict[int, dict[str, int]] = {}
        self._row = {name: i for i, name in enumerate(self.names)}

    # -- reading ---------------------------------------------------------------------------------------------

    @property
    def width(self) -> int:
        """Number of columns: every key that the store has seen has one."""
        return len(self.key_index)

    @property
    def keys(self) -> Ids:
        """Key of each column (width,)."""
        return self.key_index.keys

    @property
    def punctuated(self) -> bool:
        """Whether the topic has ever carried punctuation."""
        return _ANY in self._punctuated

    def figure(self, day: int, name: str) -> Floats:
        """Return a view of a figure of a closed day over all columns (width,), NaN where absent or the day is open."""
        entry = self.days.get(day)
        if entry is None or not entry.closed:
            return np.full(self.width, np.nan)
        values = entry.figure(self._row[name], self.width)
        values.flags.writeable = False
        return values

    def value(self, day: int, key: int, name: str) -> float | None:
        """Return a figure of one key and closed day, None where absent."""
        column = self.key_index.get(key)
        figure = np.nan if column is None else float(self.figure(day, name)[column])
        return None if np.isnan(figure) else figure

    def present(self, day: int) -> Mask:
        """Return which columns have a row on ``day`` (width,)."""
        entry = self.days.get(day)
        return entry.present(self.width) if entry is not None else np.zeros(self.width, dtype=bool)

    def columns_on(self, day: int) -> Indexer:
        """Return the columns that have a row on the closed ``day``, in ascending order of their keys; none if open."""
        return self.key_index.where(self.present(day) & self.is_closed(day))

    def closed_days(self, start: int | None = None) -> Iterator[int]:
        """Yield the closed days from ``start`` on, ascending."""
        for day in self.sorted_days[0 if start is None else bisect_left(self.sorted_days, start) :]:
            if self.days[day].closed:
                yield day

    def closed_since(self, applied: ApplyResult) -> list[int]:
        """Return the closed days from the earliest one that a fold touched, ascending."""
        return list(self.closed_days(min(applied.touched))) if applied.touched else []

    def newest_closed(self, before: int | None = None) -> int | None:
        """Return the newest closed day (earlier than ``before``, if given), None if there is none."""
        end = len(self.sorted_days) if before is None else bisect_left(self.sorted_days, before)
        return next((day for day in reversed(self.sorted_days[:end]) if self.days[day].closed), None)

    def oldest_open(self) -> int | None:
        """Return the oldest open day, None if there is none."""
        return min(self._open, default=None)

    def newest_with_rows(self) -> int | None:
        """Return the newest day that has any row, None if there is none."""
        return next((day for day in reversed(self.sorted_days) if self.present(day).any()), None)

    def is_closed(self, day: int) -> bool:
        """Return whether ``day`` is closed, complete or not."""
        entry = self.days.get(day)
        return entry is not None and entry.closed

    def known_at(self, day: int) -> int:
        """Return when the closed days up to ``day`` were known, µs since the epoch. A correction delays later days."""
        if day not in self._known_at:
            end = bisect_right(self.sorted_days, day)
            days = map(self.days.__getitem__, self.sorted_days[max(0, end - self.late_days - 1) : end])
            self._known_at[day] = max([entry.available_at for entry in days if entry.closed], default=0)
        return self._known_at[day]

    def status(self, day: int) -> DayStatus:
        """Return availability, revision and missing rows of a closed day."""
        revision = self.days[day].revision
        return DayStatus(
            trade_date=to_date(day),
            available_at=moment(self.known_at(day)),
            revision=revision,
            missing={f"{self.topic} {exchange}": lack for exchange, lack in self.missing(day).items()},
            input_revisions={self.topic: revision},
        )

    def counts(self, day: int) -> dict[str, int]:
        """Return the number of rows of a day by exchange."""
        if day not in self._counts:
            keys = self.keys[self.present(day)]
            per = np.bincount(keys if self.label_keys else keys % 4, minlength=len(EXCHANGES)).tolist()
            self._counts[day] = {name: n for name, n in zip(EXCHANGES, per, strict=False) if n}
        return dict(self._counts[day])

    def missing(self, day: int) -> dict[str, int]:
        """Return what a closed day lacks: exchange → missing rows, −1 where the exchange sent no row count."""
        entry = self.days[day]
        have, out = self.counts(day), dict[str, int]()
        for exchange in dict.fromkeys((*on_day(self.required, day), *entry.expected)):
            if exchange in entry.expected:
                lack = entry.expected[exchange] - have.get(exchange, 0)
                if lack > 0:
                    out[exchange] = lack
            elif self.punctuated or exchange not in have:
                out[exchange] = -1
        return out

    def lacks(self, day: int) -> dict[str, int] | None:
        """Return `missing`, None if the day is not closed."""
        return self.missing(day) if self.is_closed(day) else None

    # -- folding ---------------------------------------------------------------------------------------------

    def by_new_day(self, batch: RowBatch) -> Iterator[RowBatch]:
        """Cut rows, in their order, before the first row of each day that the store does not contain.

        Only such a row deletes an old day. So a caller that computes behind every part computes a changed day before
        the store deletes it or a day that its figures read.
        """
        if len(batch) and (batch.days != batch.days[0]).any():
            days, first = np.unique(batch.days, return_index=True)
            new = [row for day, row in zip(days.tolist(), first.tolist(), strict=True) if day not in self.days]
            starts = sorted({0, *new})
            for start, end in zip(starts, [*starts[1:], len(batch)], strict=True):
                yield batch.take(slice(start, end))
        elif len(batch):
            yield batch

    def fold(self, item: RowBatch | EndOfDay) -> ApplyResult:
        """Fold rows or punctuation."""
        return self.close(item) if isinstance(item, EndOfDay) else self.apply(item)

    def apply(self, batch: RowBatch) -> ApplyResult:
        """Fold rows. The result is idempotent and independent of how rows are cut into batches."""
        applied = ApplyResult()
        for part in self.by_new_day(batch):
            # Without punctuation the first row of a later day closes the earlier days, exactly at that row.
            cuts = [] if self.punctuated else self._closing_rows(part.days)
            for start, end in zip([0, *cuts], [*cuts, len(part)], strict=True):
                if not self.punctuated:
                    self._close_before(int(part.days[start]), applied)
                self._apply_rows(part.take(slice(start, end)) if cuts else part, applied)
        return applied

    def close(self, end_of_day: EndOfDay) -> ApplyResult:
        """Fold punctuation; a repeated one changes nothing."""
        applied = ApplyResult()
        day = to_day(end_of_day.trade_date)
        if (entry := self._entry(day)) is None:
            applied.too_old += 1
            return applied
        if end_of_day.deadline:
            self._close_before(day + 1, applied)
            return applied
        if not self.punctuated:
            self._punctuated[_ANY] = True
        before = dict(entry.expected)
        entry.expected.update({str(k): v for k, v in end_of_day.expected.items()})
        if entry.expected == before and (entry.closed or self.required):
            return applied
        self.days.touch(day)
        if entry.closed:
            self._raise_revisions(day, 1, applied)
        elif all(exchange in entry.expected for exchange in on_day(self.required, day)):
            self._close_before(day, applied)
            self._close_day(day, applied)
        return applied

    def _closing_rows(self, days: Days) -> list[int]:
        """Return the rows behind the first one that are the first of a later day than an open one, ascending.

        Parameters
        ----------
        days : (n,) days of rows, of which only the first may open a day.
        """
        opened = {*self._open, int(days[0])} if int(days[0]) not in self.days else self._open
        later = (np.flatnonzero(days > day)[:1].tolist() for day in opened)
        return sorted({row for rows in later for row in rows} - {0})

    def _close_before(self, day: int, applied: ApplyResult) -> None:
        for earlier in sorted(self._open):
            if earlier < day:
                self._close_day(earlier, applied)

    def _close_day(self, day: int, applied: ApplyResult) -> None:
        self.days[day].closed = True
        self.days[day].pack()
        self._known_at.clear()
        self._open.discard(day)
        self.days.touch(day)
        self._on_change(day)
        applied.touched.add(day)
        self._raise_revisions(day + 1, 1, applied)  # a day inserted late changes every later day

    def _raise_revisions(self, day: int, step: int, applied: ApplyResult) -> None:
        self._on_change(day)
        for other in self.closed_days(day):
            self.days[other].revision += step
            self.days.touch(other)
            applied.touched.add(other)

    def _apply_rows(self, batch: RowBatch, applied: ApplyResult) -> None:
        """Fold rows of which only the first may open a day; the order of the days of the others does not matter."""
        first = int(batch.days[0])
        if (batch.days == first).all():
            self._apply_day(first, batch, applied)
            return
        for day in dict.fromkeys([first, *np.unique(batch.days).tolist()]):
            self._apply_day(day, batch.take(batch.days == day), applied)

    def _apply_day(self, day: int, batch: RowBatch, applied: ApplyResult) -> None:
        if (entry := self._entry(day)) is None:
            applied.too_old += len(batch)
            return
        columns = self.key_index.get_or_add(batch.keys)
        entry.grow(self.width)
        if not (batch.keys[1:] > batch.keys[:-1]).all() and len(np.unique(columns)) < len(columns):
            # A row counts if its revision is higher than those of the rows of its key before it; the last one wins.
            order = np.argsort(columns, kind="stable")
            place = (columns[order].astype(np.int64) << 32) + batch.revisions[order]
            keep = np.sort(order[np.r_[True, place[1:] > np.maximum.accumulate(place)[:-1]]])
            applied.duplicates += len(columns) - len(keep)
            batch, columns = batch.take(keep), columns[keep]
        stored = entry.revisions[columns]
        newer = batch.revisions > stored
        if not newer.all():
            self._count_repeats(entry, batch, columns, stored, applied)
            batch, columns = batch.take(newer), columns[newer]
        if not len(columns):
            return
        applied.accepted += len(columns)
        for values, name in zip(entry.values, self.names, strict=True):
            values[columns] = batch.figures[name]
        self._counts.pop(day, None)
        before = int(entry.revisions.sum())
        entry.revisions[columns] = batch.revisions
        if (newest := int(batch.stamps.max())) > entry.available_at:
            entry.available_at = newest
            self._known_at.clear()
        self.days.touch(day, batch.keys)
        if entry.closed:
            self._raise_revisions(day, int(entry.revisions.sum()) - before, applied)
            entry.pack()

    def _count_repeats(
        self,
        entry: Day,
        batch: RowBatch,
        columns: Indexer,
        stored: Revisions,
        applied: ApplyResult,
    ) -> None:
        same = batch.revisions == stored
        differs = np.zeros(len(columns), dtype=bool)
        for values, name in zip(entry.values, self.names, strict=True):
            old, new = values[columns], batch.figures[name]
            differs |= (old != new) & ~(np.isnan(old) & np.isnan(new))
        conflicts = int((same & differs).sum())
        applied.conflicts += conflicts
        applied.duplicates += int((batch.revisions <= stored).sum()) - conflicts

    def _entry(self, day: int) -> Day | None:
        """Return the entry of a day, adding it if it is inside the window; None if the day is too old."""
        entry = self.days.get(day)
        if entry is not None:
            return entry if day >= self._oldest_open() else None
        if len(self.sorted_days) >= self.late_days and day < self._oldest_open():
            return None
        entry = self.days[day] = Day.empty(len(self.names), self.width)
        self._counts.pop(day, None)
        self._open.add(day)
        self._known_at.clear()
        self.sorted_days.append(day)
        if len(self.sorted_days) > 1 and day < self.sorted_days[-2]:
            self.sorted_days.sort()
        while len(self.sorted_days) > self.keep_days:
            old = self.sorted_days.pop(0)
            del self.days[old]
            self._counts.pop(old, None)
            self._open.discard(old)
            self._on_change(old)
        return entry

    def _oldest_open(self) -> int:
        """Return the oldest day that accepts rows: the ``late_days``-th newest of the store."""
        return self.sorted_days[-self.late_days] if len(self.sorted_days) >= self.late_days else -(2**31)

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        self.sorted_days = sorted(self.days)
        self._open = {day for day in self.sorted_days if not self.days[day].closed}
        self._known_at.clear()
        self._counts.clear()
        if self.sorted_days:
            self._on_change(self.sorted_days[0])
