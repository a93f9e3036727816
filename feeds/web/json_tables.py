"""Lists that a site publishes as JSON: the rows of all their pages, and these rows in CNY and shares."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

import msgspec
import numpy as np
import pandas as pd

from feeds.cells.row_kinds import NO_DATA
from feeds.checks.findings import Finding, Severity
from feeds.errors import InputError, NotPublishedError
from feeds.files.dataset import SourceTables
from feeds.mappings.mapped_rows import map_rows
from feeds.mappings.mapping import Table, columns_used
from feeds.publication_times import is_early, is_final, not_published
from feeds.web.public_pages import PublicPages
from processors.days import to_date, to_day
from processors.events import FIGURES

_MOST_PAGES = 1000
Record = dict[str, Any]
_ShapeT = TypeVar("_ShapeT")


@dataclass(frozen=True, slots=True)
class PagesOfDay:
    """The public pages of the margin figures of one trade date.

    Parameters
    ----------
    due : when the figures are published, µs since the epoch.
    now : seconds since the epoch.
    """

    pages: PublicPages
    day: date
    due: int
    now: Callable[[], float] = time.time

    def read(self, where: str, shape: type[_ShapeT], url: str, params: Mapping[str, str], referer: str) -> _ShapeT:
        """Return the answer of a page; errors as of `PublicPages.read`, and `InputError` for another shape."""
        answer = self.pages.read(where, url, params, referer)
        try:
            return msgspec.convert(answer, shape, strict=False)
        except msgspec.ValidationError as error:
            raise InputError(
                f"{where}: the answer has another shape than documented ({error}): the site has changed; update "
                "marginwatch, or use another source"
            ) from error

    def require_due(self, publisher: str) -> None:
        """Raise `NotPublishedError` a day and more before the figures are published: nothing need be asked."""
        if is_early(self.due, self.now()):
            raise self._not_published(publisher)

    def require_rows(self, records: Sequence[Record], where: str, publisher: str) -> None:
        """Raise an error for a list without rows: `NotPublishedError`, a day after it was due `InputError`."""
        if records:
            return
        if not is_final(self.due, self.now()):
            raise self._not_published(publisher)
        raise InputError(
            f"{where} has no rows, which were due more than a day ago: open the site in a browser, or use another "
            "source"
        )

    def _not_published(self, publisher: str) -> NotPublishedError:
        return not_published(publisher, f"the margin figures of {self.day}", self.due)


def pages_of(where: str, page: Callable[[int], tuple[list[Record], int | None]]) -> list[Record]:
    """Return the rows of all pages of a list; if it states no number of rows, a page shorter than the first ends it.

    Parameters
    ----------
    page : returns the rows of a page, from 0 on, and the stated number of rows of the list; None if it states none.

    Raises
    ------
    InputError : if the list is cut off: pages repeat, change meanwhile, or have other rows than their stated number; or
        if it has more than 1,000 pages.
    """
    rows: list[Record] = []
    stated: int | None = None
    first = 0
    for number in range(_MOST_PAGES):
        found, total = page(number)
        if number and total not in (None, stated):
            raise InputError(f"{where} states {stated} rows, then {total}: it changes meanwhile, try again later")
        if found and any(found == rows[at : at + len(found)] for at in range(0, len(rows), len(found))):
            raise InputError(
                f"{where}: page {number + 1} repeats another one, so that rows are missing: the list is cut off at "
                f"{len(rows):,} rows; use another source"
            )
        rows, stated = rows + found, stated if total is None else total
        first = first or len(found)
        if not found or (len(rows) >= stated if stated is not None else len(found) < first):
            break
    else:
        raise InputError(
            f"{where} has more than {_MOST_PAGES:,} pages: its list does not end; update marginwatch, or use another "
            "source"
        )
    if stated is not None and len(rows) != stated:
        raise InputError(
            f"{where} states {stated:,} rows and sends {len(rows):,}: the list is cut off; try again later, or use "
            "another source"
        )
    return rows


def refuse_error(where: str, error: object) -> None:
    """Raise `InputError` for the error that an answer states in place of rows, unless it is that there are none yet."""
    if error and not NO_DATA.search(str(error)):
        raise InputError(f"{where}: the site refuses ({str(error)[:200]}): try again later, or use another source")


def add_records(out: SourceTables, table: Table, records: Sequence[Record], where: str, day: date) -> None:
    """Append the rows of a list of a trade date.

    A figure that a row need not have and that no record contains is absent, and a warning reports it.

    Raises
    ------
    InputError : if the site has renamed a column, answers with another day, or has a security twice.
    """
    _require_cells(records, where, table)
    raw = pd.DataFrame(list(records), index=range(1, len(records) + 1))  # rows are numbered from 1 in messages
    keys = [one.column for one in (table.date, table.code) if one is not None]
    needed = {column.name for column in FIGURES[table.topic] if not column.optional}
    lacking = {name: one.column for name, one in table.columns.items() if one.column not in raw}
    lost = [key for key in keys if key not in raw] + [str(c) for name, c in lacking.items() if name in needed]
    if lost:
        raise InputError(
            f"{where}: the answer has no {', '.join(lost)} but {', '.join(map(str, raw.columns))}: the site has "
            "changed its columns; update marginwatch, or use another source"
        )
    if table.code is not None:
        codes = raw[table.code.column].dropna()
        if codes.duplicated().any():
            twice = codes[codes.duplicated()].iloc[0]
            raise InputError(f"{where} has {twice} twice, so that another row may be missing: try again later")
    if lacking:
        text = f"{where}: the answer has no {', '.join(map(str, lacking.values()))}: {', '.join(lacking)} are absent"
        out.findings.append(Finding(Severity.WARNING, "figure", table.topic, to_day(day), text))
        table = msgspec.structs.replace(table, columns={n: c for n, c in table.columns.items() if n not in lacking})
    rows = map_rows(table, raw, where, day=to_day(day))
    days = np.unique(rows.frame["day"].to_numpy())
    if len(days) and days.tolist() != [to_day(day)]:
        others = ", ".join(to_date(int(one)).isoformat() for one in days)
        raise InputError(
            f"{where} answers with {others}: its rows are not used; try again later, or use another source"
        )
    out.add(table.topic, where, rows)


def _require_cells(records: Sequence[Record], where: str, table: Table) -> None:
    """Refuse what is neither a number nor a text: true would be read as 1."""
    figures = [str(one.column) for one in table.columns.values()]
    for column in [*columns_used(table), *figures]:
        for row, record in enumerate(records, start=1):
            cell = record.get(column)
            if cell is not None and type(cell) not in (str, int, float):
                raise InputError(
                    f"{where}, row {row}: {column} is {str(cell)[:50]}, expected a number or a text: the site has "
                    "changed; update marginwatch, or use another source"
                )
