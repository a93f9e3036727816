"""Joining the rows of one topic: those of one day and key become one row, and all of them a batch."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from feeds.checks.findings import Finding, Severity, key_text
from feeds.errors import InputError
from feeds.publication_times import available_at
from processors.arrays import Floats, Ints, Revisions
from processors.days import TradingCalendar
from processors.events import RowBatch
from processors.index_members import MOST_IN_MESSAGE, codes_in, columns_of

#: A day times this, plus a key, is both as one number.
KEYS = 2**32


def joined(
    topic: str,
    frames: list[pd.DataFrame],
    origins: Sequence[str],
    findings: list[Finding],
    overruled: list[int],
) -> pd.DataFrame:
    """Join rows of one day and key, with the first known figure of each column; report those that contradict.

    It empties ``frames``, so that they are freed once they are joined.

    Parameters
    ----------
    frames : ``table`` (index into ``origins``), ``rank``, ``row``, ``day``, ``key`` and figures.
    overruled : gets the day and key, as one number, of rows that one of a better rank contradicts.
    """
    frame = pd.concat(frames, ignore_index=True)
    frames.clear()
    if frame["rank"].nunique() > 1:
        frame = frame.sort_values("rank", kind="stable")
    frame["id"] = frame["day"].astype(np.int64) * KEYS + frame["key"]
    several = frame["id"].duplicated(keep=False)
    if not several.any():
        return frame
    twice = frame[several]
    figures = [column.name for column in columns_of(topic, frame) if column.name in frame]
    conflicting = _differing(twice, ["id", "rank"], figures)
    for _, group in twice[twice["id"].isin(conflicting)].groupby("id", sort=False):
        findings.append(_conflict(topic, group, figures, origins))
    differing = np.setdiff1d(_differing(twice, ["id"], figures), conflicting)
    overruled += twice["id"][twice["id"].isin(differing)].unique().tolist()
    return pd.concat([frame[~several], twice.groupby("id", as_index=False, sort=False).first()], ignore_index=True)


def _differing(frame: pd.DataFrame, by: list[str], figures: list[str]) -> Ints:
    """Return the ``id`` of groups in which a figure has two values."""
    groups = frame.groupby(by, sort=False)[figures]
    low, high = groups.min(), groups.max()
    differ = ((low != high) & low.notna()).any(axis=1)
    return np.unique(differ.index[differ].get_level_values("id").to_numpy(np.int64))


def _conflict(topic: str, group: pd.DataFrame, figures: list[str], origins: Sequence[str]) -> Finding:
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
    places = [f"{row[name]:,.15g} in {origins[int(row['table'])]}, row {int(row['row'])}" for row in (first, other)]
    day = int(first["day"])
    text = f"{key_text(topic, int(first['key']))} has {name} {' and '.join(places)}: remove one of the rows"
    return Finding(Severity.ERROR, "duplicate", topic, day, text)


def batch_of(topic: str, frame: pd.DataFrame, names: Collection[Hashable], calendar: TradingCalendar) -> RowBatch:
    """Return the rows of a frame (``day``, ``key`` and figures) as a batch, sorted by day and key.

    Parameters
    ----------
    names : of the columns that any year has: batches of all years have the same figures.

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
    # Views of one number take no memory.
    absent: Floats = np.broadcast_to(np.float64(np.nan), len(frame))
    revisions: Revisions = np.broadcast_to(np.int32(0), len(frame))
    figures = {
        c.name: frame[c.name].to_numpy(np.float64)[order] if c.name in frame else absent
        for c in columns_of(topic, names)
    }
    batch = RowBatch(
        topic,
        frame["key"].to_numpy(np.int32)[order],
        days,
        revisions,
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
