"""`marginwatch sheet`: the morning sheet as a file, and by mail."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Literal

import typer

from streams.cli.options import DATE, parse_day
from streams.cli.outputs import require_file
from streams.cli.terminal import out
from streams.settings import Settings


def sheet(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="the PDF to write")],
    on: Annotated[
        date | None,
        typer.Option("--date", parser=parse_day, metavar=DATE, help="as known at the end of this day; default: now"),
    ] = None,
    language: Annotated[Literal["zh", "en"], typer.Option(help="its language")] = "zh",
    to: Annotated[list[str] | None, typer.Option("--to", help="a channel of the kind apprise that gets it")] = None,
) -> None:
    """Write the morning sheet, one A4 page, and send it; exit code 1 if a channel does not accept it.

    Example, for a timer at 08:45:

        marginwatch sheet /tmp/sheet.pdf --to mail
    """
    from streams import morning_sheet

    settings, names = Settings(), to or []
    unknown = [name for name in names if name not in settings.channels]
    if unknown:
        known = ", ".join(settings.channels) or "(none is set)"
        raise typer.BadParameter(f"{', '.join(unknown)}: not one of the channels {known}", param_hint="--to")
    require_file(file)
    title = morning_sheet.write(settings, file, on, language)
    out.print(f"wrote {file}: {title}")
    results = morning_sheet.send(settings, names, title, file)
    for name, error in results.items():
        out.print(f"{name}: {'sent' if not error else f'failed: {error}'}")
    if any(results.values()):
        raise typer.Exit(1)
