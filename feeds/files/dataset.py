"""Rows that were read, by topic: the tables of single files, and the dataset that they make up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import pandas as pd

from feeds.checks.findings import Finding, Severity, key_text
from feeds.checks.row_groups import group_of
from feeds.checks.successors import of_one_code
from feeds.checks.validate import TOO_MANY_ROWS, TOO_MANY_SHARE
from feeds.errors import InputError
from feeds.files import special_treatment
from feeds.files.float_caps import with_float_caps
from feeds.files.joined_rows import KEYS, batch_of, joined
from feeds.files.master_data import MasterData, nothing_published, rows_of_spells, seen_in
from feeds.mappings.mapped_rows import MappedRows
from feeds.mappings.refused_rows import lacking_day
from processors.arrays import Days, Ints, Mask
from processors.code_changes import NO_CHANGES, CodeChanges
from processors.days import TradingCalendar, to_date, to_day
from processors.events import RowBatch, concat

#: Trade date (days since 1970-01-01) and its rows by topic.
DayRows = tuple[int, dict[str, RowBatch]]


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Rows of one topic from one file.

    Parameters
    ----------
    origin : the file, and the layout that was recognised.
    frame : ``key``, ``day`` (missing if the file has no dates) and figures, as `feeds.mappings.mapped_rows.map_rows`
        returns them; also ``row``, its number in the file, and ``name`` if the file has names, see
        `feeds.daily.security_names`.
    rank : the place of the table in a mapping file: where two of them contradict each other the first one counts.
    steps : figure → the step to which it is rounded, see `feeds.mappings.mapped_rows.MappedRows`.
    fallback : whether the rows of a security count only where no other table has it, see
        `feeds.mappings.mapping.Table`.
    sorted_by : days whose rows are in the order of a figure → its column, see `feeds.mappings.row_order`.
    """

    topic: str
    origin: str
    frame: pd.DataFrame
    rank: int = 0
    steps: Mapping[str, float] = field(default_factory=dict)
    fallback: bool = False
    sorted_by: Mapping[int, str] = field(default_factory=dict)


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
            self.tables.append(SourceTable(topic, origin, rows.frame, rank, rows.steps, fallback, rows.sorted_by))

    def extend(self, other: SourceTables) -> None:
        """Append the tables and findings of another reading."""
        self.tables += other.tables
        self.findings += other.findings
        self.files += other.files


@dataclass(slots=True)
class Dataset:
    """Rows by calendar year and topic, sorted by day and key.

    Parameters
    ----------
    years : topic → rows, of each calendar year that has any, ascending.
    files : the number of files that were read.
    source : the name under which the rows are published.
    notes : remarks for the user of the rows.
    findings : what was left out while the rows were read and joined.
    """

    years: list[dict[str, RowBatch]] = field(default_factory=list)
    files: int = 0
    source: str = "files"
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """The number of rows of all topics."""
        return sum(len(b) for year in self.years for b in year.values())

    @property
    def batches(self) -> dict[str, RowBatch]:
        """The rows of all years by topic: copies, if there are several years."""
        topics = dict.fromkeys(topic for year in self.years for topic in year)
        return {topic: rows for topic in topics if (rows := self.whole(topic)) is not None}

    def whole(self, topic: str) -> RowBatch | None:
        """Return the rows of a topic of all years (a copy, if there are several), None if there are none."""
        found = [year[topic] for year in self.years if topic in year]
        return concat(found) if found else None

    def days(self) -> list[int]:
        """Return all trade dates, ascending."""
        found = [np.unique(b.days) for year in self.years for b in year.values()]
        return np.unique(np.concatenate(found)).tolist() if found else []

    def by_day(self, *, release: bool = False) -> Iterator[DayRows]:
        """Yield each day with its rows by topic.

        Parameters
        ----------
        release : whether the dataset drops each year before it yields the next one, so that a long history is never
            in memory beside what the reader makes of it.
        """
        left = self.years if release else list(self.years)
        while left:
            yield from _days_of(left[0])
            del left[0]

    def newest_rows(self) -> dict[str, RowBatch]:
        """Return the rows of the last day of each topic."""
        newest = {topic: batch for year in self.years for topic, batch in year.items()}
        return {topic: batch.take(batch.days == batch.days.max()) for topic, batch in newest.items()}


def _days_of(batches: Mapping[str, RowBatch]) -> Iterator[DayRows]:
    """Yield each day of batches with its rows by topic."""
    bounds: dict[str, dict[int, tuple[int, int]]] = {}
    for topic, batch in batches.items():
        days, starts = np.unique(batch.days, return_index=True)
        ends = np.append(starts[1:], len(batch))
        bounds[topic] = {int(d): (int(a), int(b)) for d, a, b in zip(days, starts, ends, strict=True)}
    for day in sorted({day for of_topic in bounds.values() for day in of_topic}):
        yield (
            day,
            {
                topic: batch.take(np.arange(*bounds[topic][day]))
                for topic, batch in batches.items()
                if day in bounds[topic]
            },
        )


def between(frame: pd.DataFrame, start: date | None, end: date | None) -> pd.DataFrame:
    """Return the rows whose ``day`` lies between two dates, both included; None is no limit."""
    if start is not None:
        frame = frame[frame["day"] >= to_day(start)]
    if end is not None:
        frame = frame[frame["day"] <= to_day(end)]
    return frame


def require_days(tables: Iterable[SourceTable], start: date | None, end: date | None) -> None:
    """Raise `InputError` if tables have days, and none between two dates: what is left would be undated rows alone."""
    dated = [one.frame["day"] for one in tables if "day" in one.frame and "until" not in one.frame and len(one.frame)]
    first, last = min((days.min() for days in dated), default=0), max((days.max() for days in dated), default=0)
    begin, until = first if start is None else to_day(start), last if end is None else to_day(end)
    if dated and not any(days.between(begin, until).any() for days in dated):
        raise InputError(
            f"the files have no row from {start or 'their beginning'} to {end or 'their end'}: their days are "
            f"{to_date(int(first))} to {to_date(int(last))}; choose another --from or --to"
        )


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


def gather(
    tables: Iterable[SourceTable],
    calendar: TradingCalendar,
    source: str,
    start: date | None = None,
    end: date | None = None,
    changes: CodeChanges = NO_CHANGES,
    published: MasterData = nothing_published,
) -> Dataset:
    """Join tables into a `Dataset`, year by year: the copies that a join makes are those of a year.

    Rows of one day and key that complete each other become one row. Where tables of different rank contradict each
    other, the first rank counts and a note reports it; rows of one rank that contradict each other are an error that
    names both. Of rows of one security under two codes, those of the code of the day count. Rows without a date get the
    first date of all. Spells become rows of the days on which they change, under the newest codes, with what is
    published of their securities; those of a part of the days are the rows that all days together have on them. Prices
    take special treatment (ST) from these rows, or from published ones.

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
    seen: dict[str, list[pd.DataFrame]] = {}
    origins: list[str] = []
    fallbacks: list[bool] = []
    out = Dataset(source=source)
    for place, table in enumerate(tables):
        origins.append(table.origin)
        fallbacks.append(table.fallback)
        own = {"table": np.int16(place), "rank": np.int16(table.rank)}
        frame = table.frame.drop(columns="name", errors="ignore").assign(**own)
        if "until" in frame:
            spells.append(frame)
        elif "day" not in frame:
            undated.setdefault(table.topic, []).append(frame)
            out.notes.append(f"{table.origin} has no dates: its rows of today are used for every date")
        else:
            if (days := seen_in(table.topic, frame, calendar)) is not None:
                seen.setdefault(table.topic, []).append(days)
            frame = between(frame, start, end)
            held = _sessions(table, frame, calendar, out.findings)
            dated.setdefault(table.topic, []).extend(_by_year(frame if held.all() else frame[held]))
    every = with_first_day(dated, undated, calendar)
    if spells:
        if any("listed" in frame for frame in spells) and not every.get("prices.daily"):
            out.notes.append(
                "suspensions are left out: beside prices of the whole market they show which stocks are listed"
            )
        rows_of = rows_of_spells(spells, every, seen, calendar, changes, origins, published(), start, end)
        every["reference"] = [*_by_year(rows_of)]
    filled = {topic: _without_covered([f for f in every.pop(topic) if len(f)], fallbacks) for topic in tuple(every)}
    dated.clear()
    columns = {topic: {name for frame in frames for name in frame} for topic, frames in filled.items()}
    overruled: dict[str, list[int]] = {topic: [] for topic in filled}
    for year in sorted({_year(frame) for frames in filled.values() for frame in frames}):
        rows = {}
        for topic, frames in filled.items():
            of_year = [frame for frame in frames if _year(frame) == year]
            frames[:] = [frame for frame in frames if _year(frame) != year]  # joined, a frame is freed
            if of_year:
                frame = joined(topic, of_year, origins, out.findings, overruled[topic])
                rows[topic] = of_one_code(batch_of(topic, frame, columns[topic], calendar), changes, out.findings)
        if "valuations.daily" in rows and "prices.daily" in rows:
            rows["valuations.daily"] = with_float_caps(rows["valuations.daily"], rows["prices.daily"])
        out.years.append(rows)
    for topic, places in overruled.items():
        if places:
            day, key = divmod(places[0], KEYS)
            out.notes.append(
                f"{topic}: {len(places)} rows differ between two files, such as {key_text(topic, key)} on "
                f"{to_date(day)}; the first file of the mapping counts"
            )
    if not out.years:
        raise InputError("the files contain no row: give files with rows, or other dates with --from and --to")
    special_treatment.add_to(out.years, changes, published, out.notes)
    return out


def _by_year(frame: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the rows of each calendar year: copies, if there are several, so that each can be freed."""
    years = _years(frame["day"].to_numpy())
    distinct = np.unique(years)
    for year in distinct:
        yield frame[years == year] if len(distinct) > 1 else frame


def _years(days: Days) -> Ints:
    return days.astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64)


def _year(frame: pd.DataFrame) -> int:
    """Return the year of rows of one year."""
    return int(_years(frame["day"].to_numpy()[:1])[0])


def _without_covered(frames: list[pd.DataFrame], fallbacks: Sequence[bool]) -> list[pd.DataFrame]:
    """Leave out rows of tables of last resort whose securities another table has, on the days of that one."""
    of_tables = [fallbacks[int(frame["table"].iloc[0])] for frame in frames]
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


def _sessions(table: SourceTable, frame: pd.DataFrame, calendar: TradingCalendar, findings: list[Finding]) -> Mask:
    """Return which rows are of trading days; report the others, each as a row of the day that lacks it.

    Raises
    ------
    InputError : if they are many.
    """
    days, rows, keys = (frame[name].to_numpy() for name in ("day", "row", "key"))
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
    for at, text in zip(wrong.tolist(), texts, strict=False):
        finding = Finding(Severity.REFUSED, "date", table.topic, None, text)
        if (day := lacking_day(frame[held], int(keys[at]))) is not None:
            finding = replace(finding, day=day, group=group_of(table.topic, keys[at]), lost=(int(keys[at]),))
        findings.append(finding)
    return held
