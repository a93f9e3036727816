"""Options that several commands share, and the choices that options take."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from streams.form import Form

DATES = ["%Y-%m-%d"]
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


From = Annotated[datetime | None, typer.Option("--from", formats=DATES, metavar=DATE, help="first trade date")]
To = Annotated[datetime | None, typer.Option("--to", formats=DATES, metavar=DATE, help="last trade date")]
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


def day_of(moment: datetime | None) -> date | None:
    """Return the date of a date option (Typer parses it as a moment)."""
    return moment.date() if moment is not None else None


def pace(speed: str) -> float | None:
    """Return the factor of ``--speed``, None for as fast as possible; raises `typer.BadParameter` for anything else."""
    from feeds.daily.publish import parse_speed

    try:
        return parse_speed(speed)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--speed") from error


def span(start: datetime | None, end: datetime | None) -> tuple[date | None, date | None]:
    """Return the dates of ``--from`` and ``--to``.

    Raises
    ------
    typer.BadParameter : if the first lies after the last.
    """
    first, last = day_of(start), day_of(end)
    if first is not None and last is not None and first > last:
        raise typer.BadParameter(f"{first} is later than --to {last}", param_hint="--from")
    return first, last
