"""Rows that were read, by topic: the tables of single files, and the dataset that they make up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds import special_treatment
from feeds.errors import InputError
from feeds.float_caps import with_float_caps
from feeds.mapped_rows import MappedRows
from feeds.master_data import MasterData, nothing_published, rows_of_spells
from feeds.publication_times import available_at
from feeds.successors import of_one_code
from feeds.validate import TOO_MANY_ROWS, TOO_MANY_SHARE, Finding, Severity, key_text
from processors.code_changes import NO_CHANGES, CodeChanges
from processors.days import Days, TradingCalendar, to_date, to_day
from processors.events import RowBatch
from processors.index_members import MOST_IN_MESSAGE, codes_in, columns_of

#: Trade date (days since 1970-01-01) and its rows by topic.
DayRows = tuple[int, dict[str, RowBatch]]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Rows of one topic from one file.

    Parameters
    ----------
    origin : the file, and the layout that was recognised.
    frame : ``key``, ``day`` (missing if the file has no dates) and figures, as `feeds.mapped_rows.map_rows` returns
        them; also ``row``, its number in the file, and ``name`` if the file has names, see `feeds.security_names`.
    rank : the place of the table in a mapping file: where two of them contradict each other the first one counts.
    steps : figure → the step to which it is rounded, see `feeds.mapped_rows.MappedRows`.
    fallback : whether the rows of a security count only where no other table has it, see `feeds.mapping.Table`.
    """

    topic: str
    origin: str
    frame: pd.DataFrame
    rank: int = 0
    steps: Mapping[str, float] = field(default_factory=dict)
    fallback: bool = False


@dataclass(slots=True)
class SourceTables:
    """The tables that were read, the findings of their readers, and the number of files.

    Parameters
    ----------
    awaited : why the same day should be fetched again: a source to compare with has not published it yet. Empty if not.
    """

    tables: list[SourceTable] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    awaited: str = ""

    def add(self, topic: str, origin: str, rows: MappedRows, rank: int = 0, *, fallback: bool = False) -> None:
        """Append the rows of a table, if there are any, and the findings of reading it; see `SourceTable`."""
        self.findings += rows.findings
        if len(rows.frame):
            self.tables.append(SourceTable(topic, origin, rows.frame, rank, rows.steps, fallback))

    def extend(self, other: SourceTables) -> None:
        """Append the tables and findings of another reading."""
        self.tables += other.tables
        self.findings += other.findings
        self.files += other.files


@dataclass(slots=True)
class Dataset:
    """Rows by topic, sorted by day and key.

    Parameters
    ----------
    files : the number of files that were read.
    source : the name under which the rows are published.
    notes : remarks for the user of the rows.
    findings : what was left out while the rows were read and joined.
    """

    batches: dict[str, RowBatch] = field(default_factory=dict)
    files: int = 0
    source: str = "files"
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

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
    """Return the rows whose ``day`` lies between two dates, both included; None is no limit.

    Of spells, those that have a day between them; what happens behind the last one is left out.
    """
    spells = "until" in frame
    if start is not None:
        frame = frame[~(frame["until"] < to_day(start)) if spells else frame["day"] >= to_day(start)]
    if end is not None:
        frame = frame[frame["day"] <= to_day(end)]
        if spells:
            frame = frame.assign(until=frame["until"].where(frame["until"] < to_day(end)))
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


def batch_of(topic: str, frame: pd.DataFrame, calendar: TradingCalendar) -> RowBatch:
    """Return the rows of a frame (``day``, ``key`` and figures) as a batch, sorted by day and key.

    Raises
    ------
    ConfigurationError : for a day at the end of the calendar.
    InputError : for members of more indices than a message may have.
    """
    # Column by column: a sorted copy of the whole frame would double the memory of years of a whole market.
    order = np.lexsort((frame["key"].to_numpy(), frame["day"].to_numpy()))
    days = frame["day"].to_numpy(np.int32)[order]
    distinct, inverse = np.unique(days, return_inverse=True)
    stamps = np.array([available_at(topic, int(d), calendar) for d in distinct], dtype=np.int64)
    figures = {
        c.name: frame[c.name].to_numpy(np.float64)[order] if c.name in frame else np.full(len(frame), np.nan)
        for c in columns_of(topic, frame)
    }
    batch = RowBatch(
        topic,
        frame["key"].to_numpy(np.int32)[order],
        days,
        np.zeros(len(frame), dtype=np.int32),
        stamps[inverse],
        figures,
    )
    return _with_flags(batch)


def _with_flags(batch: RowBatch) -> RowBatch:
    """Fill absent flags of the security master: its rows replace all of the row before, "no member" included."""
    if batch.topic != "reference":
        return batch
    flags = {column.name: column.default for column in columns_of(batch.topic, batch.figures) if column.flag}
    figures = {n: np.nan_to_num(v, nan=flags[n]) if n in flags else v for n, v in batch.figures.items()}
    if len(found := codes_in(figures)) > MOST_IN_MESSAGE:
        raise InputError(
            f"the files have members of {len(found)} indices, a message has at most {MOST_IN_MESSAGE}: leave out the "
            "rows of indices that no group needs"
        )
    return replace(batch, figures=figures)


def gather(
    tables: Sequence[SourceTable],
    calendar: TradingCalendar,
    source: str,
    start: date | None = None,
    end: date | None = None,
    changes: CodeChanges = NO_CHANGES,
    published: MasterData = nothing_published,
) -> Dataset:
    """Join tables into a `Dataset`.

    Rows of one day and key that complete each other become one row. Where tables of different rank contradict each
    other, the first rank counts and a note reports it; rows of one rank that contradict each other are an error that
    names both. Of rows of one security under two codes, those of the code of the day count. Rows without a date get the
    first date of all. Spells become rows of the days on which they change, under the newest codes, with what is
    published of their securities. Prices take special treatment (ST) from these rows, or from published ones.

    Parameters
    ----------
    published : the master data that are published.

    Raises
    ------
    InputError : if there is no row, or a table is of days without a session.
    """
    dated: dict[str, list[pd.DataFrame]] = {}
    undated: dict[str, list[pd.DataFrame]] = {}
    spells: list[pd.DataFrame] = []
    out = Dataset(source=source)
    for place, table in enumerate(tables):
        frame = table.frame.drop(columns="name", errors="ignore").assign(table=place, rank=table.rank)
        if "until" in frame:
            spells.append(between(frame, start, end))
        elif "day" not in frame:
            undated.setdefault(table.topic, []).append(frame)
            out.notes.append(f"{table.origin} has no dates: its rows of today are used for every date")
        else:
            frame = between(frame, start, end)
            held = _sessions(table, frame["day"].to_numpy(), frame["row"].to_numpy(), calendar, out.findings)
            dated.setdefault(table.topic, []).append(frame if held.all() else frame[held])  # a selection is a copy
    every = with_first_day(dated, undated, calendar)
    if spells:
        if any("listed" in frame for frame in spells) and not every.get("prices.daily"):
            out.notes.append(
                "suspensions are left out: beside prices of the whole market they show which stocks are listed"
            )
        origins = [table.origin for table in tables]
        known = published() if start is None and end is None else None  # a part of the days corrects no other
        every["reference"] = [rows_of_spells(spells, every, calendar, changes, origins, known)]
    spells.clear()
    dated.clear()
    for topic in tuple(every):
        filled = [frame for frame in every.pop(topic) if len(frame)]  # joined, it lives no longer than its batch needs
        if filled:
            filled = _without_covered(filled, tables)
            joined = batch_of(topic, _joined(topic, filled, tables, out), calendar)
            out.batches[topic] = of_one_code(joined, changes, out.findings)
    special_treatment.add_to(out.batches, changes, published, out.notes)
    if "valuations.daily" in out.batches and "prices.daily" in out.batches:
        out.batches["valuations.daily"] = with_float_caps(out.batches["valuations.daily"], out.batches["prices.daily"])
    if not out.batches:
        raise InputError("the files contain no row: look at them with --check, and at --from and --to")
    return out


def _without_covered(frames: list[pd.DataFrame], tables: Sequence[SourceTable]) -> list[pd.DataFrame]:
    """Leave out rows of tables of last resort whose securities another table has, on the days of that one."""
    of_tables = [tables[int(frame["table"].iloc[0])].fallback for frame in frames]
    best = [frame for frame, fallback in zip(frames, of_tables, strict=True) if not fallback]
    if not best or len(best) == len(frames):
        return frames
    keys = np.unique(np.concatenate([frame["key"].unique() for frame in best]))
    first, last = min(frame["day"].min() for frame in best), max(frame["day"].max() for frame in best)
    out = [
        frame[~(frame["key"].isin(keys) & frame["day"].between(first, last))] if fallback else frame
        for frame, fallback in zip(frames, of_tables, strict=True)
    ]
    return [frame for frame in out if len(frame)]


def _sessions(
    table: SourceTable, days: Days, rows: npt.NDArray[np.int64], calendar: TradingCalendar, findings: list[Finding]
) -> npt.NDArray[np.bool_]:
    """Return which rows are of trading days; report the others.

    Raises
    ------
    InputError : if they are many.
    """
    distinct, inverse = np.unique(days, return_inverse=True)
    held = np.asarray(calendar.contains(distinct))[inverse]
    wrong = np.flatnonzero(~held)
    if table.topic == "rates.daily" and len(wrong):  # banks trade bonds on weekends that make up for holidays
        text = f"{table.origin}: {len(wrong)} days are left out, which are no trading days of XSHG, such as "
        findings.append(Finding(Severity.WARNING, "date", table.topic, None, f"{text}{to_date(int(days[wrong[0]]))}"))
        return held
    texts = [
        f"{table.origin}, row {rows[at]}: {to_date(int(days[at]))} is no trading day of XSHG: correct the date, or the "
        "trading calendar"
        for at in wrong.tolist()[: TOO_MANY_ROWS + 1]
    ]
    if len(wrong) > max(TOO_MANY_ROWS, TOO_MANY_SHARE * len(days)) or len(wrong) == len(days) > 0:
        raise InputError(f"{texts[0]} ({len(wrong)} such rows)")
    findings += [Finding(Severity.REFUSED, "date", table.topic, None, text) for text in texts]
    return held


def _joined(topic: str, frames: list[pd.DataFrame], tables: Sequence[SourceTable], out: Dataset) -> pd.DataFrame:
    """Join rows of one day and key, with the first known figure of each column; report those that contradict.

    It empties ``frames``, so that they are freed once they are joined.
    """
    frame = pd.concat(frames, ignore_index=True)
    frames.clear()
    if frame["rank"].nunique() > 1:
        frame = frame.sort_values("rank", kind="stable")
    frame["id"] = frame["day"].astype(np.int64) * 2**32 + frame["key"]  # day and key as one number
    several = frame["id"].duplicated(keep=False)
    if not several.any():
        return frame
    twice = frame[several]
    figures = [column.name for column in columns_of(topic, frame) if column.name in frame]
    conflicting = _differing(twice, ["id", "rank"], figures)
    for _, group in twice[twice["id"].isin(conflicting)].groupby("id", sort=False):
        out.findings.append(_conflict(topic, group, figures, tables))
    overruled = np.setdiff1d(_differing(twice, ["id"], figures), conflicting)
    if len(overruled):
        first = twice[twice["id"].isin(overruled)].iloc[0]
        out.notes.append(
            f"{topic}: {len(overruled)} rows differ between two files, such as {key_text(topic, int(first['key']))} on "
            f"{to_date(int(first['day']))}; the first file of the mapping counts"
        )
    return pd.concat([frame[~several], twice.groupby("id", as_index=False, sort=False).first()], ignore_index=True)


def _differing(frame: pd.DataFrame, by: list[str], figures: list[str]) -> npt.NDArray[np.int64]:
    """Return the ``id`` of groups in which a figure has two values."""
    groups = frame.groupby(by, sort=False)[figures]
    low, high = groups.min(), groups.max()
    differ = ((low != high) & low.notna()).any(axis=1)
    return np.unique(differ.index[differ].get_level_values("id").to_numpy(np.int64))


def _conflict(topic: str, group: pd.DataFrame, figures: list[str], tables: Sequence[SourceTable]) -> Finding:
    """Report the first two rows of a day and key that contradict each other."""
    first = group.iloc[0]
    for _, other in group.iloc[1:].iterrows():
        name = next(
            (n for n in figures if first[n] == first[n] and other[n] == other[n] and first[n] != other[n]), None
        )
        if name is not None:
            break
    else:
        name, other = figures[0], group.iloc[-1]
    places = [
        f"{row[name]:,.15g} in {tables[int(row['table'])].origin}, row {int(row['row'])}" for row in (first, other)
    ]
    day = int(first["day"])
    text = f"{key_text(topic, int(first['key']))} has {name} {' and '.join(places)}: remove one of the rows"
    return Finding(Severity.ERROR, "duplicate", topic, day, text)
