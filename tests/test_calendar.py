"""The trading calendar that is kept is the library's."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from processors.days import to_date
from streams import calendars


def test_the_kept_sessions_are_those_of_the_library() -> None:
    assert calendars.sessions() == calendars.library_sessions(), "run `python -m streams.calendars`"
    assert calendars.library() == calendars.generated()


def test_today_begins_at_midnight_in_shanghai(monkeypatch: pytest.MonkeyPatch) -> None:
    for moment, day in (("2024-06-11T15:59:59", date(2024, 6, 11)), ("2024-06-11T16:00:00", date(2024, 6, 12))):
        at = int(datetime.fromisoformat(f"{moment}+00:00").timestamp() * 1e9)
        monkeypatch.setattr(calendars.time, "time_ns", lambda at=at: at)
        assert to_date(calendars.today()) == day
