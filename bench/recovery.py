"""Recovery times: after a worker is killed, after a restart with a long history, after SIGTERM.

``python -m bench.recovery [--broker embedded|kafka]`` prints a table. The takeover is the time from SIGKILL of one of
two workers until all stages have processed a barrier published after it. The restart is the time from the start of the
process to a green ``/readyz``, with the given history in Redis.
"""

from __future__ import annotations

import os
import signal
import statistics
import tempfile
import time
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Annotated

import redis
import typer
from rich.table import Table

from bench.services import results, services
from feeds import simulate
from processors.days import to_day
from processors.errors import MarginwatchError
from processors.parameters import Parameters
from streams.calendars import xshg
from streams.cli.terminal import out
from streams.local.local_service import free_port
from streams.local.processes import WorkerProcess
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topics

_TIMEOUT_S = 120.0


def _worker(settings: Settings, folder: Path, name: str) -> WorkerProcess:
    return WorkerProcess(settings.model_copy(update={"http_port": free_port()}), folder / name).start()


def _await(settings: Settings, client: redis.Redis, barrier: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not passed(settings, barrier, client):
        if time.monotonic() > deadline:
            raise MarginwatchError(f"not everything was processed within {_TIMEOUT_S:.0f} s")
        time.sleep(0.005)


def _takeover(settings: Settings, folder: Path, publisher: Publisher, client: redis.Redis) -> float:
    """Return the seconds from the kill of one of two workers to the passing of a barrier."""
    first, second = (_worker(settings, folder, f"takeover-{i}") for i in range(2))
    try:
        _await(settings, client, publisher.barrier())
        started = time.perf_counter()
        os.kill(first.pid, signal.SIGKILL)
        _await(settings, client, publisher.barrier())
        return time.perf_counter() - started
    finally:
        first.stop()
        second.stop()


def _restart(settings: Settings, folder: Path) -> tuple[float, float]:
    """Return the seconds from start to ready, and from SIGTERM to the exit."""
    started = time.perf_counter()
    worker = _worker(settings, folder, "restart")
    ready = time.perf_counter() - started
    started = time.perf_counter()
    worker.stop()
    return ready, time.perf_counter() - started


def _measure(settings: Settings, folder: Path, stocks: int, days: int, runs: int) -> Table:
    Topics(settings).create()
    table = results("Recovery", "what", "median s", "all s", "target s")
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2025, 6, 30)), days=days, stocks=stocks, funds=20))
    with redis.Redis.from_url(settings.redis) as client, Publisher(settings, source="bench") as publisher:
        worker = _worker(settings, folder, "history")
        for _, batches in market.history():
            publisher.day(batches)
        _await(settings, client, publisher.barrier())
        worker.stop()
        size = sum(int(client.memory_usage(key, samples=0) or 0) for key in client.keys(f"{settings.namespace}:*:rows"))
        restarts = [_restart(settings, folder) for _ in range(runs)]
        takeovers = [_takeover(settings, folder, publisher, client) for _ in range(runs)]
    label = f"restart to ready, {stocks:,} securities × {days} days ({size / 1e6:.0f} MB in Redis)"
    for what, figures, target in (
        (label, [ready for ready, _ in restarts], "3.0"),
        ("SIGTERM to end", [end for _, end in restarts], "10.0"),
        ("takeover after SIGKILL", takeovers, f"{settings.session_timeout_s + 2:.1f}"),
    ):
        table.add_row(what, f"{statistics.median(figures):.2f}", " ".join(f"{f:.2f}" for f in figures), target)
    return table


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "kafka",
    stocks: int = 5000,
    days: int = 250,
    runs: int = 5,
    session_timeout: float = 6.0,
) -> None:
    """Measure and print."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marginwatch-bench-")))
        settings_of = stack.enter_context(services(broker, folder))
        parameters = Parameters(late_days=days)
        settings = settings_of("recovery", partitions=4, session_timeout_s=session_timeout, parameters=parameters)
        out.print(_measure(settings, folder, stocks, days, runs))


if __name__ == "__main__":
    typer.run(main)
