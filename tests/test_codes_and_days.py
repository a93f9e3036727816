"""Security codes and trading days: both ways, at their limits, many at once like one by one."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.codes import (
    exchange_of,
    isin_sorted,
    join_codes,
    parse_codes,
    reindex_sorted,
    to_code,
    to_codes,
    to_id,
)
from processors.daily_store import DailyStore
from processors.days import (
    TradingCalendar,
    microseconds,
    moment,
    shanghai_day,
    shanghai_days,
    shanghai_moment,
    to_date,
    to_day,
)
from processors.deadlines import DEADLINES, Deadline, newest_due, overdue, silent_since
from processors.errors import MarginwatchError, RowError
from processors.events import EndOfDay, RowBatch
from processors.trading_hours import TradingHours
from tests.building import DAYS, balances, batch, end_of_day

codes = st.tuples(st.integers(0, 999_999), st.sampled_from(["SH", "SZ", "BJ", "SI"])).map(
    lambda c: f"{c[0]:06d}.{c[1]}"
)

# -- codes -------------------------------------------------------------------------------------------------------


@given(st.lists(codes, max_size=20))
def test_many_codes_are_parsed_and_joined_like_one_by_one(given_codes: list[str]) -> None:
    ids = parse_codes("".join(given_codes).encode(), len(given_codes))
    assert ids.dtype == np.int32
    assert ids.tolist() == [to_id(c) for c in given_codes]
    assert to_codes(ids) == [to_code(i) for i in ids.tolist()] == given_codes
    assert join_codes(ids) == "".join(given_codes).encode()


@pytest.mark.parametrize(
    ("code", "number", "exchange"),
    [("600519.SH", 600_519, 0), ("000001.SZ", 1, 1), ("430047.BJ", 430_047, 2), ("801010.SI", 801_010, 3),
     ("999999.SI", 999_999, 3), ("000000.SH", 0, 0)],
)  # fmt: skip
def test_an_id_is_four_times_the_number_plus_the_exchange(code: str, number: int, exchange: int) -> None:
    assert to_id(code) == number * 4 + exchange
    assert exchange_of(np.array([to_id(code)], dtype=np.int32)).tolist() == [exchange]


@pytest.mark.parametrize(
    "bad",
    ["600519", "600519.XX", "600519.sh", "60051.SH", "6005190.SH", "600519-SH", "60O519.SH", "６00519.SH", "",
     "600519.SH ", " 00519.SH", "²00519.SH", "/00519.SH", ":00519.SH", "60051/.SH", "60051:.SH"],
)  # fmt: skip
def test_what_is_no_code_is_refused_and_named(bad: str) -> None:
    with pytest.raises(RowError, match="expected six digits and"):
        to_id(bad)
    if len(bad.encode()) == 9:
        with pytest.raises(RowError, match=f"security code {bad!r}"):
            parse_codes(("000001.SZ" + bad + "000002.SZ").encode(), 3)


def test_bytes_that_are_no_text_are_no_code() -> None:
    with pytest.raises(RowError, match=r"security code '6005\ufffd9\.SH'"):
        parse_codes(b"000001.SZ6005\xff9.SH", 2)


@pytest.mark.parametrize("count", [1, 3])
def test_a_column_of_another_length_is_refused(count: int) -> None:
    with pytest.raises(RowError, match="9 characters each"):
        parse_codes(b"600519.SH000001.SZ", count)


keys_ = st.lists(st.integers(0, 30), max_size=12).map(lambda k: np.array(k, dtype=np.int32))


@given(keys_, keys_.map(np.unique))
def test_values_are_found_by_key(wanted: np.ndarray, known: np.ndarray) -> None:
    values = known * 1.5 - 3
    table = dict(zip(known.tolist(), values.tolist(), strict=True))
    assert isin_sorted(wanted, known).tolist() == [k in table for k in wanted.tolist()]
    np.testing.assert_array_equal(
        reindex_sorted(wanted, known, values), [table.get(k, np.nan) for k in wanted.tolist()]
    )


# -- days --------------------------------------------------------------------------------------------------------

#: Thursday and Friday, a week off, Monday to Wednesday, and the next Monday.
SESSIONS = [date(2020, 1, d) for d in (2, 3, 13, 14, 15, 20)]
CALENDAR = TradingCalendar(reversed([*SESSIONS, SESSIONS[0]]))


def at(day: date, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    """Shanghai time, µs since the epoch."""
    local = datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=UTC) - timedelta(hours=8)
    return int(local.timestamp()) * 1_000_000


@given(st.integers(-20_000, 60_000))
def test_days_and_dates_are_one_another(day: int) -> None:
    assert to_day(to_date(day)) == day
    assert to_date(day) - date(1970, 1, 1) == timedelta(days=day)


@given(st.integers(-(10**15), 4 * 10**15))
def test_moments_and_microseconds_are_one_another(stamp: int) -> None:
    assert microseconds(moment(stamp)) == stamp
    local = moment(stamp) + timedelta(hours=8)
    assert to_date(shanghai_day(stamp)) == local.date()
    assert shanghai_days(np.array([stamp, stamp])).tolist() == [shanghai_day(stamp)] * 2
    assert shanghai_days(np.array([stamp])).dtype == np.int32


@pytest.mark.parametrize("minute", [0, 1, 570, 1439])
def test_a_minute_of_a_day_in_shanghai(minute: int) -> None:
    assert shanghai_moment(to_day(DAYS[0]), minute) == at(DAYS[0], minute // 60, minute % 60)
    assert shanghai_moment(to_day(DAYS[0])) == at(DAYS[0])


def test_a_calendar_knows_its_sessions_in_order() -> None:
    days = [to_day(d) for d in SESSIONS]
    assert (CALENDAR.first, CALENDAR.last, len(CALENDAR)) == (days[0], days[-1], 6)
    assert [CALENDAR.position(d) for d in days] == list(range(6))
    assert [CALENDAR.day_at(i) for i in range(6)] == days
    weekend = to_day(date(2020, 1, 4))
    assert [d in CALENDAR for d in (*days, weekend)] == [True] * 6 + [False]
    with pytest.raises(MarginwatchError, match="2020-01-04 is not a trading day"):
        CALENDAR.position(weekend)
    with pytest.raises(MarginwatchError, match="calendar is empty"):
        TradingCalendar([])


@given(st.lists(st.integers(to_day(SESSIONS[0]) - 3, to_day(SESSIONS[-1]) + 3), max_size=10))
def test_many_days_are_looked_up_like_one_by_one(days: list[int]) -> None:
    assert CALENDAR.contains(np.array(days, dtype=np.int32)).tolist() == [d in CALENDAR for d in days]


@given(
    st.integers(to_day(SESSIONS[0]) - 3, to_day(SESSIONS[-1]) + 3),
    st.integers(to_day(SESSIONS[0]) - 3, to_day(SESSIONS[-1]) + 3),
)
def test_sessions_around_any_day(start: int, end: int) -> None:
    days = [to_day(d) for d in SESSIONS]
    assert CALENDAR.between(start, end).tolist() == [d for d in days if start <= d <= end]
    assert CALENDAR.before(start) == max((d for d in days if d < start), default=None)
    assert CALENDAR.left_after(start) == sum(d > start for d in days)


@pytest.mark.parametrize("position", range(6))
@pytest.mark.parametrize("sessions", range(-6, 7))
def test_shifting_by_sessions_ends_with_the_calendar(position: int, sessions: int) -> None:
    there = position + sessions
    expected = to_day(SESSIONS[there]) if 0 <= there < 6 else None
    assert CALENDAR.shift(to_day(SESSIONS[position]), sessions) == expected


@given(st.integers(to_day(SESSIONS[0]) - 3, to_day(SESSIONS[-1]) + 3), st.integers(1, 8))
def test_the_session_that_is_some_sessions_after_any_day(day: int, sessions: int) -> None:
    later = [to_day(d) for d in SESSIONS if to_day(d) > day]
    assert CALENDAR.after(day, sessions) == (later[sessions - 1] if sessions <= len(later) else None)


def test_a_week_ends_with_its_last_session() -> None:
    # 2020-01-20 is the calendar's last: whether its week goes on is not known.
    assert [CALENDAR.ends_week(to_day(d)) for d in SESSIONS] == [False, True, False, False, True, False]
    monday_to_monday = TradingCalendar([date(2020, 1, 6), date(2020, 1, 13), date(2020, 1, 19), date(2020, 1, 20)])
    assert monday_to_monday.ends_week(to_day(date(2020, 1, 6)))
    assert not monday_to_monday.ends_week(to_day(date(2020, 1, 13)))
    assert monday_to_monday.ends_week(to_day(date(2020, 1, 19)))


# -- deadlines ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "position", "expected"),
    [
        (Deadline(time(18, 5)), 1, at(SESSIONS[1], 18, 5)),
        (Deadline(time(9, 10), next_session=True), 1, at(SESSIONS[2], 9, 10)),
        (Deadline(time(18, 5)), 5, at(SESSIONS[5], 18, 5)),
        (Deadline(time(9, 10), next_session=True), 5, None),
    ],
)
def test_when_a_feed_is_due(due: Deadline, position: int, expected: int | None) -> None:
    assert due.moment(to_day(SESSIONS[position]), CALENDAR) == expected


@pytest.mark.parametrize(
    ("now", "same_day", "next_session"),
    [
        (at(SESSIONS[0], 18), None, None),  # due at this very moment: not over yet
        (at(SESSIONS[0], 18) + 1, 0, None),
        (at(SESSIONS[1], 9, 10), 0, None),
        (at(SESSIONS[1], 9, 10) + 1, 0, 0),
        (at(SESSIONS[2], 9, 10), 1, 0),
        (at(SESSIONS[2], 9, 10) + 1, 1, 1),
        (at(date(2020, 1, 8), 12), 1, 0),  # within the week off
        (at(date(2020, 3, 1)), 5, 4),  # behind the calendar's end: its last session is never due the next one
        (at(date(2019, 12, 1)), None, None),
    ],
)
def test_the_newest_day_that_is_due(now: int, same_day: int | None, next_session: int | None) -> None:
    for due, position in ((Deadline(time(18)), same_day), (Deadline(time(9, 10), next_session=True), next_session)):
        assert newest_due(due, now, CALENDAR) == (None if position is None else to_day(SESSIONS[position]))


def test_margin_figures_are_due_before_the_next_open_and_prices_on_the_evening() -> None:
    assert {name: (d.at, d.next_session) for name, d in DEADLINES.items()} == {
        "margin.daily": (time(9, 10), True), "margin.market": (time(9, 10), True), "etf.daily": (time(9, 10), True),
        "indices.daily": (time(18), False), "prices.daily": (time(18), False), "valuations.daily": (time(18), False),
        "rates.daily": (time(18), False), "margin.collateral": (time(9, 10), True),
    }  # fmt: skip


def prices(position: int) -> RowBatch:
    return batch("prices.daily", SESSIONS[position], {"600000.SH": {"close": 1.0}})


def test_a_day_is_overdue_right_behind_its_deadline() -> None:
    store = DailyStore("prices.daily", (), late_days=5, history_days=2)
    store.apply(prices(0))
    deadline = at(SESSIONS[0], 18)
    due = DEADLINES["prices.daily"]
    assert overdue(store, deadline, due, CALENDAR, 3) is None
    assert overdue(store, deadline + 1, due, CALENDAR, 3) == EndOfDay(
        feed="prices.daily", trade_date=SESSIONS[0], expected={}, source="deadline", deadline=True
    )


def test_a_day_of_margin_rows_is_overdue_behind_the_deadline_on_the_next_session() -> None:
    store = DailyStore("margin.daily", ("SSE",), late_days=5, history_days=2)
    store.apply(balances(SESSIONS[1], {"600000.SH": 1.0}))
    deadline, due = at(SESSIONS[2], 9, 10), DEADLINES["margin.daily"]
    assert overdue(store, deadline, due, CALENDAR, 3) is None
    found = overdue(store, deadline + 1, due, CALENDAR, 3)
    assert found is not None
    assert (found.feed, found.trade_date, found.deadline) == ("margin.daily", SESSIONS[1], True)


@pytest.mark.parametrize(("gap_days", "overdue_position"), [(0, None), (1, 1), (2, 1)])
def test_a_feed_without_a_row_is_overdue_as_long_as_its_gap_is_short(
    gap_days: int, overdue_position: int | None
) -> None:
    store = DailyStore("prices.daily", (), late_days=5, history_days=2)
    rows = prices(0)
    store.apply(rows)
    store.close(end_of_day(rows))
    found = overdue(store, at(SESSIONS[5]), DEADLINES["prices.daily"], CALENDAR, gap_days)
    assert (None if found is None else found.trade_date) == (
        None if overdue_position is None else SESSIONS[overdue_position]
    )


def test_a_feed_ends_with_the_calendar() -> None:
    store = DailyStore("prices.daily", (), late_days=5, history_days=2)
    rows = prices(5)
    store.apply(rows)
    store.close(end_of_day(rows))
    assert overdue(store, at(date(2020, 3, 1)), DEADLINES["prices.daily"], CALENDAR, 3) is None


def test_a_live_feed_is_silent_from_more_than_its_patience_on() -> None:
    hours = TradingHours(CALENDAR)
    newest, patience = at(SESSIONS[0], 10), 180_000_000
    assert silent_since(newest, newest + patience, patience, hours) is None
    assert silent_since(newest, newest + patience + 1, patience, hours) == newest
    assert silent_since(newest, at(SESSIONS[1], 9, 33), patience, hours) is None
    assert silent_since(newest, at(SESSIONS[1], 9, 33) + 1, patience, hours) == at(SESSIONS[1], 9, 30)


def test_rows_and_markers_need_a_day_that_still_takes_them() -> None:
    store = DailyStore("margin.daily", ("SSE",), late_days=2, history_days=0)
    for day in SESSIONS[:3]:
        store.apply(balances(day, {"600000.SH": 1.0}))
    late = EndOfDay(feed="margin.daily", trade_date=SESSIONS[0], expected={"SSE": 1}, source="test")
    assert store.close(late).too_old == 1
