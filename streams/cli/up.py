"""`marginwatch up` and `marginwatch worker`: run the system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import As, From, To, to_date_option
from streams.settings import Settings


def worker() -> None:
    """Run a worker: join the consumer group, fold, publish; SIGTERM ends it cleanly."""
    from streams.worker import run

    run(Settings())


def up(
    data: Annotated[Path | None, typer.Option(help="feed the files of this folder instead of a simulation")] = None,
    start: From = None,
    end: To = None,
    as_: As = "frames",
    broker: Annotated[
        str, typer.Option(help="embedded (nothing to install) or kafka (Apache Kafka, needs Java 17 and Maven)")
    ] = "embedded",
    until_done: Annotated[bool, typer.Option("--until-done", help="return when all that was fed is processed")] = False,
    export: Annotated[Path | None, typer.Option(help="with --until-done: write the final values here")] = None,
    state: Annotated[Path | None, typer.Option(help="keep broker and Redis data here (--broker kafka)")] = None,
) -> None:
    """Start everything on this machine (broker, Redis, worker), feed it and show what happens."""
    from streams.cli.local_run import Plan, run
    from streams.publisher import Form

    if broker not in ("embedded", "kafka"):
        raise typer.BadParameter("choose embedded or kafka", param_hint="--broker")
    if export is not None and not until_done:
        raise typer.BadParameter("--export needs --until-done", param_hint="--export")
    run(
        Plan(data, to_date_option(start), to_date_option(end), Form(as_), broker, until_done, export, state), Settings()
    )
