"""The whole real data set through broker and Redis, the fold alone, and a pandas computation.

``python -m bench.history [--data ../shared/data] [--broker embedded|kafka]``: seconds from a ready worker with a full
backlog to the last stored alert; the fold of the same rows in one process; the independent pandas computation of the
tests (fewer signals).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated

import redis
import typer

from bench.pipeline import running_worker, wait_for
from bench.services import results, services
from feeds.dataset import Dataset
from feeds.folder import read
from processors.history import History
from streams.calendars import xshg
from streams.cli.terminal import err, out
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topics
from tests.oracle import market, securities
from tests.oracle.data import load


def _streamed(settings: Settings, scratch: Path, folder: Dataset) -> float:
    Topics(settings).create()
    with Publisher(settings, source=folder.source) as publisher:
        for _, batches in folder.by_day():
            publisher.day(batches)
        barrier = publisher.barrier()
    with redis.Redis.from_url(settings.redis) as client, running_worker(settings, scratch) as worker:
        started = time.perf_counter()
        wait_for(lambda: passed(settings, barrier, client), worker)
        return time.perf_counter() - started


def _folded(settings: Settings, folder: Dataset) -> float:
    days = [feeds for _, feeds in folder.by_day()]
    history = History(settings.parameters, settings.exchanges, xshg())
    started = time.perf_counter()
    for feeds in days:
        history.fold(feeds)
    return time.perf_counter() - started


def _plain(data: Path) -> float:
    loaded = load(data)
    started = time.perf_counter()
    market.market(loaded)
    securities.securities(loaded)
    return time.perf_counter() - started


def main(
    data: Path = Path("../shared/data"), broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded"
) -> None:
    """Measure and print."""
    if not data.is_dir():
        err.print(f"there are no real market data at {data}: nothing was measured; name their folder with --data")
        return
    folder = read(data, xshg())
    rows = len(folder.batches["margin.daily"])
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with services(broker, scratch) as settings:
            streamed = _streamed(settings("history"), scratch, folder)
    table = results(f"{broker}, {rows:,} margin rows, {len(folder.days())} days", "what", "seconds", "target")
    table.add_row("broker, Redis, all signals, all alerts", f"{streamed:.1f}", "20")
    table.add_row("the fold alone, all signals", f"{_folded(Settings(), folder):.1f}", "3")
    table.add_row("pandas, the signals of the first issue", f"{_plain(data):.1f}", "")
    out.print(table)


if __name__ == "__main__":
    typer.run(main)
