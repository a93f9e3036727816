"""The exceptions of the console."""

from __future__ import annotations

from processors.errors import MarginwatchError


class AccessError(MarginwatchError):
    """The console can't be opened with these settings; the text names the setting to change."""


class UnconfirmedError(MarginwatchError):
    """A command was sent, and nobody knows whether it arrives: its acknowledgement is missing."""
