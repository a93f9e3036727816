"""What the page of studies shows: stored results with the version of data and code that they are of, and computations.

A version has two parts, the digest of the folder's files and the digest of the code with its parameters. A result is
current where both are those of now.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import msgspec

from alerts.subject_names import Language

#: A text in English and Chinese.
Both = tuple[str, str]


class Version(msgspec.Struct, frozen=True):
    """Digests of the data and of the code with its parameters."""

    data: str
    code: str

    def __str__(self) -> str:
        return f"{self.data}-{self.code}"


class StudyEntry(msgspec.Struct, frozen=True):
    """A stored result of one study.

    Parameters
    ----------
    headline : a sentence on the claims that fail.
    first, last : the days of the data.
    counts : number of claims, name and CSS class of each verdict.
    """

    name: str
    title: Both
    source: str
    headline: Both
    first: str
    last: str
    counts: tuple[tuple[int, Both, str], ...]
    version: Version
    computed_at: datetime


class StudyComputation(msgspec.Struct, frozen=True):
    """A computation of studies that runs or has ended.

    Parameters
    ----------
    step : what is done, with ``done`` of ``total``; a total of 0 is not known.
    error : cause and remedy, empty where it has none.
    """

    studies: tuple[str, ...]
    step: Both
    done: int
    total: int
    started_at: datetime
    ended_at: datetime | None = None
    error: Both | None = None


class StudyResults(msgspec.Struct, frozen=True):
    """The state of the studies of one folder.

    Parameters
    ----------
    folder : of the data; empty where the console has none.
    names : every study, in the order of the page.
    version : that of now; None until the files are read for the first time.
    entries : the newest result of each study that has one; a current one counts as the newest.
    problem : why the folder can't be read; empty where it can.
    """

    folder: str = ""
    names: tuple[str, ...] = ()
    version: Version | None = None
    entries: dict[str, StudyEntry] = {}
    computation: StudyComputation | None = None
    problem: str = ""

    @property
    def running(self) -> bool:
        """Whether a computation runs."""
        return self.computation is not None and self.computation.ended_at is None


class Studies(Protocol):
    """Stored results of studies and their computation in the background."""

    style: str  # CSS of a part

    async def compute(self, name: str) -> None:
        """Start to compute a study, or ``all``; raises `MarginwatchError` while a computation runs."""
        ...

    def part(self, entry: StudyEntry, language: Language) -> str:
        """Return the HTML of a result; its charts are images under ``/studies/file``."""
        ...

    def file(self, version: str, name: str, file: str) -> bytes | None:
        """Return a file of a result; None where there is none."""
        ...

    def claims(self) -> bytes:
        """Return the claims of every result that is shown, as CSV."""
        ...
