"""Rows that were refused, by day: without them no sum of their day is whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pandas as pd

from feeds.cells.code_styles import resembles_code
from feeds.cells.dates import begins_date
from feeds.cells.index_names import index_named
from feeds.cells.row_kinds import END_OF_ROW, RowKind, is_blank, row_kind
from feeds.checks.compared_day import RefusedKeys
from feeds.checks.findings import Finding
from feeds.checks.row_groups import UNREAD, group_of, groups_of, is_unread
from feeds.mappings.mapped_keys import NO_KEY
from feeds.mappings.mapping import Table
from feeds.mappings.stated_sums import day_in
from processors.arrays import Ids
from processors.codes import exchange_of
from processors.events import INPUT_ROWS, RowBatch
from processors.needs import DETAIL

#: Day → topic → keys of the rows that were left out.
RefusedRows: TypeAlias = dict[int, RefusedKeys]
#: All of its rows are securities of an exchange; a list of prices may contain boards and other securities.
#: A batch with this share of the rows of an exchange is its list: what it does not contain is no row of the day.
_LIST_SHARE = 0.5


def refused_rows(findings: Iterable[Finding]) -> RefusedRows:
    """Return the keys of the rows that findings refuse, where their day and key are known."""
    keys: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for one in findings:
        if one.lost and one.day is not None:
            keys[one.day][one.topic].extend(one.lost)
    return {
        day: {topic: np.array(of_topic, dtype=np.int32) for topic, of_topic in topics.items()}
        for day, topics in keys.items()
    }


def places(topic: str, keys: Ids) -> Ids:
    """Return the exchange of each key, or the key where a word names it (n,)."""
    return exchange_of(keys) if INPUT_ROWS[topic].key_field == "code" else keys


def newly_refused(batch: RowBatch, published: Ids, refused: Ids) -> Ids:
    """Leave out refused rows without a code of a list that lacks a published row, because they are that row."""
    lacking = np.intersect1d(_listed(batch, published), places(batch.topic, np.setdiff1d(published, batch.keys)))
    return refused[~(is_unread(refused) & np.isin(places(batch.topic, refused), lacking))]


def still_refused(batch: RowBatch, published: Ids, refused: Ids) -> Ids:
    """Return the keys that were refused before, without those of exchanges whose list the batch is."""
    return refused[~np.isin(places(batch.topic, refused), _listed(batch, published))]


def _listed(batch: RowBatch, published: Ids) -> Ids:
    """Return the exchanges whose list a batch is, beside the published keys of its day."""
    ours, known = (places(batch.topic, keys) for keys in (batch.keys, published))
    sizes = [(one, np.count_nonzero(ours == one), np.count_nonzero(known == one)) for one in np.unique(ours)]
    return np.array([one for one, here, of_day in sizes if here >= _LIST_SHARE * of_day], dtype=np.int32)


def kind_in(cells: Mapping[Hashable, object], table: Table) -> RowKind:
    """Return the kind of a row (header → cell) of a table.

    A row that has a date, what is nearly a code, or an index in the column of it, or ends within its date, is no note,
    though no cell contains a figure.
    """
    kind = row_kind(cells)
    if kind is not RowKind.NOTE:
        return kind
    columns = [None if table.code is None else table.code.column, table.members_of]
    keys = [cell for column in columns if column is not None and not is_blank(cell := cells.get(column))]
    coded = any(resembles_code(cell) or index_named(cell) is not None for cell in keys)
    cut = END_OF_ROW in cells.values() and any(begins_date(str(cell)) for cell in cells.values())
    return RowKind.FIGURES if coded or cut or day_in(cells, table) is not None else kind


def without_figures(raw: pd.DataFrame, table: Table) -> list[int]:
    """Return the places of the rows without a figure of a table that has no column of keys."""
    used = [one.column for one in table.columns.values() if one.column in raw]
    kinds: list[RowKind | None] = []
    for cells in raw.to_dict("records"):
        of_others = row_kind(cells) is RowKind.FIGURES and all(is_blank(cells[name]) for name in used)
        kinds.append(None if of_others else kind_in(cells, table))
    # A row of sums below no other row is that of the totals: an exchange may label it 合计.
    rows = RowKind.FIGURES if RowKind.FIGURES in kinds else RowKind.SUM
    return [at for at, kind in enumerate(kinds) if kind is not rows]


def placed(finding: Finding, key: int, cells: Mapping[Hashable, object], table: Table, frame: pd.DataFrame) -> Finding:
    """Return the finding of a refused row, whose code or date can't be read, with the day and the rows that it lacks.

    A date that can't be read is the day on which the other rows lack the key, if there is one such day. A code that
    can't be read may be of each exchange of the day's other rows.

    Parameters
    ----------
    key : `NO_KEY` if it can't be read.
    cells : header → cell.
    frame : the rows that were read.
    """
    topic = finding.topic
    if "day" not in frame or table.spell is not None or (key == NO_KEY and topic != DETAIL):
        return finding
    lost: tuple[int, ...] = (key,)
    day = lacking_day(frame, key) if key != NO_KEY or day_in(cells, table) is None else day_in(cells, table)
    if key == NO_KEY:
        places = np.unique(groups_of(topic, frame["key"].to_numpy(np.int32)[frame["day"].to_numpy() == day]))
        lost = tuple(UNREAD * 4 + int(place) for place in places)
    if day is None or not lost:
        return finding
    return replace(finding, day=day, group=group_of(topic, lost[0]) if len(lost) == 1 else "", lost=lost)


def lacking_day(frame: pd.DataFrame, key: int) -> int | None:
    """Return the only day of rows on which they lack a key; None if there is no such day, or several."""
    days = frame["day"].to_numpy()
    lacking = np.setdiff1d(days, days[frame["key"].to_numpy() == key])
    return int(lacking[0]) if len(lacking) == 1 else None
