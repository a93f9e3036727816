"""The whole real data set through broker and Redis, the fold alone, and a pandas computation.

``python -m bench.history [--data ../shared/data] [--broker embedded|kafka]``: seconds of one and of two ready workers
with a full backlog to the last stored alert; the fold of the same rows in one process; the independent pandas
computation of the tests (fewer signals).

`large_figures` does the same with two workers over the whole market, and over the rows of the first folder repeated on
earlier trading days until they span fifteen years (`bench.studies.lengthen`), with the peak memory of a worker.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from bench.figures import MIB, Figure, table_of
from bench.services import services
from bench.studies import lengthen
from bench.workers import Run, run_backlog
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

DATA, WHOLE_MARKET = Path("../shared/data"), Path("../shared/data_2016_2021")
_YEARS = 15
#: Writing millions of rows may take longer than a minute. (A worker notices another one after a quarter of this.)
_WRITING_S = 120.0


def _streamed(settings: Settings, scratch: Path, folder: Dataset, workers: int) -> Run:
    def publish(settings: Settings) -> tuple[int, str]:
        with Publisher(settings, source=folder.source) as publisher:
            for _, batches in folder.by_day():
                publisher.day(batches)
            return publisher.rows, publisher.barrier()

    return run_backlog(settings, scratch, workers, publish, _WRITING_S)


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
    if not _is_there(data):
        return []
    folder = read(data, xshg())
    what = f"{_rows_of(folder, 'margin.daily'):,} margin rows, {len(folder.days())} days"
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with services(broker, scratch) as settings:
            one, two = (_streamed(settings(f"history{count}"), scratch, folder, count).seconds for count in (1, 2))
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


def large_figures(broker: str, data: Path = DATA, whole_market: Path = WHOLE_MARKET) -> list[Figure]:
    """Return seconds and peak memory of two workers over the whole market, and over fifteen years."""
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as name, services(broker, Path(name)) as settings:
        scratch = Path(name)
        if _is_there(whole_market):
            folder = read(whole_market, xshg())
            run = _streamed(settings("market"), scratch, folder, 2)
            what = ", ".join(f"{_rows_of(folder, topic):,} {topic}" for topic in ("margin.daily", "prices.daily"))
            found += [
                Figure(f"the whole market end to end, {what}, two workers", run.seconds, "s", at_most=45),
                Figure("… peak memory of the larger worker", run.peak / MIB, "MB"),
            ]
        if _is_there(data):
            (longer := scratch / "longer").mkdir()
            rows = lengthen(data, longer, _YEARS)
            run = _streamed(settings("years"), scratch, read(longer, xshg()), 2)
            what = f"{_YEARS} years by repetition, {rows:,} margin rows"
            found += [
                Figure(f"{what}, two workers", run.seconds, "s", at_most=120),
                Figure("… peak memory of the larger worker", run.peak / MIB, "MB", at_most=600),
            ]
    return found


def _is_there(data: Path) -> bool:
    if not data.is_dir():
        err.print(f"there are no real market data at {data}: nothing was measured; name their folder with --data")
    return data.is_dir()


def _rows_of(folder: Dataset, topic: str) -> int:
    return sum(len(year[topic]) for year in folder.years if topic in year)


def main(data: Path = DATA, broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded") -> None:
    """Measure and print."""
    out.print(table_of(f"{broker} broker", figures(broker, data)))


if __name__ == "__main__":
    typer.run(main)
