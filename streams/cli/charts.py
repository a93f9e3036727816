"""`marginwatch charts`: train the chart model, and look at charts as the network sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import TaskID

from streams.charts.errors import ChartModelError
from streams.cli.options import Data
from streams.cli.outputs import require_file, require_folder
from streams.cli.terminal import err, out, progress
from streams.files import write_whole
from streams.settings import Settings

charts_app = typer.Typer(no_args_is_help=True, help="Train the chart model; draw charts.")


@charts_app.command()
def train(
    data: Data,
    model: Annotated[Path, typer.Option("--out", file_okay=False, help="folder of the model")],
    years: Annotated[
        str, typer.Option(help="years to score, such as 2020,2021; default: all that have a year before them")
    ] = "",
    seeds: Annotated[int, typer.Option(min=1, max=9, help="networks a year, whose chances are averaged")] = 2,
) -> None:
    """Train an ensemble for each year on the years before it; an interrupted training resumes.

    The folder then has one ONNX file a year and a model card. A worker scores with it
    (MARGINWATCH_CHART_MODEL). Example:

        marginwatch charts train --data ./history --out ./model --years 2020,2021
    """
    try:
        from streams.charts.training import TrainingPlan, TrainingProgress
    except ImportError as error:
        raise ChartModelError(
            f"{error.name} is not installed: install marginwatch[charts-train] (the CPU build of PyTorch suffices)"
        ) from error
    from streams.calendars import xshg
    from streams.charts.train import train as run

    try:
        wanted = [int(year) for year in years.split(",") if year.strip()]
    except ValueError:
        raise typer.BadParameter(f"{years!r} are no years: write 2020,2021", param_hint="--years") from None
    settings = Settings()
    require_folder(model)
    with progress() as bars:
        reading = bars.add_task("reading prices", total=None)
        task: dict[tuple[int, int], TaskID] = {}

        def on_batch(at: TrainingProgress) -> None:
            key = at.year, at.seed
            if key not in task:
                task[key] = bars.add_task("", total=at.total)
            text = f"{at.year}, network {at.seed}, pass {at.epoch}: loss {at.loss:.4f}, accuracy {at.accuracy:.1%}"
            bars.update(task[key], completed=at.done, description=text)

        card = run(
            data,
            model,
            wanted,
            TrainingPlan(seeds=tuple(range(1, seeds + 1))),
            xshg(settings.calendar_file),
            settings.parameters,
            lambda done, total: bars.update(reading, completed=done, total=total),
            on_batch,
        )
    for one in card.years:
        accuracy = sum(one.accuracies) / len(one.accuracies)
        out.print(f"{one.year}: charts of {one.first} to {one.last}, accuracy {accuracy:.1%} on the last of them")
    out.print(f"model {card.digest}, revision {card.revision}, in {model}; its card is {model / 'card.html'}")


@charts_app.command()
def gallery(
    data: Data,
    png: Annotated[Path, typer.Option("--out", dir_okay=False, help="the PNG file")],
) -> None:
    """Draw twelve charts of the last day as the network sees them, beside candlesticks of the same sessions."""
    from streams.calendars import xshg
    from streams.charts.gallery import gallery as draw

    settings = Settings()
    require_file(png)
    write_whole(png, draw(data, xshg(settings.calendar_file), settings.parameters))
    err.print(f"gallery: {png}")
