"""A file adds sessions to the trading calendar and takes some away; a command says what it changes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from processors.days import to_day
from streams import calendars
from streams.calendars import changes, library, load, merged, problems, sessions, weekdays, xshg
from streams.cli.main import app
from streams.errors import CalendarError
from streams.predicted_closures import predicted
from streams.settings import Settings
from streams.stages.registry import STAGES
from streams.topics import Topics

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
    assert calendar.official_until == to_day(date(2027, 12, 31))
    assert to_day(date(2028, 1, 4)) in calendar  # predicted
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


@pytest.mark.parametrize(
    ("text", "rebuilt"),
    [
        ("holidays = [2027-03-01]", True),  # closed by its deadline, a day without rows is no session after all
        ("sessions = [2024-10-07]", True),
        ("half_days = [2024-10-08]", True),
        ("weekdays_until = 2026-12-31", False),
    ],
)
def test_state_of_other_sessions_is_rebuilt(written, text: str, rebuilt: bool) -> None:
    """Windows count sessions, and a stored day that is none has no place in them: no stage could load it."""
    settings = Settings()
    before, now = (
        [kind(settings, Topics(settings), calendar).open(0).schema for kind in STAGES]
        for calendar in (xshg(), xshg(written(text)))
    )
    assert [one != other for one, other in zip(before, now, strict=True)] == [rebuilt] * len(STAGES)


def test_without_a_file_the_calendar_is_the_library_s() -> None:
    assert xshg().official_until == to_day(library().last)
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
    monkeypatch.setattr(calendars, "today", lambda: to_day(date(2026, 12, 30)))
    result = CliRunner().invoke(app, ["calendar", "check", "--year", "2027"], env={"COLUMNS": "300"})
    assert "to 2027-12-31" in result.output
    assert "adds 258 (2027-01-04 to 2027-01-08" in result.output
    assert "2027: 258 sessions, by month 01:20 02:18" in result.output
    assert "closed weekdays: 3 (2027-01-01, 2027-02-08 to 2027-02-09)" in result.output
    assert "259 after today" in result.output
    assert result.exit_code == 0


def test_few_days_left_are_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "today", lambda: to_day(date(2026, 12, 30)))
    result = CliRunner().invoke(app, ["calendar", "check"], env={"COLUMNS": "300"})
    assert "only 1 announced sessions are left" in result.output
    assert result.exit_code == 1


def test_the_example_of_the_documentation_changes_no_expected_session(written) -> None:
    page = Path("docs/pages/feeds.md").read_text("utf-8")
    example = load(written(page.partition("{ #calendar }")[2].partition("```toml\n")[2].partition("```")[0]))
    until = example.weekdays_until
    assert until is not None
    calendar = xshg()
    expected = [day for day in weekdays(date(until.year, 1, 1), until) if to_day(day) not in calendar]
    assert [*example.holidays] == expected
    assert problems(example) == []


def test_years_that_are_not_announced_are_predicted() -> None:
    calendar = xshg()
    assert calendar.official_until == to_day(date(2026, 12, 31))
    assert calendar.shift(calendar.official_until, 1) == to_day(date(2027, 1, 4))
    for day, open_ in {
        date(2027, 2, 4): True,
        date(2027, 2, 5): False,  # the eve of Spring Festival
        date(2027, 2, 12): False,
        date(2027, 2, 15): True,
        date(2027, 4, 5): False,  # Tomb-Sweeping Day
        date(2027, 6, 9): False,  # Dragon Boat Festival
        date(2027, 10, 7): False,
        date(2028, 10, 3): False,
    }.items():
        assert (to_day(day) in calendar) == open_, day
    assert calendar.left_after(to_day(date(2026, 12, 30))) == 1  # what is predicted is not counted


def test_a_file_corrects_a_prediction(written) -> None:
    calendar = xshg(written("holidays = [2027-03-01]"))
    assert to_day(date(2027, 3, 1)) not in calendar
    assert to_day(date(2027, 3, 2)) in calendar
    assert calendar.official_until == to_day(date(2026, 12, 31))


def test_an_announced_year_replaces_its_prediction(written) -> None:
    announced = xshg(written("weekdays_until = 2027-12-31\nholidays = [2027-02-08]"))
    assert to_day(date(2027, 2, 9)) in announced  # predicted as closed


#: Where the custom would have been wrong: closed in the prediction alone, closed in fact alone.
DIFFERENCES = {
    2019: ({"2019-02-11"}, set()),
    2021: ({"2021-02-18"}, set()),
    2022: ({"2022-02-07", "2022-05-05"}, set()),
    2023: ({"2023-05-04", "2023-05-05"}, set()),
}


def test_the_prediction_against_the_years_that_are_known() -> None:
    real = set(library().closed)
    found = {day for year in range(2019, 2028) for day in predicted(year)}
    differing = {}
    for year in range(2019, 2027):
        ours, theirs = ({str(day) for day in days if day.year == year} for days in (found, real))
        if ours != theirs:
            differing[year] = (ours - theirs, theirs - ours)
    assert differing == DIFFERENCES


def test_the_check_shows_what_is_predicted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calendars, "today", lambda: to_day(date(2026, 11, 26)))
    result = CliRunner().invoke(app, ["calendar", "check", "--year", "2027"], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    assert "predicted from the statutory holidays until 2028-12-29" in result.output
    assert "2027: 243 predicted sessions" in result.output
