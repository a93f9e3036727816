"""`marginwatch status` and `marginwatch explain`: the state of the system, and where a value comes from."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
import typer

from streams.cli import show
from streams.cli.options import DATES, Json, print_json
from streams.settings import Settings


def status(as_json: Json = False) -> None:
    """How the system stands: feeds, absent signals with their reasons, alerts, tables, calendar."""
    from streams.status import status as standing

    found = standing(Settings())
    if as_json:
        print_json(found)
    else:
        show.status(found)


def explain(
    signal: Annotated[str, typer.Argument(metavar="ID", help="e.g. fin_buy_ratio_5d; the README lists all of them")],
    on: Annotated[
        datetime | None, typer.Option("--date", formats=DATES, help="show where this day's value comes from")
    ] = None,
    of: Annotated[str | None, typer.Option(help="a code, an industry, or the subject of a market signal")] = None,
    as_json: Json = False,
) -> None:
    """What a signal is: formula, source, inputs, parameters; with --date the numbers that its value was made of."""
    from streams.explain import declaration, derivation

    settings = Settings()
    declared = declaration(settings, signal)
    derived = derivation(settings, signal, on.date(), of) if on is not None else None
    if as_json:
        print_json({"declared": [{**msgspec.to_builtins(s), "values": v} for s, v in declared], "derived": derived})
    else:
        show.explanation(declared, derived)
