"""What a check of figures finds, and how it names the rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from feeds.cells.file_names import valid_text
from feeds.checks.row_groups import UNREAD
from processors.arrays import Ids
from processors.codes import EXCHANGES, to_code
from processors.days import to_date
from processors.events import INPUT_ROWS, KEYS, RowBatch

_NAMED = 5


class Severity(StrEnum):
    """The effect of a finding.

    An error stops publishing. What is refused (a row, a sheet, a file, a cell) is left out and makes the exit status of
    a command 1; the rest is published. A warning is reported.
    """

    ERROR = "error"
    REFUSED = "refused"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """A result of a check.

    Parameters
    ----------
    check : the name of the check.
    topic : the input topic; empty for a file as a whole.
    day : trade date, days since 1970-01-01; None if it is not known.
    text : what was expected, what was found, what to do.
    group : exchange of the row that it is about, or its topic where keys have none; empty if it is not known.
    lost : the keys of rows that their day lacks; empty if they are not known, or if other rows have their figures.
    """

    severity: Severity
    check: str
    topic: str
    day: int | None
    text: str
    group: str = ""
    lost: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", valid_text(self.text))

    def __str__(self) -> str:
        when = f" {to_date(self.day)}" if self.day is not None else ""
        return f"{self.severity.upper()} {self.check} {self.topic}{when}: {self.text}"


def key_text(topic: str, key: int) -> str:
    """Return a key of a topic as text: a code, an exchange, a tenor, a market."""
    field = INPUT_ROWS[topic].key_field
    if field == "code" and key // 4 == UNREAD:
        return f"one of {EXCHANGES[key % 4]} without a code"
    return to_code(key) if field == "code" else KEYS[field][key]


def names_of(batch: RowBatch, keys: Ids) -> str:
    """Return the first of some keys as text."""
    named = ", ".join(key_text(batch.topic, key) for key in np.unique(keys)[:_NAMED].tolist())
    return named + (" …" if len(np.unique(keys)) > _NAMED else "")
