"""Cost of growth in securities, days and workers; memory of a worker, bytes sent to Redis and stored there.

``python -m bench.growth [--broker embedded|kafka] [--runs 3] [--short]``. Nanoseconds per row include fold, encoding of
changed rows and their commit to a real Redis, in this process, as medians of the timed days. The rates of one and of
two workers are measured on the same backlog with four partitions: SIGSTOP halts the workers, with their partitions
assigned, until the backlog is written. **Broker and Redis share the cores with the workers**, so on two cores two
workers can't reach twice the rate. The count of Redis commands includes those within a commit's script.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import redis
import typer
from redis.asyncio import Redis as AsyncRedis
from rich.table import Table

from bench.figures import MIB
from bench.pipeline import running_worker, simulated_market, wait_for
from bench.services import results, services
from bench.workers import memory, peak_memory, run_backlog
from processors.history import History
from processors.market import Market
from processors.securities import Securities
from streams.calendars import xshg
from streams.cli.terminal import out
from streams.form import Form
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.tables import TablePartition, encoded
from streams.topics import Topics

_FUNDS = 20  # of the simulated market, in every number of securities


@dataclass(frozen=True, slots=True)
class Size:
    """Sizes of the measurements."""

    securities: tuple[int, ...] = (500, 5000, 50_000)
    warm_days: int = 60
    history_days: tuple[int, ...] = (60, 250, 2500)
    history_securities: int = 5000
    timed_days: int = 20
    stocks: int = 5000
    frames_days: int = 60
    events_days: int = 10
    kept_days: int = 250


_SHORT = Size((500, 5000), 30, (60, 250), 500, 10, 1000, 60, 30, 60)


# -- the fold ----------------------------------------------------------------------------------------------------


async def _ns_per_row(url: str, securities: int, days: int, timed: int) -> float:
    """Return the median ns per row of ``timed`` days after ``days`` days of history."""
    settings = Settings()
    history = History(settings.parameters, settings.exchanges, xshg())
    client = AsyncRedis.from_url(url)
    await client.flushdb()
    processors: dict[str, Securities | Market] = {"securities": history.securities, "market": history.market}
    tables = {name: TablePartition(client, "growth", name, 0) for name in processors}
    for name, table in tables.items():
        await table.claim(processors[name].tables.schema)
    costs = []
    for _, feeds in simulated_market(securities - _FUNDS, days + timed).history():
        started = time.perf_counter()
        history.fold(feeds)
        for name, processor in processors.items():
            await tables[name].commit(encoded(processor.changed_rows()), {}, {})
        costs.append((time.perf_counter() - started) * 1e9 / sum(map(len, feeds.values())))
    await client.aclose()
    return statistics.median(costs[-timed:])


# -- workers -----------------------------------------------------------------------------------------------------


def _backlog(settings: Settings, form: Form, stocks: int, days: int) -> tuple[int, str]:
    """Publish all feeds of ``days`` days; return the number of rows and the barrier after them."""
    with Publisher(settings, source="bench", form=form) as publisher:
        for _, batches in simulated_market(stocks, days).history():
            publisher.day(batches)
        return publisher.rows, publisher.barrier()


def _rate(settings: Settings, folder: Path, workers: int, form: Form, stocks: int, days: int) -> float:
    """Return the rows a second of ``workers`` workers over a backlog."""
    found = run_backlog(settings, folder, workers, lambda own: _backlog(own, form, stocks, days))
    return found.rows / found.seconds


@dataclass(frozen=True, slots=True)
class Footprint:
    """Footprint of one worker over a history: peak memory, that of the next worker, which loads what is stored, bytes
    stored in Redis, bytes and commands sent to it.
    """

    rows: int
    peak: int
    loaded: int
    stored: int
    sent: int
    commands: int
    steps: int


def _info(client: redis.Redis) -> dict[str, int]:
    stats: Any = client.info("everything")
    # HEXISTS is the measurement's own poll of the barrier.
    calls = {name: stats[name]["calls"] for name in stats if name.startswith("cmdstat_") and name != "cmdstat_hexists"}
    return {
        "sent": stats["total_net_input_bytes"],
        "commands": sum(calls.values()),
        "steps": calls.get("cmdstat_evalsha", 0),
    }


def _footprint(settings: Settings, folder: Path, stocks: int, days: int) -> Footprint:
    Topics(settings).create()
    (worker_folder := folder / settings.group).mkdir()
    (next_folder := folder / f"{settings.group}-next").mkdir()
    with redis.Redis.from_url(settings.redis) as client:
        before = _info(client)
        rows, barrier = _backlog(settings, Form.FRAMES, stocks, days)
        with running_worker(settings, worker_folder) as worker:
            wait_for(lambda: passed(settings, barrier, client), worker)
            peak = peak_memory(worker)
        after = _info(client)
        keys: Any = client.keys(f"{settings.namespace}:*")
        stored = sum(int(client.memory_usage(key, samples=0) or 0) for key in keys)
        with running_worker(settings, next_folder) as worker:
            loaded = memory(worker)
    return Footprint(rows, peak, loaded, stored, **{name: after[name] - before[name] for name in before})


# -- the table ---------------------------------------------------------------------------------------------------


def _grown(table: Table, what: str, costs: dict[int, float]) -> None:
    for size, cost in costs.items():
        table.add_row(f"{size:,} {what}, ns per row", f"{cost:,.0f}", "")
    table.add_row(
        f"{what.partition(',')[0]}: dearest over cheapest", f"{max(costs.values()) / min(costs.values()):.2f}", "≤ 1.5"
    )


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    runs: Annotated[int, typer.Option(help="measurements of the workers' rates; the median is reported")] = 3,
    short: Annotated[bool, typer.Option("--short", help="small sizes, one run")] = False,
) -> None:
    """Measure and print."""
    size, runs = (_SHORT, 1) if short else (Size(), runs)
    table = results(f"Growth, {broker} broker, {os.cpu_count()} cores for all", "what", "figure", "target")
    with tempfile.TemporaryDirectory(prefix="marginwatch-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        settings = stack.enter_context(services(broker, folder))
        store = settings("cost").redis

        def cost(securities: int, days: int) -> float:
            return asyncio.run(_ns_per_row(store, securities, days, size.timed_days))

        _grown(table, f"securities, {size.warm_days} days", {n: cost(n, size.warm_days) for n in size.securities})
        few = f"days, {size.history_securities:,} securities"
        _grown(table, few, {days: cost(size.history_securities, days) for days in size.history_days})

        for form, days in ((Form.FRAMES, size.frames_days), (Form.EVENTS, size.events_days)):
            rates: dict[int, list[float]] = {1: [], 2: []}
            for run in range(runs):
                for workers, found in rates.items():
                    found.append(_rate(settings(f"{form}{workers}-{run}"), folder, workers, form, size.stocks, days))
            one, two = (statistics.median(found) for found in rates.values())
            table.add_row(f"rows/s of one worker, {form}", f"{one:,.0f}", "")
            table.add_row(f"rows/s of two workers, {form}", f"{two:,.0f}", "")
            table.add_row(f"{form}: two over one", f"{two / one:.2f}", "≥ 1.7")

        footprint = _footprint(settings("kept"), folder, size.stocks, size.kept_days)
    per = footprint.rows / 1000
    where = f"{size.stocks:,} stocks × {size.kept_days} days"
    table.add_row(f"peak memory of a worker, {where}", f"{footprint.peak / MIB:,.0f} MiB", "≤ 300")
    table.add_row("… of the next one, which has loaded the state", f"{footprint.loaded / MIB:,.0f} MiB", "≤ 300")
    table.add_row("Redis keeps", f"{footprint.stored / MIB:,.0f} MiB", "")
    table.add_row("Redis is sent, per 1,000 rows", f"{footprint.sent / per / 1024:,.0f} KiB", "")
    table.add_row("steps stored, per 1,000 rows", f"{footprint.steps / per:.2f}", "")
    table.add_row("commands in Redis, per 1,000 rows", f"{footprint.commands / per:.2f}", "")
    out.print(table)


if __name__ == "__main__":
    typer.run(main)
