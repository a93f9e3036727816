"""Bars of weeks or months that a file gives as those of days."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from feeds.daily.bars_of_weeks import bars_of_weeks
from feeds.files.dataset import Dataset
from processors.days import to_date, to_day
from processors.events import RowBatch, concat
from streams.calendars import xshg
from tests.building import batch

CALENDAR = xshg()
SESSIONS = [to_date(day) for day in CALENDAR.between(to_day(date(2024, 3, 4)), to_day(date(2024, 12, 31))).tolist()]
WEEKS = [day for day in SESSIONS if CALENDAR.ends_week(to_day(day))]
MONDAYS = [day for before, day in pairwise(SESSIONS) if CALENDAR.ends_week(to_day(before))]
MONTHS = [day for day, after in pairwise(SESSIONS) if day.month != after.month]
BAR = {"close": 10.0, "high": 10.5, "low": 9.5, "volume": 1e6}


def found(topic: str, days: list[date], figures: dict[str, float], beside: list[date] | None = None) -> list[str]:
    code, other = ("600000.SH", "600004.SH") if topic == "prices.daily" else ("000001.SH", "000300.SH")
    rows: list[RowBatch] = [batch(topic, day, {code: figures}) for day in days]
    rows += [batch(topic, day, {other: BAR}) for day in beside or ()]
    return [one.text for one in bars_of_weeks(Dataset([{topic: concat(rows)}]), CALENDAR)]


@pytest.mark.parametrize("topic", ["prices.daily", "indices.daily"])
@pytest.mark.parametrize(
    "days",
    [WEEKS[:6], WEEKS[:40], MONDAYS[:12], MONTHS[:6], [*WEEKS[:8], date(2024, 4, 30)]],
    ids=["weeks", "a year", "first sessions", "months", "a running week"],
)
def test_one_row_of_each_week_or_month_is_a_bar_of_it(topic: str, days: list[date]) -> None:
    (text,) = found(topic, days, BAR, beside=SESSIONS[:60])
    assert ("600000.SH" if topic == "prices.daily" else "000001.SH") in text
    assert "600004.SH" not in text and "000300.SH" not in text


@pytest.mark.parametrize(
    "days",
    [SESSIONS, WEEKS[:5], SESSIONS[::5], [*WEEKS[:3], WEEKS[4], *SESSIONS[40:60]], SESSIONS[3:9]],
    ids=["days", "too few", "every fifth session", "suspended before", "a week and a half"],
)
def test_other_gaps_are_those_of_a_security_that_does_not_trade(days: list[date]) -> None:
    assert found("prices.daily", days, BAR) == []


def test_a_pe_of_each_week_is_no_bar() -> None:
    assert found("indices.daily", WEEKS, {"close": 3000.0, "pe_ttm": 13.0}) == []
