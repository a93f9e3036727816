"""The messages of ``alerts.commands.v1``: acknowledgements, silences, live feeds that stop, and runs of feeds.

They are inputs like any other, so the state of every alert follows from the log and survives a restart.
"""

from __future__ import annotations

from datetime import date

import msgspec

from alerts.model import Silence
from processors.days import check_times
from processors.errors import RowError
from processors.events import Moment


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True, tag="acknowledge", forbid_unknown_fields=True):
    """A person acknowledges an alert, or withdraws the acknowledgement (``withdraw``)."""

    alert: str
    by: str
    at: Moment
    note: str = ""
    withdraw: bool = False


class SetSilence(msgspec.Struct, frozen=True, kw_only=True, tag="silence", forbid_unknown_fields=True):
    """Set a silence; one whose ``until`` is not after ``at`` ends the earlier silence of its id."""

    silence: Silence
    at: Moment


class LiveFeedState(msgspec.Struct, frozen=True, kw_only=True, tag="feed", forbid_unknown_fields=True):
    """A live feed runs on a day, or stopped within the session; written by the worker that watches the clock.

    Attributes
    ----------
    at : moment of the newest row of a feed that runs; when the stop was noticed.
    silent_since : when the feed stopped; None while it runs.
    """

    feed: str
    trade_date: date
    at: Moment
    silent_since: Moment | None = None


class FeedRun(msgspec.Struct, frozen=True, kw_only=True, tag="feed_run", forbid_unknown_fields=True):
    """A run of a feed of daily figures; written by the feed.

    Parameters
    ----------
    source : the name under which the rows are published.
    trade_date : the newest day of its figures; the day of the run where it has none.
    rows : topic → exchange → number of rows: read, published, unchanged, corrected, absent, refused.
    refused : rows, sheets and cells that were left out.
    errors : errors in the figures; nothing was published then.
    reason : the first of them.
    """

    source: str
    trade_date: date
    at: Moment
    rows: dict[str, dict[str, dict[str, int]]] = {}
    refused: int = 0
    errors: int = 0
    reason: str = ""


Command = Acknowledge | SetSilence | LiveFeedState | FeedRun
_decoder = msgspec.json.Decoder(Command)


#: A larger command is refused: its note travels with every later state of an alert.
_MOST_BYTES = 64 * 1024


def encode(command: Command) -> bytes:
    """Return a command as a message; raises `RowError` for one that `decode` refuses as too large."""
    value = msgspec.json.encode(command)
    _check_size(value)
    return value


def decode(value: bytes) -> Command:
    """Decode a command.

    Raises
    ------
    RowError, msgspec.DecodeError : with the reason, if the message is no command.
    """
    _check_size(value)
    command: Command = _decoder.decode(value)
    times = [command.at]
    if isinstance(command, SetSilence):
        times.append(command.silence.until)
    elif isinstance(command, LiveFeedState):
        check_times([command.trade_date, command.silent_since])
    elif isinstance(command, FeedRun):
        check_times([command.trade_date])
    check_times(times)
    return command


def _check_size(value: bytes) -> None:
    if len(value) > _MOST_BYTES:
        raise RowError(f"the command has {len(value):,} bytes, at most {_MOST_BYTES:,} are accepted: shorten its texts")
