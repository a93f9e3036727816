"""The whole real data set through broker and Redis, the fold alone, and a pandas computation.

``python -m bench.history [--data ../shared/data] [--broker embedded|kafka]``: seconds of one and of two ready workers
with a full backlog to the last stored alert; the fold of the same rows in one process; the independent pandas
computation of the tests (fewer signals).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.figures import Figure, table_of
from bench.services import services
from bench.workers import rows_and_seconds
from feeds.files.dataset import Dataset
from feeds.folder import read
from processors.history import History, blocks
from streams.calendars import xshg
from streams.cli.terminal import err, out
from streams.gc_policy import GcPolicy
from streams.publisher import Publisher
from streams.settings import Settings
from tests.oracle import market, securities
from tests.oracle.data import load

DATA = Path("../shared/data")


def _streamed(settings: Settings, scratch: Path, folder: Dataset, workers: int) -> float:
    def publish(settings: Settings) -> tuple[int, str]:
        with Publisher(settings, source=folder.source) as publisher:
            for _, batches in folder.by_day():
                publisher.day(batches)
            return publisher.rows, publisher.barrier()

    _, seconds = rows_and_seconds(settings, scratch, workers, publish)
    return seconds


def _folded(settings: Settings, folder: Dataset) -> float:
    GcPolicy()  # collect as a worker does
    days = [feeds for _, feeds in folder.by_day()]
    history = History(settings.parameters, settings.exchanges, xshg())
    started = time.process_time()
    for block in blocks(days):
        history.fold_block(block)
    return time.process_time() - started


def _plain(data: Path) -> float:
    loaded = load(data)
    started = time.process_time()
    market.market(loaded)
    securities.securities(loaded)
    return time.process_time() - started


def figures(broker: str, data: Path = DATA) -> list[Figure]:
    """Return the seconds of the stream, and the CPU seconds of the fold and of pandas; nothing without the folder."""
    if not data.is_dir():
        err.print(f"there are no real market data at {data}: nothing was measured; name their folder with --data")
        return []
    folder = read(data, xshg())
    rows = sum(len(year["margin.daily"]) for year in folder.years if "margin.daily" in year)
    what = f"{rows:,} margin rows, {len(folder.days())} days"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with services(broker, scratch) as settings:
            one, two = (_streamed(settings(f"history{count}"), scratch, folder, count) for count in (1, 2))
    folded, plain = _folded(Settings(), folder), _plain(data)
    return [
        Figure(f"history end to end, {what}, two workers", two, "s", at_most=12),
        Figure("… over pandas", two / plain, "×", at_most=20),
        Figure("history end to end, one worker", one, "s"),
        Figure("… over pandas", one / plain, "×"),
        Figure("the fold alone in blocks of days, all signals", folded, "s CPU", at_most=2),
        Figure("the fold alone, over pandas", folded / plain, "×", at_most=4),
        Figure("pandas, a few of the signals", plain, "s CPU"),
    ]


def main(data: Path = DATA, broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded") -> None:
    """Measure and print."""
    out.print(table_of(f"{broker} broker", figures(broker, data)))


if __name__ == "__main__":
    typer.run(main)
