"""The live path beside a scoring of charts: ``python -m bench.charts MODEL [--broker kafka]``.

A worker with a chart model has a history of 5,000 stocks. Ticks of a running session are sent, and timed to the first
provisional signal that includes them: first alone, then while the charts of all stocks are scored again and again.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import redis
import typer

from bench.figures import Figure, table_of
from bench.pipeline import cpu_of, latencies, running_worker, simulated_market, wait_for
from bench.services import services
from feeds.daily.publish import publish_days
from processors.arrays import Floats
from streams import readers
from streams.cli.terminal import out
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topic, Topics

#: Charts of all stocks are sent so often, which keeps the charts stage busy: two networks take 0.2 s for them.
_EVERY_S = 0.25
_LATER_S = 1800
_DAYS = 40


def _charts(settings: Settings) -> list[tuple[bytes, list[tuple[str, bytes]]]]:
    """Return the charts of the newest week, a message for each partition."""
    found = [(one.value, list(one.headers)) for one in readers.read(settings, Topic.CHARTS)]
    return found[-settings.partitions :]


async def _rescore(settings: Settings, charts: Sequence[tuple[bytes, list[tuple[str, bytes]]]]) -> None:
    """Send the charts again and again, until cancelled."""
    with Publisher(settings, source="bench") as publisher:
        while True:
            for value, headers in charts:
                publisher.raw(Topic.CHARTS, value, partition=0, headers=headers)
            await asyncio.sleep(_EVERY_S)


def figures(broker: str, model: Path, stocks: int = 5000, seconds: float = 10.0) -> list[Figure]:
    """Return the latencies of the session alone, beside scoring, and their ratio."""
    market = simulated_market(stocks, _DAYS)
    with tempfile.TemporaryDirectory() as scratch, services(broker, Path(scratch)) as make:
        settings = make("charts", chart_model=model)
        Topics(settings).create()
        with Publisher(settings, source="bench") as publisher:
            publish_days(publisher, market.history())
            barrier = publisher.barrier()
        with redis.Redis.from_url(settings.redis) as client, running_worker(settings, Path(scratch)) as worker:
            wait_for(lambda: passed(settings, barrier, client), worker)
            charts = _charts(settings)

            async def beside() -> Floats:
                scoring = asyncio.create_task(_rescore(settings, charts))
                try:
                    return (await latencies(settings, market, seconds, _LATER_S))[0]
                finally:
                    scoring.cancel()

            before = cpu_of(worker)
            alone = asyncio.run(latencies(settings, market, seconds))[0]
            between = cpu_of(worker)
            busy = asyncio.run(beside())
            after = cpu_of(worker)
    found = []
    for percentile in (50, 99):
        quiet, loud = np.percentile(alone, percentile), np.percentile(busy, percentile)
        found += [
            Figure(f"produce to signal, p{percentile}, no scoring", float(quiet), "ms"),
            Figure(f"produce to signal, p{percentile}, while charts are scored", float(loud), "ms"),
            Figure(f"ratio, p{percentile}", float(loud / quiet), "×"),
        ]
    return [
        *found,
        Figure("CPU of the worker beside scoring, to that without", (after - between) / (between - before), "×"),
    ]


def main(
    model: Annotated[Path, typer.Argument(help="a folder of `marginwatch charts train`")],
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    stocks: int = 5000,
    seconds: float = 10.0,
) -> None:
    """Measure and print."""
    out.print(table_of(f"{broker} broker, {stocks:,} stocks", figures(broker, model, stocks, seconds)))


if __name__ == "__main__":
    typer.run(main)
