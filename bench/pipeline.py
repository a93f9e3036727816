"""Rows a second from frames, arrays and events of JSON, the broker's raw rate, and latency.

``python -m bench.pipeline [--broker embedded|kafka]`` prints a table. Compare the figures of one run with each other,
not those of different runs. Throughput is end to end: from a ready worker with a full backlog to the moment at which
the alerts stage has processed everything and all state is in Redis.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import msgspec
import numpy as np
import redis
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.figures import Figure, table_of
from bench.services import services
from feeds import simulate
from processors.arrays import Floats
from processors.days import microseconds, to_day
from processors.events import RowBatch
from processors.outputs import MarketSignal
from streams.calendars import xshg
from streams.cli.terminal import out
from streams.codecs.row_json import encode_events
from streams.form import Form
from streams.local.local_service import free_port
from streams.local.processes import WorkerProcess
from streams.publisher import Publisher
from streams.records import BARRIER_TYPE, CE_TYPE, is_barrier
from streams.settings import Settings
from streams.stages.output_sender import BATCH_BYTES, send
from streams.system_status import passed
from streams.tables import Output
from streams.topics import BY_CODE, Partitioner, Topic, Topics

_RATE, _TICK_S = 1800, 0.01
_BURST, _BURSTS = 5400, 10
_TIMEOUT_S = 5.0


@contextmanager
def running_worker(settings: Settings, folder: Path) -> Iterator[WorkerProcess]:
    """Run a worker for the duration of the block."""
    with WorkerProcess(settings.model_copy(update={"http_port": free_port()}), folder) as worker:
        yield worker


def simulated_market(stocks: int, days: int) -> simulate.Market:
    """Return a simulated market."""
    last = to_day(date(2025, 6, 30))
    return simulate.Market(simulate.Simulation(xshg(), last, days=days, stocks=stocks, funds=20))


def _throughput(settings: Settings, folder: Path, form: Form, stocks: int, days: int) -> tuple[int, float]:
    """Publish a backlog, then time a worker over it; return rows and seconds."""
    Topics(settings).create()
    with Publisher(settings, source="bench", form=form) as publisher:
        for _, batches in simulated_market(stocks, days).history():
            publisher.day({topic: rows for topic, rows in batches.items() if topic != "prices.daily"})
        barrier = publisher.barrier()
    with redis.Redis.from_url(settings.redis) as client, running_worker(settings, folder) as worker:
        started = time.perf_counter()
        wait_for(lambda: passed(settings, barrier, client), worker)
        return publisher.rows, time.perf_counter() - started


async def _raw(settings: Settings) -> tuple[int, float]:
    """Read the same bytes with aiokafka's getmany alone."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=10
    )
    await consumer.start()
    topic = Topics(settings).name("margin.daily")
    consumer.assign([TopicPartition(topic, p) for p in range(settings.partitions)])
    read, ends, started = 0, 0, time.perf_counter()
    while ends < settings.partitions:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            read += len(records)
            ends += sum(dict(r.headers).get(CE_TYPE) == BARRIER_TYPE for r in records if r.headers)
    elapsed = time.perf_counter() - started
    await consumer.stop()
    return read, elapsed


class _Session:
    """A session: sends margin rows, and records when a provisional ratio includes them.

    Parameters
    ----------
    market : the snapshots of its session are sent repeatedly, with new times.
    begins_s : seconds of the session before the first one; a second measurement begins behind the times of the first.
    """

    def __init__(self, settings: Settings, market: simulate.Market, begins_s: int = 0) -> None:
        today = xshg().shift(market.simulation.last_day, 1)
        assert today is not None
        snapshots = [rows for _, rows in market.session(today, ratio=0.09, every_minutes=10)]
        self.bought = [rows["margin.intraday"] for rows in snapshots]
        self._indices = snapshots[0]["indices.intraday"]
        self._names = Topics(settings)
        self._partitioner = Partitioner(settings.partitions)
        self._opened = (
            today * 24 + 2
        ) * 3_600_000_000 + begins_s * 1_000_000  # µs: an hour and a half into the session, Shanghai
        self._started = time.perf_counter()
        self._seen: list[tuple[float, int]] = []  # when a signal arrived, and the time of its newest row
        self._updated = asyncio.Event()
        self._producer = AIOKafkaProducer(
            bootstrap_servers=settings.bootstrap, acks=1, linger_ms=0, max_batch_size=BATCH_BYTES
        )
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=settings.bootstrap, fetch_max_wait_ms=5, auto_offset_reset="latest"
        )

    async def __aenter__(self) -> _Session:
        await self._producer.start()
        await self._consumer.start()
        self._consumer.assign([TopicPartition(self._names.name(Topic.SIGNALS_MARKET), 0)])
        await self._consumer.seek_to_end()
        self._listening = asyncio.create_task(self._listen())
        await send(self._producer, self._outputs(self._indices))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listening.cancel()
        await self._consumer.stop()
        await self._producer.stop()

    async def _listen(self) -> None:
        while True:
            for records in (await self._consumer.getmany(timeout_ms=50)).values():
                now = time.perf_counter()
                for record in records:
                    if is_barrier(record):
                        continue
                    signal = msgspec.json.decode(record.value, type=MarketSignal)
                    if signal.provisional and signal.signal == "fin_buy_ratio":
                        self._seen.append((now, microseconds(signal.available_at)))
                        self._updated.set()

    def _outputs(self, rows: RowBatch) -> list[Output]:
        name, by_code = self._names.name(rows.topic), rows.topic in BY_CODE
        return [
            Output(name, self._partitioner.of_code(key) if by_code else 0, key.encode(), value, [])
            for key, value in encode_events(rows, "bench")
        ]

    async def send(self, rows: RowBatch) -> tuple[int, float]:
        """Send rows as events of the current moment; return their time (µs) and the moment of sending (s)."""
        now = time.perf_counter()
        stamp = self._opened + int((now - self._started) * 1e6)
        stamped = replace(rows, stamps=np.full(len(rows), stamp))
        outputs = self._outputs(stamped)
        now = time.perf_counter()
        await send(self._producer, outputs)
        return stamp, now

    async def shown(self, stamp: int) -> float:
        """Wait for a signal that includes the rows of a time; return when it arrived (s), infinity after a timeout."""
        while True:
            found = next((when for when, newest in self._seen if newest >= stamp), None)
            if found is not None:
                return found
            self._updated.clear()
            try:
                await asyncio.wait_for(self._updated.wait(), _TIMEOUT_S)
            except TimeoutError:
                return float("inf")


async def latencies(
    settings: Settings, market: simulate.Market, seconds: float, begins_s: int = 0
) -> tuple[Floats, Floats]:
    """Return the latencies of ticks and of bursts, ms: from sending to the first signal that includes all of it.

    A tick sends its share of the steady rate; a burst sends the events of three seconds at once.
    """
    async with _Session(settings, market, begins_s) as session:
        await session.shown((await session.send(session.bought[0]))[0])
        sent: list[tuple[int, float]] = []
        started, per_tick = time.perf_counter(), int(_RATE * _TICK_S)
        for tick in range(int(seconds / _TICK_S)):
            await asyncio.sleep(max(0.0, started + tick * _TICK_S - time.perf_counter()))
            rows = session.bought[tick % len(session.bought)]
            sent.append(await session.send(rows.take(np.arange(tick * per_tick, (tick + 1) * per_tick) % len(rows))))
        warm = sent[int(1 / _TICK_S) :]  # the first second is a warm-up
        steady = [(await session.shown(stamp) - when) * 1000 for stamp, when in warm]
        bursts = []
        for burst in range(_BURSTS):
            rows = session.bought[burst % len(session.bought)]
            stamp, when = await session.send(rows.take(np.arange(_BURST) % len(rows)))
            bursts.append((await session.shown(stamp) - when) * 1000)
        return np.array(steady), np.array(bursts)


def _snapshots(settings: Settings, folder: Path, market: simulate.Market, count: int) -> tuple[int, float]:
    """Publish a backlog of whole-market snapshots as frames, then time a worker over it; return rows and seconds."""
    today = xshg().shift(market.simulation.last_day, 1)
    assert today is not None
    Topics(settings).create()
    taken = [rows["prices.intraday"] for _, rows in market.session(today, ratio=0.09, every_minutes=10)]
    with Publisher(settings, source="bench") as publisher:
        for second in range(count):
            rows = taken[second % len(taken)]
            publisher.rows_of(replace(rows, stamps=rows.stamps[:1].repeat(len(rows)) + second * 1_000_000))
        barrier = publisher.barrier()
    with redis.Redis.from_url(settings.redis) as client, running_worker(settings, folder) as worker:
        started = time.perf_counter()
        wait_for(lambda: passed(settings, barrier, client), worker)
        return publisher.rows, time.perf_counter() - started


def wait_for(condition: Callable[[], bool], worker: WorkerProcess) -> None:
    """Wait for a condition; fail if the worker ends before."""
    while not condition():
        worker.check("the measurement")
        time.sleep(0.005)


def figures(
    broker: str, stocks: int = 5000, days: int = 60, events_days: int = 40, snapshots: int = 400, seconds: float = 10.0
) -> list[Figure]:
    """Return rows a second by form, the broker's raw rate, and the latencies of a running session."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with services(broker, folder) as settings:
            found: list[Figure] = []

            def rate(what: str, measured: tuple[int, float], at_least: float | None = None) -> None:
                count, elapsed = measured
                found.append(Figure(f"{what}, {count:,} in {elapsed:.1f} s", count / elapsed, "/s", at_least=at_least))

            frames = _throughput(settings("frames"), folder, Form.FRAMES, stocks, days)
            rate("rows of days from frames, end to end", frames, 500_000)
            arrays = _throughput(settings("arrays"), folder, Form.ARRAYS, stocks, events_days)
            rate("rows from JSON arrays, end to end", arrays)
            events = _throughput(settings("json"), folder, Form.EVENTS, stocks, events_days)
            rate("rows from JSON events, end to end", events)
            rate("raw getmany of the same JSON events", asyncio.run(_raw(settings("json"))))
            market = simulated_market(stocks, 30)
            rate("rows of snapshots from frames", _snapshots(settings("snapshots"), folder, market, snapshots), 1e6)
            steady, bursts, share = _session(settings("live"), folder, market, seconds)
    p50, p99 = np.percentile(steady, [50, 99])
    return [
        *found,
        Figure(f"produce to signal at {_RATE:,} events/s, p50", p50, "ms", at_most=12),
        Figure(f"produce to signal at {_RATE:,} events/s, p99", p99, "ms", at_most=40),
        Figure("CPU of the worker meanwhile, of a core", share * 100, "%", at_most=35),
        Figure(f"the last of a burst of {_BURST:,}, median of {_BURSTS}", float(np.median(bursts)), "ms", at_most=100),
    ]


def _session(settings: Settings, folder: Path, market: simulate.Market, seconds: float) -> tuple[Floats, Floats, float]:
    """Return the latencies (ms) of ticks and of bursts, and the share of a core that the worker took.

    Raises
    ------
    SystemExit : if an event never reached a signal.
    """
    Topics(settings).create()
    with Publisher(settings, source="bench") as publisher:
        for _, batches in market.history():
            publisher.day(batches)
        barrier = publisher.barrier()
    with redis.Redis.from_url(settings.redis) as client, running_worker(settings, folder) as worker:
        wait_for(lambda: passed(settings, barrier, client), worker)
        before, started = cpu_of(worker), time.perf_counter()
        steady, bursts = asyncio.run(latencies(settings, market, seconds))
        share = (cpu_of(worker) - before) / (time.perf_counter() - started)
    if not np.isfinite([*steady, *bursts]).all():
        sys.exit("some events never reached a signal")
    return steady, bursts, share


def cpu_of(worker: WorkerProcess) -> float:
    """Return the CPU seconds of a worker so far, as it reports them."""
    with urlopen(f"{worker.url}/metrics") as answer:
        found = re.search(r"^process_cpu_seconds_total (\S+)$", answer.read().decode(), re.MULTILINE)
    return float(found[1]) if found else float("nan")


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    stocks: int = 5000,
    days: int = 60,
    events_days: int = 40,
    snapshots: Annotated[int, typer.Option(help="whole-market snapshots in the backlog")] = 400,
    seconds: float = 10.0,
) -> None:
    """Measure and print."""
    found = figures(broker, stocks, days, events_days, snapshots, seconds)
    out.print(table_of(f"{broker} broker, {stocks:,} stocks", found))


if __name__ == "__main__":
    typer.run(main)
