"""Removed days: under which revision each was read, in as few runs as possible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerts.removed_days import REMOVED_ROW, RemovedDays

DAYS = list(range(18_000, 18_040))


@given(st.lists(st.tuples(st.sampled_from(DAYS), st.integers(0, 3)), max_size=120))
def test_only_a_higher_revision_of_a_day_that_was_read_is_news(added: list[tuple[int, int]]) -> None:
    days, known = RemovedDays(), dict[int, int]()
    for day, revision in added:
        news = days.add(day, revision)
        assert day not in known or news == (revision > known[day])
        if news:  # else a day that was not read is inside a run
            known[day] = revision
        assert days.newest == max(known)
    assert REMOVED_ROW.decode(REMOVED_ROW.encode(days)).runs == days.runs
    for day, revision in known.items():
        assert not days.add(day, revision)
        assert RemovedDays(list(days.runs)).add(day, revision + 1)
    assert all(
        before[1] < run[0] and before[2] != run[2] for before, run in zip(days.runs, days.runs[1:], strict=False)
    )


@given(st.permutations(DAYS[::5]), st.integers(0, 3))
def test_days_of_one_revision_are_one_run_in_whatever_order_they_are_removed(days: list[int], revision: int) -> None:
    removed = RemovedDays()
    for day in days:
        assert removed.add(day, revision) or min(days) < day < max(days)
    assert removed.runs == [(DAYS[0], DAYS[35], revision)]


def test_of_more_runs_than_are_remembered_the_oldest_days_count_as_news() -> None:
    removed, days = RemovedDays(), range(18_000, 18_080)
    for day in days:
        removed.add(day, day % 2)
    assert len(removed.runs) == 50
    assert [RemovedDays(list(removed.runs)).add(day, day % 2) for day in days] == [True] * 30 + [False] * 50
