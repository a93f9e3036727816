"""A file adds sessions to the trading calendar and takes some away; a command says what it changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from processors.days import to_day
from streams import xshg_closures
from streams.calendars import changes, load, merged, problems, sessions, xshg
from streams.cli import calendar as cli_calendar
from streams.cli.main import app
from streams.errors import CalendarError

NEXT_YEAR = """
weekdays_until = 2027-12-31
holidays = [2027-01-01, 2027-02-08, 2027-02-09]
"""


@pytest.fixture
def written(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "calendar.toml"
        path.write_text(text, "utf-8")
        return path

    return write


def test_a_file_extends_the_calendar_by_weekdays_without_the_holidays(written) -> None:
    calendar = xshg(written(NEXT_YEAR))
    assert calendar.last == to_day(date(2027, 12, 31))
    for day, open_ in {
        date(2027, 1, 1): False,
        date(2027, 1, 2): False,  # a Saturday
        date(2027, 1, 4): True,
        date(2027, 2, 8): False,
        date(2024, 10, 8): True,
    }.items():
        assert (to_day(day) in calendar) == open_, day
    assert calendar.shift(to_day(date(2026, 12, 31)), 1) == to_day(date(2027, 1, 4))
    assert problems(load(written(NEXT_YEAR))) == []


def test_single_days_come_and_go(written) -> None:
    override = load(written("sessions = [2024-10-07]\nholidays = [2024-10-08]"))
    assert changes(override) == ([date(2024, 10, 7)], [date(2024, 10, 8)])
    assert len(merged(override)) == len(sessions())


def test_without_a_file_the_calendar_is_the_library_s() -> None:
    assert xshg().last == to_day(date.fromisoformat(xshg_closures.LAST))
    assert xshg() is xshg()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sessions = [2027-01-04]\nholidays = [2027-01-04]", "2027-01-04 are listed as sessions and as holidays"),
        ("holiday = [2027-01-04]", "holidays = "),
        ("holidays = ['new year']", "holidays"),
        ("holidays = 2027", "holidays"),
        ("holidays = [", "no TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_name(written, text: str, said: str) -> None:
    path = written(text)
    with pytest.raises(CalendarError, match=said) as caught:
        xshg(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CalendarError, match="No such file"):
        xshg(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sessions = [2026-10-10]", "weekend: 2026-10-10"),
        ("sessions = [2027-01-04, 2027-01-07]", "neither as sessions nor as holidays: 2027-01-01, 2027-01-05"),
        ("half_days = [2026-10-01]", "half days that are no sessions: 2026-10-01"),
        ("sessions = [2024-10-08]", "knows already: 2024-10-08"),
        ("holidays = [2024-10-01]", "no session anyway: 2024-10-01"),
    ],
)
def test_the_check_names_what_is_odd(written, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv("MARGINWATCH_CALENDAR_FILE", str(written(text)))
    result = CliRunner().invoke(app, ["calendar", "check"], env={"COLUMNS": "300"})
    assert result.exit_code == 1
    assert said in result.output


def test_the_check_shows_the_reach_the_changes_and_a_year(written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MARGINWATCH_CALENDAR_FILE", str(written(NEXT_YEAR)))
    monkeypatch.setattr(cli_calendar, "_today", lambda: date(2026, 12, 30))
    result = CliRunner().invoke(app, ["calendar", "check", "--year", "2027"], env={"COLUMNS": "300"})
    assert "to 2027-12-31" in result.output
    assert "adds 258 (2027-01-04 to 2027-01-08" in result.output
    assert "2027: 258 sessions, by month 01:20 02:18" in result.output
    assert "closed weekdays: 3 (2027-01-01, 2027-02-08 to 2027-02-09)" in result.output
    assert "259 after today" in result.output
    assert result.exit_code == 0


def test_few_days_left_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_calendar, "_today", lambda: date(2026, 12, 30))
    result = CliRunner().invoke(app, ["calendar", "check"], env={"COLUMNS": "300"})
    assert "only 1 sessions are left" in result.output
    assert result.exit_code == 1
