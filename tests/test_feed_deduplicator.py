"""The deduplicator of intraday rows: new, late, unchanged, corrected and refused rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.errors import LedgerError
from feeds.intraday.deduplicator import STRICT, AcceptancePolicy, ClassifiedRows, IntradayDeduplicator
from feeds.ports import Place
from processors.codes import to_codes, to_id
from processors.days import DAY_US, to_day
from processors.events import RowBatch
from processors.intraday_store import IntradayStore
from streams.feed_services import FrameCodec
from streams.settings import Settings
from tests.building import DAYS
from tests.publishing import MemoryStore

A, B = "600000.SH", "000001.SZ"
OPEN = to_day(DAYS[0]) * DAY_US + 90 * 60_000_000  # 09:30 in Shanghai
CODEC = FrameCodec(Settings())
#: code, minutes since the open, fin_buy
Row = tuple[str, int, float]


def positions(rows: Sequence[Row], day: int = 0, revision: int = 0) -> RowBatch:
    size, start = len(rows), OPEN + (to_day(DAYS[day]) - to_day(DAYS[0])) * DAY_US
    bought = np.array([row[2] for row in rows], dtype=np.float64)
    return RowBatch(
        "margin.intraday",
        np.array([to_id(row[0]) for row in rows], dtype=np.int32),
        np.full(size, to_day(DAYS[day]), dtype=np.int32),
        np.full(size, revision, dtype=np.int32),
        start + np.array([row[1] for row in rows], dtype=np.int64) * 60_000_000,
        {"fin_buy": bought, "fin_repay": np.zeros(size)},
    )


def plain(classified: ClassifiedRows) -> list[tuple[str, int, float, int]]:
    rows = classified.new
    minutes = (rows.stamps - OPEN) % DAY_US // 60_000_000
    columns = (minutes.tolist(), rows.figures["fin_buy"].tolist(), rows.revisions.tolist())
    return list(zip(to_codes(rows.keys), *columns, strict=True))


def deduplicator(store: MemoryStore | None = None) -> IntradayDeduplicator:
    return IntradayDeduplicator(store or MemoryStore(), "margin.intraday", CODEC)


def published(made: IntradayDeduplicator, rows: RowBatch, how: AcceptancePolicy = STRICT) -> ClassifiedRows:
    classified = made.begin(rows, how)
    if len(classified.new):
        made.confirm(classified.new)
    return classified


def test_a_repetition_publishes_nothing_and_an_older_row_is_late() -> None:
    made = deduplicator()
    assert plain(published(made, positions([(B, 1, 5), (A, 2, 20), (A, 1, 10)]))) == [(B, 1, 5, 0), (A, 1, 10, 0),
                                                                                 (A, 2, 20, 0)]  # fmt: skip
    again = published(made, positions([(A, 1, 10), (A, 2, 20), (B, 1, 5)]))
    assert (plain(again), again.unchanged, again.late) == ([], 2, 1)
    assert plain(published(made, positions([(A, 3, 20)]))) == [(A, 3, 20, 0)]  # nothing bought, and still a newer word


def test_other_figures_of_the_newest_moment_are_a_correction_with_the_next_revision() -> None:
    made = deduplicator()
    published(made, positions([(A, 1, 10), (A, 2, 20)]))
    assert plain(published(made, positions([(A, 2, 15)]))) == [(A, 2, 15, 1)]
    assert plain(published(made, positions([(A, 2, 16), (A, 3, 17)]))) == [(A, 2, 16, 2), (A, 3, 17, 0)]


def test_cumulative_figures_do_not_fall_within_a_day() -> None:
    made = deduplicator()
    published(made, positions([(A, 1, 10), (B, 1, 5)]))
    classified = published(made, positions([(B, 2, 6), (A, 2, 9.5), (A, 3, 11), (A, 4, 10.5)]))
    assert plain(classified) == [(B, 2, 6, 0), (A, 3, 11, 0)]
    assert [(one.row, one.field) for one in classified.refused] == [(1, "fin_buy"), (3, "fin_buy")]
    assert "600000.SH fell from 10 to 9.5" in str(classified.refused[0])
    assert "fell from 11 to 10.5" in str(classified.refused[1])
    assert plain(published(made, positions([(A, 5, 1)]), AcceptancePolicy(may_fall=True))) == [(A, 5, 1, 0)]
    assert plain(published(made, positions([(A, 1, 0.5)], day=1))) == [(A, 1, 0.5, 0)]  # another day begins at zero


def test_two_rows_of_one_moment_may_not_differ() -> None:
    made = deduplicator()
    classified = published(made, positions([(A, 1, 10), (B, 1, 5), (A, 1, 10), (B, 1, 6)]))
    assert plain(classified) == [(B, 1, 5, 0), (A, 1, 10, 0)]
    assert classified.unchanged == 1
    assert [(one.row, one.field) for one in classified.refused] == [(3, "fin_buy")]
    assert plain(published(deduplicator(), positions([(B, 1, 5), (B, 1, 6)]), AcceptancePolicy(last_wins=True))) == [
        (B, 1, 6, 0)
    ]


def test_snapshots_that_show_the_same_figures_again_are_unchanged_even_on_the_next_day() -> None:
    made = deduplicator()
    published(made, positions([(A, 1, 10), (B, 1, 5)]), AcceptancePolicy(changed_only=True))
    classified = published(made, positions([(A, 2, 10), (B, 2, 6)]), AcceptancePolicy(changed_only=True))
    assert (plain(classified), classified.unchanged) == ([(B, 2, 6, 0)], 1)
    assert plain(published(made, positions([(A, 1, 10), (B, 1, 6)], day=1), AcceptancePolicy(changed_only=True))) == []


def test_rows_that_may_not_have_arrived_are_sent_again_and_no_revision_means_two_things() -> None:
    store = MemoryStore()
    made = deduplicator(store)
    published(made, positions([(A, 1, 10)]))
    assert plain(made.begin(positions([(A, 2, 20), (A, 3, 30)]))) == [(A, 2, 20, 0), (A, 3, 30, 0)]
    # It dies here: another process does not know whether the broker has them.
    made = deduplicator(store)
    assert plain(made.begin(positions([(A, 2, 20), (A, 3, 30)]))) == [(A, 2, 20, 0), (A, 3, 30, 0)]
    assert plain(made.begin(positions([(A, 2, 20), (A, 3, 31)]))) == [(A, 2, 20, 0), (A, 3, 31, 1)]
    classified = deduplicator(store).begin(positions([(A, 3, 31)]))
    assert plain(classified) == [(A, 3, 31, 1)]
    made.confirm(classified.new)
    assert plain(made.begin(positions([(A, 3, 31)]))) == []


def test_what_may_have_arrived_is_taken_back_by_the_row_before_it() -> None:
    made = deduplicator()
    published(made, positions([(A, 1, 10)]))
    made.begin(positions([(A, 1, 20)]))  # the broker does not answer, but may have it
    assert plain(published(made, positions([(A, 1, 10)]))) == [(A, 1, 10, 2)]
    assert plain(published(made, positions([(A, 1, 10)]))) == []
    made.begin(positions([(A, 2, 20)]))
    assert plain(published(made, positions([(A, 3, 10)]), AcceptancePolicy(changed_only=True, may_fall=True))) == [
        (A, 3, 10, 0)
    ]


def test_a_confirmation_that_comes_late_reverts_nothing() -> None:
    made = deduplicator()
    first = made.begin(positions([(A, 1, 10)]))
    published(made, positions([(A, 2, 20)]))
    made.confirm(first.new)
    assert plain(made.begin(positions([(A, 2, 20)]))) == []


def test_a_confirmation_leaves_a_later_correction_of_the_same_moment_pending() -> None:
    store = MemoryStore()
    first, other = deduplicator(store), deduplicator(store)
    sent = first.begin(positions([(A, 1, 10)]))
    assert plain(other.begin(positions([(A, 1, 11)]))) == [(A, 1, 11, 1)]  # the broker may have it
    first.confirm(sent.new)
    assert plain(other.begin(positions([(A, 1, 12)]))) == [(A, 1, 12, 2)]


def test_late_rows_that_contradict_each_other_are_late_and_not_refused() -> None:
    made = deduplicator()
    published(made, positions([(A, 2, 20)]))
    found = published(made, positions([(A, 1, 5), (A, 1, 6), (A, 3, 30)]))
    assert (plain(found), found.late, found.refused, found.unchanged) == ([(A, 3, 30, 0)], 2, [], 0)


class _Contended(MemoryStore):
    def replace(self, changes: Sequence[tuple[Place, bytes, bytes]]) -> list[bool]:
        return [False for _ in changes]


def test_a_store_that_others_always_change_is_given_up() -> None:
    with pytest.raises(LedgerError, match="fewer"):
        deduplicator(_Contended()).begin(positions([(A, 1, 10)]))


moments = st.tuples(st.sampled_from([A, B, "600519.SH"]), st.integers(0, 6), st.integers(0, 4).map(float))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.lists(moments, min_size=1, max_size=6), st.sampled_from(["done", "lost", "unknown"]))))
def test_the_stream_has_what_was_published_last_whichever_process_dies(
    steps: list[tuple[list[Row], str]],
) -> None:
    """Lost: the process dies before it sends; unknown: after the broker has the rows. Then the rows are sent again."""
    store, fold = MemoryStore(), IntradayStore()
    seen: dict[tuple[str, int, int], float] = {}
    for rows, end in steps:
        for ending in ("done",) if end == "done" else (end, "done"):
            made = deduplicator(store)
            classified = made.begin(positions(rows), AcceptancePolicy(last_wins=True, may_fall=True))
            if ending == "lost":
                continue
            for code, minute, bought, revision in plain(classified):
                assert seen.setdefault((code, minute, revision), bought) == bought
            fold.apply(classified.new)
            if ending == "done" and len(classified.new):
                made.confirm(classified.new)
        newest: dict[str, tuple[int, int]] = {}
        for code, minute, revision in seen:
            newest[code] = max(newest.get(code, (-1, -1)), (minute, revision))
        held = dict(zip(to_codes(fold.table.key_index.keys), fold.table.records["margin"]["fin_buy"], strict=False))
        assert held == {code: seen[code, *when] for code, when in newest.items()}
        # What came last at the newest moment is what counts.
        for code, minute, bought in {(c, m): (c, m, b) for c, m, b in rows}.values():
            if newest[code][0] == minute:
                assert held[code] == bought
