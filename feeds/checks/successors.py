"""A security under two codes on one day: its old code beside its successor.

The stream has one security, so one row counts: that of the code which is valid on the day. The other row is left out
with a warning where its figures are the same, and refused where they differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import group_of
from processors.code_changes import CodeChanges
from processors.codes import to_code
from processors.days import to_date
from processors.events import INPUT_ROWS, RowBatch

_SAME, _OTHER = "twins", "successor"


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two rows of one security and day."""

    day: int
    valid: int
    other: int
    same: bool


def of_one_code(rows: RowBatch, changes: CodeChanges, findings: list[Finding]) -> RowBatch:
    """Return rows without those of a code beside the one that is valid on their day; append what was found."""
    pairs = _pairs(rows, rows, changes)
    if not pairs:
        return rows
    findings += [_finding(rows.topic, one) for one in pairs]
    left = {(one.day, one.other) for one in pairs}
    places = zip(rows.days.tolist(), rows.keys.tolist(), strict=True)
    return rows.take(np.array([place not in left for place in places]))


def under_codes_of(day: int, rows: RowBatch, changes: CodeChanges) -> RowBatch:
    """Return the rows of an earlier day under the codes that their securities have on a day.

    Master data have a row only where they change, and their spells are under the newest code.
    """
    if rows.topic == "reference" or INPUT_ROWS[rows.topic].key_field != "code" or not changes.knows(rows.keys):
        return rows
    return replace(rows, keys=changes.valid_on(rows.keys, day))


def published_successors(day: ComparedDay, changes: CodeChanges) -> Iterator[Finding]:
    """Find rows whose security is published under another code on the same day; the stream keeps the first row."""
    for topic, rows in day.rows.items():
        pairs = _pairs(rows, day.whole[topic], changes)
        for one in (pair for pair in pairs if {pair.valid, pair.other} & set(rows.keys.tolist())):
            read, known = (one.other, one.valid) if one.other in rows.keys else (one.valid, one.other)
            text = (
                f"{to_code(read)} is published as {to_code(known)} already, with "
                + ("the same" if one.same else "other")
                + f" figures: the stream keeps those; correct them under {to_code(known)}"
            )
            yield Finding(Severity.WARNING, _SAME if one.same else _OTHER, topic, one.day, text, group_of(topic, read))


def _pairs(rows: RowBatch, whole: RowBatch, changes: CodeChanges) -> list[_Pair]:
    """Return the rows of ``whole`` that are of one security and day, where one of them is in ``rows``."""
    if INPUT_ROWS[rows.topic].key_field != "code" or not changes.knows(rows.keys):
        return []
    newest = changes.newest(whole.keys)
    order = np.lexsort((newest, whole.days))
    day, key = whole.days[order], newest[order]
    starts = np.flatnonzero(np.r_[True, (day[1:] != day[:-1]) | (key[1:] != key[:-1])])
    stops = np.append(starts[1:], len(order))
    out = []
    for start, stop in np.column_stack([starts, stops])[stops - starts > 1].tolist():
        here = {int(whole.keys[at]): at for at in order[start:stop].tolist()}
        valid = changes.nearest(int(key[start]), int(day[start]), here)
        for code in here.keys() - {valid}:
            pair = [here[valid], here[code]]
            same = all(_equal(*values[pair].tolist()) for values in whole.figures.values())
            out.append(_Pair(int(day[start]), valid, code, same))
    return out


def _equal(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)


def _finding(topic: str, pair: _Pair) -> Finding:
    valid, other = to_code(pair.valid), to_code(pair.other)
    text = f"{other} and {valid} are one security, which is {valid} on {to_date(pair.day)}: "
    group = group_of(topic, pair.other)
    if pair.same:
        text += f"the row of {other} has the same figures and is left out"
        return Finding(Severity.WARNING, _SAME, topic, pair.day, text, group)
    text += f"the row of {other} has other figures and is refused; export the day again, or remove the wrong row"
    return Finding(Severity.REFUSED, _OTHER, topic, pair.day, text, group)
