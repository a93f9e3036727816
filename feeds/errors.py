"""The errors of the feeds. Each message names what was expected, what was found, where, and what the operator can do.

::

    FeedError
    ├── InputError            a file, a page or an answer that can't be published
    │   ├── ConfigurationError    a plan, a mapping file, a secret or a package that the operator must correct
    │   ├── NotPublishedError     the source has no figures of a day yet: ask again later
    │   ├── GoneError             the source has no figures of a day any more: don't ask again
    │   ├── BusyError             the source is being written: ask again in a moment
    │   └── RowsRefusedError      single rows that must not be published
    ├── UnavailableError      Kafka or Redis did not answer: the same rows can be published again
    │   └── LedgerError           the publish ledger can't be read or written
    └── StoppedError          the process ends before all rows are published
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from processors.errors import MarginwatchError

if TYPE_CHECKING:
    from feeds.feed_report import FeedReport


def at(where: str) -> str:
    """Return the beginning of a message that names a place; empty for none, which the caller adds."""
    return f"{where}: " if where else ""


class FeedError(MarginwatchError):
    """The base class of the errors of this room."""


class InputError(FeedError):
    """A file, a page or an answer that can't be published; it stays refused until it changes.

    Attributes
    ----------
    report : the report of the run that refused it; None if the error ended the run before its rows were checked.
    retry_at : from when on it may be published unchanged, because it came too early; seconds since the epoch.
    """

    report: FeedReport | None = None
    retry_at: float = math.inf


class ConfigurationError(InputError):
    """A plan, a mapping file, an option, a secret or a missing package that the operator must correct."""


class NotPublishedError(InputError):
    """The source has not published the figures of a day yet: ask again later."""


class GoneError(InputError):
    """The source does not offer the figures of a day any more: don't ask again."""


class BusyError(InputError):
    """Another program is writing the source: ask again in a moment."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that must not be published.

    Parameters
    ----------
    row : the index of the row in its batch.
    field : the field that is wrong.
    text : the reason.
    """

    row: int
    field: str
    text: str

    def __str__(self) -> str:
        return self.text


class RowsRefusedError(InputError):
    """Rows that must not be published, so that no row of their batch was."""

    def __init__(self, refused: Sequence[Refusal]) -> None:
        self.refused = tuple(refused)
        more = f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""
        super().__init__(f"nothing was published: row {refused[0].row + 1}: {refused[0]}{more}")


class UnavailableError(FeedError):
    """Kafka or Redis did not answer; the same rows can be published again."""


class LedgerError(UnavailableError):
    """The publish ledger can't be read or written, so that nothing can be published."""


class StoppedError(FeedError):
    """The process ends while a feed waits; the next run publishes the remaining rows."""
