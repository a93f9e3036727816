"""`marginwatch study`: check a signal against the published tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import Data, From, Json, StudyName, To, span
from streams.cli.render.studies import print_study
from streams.cli.terminal import err, print_json, progress
from streams.settings import Settings


def study(
    name: Annotated[StudyName, typer.Argument(help="the study, or all of them")],
    data: Data,
    start: From = None,
    end: To = None,
    as_source: Annotated[
        bool, typer.Option("--as-source", help="act at the close of the day that a figure is about, as the reports did")
    ] = False,
    point_in_time: Annotated[
        bool, typer.Option("--point-in-time", help="act at the first open or close after a figure was published")
    ] = False,
    factors: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="for factor: CSV or parquet with date, MKT, SMB, HML, RMW, CMA (fractions)",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write CSV, JSON and PNG files here")] = None,
    report: Annotated[Path | None, typer.Option(help="write one self-contained HTML page")] = None,
    as_json: Json = False,
) -> None:
    """Check a signal against the published tables, on your data; without a mode both, so that the difference shows.

    The processors of the stream fold the history, so a study uses exactly the values that the stream publishes.
    Example:

        marginwatch study ratio --data ./history --report ratio.html
    """
    from streams.studies import load

    first, last = span(start, end)
    study_run = load()
    modes = study_run.modes(as_source=as_source, point_in_time=point_in_time)
    plan = study_run.Plan(data, study_run.names(name), modes, first, last, factors)
    with progress() as bars:
        task = bars.add_task("folding the history", total=None)
        found = study_run.panel(plan, Settings(), lambda done, total: bars.update(task, completed=done, total=total))
    results = study_run.run(plan, found)
    if as_json:
        print_json(results)
    else:
        for one in results:
            print_study(one, study_run.finding_rows(one))
        for note in found.notes:
            err.print(f"note: {note}", markup=False)
    if out is not None:
        err.print(f"{len(study_run.write(results, out))} files in {out}")
    if report is not None:
        report.write_text(study_run.report(results, plan, found.notes), "utf-8")
        err.print(f"report: {report}")
