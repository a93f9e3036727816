"""The trading calendar that is kept is the library's."""

from __future__ import annotations

from pathlib import Path

from streams import calendars, xshg_closures


def test_the_kept_sessions_are_those_of_the_library() -> None:
    assert calendars.sessions() == calendars.library_sessions(), "run `python -m streams.calendars`"
    assert Path(xshg_closures.__file__).read_text("utf-8") == calendars.generated()
