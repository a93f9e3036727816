"""What the operator sees before anything is published: the first rows, the findings, and the refusal of errors."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from feeds.checks.days_to_come import TO_COME
from feeds.checks.findings import Finding, Severity, key_text
from feeds.errors import InputError
from feeds.files.dataset import SourceTable
from processors.days import to_date
from processors.events import Column
from processors.index_members import columns_of

_SHOWN_PER_CHECK, _SHOWN_OF_LOSSES, _FIRST_ROWS = 5, 200, 3


def format_findings(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield findings as lines: the first few of each check and topic, then the number of the others."""
    groups: dict[tuple[Severity, str, str], list[Finding]] = {}
    for one in findings:
        groups.setdefault((one.severity, one.check, one.topic), []).append(one)
    for (severity, check, topic), group in sorted(groups.items()):
        shown = _SHOWN_OF_LOSSES if severity is Severity.REFUSED or check == "file" else _SHOWN_PER_CHECK
        yield from map(str, group[:shown])
        if len(group) > shown:
            yield f"{severity.upper()} {check} {topic}: … and {len(group) - shown} more"


def format_first_rows(tables: Iterable[SourceTable]) -> Iterator[str]:
    """Yield the first rows of each table in CNY, shares and fractions, as lines."""
    for table in tables:
        yield f"{table.origin} → {table.topic}, {len(table.frame):,} rows"
        for row in table.frame.head(_FIRST_ROWS).to_dict("records"):
            yield "  " + _row_text(table.topic, row)


def refuse_errors(findings: Iterable[Finding], *, force: bool) -> None:
    """Raise if a finding is an error, unless forced; rows of a day to come are refused all the same.

    Raises
    ------
    InputError : with the number of errors, the first of them, and what to do.
    """
    errors = [f for f in findings if f.severity is Severity.ERROR]
    to_come = [f for f in errors if f.check == TO_COME]
    if to_come or (errors and not force):
        first, forced = (to_come[0], "") if to_come else (errors[0], ", or publish the figures unchanged with --force")
        raise InputError(
            f"nothing was published: {len(errors)} error{'s' if len(errors) > 1 else ''} in the figures, the first: "
            f"{first}. Correct the file or its mapping{forced}"
        )


def _row_text(topic: str, row: dict[Hashable, Any]) -> str:
    day = to_date(int(row["day"])).isoformat() if "day" in row else "every date"
    shown = [
        f"{column.name} {_figure_text(column, row[column.name])}"
        for column in columns_of(topic, row)
        if column.name in row and row[column.name] == row[column.name]
    ]
    return f"{day} {key_text(topic, int(row['key']))}: " + ", ".join(shown)


def _figure_text(column: Column, value: float) -> str:
    if column.labels:
        return column.labels[int(value)]
    return to_date(int(value)).isoformat() if column.date else f"{value:,.15g}"
