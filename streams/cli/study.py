"""`marginwatch study`: check a signal against the published tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from processors.errors import MarginwatchError
from streams.cli.options import Data, From, Json, To, span
from streams.cli.outputs import require_file, require_folder
from streams.cli.render.studies import print_study
from streams.cli.terminal import err, print_json, progress
from streams.files import write_whole
from streams.settings import Settings
from streams.studies.names import StudyName

if TYPE_CHECKING:
    from alerts.subject_names import Language


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
            help="for factor: CSV or parquet with date, MKT, SMB, HML, RMW, CMA (fractions); else ff5_daily* of --data",
        ),
    ] = None,
    cost: Annotated[
        float, typer.Option(min=0, max=0.05, help="for factor: the cost of a trade, a fraction of its value")
    ] = 0.0,
    model: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="for charts: the folder of a chart model")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="write CSV, JSON and PNG files here")] = None,
    report: Annotated[
        Path | None, typer.Option(help="write one self-contained HTML page, and a Chinese one beside it (NAME.zh.html)")
    ] = None,
    store: Annotated[
        bool,
        typer.Option(
            "--store", help="keep the results for the console's page of studies, by version of the data (study_store)"
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check a signal against the published tables, on your data; without a mode both, so that the difference shows.

    The processors of the stream fold the history, so a study uses exactly the values that the stream publishes.
    Example:

        marginwatch study ratio --data ./history --report ratio.html
    """
    from streams.studies import load

    first, last = span(start, end)
    if store and (start or end or as_source or point_in_time or factors or cost or model):
        raise typer.BadParameter("it keeps whole studies: leave out the other options", param_hint="--store")
    pages: dict[Language, Path] = {}
    if report is not None:
        pages = {"en": report, "zh": report.with_suffix(f".zh{report.suffix}")}
    for path in pages.values():
        require_file(path)
    require_folder(out)
    study_run = load()
    modes = study_run.modes(as_source=as_source, point_in_time=point_in_time)
    settings = Settings()
    plan = study_run.StudyPlan(
        data, study_run.names(name), modes, first, last, factors, cost, model or settings.chart_model
    )
    failure: MarginwatchError | None = None
    with progress() as bars:
        task = bars.add_task("reading the files", total=None)

        def advance(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total or None)

        if store:
            from streams.studies.store import ResultStore

            studies, notes = ResultStore(settings.study_store, data).compute(plan, settings, advance)
        else:
            found = study_run.panel(plan, settings, advance)
            studies, notes = [], found.notes
            try:
                for one in study_run.run(plan, found, advance):
                    studies.append(one)
            except study_run.StudyError as error:
                failure = error  # behind the results of the others
    if failure is not None and not studies:
        raise failure
    if out is not None:
        err.print(f"{len(study_run.write(studies, out))} files in {out}")
    for language, path in pages.items():
        from streams.studies.report import report as page

        write_whole(path, page(studies, plan, notes, language).encode())
        err.print(f"report: {path}")
    # Behind the files: whoever reads the output may close it early.
    if as_json:
        print_json([one.results for one in studies])
    else:
        for one in studies:
            print_study(one)
        for note in notes:
            err.print(f"note: {note}")
    if failure is not None:
        raise failure
