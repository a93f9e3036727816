"""What a trade date costs by the number of partitions: ``python -m bench.partitions [--securities 5000]``.

CPU time of the stages' folds, in one process and without broker or Redis: all partitions of the securities stage
together, its largest one, and the market stage, whose one partition joins a frame of each. The bytes are those of the
messages between the stages and of the changed rows of state. `docs/pages/operations/growth.md` reads the table.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
import typer

from bench.figures import machine
from bench.pipeline import simulated_market
from bench.services import results
from processors.events import RowBatch
from processors.history import end_of_day
from processors.market import INPUTS, Market
from processors.outputs import FeatureFrame
from processors.partition_join import dump_frame
from processors.securities import INPUTS as SECURITIES_INPUTS
from processors.securities import Securities
from streams.calendars import xshg
from streams.cli.terminal import out
from streams.settings import Settings
from streams.topics import Partitioner

_FUNDS = 20


def _costs(
    days: Sequence[Mapping[str, RowBatch]], partitions: int, timed: int
) -> tuple[float, float, float, float, float]:
    """Return the medians of a day: ms of all partitions, of the largest, of the market; kB between stages, of state."""
    settings, calendar, partitioner = Settings(), xshg(), Partitioner(partitions)
    owned = [Securities(p, settings.parameters, settings.exchanges, calendar) for p in range(partitions)]
    market = Market(partitions, settings.parameters, settings.exchanges, calendar)
    found = []
    for feeds in days:
        places = {topic: partitioner.of(feeds[topic].keys) for topic in SECURITIES_INPUTS if topic in feeds}
        frames, spent = list[FeatureFrame](), []
        for number, stage in enumerate(owned):
            parts = [feeds[topic].take(at == number) for topic, at in places.items()]
            started = time.process_time()
            folded = stage.fold(item for rows in parts if len(rows) for item in (rows, end_of_day(rows)))
            spent.append(time.process_time() - started)
            frames += [one for one in folded if isinstance(one, FeatureFrame)]
        own = [item for topic in INPUTS if topic in feeds for item in (feeds[topic], end_of_day(feeds[topic]))]
        started = time.process_time()
        market.fold([*own, *frames])
        joined = time.process_time() - started
        stored = sum(len(v or b"") for stage in (*owned, market) for v in stage.changed_rows().values())
        sent = sum(len(dump_frame(frame)) for frame in frames)
        found.append((sum(spent) * 1000, max(spent) * 1000, joined * 1000, sent / 1000, stored / 1000))
    all_, largest, market_ms, between, state = np.median(np.array(found)[-timed:], axis=0).tolist()
    return all_, largest, market_ms, between, state


def main(
    securities: int = 5000,
    days: Annotated[int, typer.Option(help="days of history; the last ten are measured")] = 40,
) -> None:
    """Measure and print."""
    history = [feeds for _, feeds in simulated_market(securities - _FUNDS, days).history()]
    columns = ("all partitions ms", "largest ms", "market ms", "between stages kB", "state kB")
    table = results(f"a trade date of {securities:,} securities\n{machine()}", "partitions", *columns)
    for partitions in (1, 4, 16, 100):
        table.add_row(str(partitions), *(f"{value:,.1f}" for value in _costs(history, partitions, 10)))
    out.print(table)


if __name__ == "__main__":
    typer.run(main)
