"""`marginwatch up` and `marginwatch worker`: run the system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import As, From, LocalBroker, To, span
from streams.cli.outputs import require_folder
from streams.form import Form
from streams.settings import Settings


def worker() -> None:
    """Run a worker: it joins the consumer group, folds and publishes; SIGTERM ends it cleanly.

    Create the topics first with `marginwatch topics create`. Workers of one group share the work: the market stage, the
    alerts stage and the partitions of the securities, so two more than these partitions are as many as can be of use.
    """
    from streams.worker import run

    run(Settings())


def up(
    data: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="feed the files of this folder instead of a simulation"),
    ] = None,
    start: From = None,
    end: To = None,
    as_: As = Form.FRAMES,
    broker: Annotated[
        LocalBroker, typer.Option(help="embedded: nothing to install; kafka: Apache Kafka, needs Java 17 and Maven")
    ] = LocalBroker.EMBEDDED,
    workers: Annotated[
        int, typer.Option(min=1, max=16, help="how many share the work: two need two thirds of the time for a history")
    ] = 1,
    until_done: Annotated[bool, typer.Option("--until-done", help="return when all input is processed")] = False,
    export: Annotated[Path | None, typer.Option(help="with --until-done: write the final values here")] = None,
    state: Annotated[Path | None, typer.Option(help="with --broker kafka: keep broker and Redis data here")] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="with --data: send alerts to the channels of the settings")
    ] = False,
) -> None:
    """Start broker, Redis, workers and a feed on this machine, and print alerts and the market panel.

    Without --data the feed is a simulated market. No channel of the settings is notified without --notify. Example,
    which writes the final values as parquet files:

        marginwatch up --data ./history --from 2020-01-02 --until-done --export ./values
    """
    from streams.cli.local_run import LocalRunPlan, run

    if export is not None and not until_done:
        raise typer.BadParameter("--export needs --until-done", param_hint="--export")
    if notify and data is None:
        raise typer.BadParameter("the alerts of a simulation are sent to nobody: give --data", param_hint="--notify")
    first, last = span(start, end)
    if data is None and (first or last):
        raise typer.BadParameter("a simulation has its own dates: give --data", param_hint="--from/--to")
    if state is not None and broker is LocalBroker.EMBEDDED:
        raise typer.BadParameter("the embedded broker keeps nothing: give --broker kafka", param_hint="--state")
    require_folder(export)
    require_folder(state)
    run(LocalRunPlan(data, first, last, as_, broker, workers, until_done, export, state, notify), Settings())
