"""What is said about alerts from outside: acknowledgements, silences, live feeds that fall silent.

Messages of ``alerts.commands.v1``.

They are inputs like any other, so the state of every alert follows from the log, and a restart forgets nothing.
"""

from __future__ import annotations

from datetime import date, datetime

import msgspec

from alerts.model import Silence


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, tag="acknowledge", forbid_unknown_fields=True):
    """Somebody has seen an alert; with ``withdraw`` not any more."""

    alert: str
    by: str
    at: datetime
    note: str = ""
    withdraw: bool = False


class SetSilence(msgspec.Struct, frozen=True, kw_only=True, tag="silence", forbid_unknown_fields=True):
    """No notifications of what matches, until then; a silence that lies in the past ends an earlier one of its id."""

    silence: Silence
    at: datetime


class FeedState(msgspec.Struct, frozen=True, kw_only=True, tag="feed", forbid_unknown_fields=True):
    """A live feed runs on a day, or has fallen silent in its session; written by the worker that watches the clock."""

    feed: str
    trade_date: date
    at: datetime
    silent_since: datetime | None = None


Command = Acknowledge | SetSilence | FeedState
_decoder = msgspec.json.Decoder(Command)


def decode(value: bytes) -> Command:
    """Return a command; raises `msgspec.DecodeError` with the reason."""
    command: Command = _decoder.decode(value)
    return command
