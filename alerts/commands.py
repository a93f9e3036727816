"""The messages of ``alerts.commands.v1``: acknowledgements, silences, and live feeds that stop.

They are inputs like any other, so the state of every alert follows from the log and survives a restart.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from alerts.model import Silence


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, tag="acknowledge", forbid_unknown_fields=True):
    """A person acknowledges an alert, or withdraws the acknowledgement (``withdraw``)."""

    alert: str
    by: str
    at: datetime
    note: str = ""
    withdraw: bool = False


class SetSilence(msgspec.Struct, frozen=True, kw_only=True, tag="silence", forbid_unknown_fields=True):
    """Set a silence; one whose ``until`` is not after ``at`` ends the earlier silence of its id."""

    silence: Silence
    at: datetime


class FeedState(msgspec.Struct, frozen=True, kw_only=True, tag="feed", forbid_unknown_fields=True):
    """A live feed runs on a day, or stopped within the session; written by the worker that watches the clock."""

    feed: str
    trade_date: date
    at: datetime
    silent_since: datetime | None = None


Command = Acknowledge | SetSilence | FeedState
_decoder = msgspec.json.Decoder(Command)


def decode(value: bytes) -> Command:
    """Decode a command.

    Raises
    ------
    msgspec.DecodeError : with the reason, if the message is no command.
    """
    command: Command = _decoder.decode(value)
    return command
