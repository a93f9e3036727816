"""`marginwatch status` and `marginwatch explain`: the state of the system, and the inputs of a value."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from streams.cli.options import DATE, Json, parse_day
from streams.cli.render.signals import print_explanation
from streams.cli.render.tables import print_status
from streams.cli.terminal import print_json, print_result
from streams.settings import Settings


def status(as_json: Json = False) -> None:
    """Show the state of the system: workers, feeds, absent signals with their reasons, alerts, tables, calendar."""
    from streams.clients import redis_client
    from streams.errors import RunningWorkersError
    from streams.running_workers import SILENT_S, connected_workers
    from streams.system_status import status as state

    with redis_client(settings := Settings()) as client:
        found = state(settings, client)
        try:
            workers = connected_workers(settings, client)
        except RunningWorkersError as error:
            found |= {"workers": None, "workers_unknown": str(error)}
        else:
            silent = {worker: idle for worker, idle in workers.items() if idle >= SILENT_S}
            found |= {"workers": list(workers), "workers_silent_s": silent}
    print_result(found, print_status, as_json=as_json)


def explain(
    signal: Annotated[str, typer.Argument(metavar="ID", help="e.g. fin_buy_ratio_5d; the documentation lists all")],
    on: Annotated[
        date | None, typer.Option("--date", parser=parse_day, metavar=DATE, help="the inputs of this day's value")
    ] = None,
    of: Annotated[
        str | None, typer.Option(help="with --date: a code, an industry, or the subject of a market signal")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show what a signal is: formula, source, inputs, parameters; with --date also the inputs of one value.

    Example:

        marginwatch explain fin_buy_ratio_5d --date 2024-06-03
    """
    from streams.errors import ExplainError, SubjectError
    from streams.explain import declaration, derivation

    if of is not None and on is None:
        raise typer.BadParameter("it names the subject of one day's value: give --date", param_hint="--of")
    settings = Settings()
    try:
        declared = declaration(settings, signal)
    except ExplainError as error:
        raise typer.BadParameter(str(error), param_hint="ID") from error
    try:
        derived = derivation(settings, signal, on, of) if on is not None else None
    except SubjectError as error:
        raise typer.BadParameter(str(error), param_hint="--of") from error
    if as_json:
        print_json({"declared": declared, "derived": derived})
    else:
        print_explanation(declared, derived)
