"""`marginwatch study`: check a signal against the published tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli import show
from streams.cli.options import From, Json, To, print_json, to_date_option
from streams.settings import Settings


def study(
    name: Annotated[
        str, typer.Argument(help="ratio, excess, streaks, extremes, divergence, rotation, factor, timing, or all")
    ],
    data: Annotated[Path, typer.Option(help="a folder of market files, as for `feed files`")],
    start: From = None,
    end: To = None,
    as_source: Annotated[
        bool, typer.Option("--as-source", help="act at the close of the day that a figure is about, as the reports did")
    ] = False,
    point_in_time: Annotated[
        bool, typer.Option("--point-in-time", help="act at the first open or close after a figure was published")
    ] = False,
    factors: Annotated[
        Path | None, typer.Option(help="for factor: CSV or parquet with date, MKT, SMB, HML, RMW, CMA (fractions)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write CSV, JSON and PNG files here")] = None,
    report: Annotated[Path | None, typer.Option(help="write one self-contained HTML page")] = None,
    as_json: Json = False,
) -> None:
    """Check a signal against the published tables, on your data; without a mode both, so that the difference shows.

    The history is folded by the processors of the stream: what a study sees is what the stream publishes.
    """
    from streams.studies import load

    study_run = load()
    modes = study_run.modes(as_source=as_source, point_in_time=point_in_time)
    plan = study_run.Plan(data, study_run.names(name), modes, to_date_option(start), to_date_option(end), factors)
    with show.progress() as progress:
        task = progress.add_task("folding the history", total=None)
        found = study_run.panel(
            plan, Settings(), lambda done, total: progress.update(task, completed=done, total=total)
        )
    results = study_run.run(plan, found)
    if as_json:
        print_json(results)
    else:
        for one in results:
            show.study(one, study_run.finding_rows(one))
        for note in found.notes:
            show.err.print(f"note: {note}")
    if out is not None:
        show.err.print(f"{len(study_run.write(results, out))} files in {out}")
    if report is not None:
        report.write_text(study_run.report(results, plan, found.notes), "utf-8")
        show.err.print(f"report: {report}")
