"""The trading calendar that is kept is the library's."""

from __future__ import annotations

from streams import calendars


def test_the_kept_sessions_are_those_of_the_library() -> None:
    assert calendars.sessions() == calendars.library_sessions(), "run `python -m streams.calendars`"
    assert calendars.library() == calendars.generated()
