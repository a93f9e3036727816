"""What was published of the running session: what is news, late, unchanged, a correction or refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeds.deduplicator import STRICTLY, IntradayDeduplicator, Judged, Judging
from feeds.ledger import LedgerError
from processors.codes import to_codes, to_id
from processors.days import DAY_US, to_day
from processors.events import RowBatch
from processors.intraday_store import IntradayStore
from streams.calendars import xshg
from tests.building import DAYS
from tests.publishing import MemoryStore

A, B = "600000.SH", "000001.SZ"
OPEN = to_day(DAYS[0]) * DAY_US + 90 * 60_000_000  # 09:30 in Shanghai
#: code, minutes since the open, fin_buy
Row = tuple[str, int, float]


def book(rows: Sequence[Row], day: int = 0, revision: int = 0) -> RowBatch:
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


def plain(judged: Judged) -> list[tuple[str, int, float, int]]:
    rows = judged.news
    minutes = (rows.stamps - OPEN) % DAY_US // 60_000_000
    columns = (minutes.tolist(), rows.figures["fin_buy"].tolist(), rows.revisions.tolist())
    return list(zip(to_codes(rows.keys), *columns, strict=True))


def ledger(store: MemoryStore | None = None) -> IntradayDeduplicator:
    return IntradayDeduplicator(store or MemoryStore(), "margin.intraday", xshg())


def published(made: IntradayDeduplicator, rows: RowBatch, how: Judging = STRICTLY) -> Judged:
    judged = made.begin(rows, how)
    if len(judged.news):
        made.confirm(judged.news)
    return judged


def test_a_repetition_publishes_nothing_and_an_older_row_is_late() -> None:
    made = ledger()
    assert plain(published(made, book([(B, 1, 5), (A, 2, 20), (A, 1, 10)]))) == [(B, 1, 5, 0), (A, 1, 10, 0),
                                                                                 (A, 2, 20, 0)]  # fmt: skip
    again = published(made, book([(A, 1, 10), (A, 2, 20), (B, 1, 5)]))
    assert (plain(again), again.unchanged, again.late) == ([], 2, 1)
    assert plain(published(made, book([(A, 3, 20)]))) == [(A, 3, 20, 0)]  # nothing bought, and still a newer word


def test_other_figures_of_the_newest_moment_are_a_correction_with_the_next_revision() -> None:
    made = ledger()
    published(made, book([(A, 1, 10), (A, 2, 20)]))
    assert plain(published(made, book([(A, 2, 15)]))) == [(A, 2, 15, 1)]
    assert plain(published(made, book([(A, 2, 16), (A, 3, 17)]))) == [(A, 2, 16, 2), (A, 3, 17, 0)]


def test_cumulative_figures_do_not_fall_within_a_day() -> None:
    made = ledger()
    published(made, book([(A, 1, 10), (B, 1, 5)]))
    judged = published(made, book([(B, 2, 6), (A, 2, 9.5), (A, 3, 11), (A, 4, 10.5)]))
    assert plain(judged) == [(B, 2, 6, 0), (A, 3, 11, 0)]
    assert [(one.row, one.field) for one in judged.refused] == [(1, "fin_buy"), (3, "fin_buy")]
    assert "600000.SH fell from 10 to 9.5" in str(judged.refused[0])
    assert "fell from 11 to 10.5" in str(judged.refused[1])
    assert plain(published(made, book([(A, 5, 1)]), Judging(may_fall=True))) == [(A, 5, 1, 0)]
    assert plain(published(made, book([(A, 1, 0.5)], day=1))) == [(A, 1, 0.5, 0)]  # another day begins anew


def test_two_rows_of_one_moment_may_not_differ() -> None:
    made = ledger()
    judged = published(made, book([(A, 1, 10), (B, 1, 5), (A, 1, 10), (B, 1, 6)]))
    assert plain(judged) == [(B, 1, 5, 0), (A, 1, 10, 0)]
    assert judged.unchanged == 1
    assert [(one.row, one.field) for one in judged.refused] == [(3, "fin_buy")]
    assert plain(published(ledger(), book([(B, 1, 5), (B, 1, 6)]), Judging(last_counts=True))) == [(B, 1, 6, 0)]


def test_snapshots_that_show_the_same_figures_again_are_unchanged_even_on_the_next_day() -> None:
    made = ledger()
    published(made, book([(A, 1, 10), (B, 1, 5)]), Judging(changed_only=True))
    judged = published(made, book([(A, 2, 10), (B, 2, 6)]), Judging(changed_only=True))
    assert (plain(judged), judged.unchanged) == ([(B, 2, 6, 0)], 1)
    assert plain(published(made, book([(A, 1, 10), (B, 1, 6)], day=1), Judging(changed_only=True))) == []


def test_rows_that_may_not_have_arrived_are_sent_again_and_no_revision_means_two_things() -> None:
    store = MemoryStore()
    made = ledger(store)
    published(made, book([(A, 1, 10)]))
    assert plain(made.begin(book([(A, 2, 20), (A, 3, 30)]))) == [(A, 2, 20, 0), (A, 3, 30, 0)]
    # It dies here: another process does not know whether the broker has them.
    made = ledger(store)
    assert plain(made.begin(book([(A, 2, 20), (A, 3, 30)]))) == [(A, 2, 20, 0), (A, 3, 30, 0)]
    assert plain(made.begin(book([(A, 2, 20), (A, 3, 31)]))) == [(A, 2, 20, 0), (A, 3, 31, 1)]
    judged = ledger(store).begin(book([(A, 3, 31)]))
    assert plain(judged) == [(A, 3, 31, 1)]
    made.confirm(judged.news)
    assert plain(made.begin(book([(A, 3, 31)]))) == []


def test_what_may_have_arrived_is_taken_back_by_the_row_before_it() -> None:
    made = ledger()
    published(made, book([(A, 1, 10)]))
    made.begin(book([(A, 1, 20)]))  # the broker does not answer, but may have it
    assert plain(published(made, book([(A, 1, 10)]))) == [(A, 1, 10, 2)]
    assert plain(published(made, book([(A, 1, 10)]))) == []
    made.begin(book([(A, 2, 20)]))
    assert plain(published(made, book([(A, 3, 10)]), Judging(changed_only=True, may_fall=True))) == [(A, 3, 10, 0)]


def test_a_confirmation_that_comes_late_takes_nothing_back() -> None:
    made = ledger()
    first = made.begin(book([(A, 1, 10)]))
    published(made, book([(A, 2, 20)]))
    made.confirm(first.news)
    assert plain(made.begin(book([(A, 2, 20)]))) == []


class _Contended(MemoryStore):
    def replace(self, topic: str, day: int, old: bytes, new: bytes) -> bool:
        return False


def test_a_store_that_others_always_change_is_given_up() -> None:
    with pytest.raises(LedgerError, match="fewer"):
        ledger(_Contended()).begin(book([(A, 1, 10)]))


moments = st.tuples(st.sampled_from([A, B, "600519.SH"]), st.integers(0, 6), st.integers(0, 4).map(float))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.lists(moments, min_size=1, max_size=6), st.sampled_from(["done", "lost", "unknown"]))))
def test_what_the_fold_holds_is_what_was_published_last_whatever_dies_on_the_way(
    steps: list[tuple[list[Row], str]],
) -> None:
    """Lost: it died before anything was sent; unknown: after the broker had it. Then the same rows come again."""
    store, fold = MemoryStore(), IntradayStore()
    seen: dict[tuple[str, int, int], float] = {}
    for rows, end in steps:
        for ending in ("done",) if end == "done" else (end, "done"):
            made = ledger(store)
            judged = made.begin(book(rows), Judging(last_counts=True, may_fall=True))
            if ending == "lost":
                continue
            for code, minute, bought, revision in plain(judged):
                assert seen.setdefault((code, minute, revision), bought) == bought
            fold.apply(judged.news)
            if ending == "done" and len(judged.news):
                made.confirm(judged.news)
        newest: dict[str, tuple[int, int]] = {}
        for code, minute, revision in seen:
            newest[code] = max(newest.get(code, (-1, -1)), (minute, revision))
        held = dict(zip(to_codes(fold.places.keys), fold.records["margin"]["fin_buy"], strict=False))
        assert held == {code: seen[code, *when] for code, when in newest.items()}
        # What came last at the newest moment is what counts.
        for code, minute, bought in {(c, m): (c, m, b) for c, m, b in rows}.values():
            if newest[code][0] == minute:
                assert held[code] == bought
