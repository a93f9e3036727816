"""The README says what the code declares."""

from __future__ import annotations

from pathlib import Path

from streams.docs import rendered

README = Path(__file__).resolve().parents[1] / "README.md"


def test_the_generated_tables_are_up_to_date() -> None:
    text = README.read_text("utf-8")
    assert text == rendered(text), "run `python -m streams.docs`"
