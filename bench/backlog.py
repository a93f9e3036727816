"""How soon a worker answers `/metrics` while it reads a backlog.

``python -m bench.backlog [--broker embedded|kafka]`` prints a table: a request every 200 ms, from a ready worker with a
full backlog to the moment at which everything is processed.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import numpy as np
import redis
import typer

from bench.figures import Figure, table_of
from bench.pipeline import running_worker, simulated_market, wait_for
from bench.services import services
from streams.cli.terminal import out
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topics

_EVERY_S, _TIMEOUT_S = 0.2, 60.0


def _answers(settings: Settings, folder: Path, stocks: int, days: int) -> tuple[float, list[float]]:
    """Return the seconds of the backlog, and those of each answer meanwhile."""
    Topics(settings).create()
    with Publisher(settings, source="bench") as publisher:
        for _, batches in simulated_market(stocks, days).history():
            publisher.day(batches)
        barrier = publisher.barrier()
    found: list[float] = []
    with redis.Redis.from_url(settings.redis) as client, running_worker(settings, folder) as worker:

        def asked_and_done() -> bool:
            asked = time.perf_counter()
            with urlopen(f"{worker.url}/metrics", timeout=_TIMEOUT_S) as answer:
                answer.read()
            found.append(time.perf_counter() - asked)
            time.sleep(max(0.0, _EVERY_S - found[-1]))
            return passed(settings, barrier, client)

        started = time.perf_counter()
        wait_for(asked_and_done, worker)
        return time.perf_counter() - started, found


def figures(broker: str, stocks: int, days: int) -> list[Figure]:
    """Return the percentiles of the answers' times, and the seconds of the backlog."""
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        with services(broker, scratch) as settings:
            seconds, found = _answers(settings("backlog"), scratch, stocks, days)
    half, most, longest = np.percentile(found, [50, 99, 100]) * 1000
    return [
        Figure(f"/metrics behind a backlog, p50 of {len(found)}", half, "ms"),
        Figure("/metrics behind a backlog, p99", most, "ms", at_most=100),
        Figure("/metrics behind a backlog, longest", longest, "ms"),
        Figure(f"the backlog, {stocks:,} stocks and {days:,} days", seconds, "s"),
    ]


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded", stocks: int = 2000, days: int = 250
) -> None:
    """Measure and print."""
    out.print(table_of(f"{broker} broker", figures(broker, stocks, days)))


if __name__ == "__main__":
    typer.run(main)
