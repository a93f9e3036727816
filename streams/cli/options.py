"""Options that several commands share, and the choices that options take."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.form import Form

DATE = "YYYY-MM-DD"


class LocalBroker(StrEnum):
    """The broker that `marginwatch up` starts."""

    EMBEDDED = "embedded"
    KAFKA = "kafka"


class Via(StrEnum):
    """A source that `marginwatch feed fetch` asks."""

    AKSHARE = "akshare"
    TUSHARE = "tushare"
    EXCHANGES = "exchanges"
    EASTMONEY = "eastmoney"


class TableName(StrEnum):
    """The tables of the stream, in the order of its stages."""

    SECURITIES = "securities"
    CHARTS = "charts"
    MARKET = "market"
    ALERTS = "alerts"


def parse_day(text: str) -> date:
    """Return the date of an option; raises `typer.BadParameter` for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date: write {DATE}") from None


From = Annotated[date | None, typer.Option("--from", parser=parse_day, metavar=DATE, help="first trade date")]
To = Annotated[date | None, typer.Option("--to", parser=parse_day, metavar=DATE, help="last trade date")]
Data = Annotated[Path, typer.Option(exists=True, file_okay=False, help="a folder of market files, as for `feed files`")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for programs")]
As = Annotated[
    Form,
    typer.Option(
        "--as", help="frames: many rows a message (fast); arrays: the same as JSON; events: one JSON message a row"
    ),
]
Check = Annotated[
    bool, typer.Option("--check", help="print the first rows as parsed and every finding; publish nothing")
]
Force = Annotated[bool, typer.Option("--force", help="publish in spite of errors in the figures")]
NoLedger = Annotated[
    bool,
    typer.Option("--no-ledger", help="publish without Redis: rows are sent again, corrections get no new revision"),
]


def pace(speed: str) -> float | None:
    """Return the factor of ``--speed``, None for as fast as possible; raises `typer.BadParameter` for anything else."""
    from feeds.daily.publish import parse_speed

    try:
        return parse_speed(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--speed") from error


def span(start: date | None, end: date | None) -> tuple[date | None, date | None]:
    """Return the dates of ``--from`` and ``--to``.

    Raises
    ------
    typer.BadParameter : if the first lies after the last.
    """
    if start is not None and end is not None and start > end:
        raise typer.BadParameter(f"{start} is later than --to {end}", param_hint="--from")
    return start, end
