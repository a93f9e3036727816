"""Removed days: under which revision each was read, in as few runs as possible."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerts.removed_days import REMOVED_ROW, RemovedDays
from processors.days import to_day
from tests.test_desk import CALENDAR
from tests.test_desk import DAYS as DATES

SESSIONS = [to_day(day) for day in DATES[:40]]
DAYS = range(SESSIONS[0], SESSIONS[-1] + 1)


@given(st.lists(st.tuples(st.sampled_from(DAYS), st.integers(0, 3)), max_size=120))
def test_a_day_is_news_unless_it_was_read_under_its_revision_or_a_higher_one(added: list[tuple[int, int]]) -> None:
    days, known = RemovedDays(), dict[int, int]()
    for day, revision in added:
        assert days.add(day, revision, CALENDAR) == (revision > known.get(day, -1))
        known[day] = max(revision, known.get(day, -1))
        assert days.newest == max(known)
    assert REMOVED_ROW.decode(REMOVED_ROW.encode(days)).runs == days.runs
    for day in DAYS:
        assert RemovedDays(list(days.runs)).add(day, 0, CALENDAR) == (day not in known)


@given(st.permutations(SESSIONS), st.integers(0, 3))
def test_sessions_of_one_revision_are_one_run_in_whatever_order_they_are_removed(
    days: list[int], revision: int
) -> None:
    removed = RemovedDays()
    for day in days:
        assert removed.add(day, revision, CALENDAR)
    assert removed.runs == [(SESSIONS[0], SESSIONS[-1], revision)]


def test_of_more_runs_than_are_remembered_the_oldest_days_count_as_news() -> None:
    removed, days = RemovedDays(), range(10_000, 11_030)
    for day in days:
        removed.add(day, day % 2, CALENDAR)
    assert len(removed.runs) == 1_000
    news = [RemovedDays(list(removed.runs)).add(day, day % 2, CALENDAR) for day in (days[0], days[29], days[30])]
    assert news == [True, True, False]
