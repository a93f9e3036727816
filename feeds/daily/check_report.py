"""What the operator sees before anything is published: the first rows, the findings, and the refusal of errors."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from feeds.checks.balance_changes import balance_changes
from feeds.checks.beside_prices import beside_prices
from feeds.checks.beside_totals import beside_totals
from feeds.checks.closes_before import closes_before
from feeds.checks.column_gaps import column_gaps
from feeds.checks.compared_day import ComparedDay
from feeds.checks.cut_lists import cut_lists
from feeds.checks.days_to_come import TO_COME
from feeds.checks.magnitudes import magnitudes, steps
from feeds.checks.mixed_units import mixed_units
from feeds.checks.shifted_columns import shifted_columns
from feeds.checks.single_cells import single_cells
from feeds.checks.slipped_days import slipped_days
from feeds.checks.validate import Finding, Severity, check_day, key_text
from feeds.errors import InputError
from feeds.files.dataset import SourceTable
from processors.days import to_date
from processors.events import Column
from processors.index_members import columns_of
from processors.needs import PRICES

#: What a wrong unit explains.
_BY_UNITS = ("jump", "step", "identity", "cell", "columns")
_SHOWN_PER_CHECK, _SHOWN_OF_LOSSES, _FIRST_ROWS = 5, 200, 3


def check_with_lists(day: ComparedDay) -> list[Finding]:
    """Check the figures of a day, and whether its lists are whole; errors first."""
    out = check_day(day)
    units = {one.topic for one in out if one.check == "unit"}
    out += [one for one in mixed_units(day) if one.topic not in units]
    units = {one.topic for one in out if one.check == "unit"}
    beside = [*magnitudes(day), *beside_prices(day)]
    out += [*(one for one in beside if one.topic not in units or one.check != "unit")]
    out += [*slipped_days(day), *single_cells(day), *beside_totals(day)]
    for topic, batch in day.rows.items():
        out += [*column_gaps(batch), *shifted_columns(batch)]
        if topic == PRICES:
            out += closes_before(batch, day.last.get(topic))
        if topic in day.last:
            out += [*balance_changes(batch, day.last[topic]), *steps(batch, day.last[topic])]
        out += cut_lists(day.listed(topic), day.before.get(topic), day.whole)
    wrong_units = {(one.topic, one.day) for one in out if one.check == "unit" and one.severity is Severity.ERROR}
    out = [one for one in out if one.check not in _BY_UNITS or (one.topic, one.day) not in wrong_units]
    return sorted(out, key=lambda one: (one.severity is not Severity.ERROR, one.topic))


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
