"""Rows a second from frames, events a second from JSON, the broker's raw rate, and latency: one run, one broker.

``python -m bench.pipeline [--broker embedded|kafka]`` prints a table; the figures of a run belong together, single ones
of different runs do not. Throughput is end to end: from a ready worker with a full backlog to the moment at which the
last alert stage has seen everything (all state in Redis).
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import redis
import typer
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr
from rich.table import Table

from processors.days import to_day
from processors.outputs import MarketSignal
from streams import local, show
from streams.calendars import xshg
from streams.codec import BARRIER_TYPE, CE_TYPE, encode_events, is_barrier
from streams.feeds import simulate
from streams.publisher import Form, Publisher
from streams.settings import Settings
from streams.status import passed
from streams.topics import SIGNALS_MARKET, Topics
from streams.up import WorkerProcess

_RATE, _TICK_S = 1800, 0.01


@contextmanager
def worker_of(settings: Settings, folder: Path) -> Iterator[WorkerProcess]:
    """Run a worker until the end."""
    worker = WorkerProcess(settings.model_copy(update={"http_port": local.free_port()}), folder / "worker.log")
    try:
        worker.start()
        yield worker
    finally:
        worker.stop()


def market_of(stocks: int, days: int) -> simulate.Market:
    """Return a simulated market."""
    last = to_day(date(2025, 6, 30))
    return simulate.Market(simulate.Simulation(xshg(), last, days=days, stocks=stocks, funds=20))


def _throughput(settings: Settings, folder: Path, form: Form, stocks: int, days: int) -> tuple[int, float]:
    """Feed a backlog, then time a worker over it; return rows and seconds."""
    Topics(settings).create()
    with Publisher(settings, source="bench", form=form) as publisher:
        for _, batches in market_of(stocks, days).history():
            publisher.day({topic: rows for topic, rows in batches.items() if topic != "prices.daily"})
        barrier = publisher.barrier()
    with redis.Redis.from_url(settings.redis) as client, worker_of(settings, folder) as worker:
        started = time.perf_counter()
        await_(lambda: passed(settings, barrier, client), worker)
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


async def _latency(settings: Settings, market: simulate.Market, seconds: float) -> list[float]:
    """Produce price events at a steady rate; return ms from each event to the first signal that includes it."""
    today = xshg().shift(market.simulation.last_day, 1)
    assert today is not None
    snapshots = [rows for _, rows in market.session(today, ratio=0.09, every_minutes=10)]
    publisher = Publisher(settings, source="bench")
    names = Topics(settings)
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks=1, linger_ms=0)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, fetch_max_wait_ms=5, auto_offset_reset="latest")
    await producer.start()
    await consumer.start()
    consumer.assign([TopicPartition(names.name(SIGNALS_MARKET), 0)])
    await consumer.seek_to_end()
    base = (today * 24 + 2) * 3_600_000_000
    seen: list[tuple[float, int]] = []
    sent: list[tuple[int, float]] = []
    done = asyncio.Event()

    async def listen() -> None:
        while not done.is_set():
            for records in (await consumer.getmany(timeout_ms=50)).values():
                now = time.perf_counter()
                for record in records:
                    if is_barrier(record):
                        continue
                    signal = msgspec.json.decode(record.value, type=MarketSignal)
                    if signal.provisional and signal.signal == "excess_financing":
                        seen.append((now, int(signal.available_at.timestamp() * 1e6)))

    listening = asyncio.create_task(listen())
    index = snapshots[0]["indices.intraday"]
    for _, value in encode_events(index, "bench"):
        await producer.send(names.name(index.topic), value, partition=0)
    started, ticks = time.perf_counter(), int(seconds / _TICK_S)
    per_tick = int(_RATE * _TICK_S)
    for tick in range(ticks):
        await asyncio.sleep(max(0.0, started + tick * _TICK_S - time.perf_counter()))
        rows = snapshots[tick % len(snapshots)]["prices.intraday"]
        picked = np.arange(tick * per_tick, (tick + 1) * per_tick) % len(rows)
        part = rows.take(picked)
        now = time.perf_counter()
        ts = base + int((now - started) * 1e6)
        stamped = type(part)(part.topic, part.keys, part.days, part.revisions, np.full(len(part), ts), part.figures)
        for partition, chunk in publisher.split(stamped):
            for key, value in encode_events(chunk, "bench"):
                await producer.send(names.name(chunk.topic), value, key=key.encode(), partition=partition)
        sent.append((ts, now))
    await producer.flush()
    deadline = time.perf_counter() + 5
    while (not seen or seen[-1][1] < sent[-1][0]) and time.perf_counter() < deadline:
        await asyncio.sleep(0.01)
    done.set()
    await listening
    await consumer.stop()
    await producer.stop()
    publisher.__exit__(None)
    newest = np.maximum.accumulate([stamp for _, stamp in seen]).tolist()
    out = []
    for ts, now in sent[int(1 / _TICK_S) :]:  # the first second warms up
        at = bisect_left(newest, ts)
        out.append((seen[at][0] - now) * 1000 if at < len(seen) else float("inf"))
    return out


def await_(condition: Callable[[], bool], worker: WorkerProcess) -> None:
    """Wait for a condition while the worker lives."""
    while not condition():
        worker.check("the measurement")
        time.sleep(0.005)


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    stocks: int = 5000,
    days: int = 60,
    events_days: int = 40,
    seconds: float = 10.0,
) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        made: local.Broker = (
            local.ApacheKafka(folder / "b") if broker == "kafka" else local.EmbeddedBroker(folder / "b")
        )
        with made as server, local.EmbeddedRedis(folder / "r") as store:

            def settings(name: str) -> Settings:
                return Settings(
                    kafka_url=server.url,
                    redis_url=SecretStr(store.url),
                    group=name,
                    namespace=name,
                    topic_prefix=f"{name}.",
                )

            table = Table(title=f"{broker} broker, {stocks:,} stocks", title_justify="left", box=None)
            for column in ("what", "count", "seconds", "a second"):
                table.add_column(column, justify="left" if column == "what" else "right")

            def row(what: str, count: int, elapsed: float) -> None:
                table.add_row(what, f"{count:,}", f"{elapsed:.2f}", f"{count / elapsed:,.0f}")

            row("rows from frames, end to end", *_throughput(settings("frames"), folder, Form.FRAMES, stocks, days))
            row(
                "rows from JSON events, end to end",
                *_throughput(settings("json"), folder, Form.EVENTS, stocks, events_days),
            )
            row("raw getmany of the same JSON messages", *asyncio.run(_raw(settings("json"))))
            live = settings("live")
            Topics(live).create()
            market = market_of(stocks, 30)
            with Publisher(live, source="bench") as publisher:
                for _, batches in market.history():
                    publisher.day(batches)
                barrier = publisher.barrier()
            with redis.Redis.from_url(live.redis) as client, worker_of(live, folder) as worker:
                await_(lambda: passed(live, barrier, client), worker)
                found = np.array(asyncio.run(_latency(live, market, seconds)))
            show.out.print(table)
            p50, p99 = np.percentile(found, [50, 99])
            show.out.print(
                f"produce to provisional signal at {_RATE:,} events/s over {seconds:.0f} s: "
                f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, max {found.max():.1f} ms"
            )
            if not np.isfinite(found).all():
                sys.exit("some events never reached a signal")


if __name__ == "__main__":
    typer.run(main)
