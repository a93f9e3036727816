"""Options that several commands share."""

from __future__ import annotations

import sys
from datetime import date, datetime
from typing import Annotated

import msgspec
import typer

DATES = ["%Y-%m-%d"]
From = Annotated[datetime | None, typer.Option("--from", formats=DATES, help="first trade date")]
To = Annotated[datetime | None, typer.Option("--to", formats=DATES, help="last trade date")]
Json = Annotated[bool, typer.Option("--json", help="print JSON for machines")]
Check = Annotated[
    bool, typer.Option("--check", help="show the first rows as understood and what is wrong; publish nothing")
]
Force = Annotated[bool, typer.Option("--force", help="publish in spite of errors in the figures")]
As = Annotated[str, typer.Option("--as", help="how rows travel: frames (fast) or events (one JSON each)")]
NoLedger = Annotated[
    bool,
    typer.Option("--no-ledger", help="publish without Redis: rows go out again, corrections get no new revision"),
]


def to_date_option(moment: datetime | None) -> date | None:
    return moment.date() if moment is not None else None


def print_json(value: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
