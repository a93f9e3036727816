"""From read tables to published topics, with the report in between: what `feed exchange` and `feed vendor` share."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds.folder import Dataset, FeedError, batch_of
from feeds.ledger import PublishLedger
from feeds.publish import Days, publish_days
from feeds.validate import Finding, Rows, Severity, first_of_each, report
from processors.codes import to_code
from processors.days import TradingCalendar, to_date, to_day
from processors.events import FIGURES, INPUT_ROWS, KEYS, Column, RowBatch
from streams.publisher import Publisher

_TOLD_PER_CHECK = 5


@dataclass(frozen=True, slots=True)
class SourceTable:
    """Rows of one topic out of one file.

    Parameters
    ----------
    origin : the file, and what it was taken for.
    frame : ``key``, ``day`` (none where the file has no dates) and figures, as the readers of `folder` give them; also
        ``name`` where the file has it, see `feeds.names`.
    """

    topic: str
    origin: str
    frame: pd.DataFrame


@dataclass(slots=True)
class SourceTables:
    """What was read, with what readers found on the way."""

    parts: list[SourceTable] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def gather(
    parts: Sequence[SourceTable],
    calendar: TradingCalendar,
    source: str,
    start: date | None = None,
    end: date | None = None,
    *,
    ranked: bool = False,
) -> Dataset:
    """Put parts together as a `Dataset`.

    Rows of one key and day that complete each other become one; rows that contradict each other stay apart, for the
    report to name. Rows without a date hold from the first date of all on: it is what is known today, not then.

    Parameters
    ----------
    ranked : whether the parts stand in an order of preference, as a mapping file gives it: where two of them contradict
        each other the first counts, and a note says so. Rows of one part never may.

    Raises
    ------
    FeedError : if nothing is left, or a date is no trading day.
    """
    dated: dict[str, list[pd.DataFrame]] = {}
    undated: dict[str, list[pd.DataFrame]] = {}
    notes = []
    for part in parts:
        frame = part.frame.drop(columns="name", errors="ignore")
        if "day" not in frame:
            undated.setdefault(part.topic, []).append(frame)
            notes.append(f"{part.origin} has no dates: what it says today is used for every date")
            continue
        if start is not None:
            frame = frame[frame["day"] >= to_day(start)]
        if end is not None:
            frame = frame[frame["day"] <= to_day(end)]
        dated.setdefault(part.topic, []).append(frame)
    first = min((int(f["day"].min()) for frames in dated.values() for f in frames if len(f)), default=calendar.first)
    for topic, frames in undated.items():
        dated.setdefault(topic, []).extend(frame.assign(day=np.int32(first)) for frame in frames)
    batches = {}
    for topic, frames in dated.items():
        if any(len(frame) for frame in frames):
            joined, overruled = _joined(frames, ranked=ranked)
            if len(overruled):
                notes.append(_told_overruled(topic, overruled))
            batches[topic] = _with_defaults(batch_of(topic, joined, calendar, join=False))
    if not batches:
        raise FeedError("no row was found: look at the files with --check, and at --from and --to")
    return Dataset(batches, source=source, notes=notes)


def _joined(frames: Sequence[pd.DataFrame], *, ranked: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Join rows of one day and key, the first figure known of each column, but for those of which a figure differs.

    Ranked, only rows of one part are kept apart for that; the second frame tells which (day, key) an earlier part of
    the ranking decided.
    """
    keys = ["day", "key"]
    frame = pd.concat([one.assign(part=place) for place, one in enumerate(frames)], ignore_index=True)
    frame["row"] = frame["day"].astype(np.int64) * 2**32 + frame["key"]  # day and key as one number
    twice = frame[frame["row"].duplicated(keep=False)]
    differs = _differing(twice.drop(columns="part"), ["row"])
    torn = _differing(twice, ["row", "part"]) if ranked else differs
    overruled = twice[twice["row"].isin(np.setdiff1d(differs, torn))].drop_duplicates("row")[keys]
    if len(twice):
        apart = frame["row"].isin(torn)
        whole = frame[~apart].groupby(keys, as_index=False, sort=True).first()
        frame = pd.concat([whole, frame[apart]], ignore_index=True) if apart.any() else whole
    return frame.drop(columns=["part", "row"]), overruled


def _differing(frame: pd.DataFrame, by: list[str]) -> npt.NDArray[np.int64]:
    """Return the rows (their ``row``) of which some figure has two values within a group."""
    counts = frame.groupby(by).nunique().max(axis=1)
    return counts[counts > 1].reset_index()["row"].unique().astype(np.int64)


def _told_overruled(topic: str, overruled: pd.DataFrame) -> str:
    first = overruled.iloc[0]
    return (
        f"{topic}: {len(overruled)} rows differ between two files, such as {_key(topic, first['key'])} on "
        f"{to_date(int(first['day']))}; the file that comes first in the mapping counts"
    )


def _with_defaults(batch: RowBatch) -> RowBatch:
    """A reference row replaces all of the one before, so "no member" is said, not left open."""
    if batch.topic != "reference":
        return batch
    flags = {column.name: column.default for column in FIGURES[batch.topic] if column.flag}
    figures = {n: np.nan_to_num(v, nan=flags[n]) if n in flags else v for n, v in batch.figures.items()}
    return replace(batch, figures=figures)


def reports(days: Days, calendar: TradingCalendar, before: Rows | None = None) -> Iterator[Finding]:
    """Check every day against the last one before it that has the topic."""
    last: dict[str, RowBatch] = dict(before or {})
    for _day, rows in days:
        yield from report(rows, last, calendar)
        last |= {topic: batch for topic, batch in rows.items() if len(batch)}


def newest(folder: Dataset) -> dict[str, RowBatch]:
    """Return the rows of the last day of each topic."""
    return {topic: batch.take(batch.days == batch.days.max()) for topic, batch in folder.batches.items()}


def told(findings: Iterable[Finding]) -> Iterator[str]:
    """Findings as lines, the first few of each check and topic, then how many more."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.severity, one.check, one.topic), []).append(one)
    for (severity, check, topic), group in sorted(groups.items()):
        yield from map(str, group[:_TOLD_PER_CHECK])
        if len(group) > _TOLD_PER_CHECK:
            yield f"{severity.upper()} {check} {topic}: … and {len(group) - _TOLD_PER_CHECK} more"


def examples(parts: Iterable[SourceTable], rows: int = 3) -> Iterator[str]:
    """The first rows of each part as they were understood: CNY, shares, fractions."""
    for part in parts:
        yield f"{part.origin} → {part.topic}, {len(part.frame):,} rows"
        for row in islice(part.frame.to_dict("records"), rows):
            yield "  " + _row(part.topic, row)


def _row(topic: str, row: dict[Hashable, Any]) -> str:
    day = to_date(int(row["day"])).isoformat() if "day" in row else "every date"
    shown = [
        f"{column.name} {_figure(column, row[column.name])}"
        for column in FIGURES[topic]
        if column.name in row and row[column.name] == row[column.name]
    ]
    return f"{day} {_key(topic, row['key'])}: " + ", ".join(shown)


def _figure(column: Column, value: float) -> str:
    if column.words:
        return column.words[int(value)]
    return to_date(int(value)).isoformat() if column.date else f"{value:,.15g}"


def _key(topic: str, key: float) -> str:
    name = INPUT_ROWS[topic].key_field
    return to_code(int(key)) if name == "code" else KEYS[name][int(key)]


def refuse(findings: Iterable[Finding], *, force: bool) -> None:
    """Stop where a finding is an error, unless forced.

    Raises
    ------
    FeedError : saying how many errors there are and what to do.
    """
    errors = [f for f in findings if f.severity is Severity.ERROR]
    if errors and not force:
        raise FeedError(
            f"nothing was published: {len(errors)} error{'s' if len(errors) > 1 else ''} in the figures, the first: "
            f"{errors[0]}. Mend the file or its mapping, or publish it as it is with --force"
        )


def publish(
    publisher: Publisher,
    found: Dataset,
    ledger: PublishLedger | None = None,
    on_day: Callable[[str], None] = lambda _day: None,
) -> str:
    """Publish every day and return the barrier."""
    publish_days(publisher, once(found).by_day(), ledger=ledger, on_day=on_day)
    return publisher.barrier()


def once(found: Dataset) -> Dataset:
    """Of a key that comes twice in a day (only with --force it comes so far), keep the first row."""
    return replace(found, batches={topic: first_of_each(batch) for topic, batch in found.batches.items()})
