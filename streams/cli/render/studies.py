"""Prints results of studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Column
from rich.text import Text

from streams.cli.terminal import out, right, table_of

if TYPE_CHECKING:
    from streams.studies.run import Study

_STYLES = {"reproduced": "green", "weaker": "yellow", "not found": "red", "can't be checked": "dim"}


def print_study(study: Study) -> None:
    """Print a study: its headline, every claim with the figures of each mode, notes on the method."""
    from streams.studies import labels

    last = study.last
    out.print()
    out.print(Text(f"{last.title} {last.source}", style="bold"))
    out.print(Text(f"{last.first} … {last.last}", style="dim"))
    out.print(Text(labels.headline(study.claims, last.first, last.last, "en")))
    if last.remark:
        out.print(Text(last.remark))
    modes = [str(result.mode) for result in study.results]
    names = ("published", *(mode.replace("-", " ") for mode in modes), "base", "95% interval", "cases")
    table = table_of(Column("claim", min_width=30), *map(right, names), "verdict", Column("note", style="dim"))
    for claim in study.claims:
        values = (claim.published, *(getattr(claim, mode.replace("-", "_")) for mode in modes), claim.base)
        verdict = "" if claim.verdict is None else str(claim.verdict)
        figures = [Text(labels.figure(value, claim.unit)) for value in values]
        rest = Text(labels.interval(claim)), Text(labels.cases(claim)), Text(verdict, _STYLES.get(verdict, ""))
        table.add_row(Text(claim.what), *figures, *rest, Text(claim.note or claim.interval))
    out.print(table)
    notes = dict.fromkeys(note for result in study.results for note in result.notes)
    for note in (labels.sample_note(last.source, last.first, last.last, "en"), *notes):
        if note:
            out.print(Text(f"  · {note}", style="dim"))
