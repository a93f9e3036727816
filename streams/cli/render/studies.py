"""Prints results of studies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from streams.cli.terminal import out

if TYPE_CHECKING:
    from processors.studies.result import Result


def print_study(modes: list[Result], rows: list[list[str]]) -> None:
    """Print a study: published figures, the figures of each mode, notes on the method."""
    first = modes[0]
    out.print()
    out.print(Text(f"{first.title} {first.source}", style="bold"))
    out.print(Text(f"{first.first} … {first.last}", style="dim"))
    table = Table(box=None, pad_edge=False)
    table.add_column("figure", min_width=30)
    for name in ("published", *(str(m.mode).replace("-", " ") for m in modes), "95% interval", "cases"):
        table.add_column(name, justify="right")
    table.add_column("note", style="dim", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)
    for note in dict.fromkeys(note for m in modes for note in m.notes):
        out.print(Text(f"  · {note}", style="dim"))
