"""Rows that were read, by topic: the tables of single files, and the dataset that they make up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds.errors import InputError
from feeds.publication_times import available_at
from feeds.validate import Finding, key_text
from processors.days import TradingCalendar, to_date, to_day
from processors.events import FIGURES, RowBatch

#: Trade date (days since 1970-01-01) and its rows by topic.
DayRows = tuple[int, dict[str, RowBatch]]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Rows of one topic from one file.

    Parameters
    ----------
    origin : the file, and the layout that was recognised.
    frame : ``key``, ``day`` (missing if the file has no dates) and figures, as `feeds.mapped_rows.map_rows` returns
        them; also ``name`` if the file has names, see `feeds.security_names`.
    """

    topic: str
    origin: str
    frame: pd.DataFrame


@dataclass(slots=True)
class SourceTables:
    """The tables that were read, and the findings of their readers."""

    tables: list[SourceTable] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    def extend(self, other: SourceTables) -> None:
        """Append the tables and findings of another reading."""
        self.tables += other.tables
        self.findings += other.findings


@dataclass(slots=True)
class Dataset:
    """Rows by topic, sorted by day and key.

    Parameters
    ----------
    source : the name under which the rows are published.
    notes : remarks for the user of the rows.
    """

    batches: dict[str, RowBatch] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    source: str = "files"
    notes: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of rows of all topics."""
        return sum(len(b) for b in self.batches.values())

    def days(self) -> list[int]:
        """Return all trade dates, ascending."""
        found = [np.unique(b.days) for b in self.batches.values()]
        return np.unique(np.concatenate(found)).tolist() if found else []

    def by_day(self) -> Iterator[DayRows]:
        """Yield each day with its rows by topic."""
        bounds = {}
        for topic, batch in self.batches.items():
            days, starts = np.unique(batch.days, return_index=True)
            ends = np.append(starts[1:], len(batch))
            bounds[topic] = {int(d): (int(a), int(b)) for d, a, b in zip(days, starts, ends, strict=True)}
        for day in self.days():
            yield (
                day,
                {
                    topic: self.batches[topic].take(np.arange(*bounds[topic][day]))
                    for topic in self.batches
                    if day in bounds[topic]
                },
            )

    def newest_rows(self) -> dict[str, RowBatch]:
        """Return the rows of the last day of each topic."""
        return {topic: batch.take(batch.days == batch.days.max()) for topic, batch in self.batches.items()}


def between(frame: pd.DataFrame, start: date | None, end: date | None) -> pd.DataFrame:
    """Return the rows whose ``day`` lies between two dates, both included; None is no limit."""
    if start is not None:
        frame = frame[frame["day"] >= to_day(start)]
    if end is not None:
        frame = frame[frame["day"] <= to_day(end)]
    return frame


def with_first_day(
    dated: dict[str, list[pd.DataFrame]], undated: dict[str, list[pd.DataFrame]], calendar: TradingCalendar
) -> dict[str, list[pd.DataFrame]]:
    """Return all frames by topic; those without dates get the first date of the others.

    A file without dates describes today; its rows are used for every date.
    """
    first = min((int(f["day"].min()) for frames in dated.values() for f in frames if len(f)), default=calendar.first)
    out = {topic: list(frames) for topic, frames in dated.items()}
    for topic, frames in undated.items():
        out.setdefault(topic, []).extend(frame.assign(day=np.int32(first)) for frame in frames)
    return out


def batch_of(topic: str, frame: pd.DataFrame, calendar: TradingCalendar, *, join: bool = True) -> RowBatch:
    """Return the rows of a frame (``day``, ``key`` and figures) as a batch, sorted by day and key.

    Parameters
    ----------
    join : merge the rows of one day and key into one, with the first known figure of each column.

    Raises
    ------
    InputError : for a day that is no trading day, or lies after the end of the calendar.
    """
    frame = frame.sort_values(["day", "key"], kind="stable")
    if join and frame.duplicated(["day", "key"]).any():
        # Two files may describe one index: one its prices, the other its capitalisation.
        frame = frame.groupby(["day", "key"], as_index=False, sort=True).first()
    days = frame["day"].to_numpy(np.int32)
    distinct, inverse = np.unique(days, return_inverse=True)
    closed = distinct[~calendar.contains(distinct)]
    if len(closed):
        raise InputError(
            f"{topic}: {to_date(int(closed[0]))} is no trading day of XSHG ({len(closed)} such dates): correct the "
            "dates of the file, or the trading calendar"
        )
    stamps = np.array([available_at(topic, int(d), calendar) for d in distinct], dtype=np.int64)
    figures = {
        c.name: frame[c.name].to_numpy(np.float64) if c.name in frame else np.full(len(frame), np.nan)
        for c in FIGURES[topic]
    }
    batch = RowBatch(
        topic, frame["key"].to_numpy(np.int32), days, np.zeros(len(frame), dtype=np.int32), stamps[inverse], figures
    )
    return _with_flags(batch)


def _with_flags(batch: RowBatch) -> RowBatch:
    """Fill absent flags of the security master: its rows replace all of the row before, "no member" included."""
    if batch.topic != "reference":
        return batch
    flags = {column.name: column.default for column in FIGURES[batch.topic] if column.flag}
    figures = {n: np.nan_to_num(v, nan=flags[n]) if n in flags else v for n, v in batch.figures.items()}
    return replace(batch, figures=figures)


def gather(
    tables: Sequence[SourceTable],
    calendar: TradingCalendar,
    source: str,
    start: date | None = None,
    end: date | None = None,
    *,
    ranked: bool = False,
) -> Dataset:
    """Join tables into a `Dataset`.

    Rows of one day and key that complete each other become one row. Rows that contradict each other stay apart, so
    that the checks report them. Rows without a date get the first date of all.

    Parameters
    ----------
    ranked : whether the tables are in an order of preference, as a mapping file defines it: where two of them
        contradict each other the first one counts, and a note reports it. Rows of one table still must not.

    Raises
    ------
    InputError : if there is no row, or a date is no trading day.
    """
    dated: dict[str, list[pd.DataFrame]] = {}
    undated: dict[str, list[pd.DataFrame]] = {}
    notes = []
    for table in tables:
        frame = table.frame.drop(columns="name", errors="ignore")
        if "day" not in frame:
            undated.setdefault(table.topic, []).append(frame)
            notes.append(undated_note(table.origin))
        else:
            dated.setdefault(table.topic, []).append(between(frame, start, end))
    batches = {}
    for topic, frames in with_first_day(dated, undated, calendar).items():
        if any(len(frame) for frame in frames):
            joined, overruled = _joined(frames, ranked=ranked)
            if len(overruled):
                notes.append(_overruled_note(topic, overruled))
            batches[topic] = batch_of(topic, joined, calendar, join=False)
    if not batches:
        raise InputError("the files contain no row: look at them with --check, and at --from and --to")
    return Dataset(batches, source=source, notes=notes)


def undated_note(origin: str) -> str:
    """Return the note about a file without dates."""
    return f"{origin} has no dates: its rows of today are used for every date"


def _joined(frames: Sequence[pd.DataFrame], *, ranked: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join rows of one day and key, with the first known figure of each column, unless a figure differs.

    Ranked, only contradicting rows of one table stay apart; the second frame contains the (day, key) that an earlier
    table of the ranking decided.
    """
    keys = ["day", "key"]
    frame = pd.concat([one.assign(part=place) for place, one in enumerate(frames)], ignore_index=True)
    frame["row"] = frame["day"].astype(np.int64) * 2**32 + frame["key"]  # day and key as one number
    twice = frame[frame["row"].duplicated(keep=False)]
    differs = _differing(twice.drop(columns="part"), ["row"])
    conflicting = _differing(twice, ["row", "part"]) if ranked else differs
    overruled = twice[twice["row"].isin(np.setdiff1d(differs, conflicting))].drop_duplicates("row")[keys]
    if len(twice):
        apart = frame["row"].isin(conflicting)
        whole = frame[~apart].groupby(keys, as_index=False, sort=True).first()
        frame = pd.concat([whole, frame[apart]], ignore_index=True) if apart.any() else whole
    return frame.drop(columns=["part", "row"]), overruled


def _differing(frame: pd.DataFrame, by: list[str]) -> npt.NDArray[np.int64]:
    """Return the ``row`` of groups in which a figure has two values."""
    counts = frame.groupby(by).nunique().max(axis=1)
    return counts[counts > 1].reset_index()["row"].unique().astype(np.int64)


def _overruled_note(topic: str, overruled: pd.DataFrame) -> str:
    first = overruled.iloc[0]
    return (
        f"{topic}: {len(overruled)} rows differ between two files, such as {key_text(topic, int(first['key']))} on "
        f"{to_date(int(first['day']))}; the first file of the mapping counts"
    )
