"""The form in which rows travel through the input topics."""

from __future__ import annotations

from enum import StrEnum


class Form(StrEnum):
    """A message with many rows, in Arrow or JSON, or one message per row."""

    FRAMES = "frames"  # Arrow; fast
    EVENTS = "events"  # JSON
    ARRAYS = "arrays"  # JSON, many rows a message
