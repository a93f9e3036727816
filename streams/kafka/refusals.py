"""Why a broker refuses messages for good, by the errors of both Kafka libraries."""

from __future__ import annotations

_CLOCK = "InvalidTimestampError"  # a class of that name in each library


def wrong_clock(error: BaseException) -> str:
    """Return that the clock of this machine is wrong, and what to do, if a broker refuses messages because of it."""
    if type(error).__name__ != _CLOCK:
        return ""
    return (
        "because the clock of this machine is ahead of the broker's by more than the topics accept "
        "(message.timestamp.after.max.ms, an hour): set it"
    )
