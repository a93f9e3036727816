"""Trading hours: halves of a session, lunch, half days, holidays, the next opening and the last close."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.days import DAY_US, SHANGHAI, shanghai_day, to_day
from processors.trading_hours import TradingHours
from streams.calendars import trading_hours, xshg
from tests.building import with_half_days

HALF_DAY = "2024-06-07"
HOURS = TradingHours(with_half_days(date.fromisoformat(HALF_DAY)))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("now", "running", "opens", "closed"),
    [
        ("2024-06-03 09:20", False, "2024-06-03 09:30", "2024-05-31 15:00"),  # the call auction is no session
        ("2024-06-03 09:30", True, "2024-06-03 13:00", "2024-05-31 15:00"),
        ("2024-06-03 11:29:59", True, "2024-06-03 13:00", "2024-05-31 15:00"),
        ("2024-06-03 11:30", False, "2024-06-03 13:00", "2024-06-03 11:30"),
        ("2024-06-03 13:00", True, "2024-06-04 09:30", "2024-06-03 11:30"),
        ("2024-06-03 15:00", False, "2024-06-04 09:30", "2024-06-03 15:00"),
        ("2024-06-04 00:00", False, "2024-06-04 09:30", "2024-06-03 15:00"),
        ("2024-06-07 13:30", False, "2024-06-11 09:30", "2024-06-07 11:30"),  # a half day, then a weekend and a holiday
        ("2024-06-10 10:00", False, "2024-06-11 09:30", "2024-06-07 11:30"),
        ("2016-01-04 13:34", False, "2016-01-05 09:30", "2016-01-04 13:34"),  # the circuit breaker
        ("2016-01-07 09:59", True, "2016-01-08 09:30", "2016-01-06 15:00"),
        ("2016-01-07 10:00", False, "2016-01-08 09:30", "2016-01-07 10:00"),
    ],
)
def test_hours(now: str, running: bool, opens: str, closed: str) -> None:
    assert (HOURS.half_at(at(now)) is not None) == running
    assert HOURS.next_open(at(now)) == at(opens)
    assert HOURS.last_close(at(now)) == at(closed)


@given(st.integers(at("2018-01-01 00:00") // 1_000_000, at("2026-12-20 00:00") // 1_000_000).map(lambda s: s * 10**6))
def test_every_moment_is_between_the_last_close_and_the_next_opening(now: int) -> None:
    half, opens, closed = HOURS.half_at(now), HOURS.next_open(now), HOURS.last_close(now)
    assert opens is not None and closed is not None
    assert closed <= now < opens
    assert HOURS.half_at(opens) == (opens, HOURS.half_at(opens)[1])  # type: ignore[index]
    assert HOURS.half_at(closed) is None and HOURS.half_at(closed - 1) is not None
    if half is None:
        assert HOURS.next_open(closed) == opens  # nothing opens or ends between
        assert HOURS.last_close(opens) == closed
    else:
        assert half[0] <= now < half[1]
        assert closed < half[0] and opens >= half[1]
        assert shanghai_day(now) in HOURS.calendar


@given(st.integers(to_day(datetime(2018, 1, 1).date()), to_day(datetime(2026, 12, 31).date())))
def test_a_day_trades_four_hours_a_half_day_two_and_any_other_none(day: int) -> None:
    traded = sum(end - opening for opening, end in HOURS.halves(day))
    expected = 0 if day not in HOURS.calendar else 2 if day in HOURS.calendar.half_days else 4
    assert traded == expected * 3_600_000_000
    assert all(shanghai_day(moment) == day for half in HOURS.halves(day) for moment in half)
    assert shanghai_day(day * DAY_US) == day


def test_before_and_after_the_calendar_there_is_no_opening_or_close() -> None:
    assert HOURS.next_open(HOURS.halves(HOURS.calendar.last)[-1][1]) is None
    assert HOURS.last_close(HOURS.halves(HOURS.calendar.first)[0][0]) is None


def test_half_days_come_from_the_calendar_file(tmp_path: Path) -> None:
    path = tmp_path / "calendar.toml"
    path.write_text(f"half_days = [{HALF_DAY}]", "utf-8")
    assert xshg(path).half_days == HOURS.calendar.half_days
    assert trading_hours(path).halves(to_day(date.fromisoformat(HALF_DAY)))[-1][1] == at(f"{HALF_DAY} 11:30")
    assert xshg().half_days == frozenset()


@pytest.mark.parametrize(
    ("now", "minutes"),
    [
        ("2024-06-03 09:00", 0), ("2024-06-03 10:00", 30), ("2024-06-03 12:00", 120), ("2024-06-03 13:05", 125),
        ("2024-06-03 16:00", 240), (f"{HALF_DAY} 11:00", 90), (f"{HALF_DAY} 15:00", 120), ("2024-06-08 10:00", 0),
    ],
)  # fmt: skip
def test_minutes_that_a_session_has_traded(now: str, minutes: float) -> None:
    assert HOURS.traded_minutes(at(now)) == minutes
