"""The publish ledger filled from the topics against a plain model: whatever days and revisions a message has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from feeds.daily.ledger_entry import LedgerEntry
from feeds.daily.ledger_rebuild import rebuild_ledger
from feeds.daily.published_figures import SLOTS, PublishedFigures
from feeds.ports import Place
from processors.codes import to_id
from processors.days import to_day
from processors.events import RowBatch, concat
from tests.building import DAYS, balances
from tests.publishing import MemoryStore

TOPIC, FIRST = "margin.daily", to_day(DAYS[0])
KEYS = [to_id(code) for code in ("600000.SH", "000001.SZ")]
#: Key, days behind the first, revision, balance: some days are more than the slots of published figures apart.
Row = tuple[int, int, int, float]
ROW = st.tuples(
    st.sampled_from(KEYS), st.sampled_from([0, 1, SLOTS - 1, SLOTS, SLOTS + 1]), st.integers(0, 2), st.integers(1, 9)
)


class Topics:
    """What the topics contain: messages of rows in their order."""

    def __init__(self, messages: list[list[Row]]) -> None:
        self._messages = messages

    def ends(self) -> dict[Place, int]:
        return {}

    def trimmed_topics(self) -> list[str]:
        return [TOPIC]

    def batches(self, on_messages: Callable[[int], None]) -> Iterator[RowBatch]:
        for count, rows in enumerate(self._messages, 1):
            yield concat([_row(row) for row in rows])
            on_messages(count)


def _row(row: Row) -> RowBatch:
    key, day, revision, balance = row
    one = balances(DAYS[0], {"600000.SH": float(balance)}, revision)
    return replace(one, keys=np.array([key], np.int32), days=one.days + np.int32(day))


@given(st.lists(st.lists(ROW, min_size=1, max_size=5), min_size=1, max_size=5))
def test_the_highest_revision_of_each_row_and_the_first_of_equal_ones_is_in_the_ledger(
    messages: list[list[Row]],
) -> None:
    newest: dict[tuple[int, int], Row] = {}
    for row in (row for rows in messages for row in rows):
        held = newest.get((row[1], row[0]))
        if held is None or row[2] > held[2]:
            newest[row[1], row[0]] = row
    store, read = MemoryStore(), list[int]()
    checked = rebuild_ledger(Topics(messages), store, check=True)  # type: ignore[arg-type]
    assert store.stored == {}
    result = rebuild_ledger(Topics(messages), store, on_messages=read.append)  # type: ignore[arg-type]
    days = sorted({day for day, _ in newest})
    assert read == [*range(1, len(messages) + 1)]
    assert checked == result and not result.equal
    assert (result.rows, result.days, result.trimmed) == ({TOPIC: len(newest)}, {TOPIC: len(days)}, [TOPIC])
    assert (result.added, result.updated) == (len(newest), 0)
    for day in days:
        entry = LedgerEntry.load(store.read([(TOPIC, FIRST + day)])[0])
        assert dict(zip(entry.keys.tolist(), entry.revisions.tolist(), strict=True)) == {
            key: row[2] for (at, key), row in newest.items() if at == day
        }
    figures = PublishedFigures(store).of(TOPIC)
    for (day, key), row in newest.items():
        group = 0 if key == KEYS[0] else 1
        last = max(at for at, other in newest if other == key and at % SLOTS == day % SLOTS)
        found = figures.on(group, FIRST + day)
        if day == last and day > days[-1] - SLOTS:
            assert found is not None
            assert (found.revisions.tolist(), found.figures["fin_balance"].tolist()) == ([row[2]], [row[3]])
    assert rebuild_ledger(Topics(messages), store).equal  # type: ignore[arg-type]
    day, key = next(iter(newest))
    corrected = (key, day, newest[day, key][2], newest[day, key][3] + 1.0)
    behind = rebuild_ledger(Topics([[corrected], *messages]), store)  # type: ignore[arg-type]
    assert (behind.added, behind.updated) == (0, 1)
