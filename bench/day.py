"""One trading day from its files to its signals, as a desk waits for it in the morning.

``python -m bench.day [--broker kafka]``: a worker has 60 days of a made market; then `marginwatch feed vendor` starts
on the CSV files of one more day: prices and margin rows of 5,400 securities, totals of the exchanges, indices. The time
counts from the start of the command to the arrival of the day's last market signal.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import pandas as pd
import redis
import typer
from kafka import TopicPartition

from bench.figures import Figure, table_of
from bench.pipeline import cpu_of, running_worker, simulated_market, wait_for
from bench.services import services
from feeds.daily.publish import publish_days
from processors.codes import to_codes
from processors.days import to_date
from processors.events import KEYS, RowBatch
from processors.outputs import MarketSignal
from streams.cli.terminal import out
from streams.clients import kafka_reader
from streams.feed_services import open_ledger
from streams.local.processes import environment
from streams.publisher import Publisher
from streams.records import barrier_of, is_barrier
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topic, Topics

_STOCKS = 5400
_MONEY, _SHARES = (
    ("fin_balance", "fin_buy", "fin_repay", "short_balance"),
    ("short_volume", "short_sell", "short_repay"),
)
#: Topic → figure → unit of its column.
_TABLES: Mapping[str, Mapping[str, str]] = {
    "prices.daily": dict.fromkeys(("open", "high", "low", "close", "prev_close", "turnover"), "元") | {"volume": "股"},
    "margin.daily": dict.fromkeys(_MONEY[:3], "元") | dict.fromkeys(_SHARES, "股"),
    "margin.market": dict.fromkeys(_MONEY, "元") | dict.fromkeys(_SHARES[:2], "股"),
    "indices.daily": dict.fromkeys(("open", "high", "low", "close", "prev_close"), "点") | {"turnover": "元"},
}


def _write(folder: Path, batches: Mapping[str, RowBatch]) -> Path:
    """Write the files of a day and their mapping; return the mapping."""
    lines: list[str] = []
    for topic, units in _TABLES.items():
        rows = batches[topic]
        totals = topic == "margin.market"
        names = [KEYS["exchange"][key] for key in rows.keys.tolist()] if totals else to_codes(rows.keys)
        table = pd.DataFrame({"dt": to_date(int(rows.days[0])).isoformat(), "code": names})
        for name in units:
            table[name] = rows.figures[name]
        table.to_csv(folder / f"{topic}.csv", index=False)
        lines += ["[[table]]", f'files = "{topic}*"', f'topic = "{topic}"', 'date = { column = "dt" }']
        lines.append('exchange_column = "code"' if totals else 'code = { column = "code" }')
        lines.append("[table.columns]")
        lines += [f'{name} = {{ column = "{name}", unit = "{unit}" }}' for name, unit in units.items()]
    mapping = folder.parent / "day.toml"
    mapping.write_text("\n".join(lines), "utf-8")
    return mapping


class _Arrivals:
    """The moment of arrival of the newest market signal of a day."""

    def __init__(self, settings: Settings, day: str) -> None:
        self.last, self.count = 0.0, 0
        self.barriers: set[str] = set()
        self._day, self._ends = day, threading.Event()
        self._consumer = kafka_reader(settings)
        self._consumer.assign([TopicPartition(Topics(settings).name(Topic.SIGNALS_MARKET), 0)])
        self._consumer.seek_to_end()
        self._consumer.position(next(iter(self._consumer.assignment())))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        while not self._ends.is_set():
            for records in self._consumer.poll(timeout_ms=20).values():
                now = time.perf_counter()
                for record in records:
                    if is_barrier(record):
                        self.barriers.add(barrier_of(record).barrier)
                        continue
                    signal = msgspec.json.decode(record.value, type=MarketSignal)
                    if signal.trade_date.isoformat() == self._day and not signal.provisional:
                        self.last, self.count = now, self.count + 1

    def stop(self) -> None:
        """Stop reading."""
        self._ends.set()
        self._thread.join()
        self._consumer.close()


def _children_cpu() -> float:
    """Return the CPU seconds of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def figures(broker: str, days: int = 60) -> list[Figure]:
    """Return the seconds of the command, and to the day's last signal."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with services(broker, folder) as make:
            settings = make("day")
            Topics(settings).create()
            *history, (day, batches) = simulated_market(_STOCKS, days).history()
            with open_ledger(settings) as ledger, Publisher(settings, source="bench") as publisher:
                publish_days(publisher, history, ledger=ledger)
                barrier = publisher.barrier()
            (folder / "files").mkdir()
            mapping = _write(folder / "files", batches)
            with redis.Redis.from_url(settings.redis) as client, running_worker(settings, folder) as worker:
                wait_for(lambda: passed(settings, barrier, client), worker)
                arrivals = _Arrivals(settings, to_date(day).isoformat())
                command = [
                    sys.executable,
                    "-m",
                    "streams",
                    "feed",
                    "vendor",
                    str(folder / "files"),
                    "--map",
                    str(mapping),
                ]
                before, worked, started = _children_cpu(), cpu_of(worker), time.perf_counter()
                result = subprocess.run(
                    [*command, "--json"], env=os.environ | environment(settings), capture_output=True, text=True
                )
                ended, cpu = time.perf_counter(), _children_cpu() - before
                if result.returncode:
                    sys.exit(result.stderr)
                barrier = json.loads(result.stdout)["barrier"]
                wait_for(lambda: passed(settings, barrier, client), worker)
                worked = cpu_of(worker) - worked
                wait_for(lambda: barrier in arrivals.barriers, worker)
                arrivals.stop()
    if not arrivals.count:
        sys.exit("no signal of the day arrived")
    rows = sum(len(batches[topic]) for topic in _TABLES)
    return [
        Figure(f"files of a day to its last signal ({rows:,} rows, {arrivals.count} signals)", arrivals.last - started,
               "s", at_most=5),
        Figure("the command by itself", ended - started, "s"),
        Figure("CPU of the command", cpu, "s"),
        Figure("CPU of the worker", worked, "s"),
    ]  # fmt: skip


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    days: Annotated[int, typer.Option(help="days of history before it")] = 60,
) -> None:
    """Measure and print."""
    out.print(table_of(f"{broker} broker", figures(broker, days)))


if __name__ == "__main__":
    typer.run(main)
