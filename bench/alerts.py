"""Latency from the event that completes a condition to the alert on its topic and at a webhook, under load.

``python -m bench.alerts [--broker embedded|kafka]``. The stream processes 1,800 price events a second
during the measurement. The condition is a ratio that turns hot and breaks down on alternate days; the punctuation that
closes a day completes it.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np
import typer
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr

from alerts.delivery.channel import Channel
from alerts.model import Alert, State
from bench.figures import Figure, table_of
from bench.pipeline import running_worker, simulated_market
from bench.services import services
from feeds.publication_times import available_at
from processors.arrays import Floats
from processors.codes import EXCHANGES, to_id
from processors.days import to_date, to_day
from processors.events import FIGURES, RowBatch
from processors.history import end_of_day
from streams.calendars import xshg
from streams.cli.terminal import out
from streams.codecs.row_json import encode_events
from streams.local.local_service import free_port
from streams.publisher import Publisher
from streams.records import BARRIER_TYPE, CE_TYPE, CLOSE_TYPE
from streams.settings import Settings
from streams.topics import Topic, Topics

_RATE, _TICK_S, _EVERY_S = 1800, 0.01, 0.1
_RULE, _SUBJECT = "peak_early_sign", "fin_buy_ratio"
_CLOSES = {to_id("000001.SH"): {"close": 3000.0, "turnover": 5e11},
           to_id("399001.SZ"): {"close": 10_000.0, "turnover": 5e11}}  # fmt: skip


def _rows(topic: str, day: int, figures: dict[int, dict[str, float]]) -> RowBatch:
    keys = sorted(figures)
    columns = {
        c.name: np.array([figures[k].get(c.name, np.nan if c.optional else 0.0) for k in keys]) for c in FIGURES[topic]
    }
    size = len(keys)
    return RowBatch(
        topic, np.array(keys, dtype=np.int32), np.full(size, day, dtype=np.int32), np.zeros(size, dtype=np.int32),
        np.full(size, available_at(topic, day, xshg())), columns,
    )  # fmt: skip


class _Clock:
    """Moments at which each day was completed, and at which its alert arrived at the topic and at the webhook."""

    def __init__(self) -> None:
        self.sent: dict[date, float] = {}
        self.topic: dict[date, float] = {}
        self.webhook: dict[date, float] = {}

    def record(self, seen: dict[date, float], alert: Alert) -> None:
        if (alert.rule, alert.subject, alert.state) == (_RULE, _SUBJECT, State.FIRING):
            seen.setdefault(alert.trade_date, time.perf_counter())

    def ms(self, seen: dict[date, float]) -> Floats:
        return np.array([(seen.get(day, np.inf) - sent) * 1000 for day, sent in self.sent.items()])


async def _load(settings: Settings, done: asyncio.Event) -> None:
    """Price events of a session at a steady rate."""
    market = simulated_market(5000, 30)
    today = xshg().shift(market.simulation.last_day, 1)
    assert today is not None
    snapshots = [rows["prices.intraday"] for _, rows in market.session(today, ratio=0.09, every_minutes=60)]
    names, publisher = Topics(settings), Publisher(settings, source="bench")
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks=1, linger_ms=0)
    await producer.start()
    started, tick, per_tick = time.perf_counter(), 0, int(_RATE * _TICK_S)
    while not done.is_set():
        await asyncio.sleep(max(0.0, started + tick * _TICK_S - time.perf_counter()))
        rows = snapshots[tick % len(snapshots)]
        part = rows.take(np.arange(tick * per_tick, (tick + 1) * per_tick) % len(rows))
        for partition, chunk in publisher.split(part):
            for key, value in encode_events(chunk, "bench"):
                await producer.send(names.name(chunk.topic), value, key=key.encode(), partition=partition)
        tick += 1
    await producer.stop()
    publisher.__exit__(None)


async def _send(producer: AIOKafkaProducer, names: Topics, rows: RowBatch) -> None:
    """Send the rows of a day, and the punctuation that closes it."""
    topic, close = names.name(rows.topic), msgspec.json.encode(end_of_day(rows))
    for _, value in encode_events(rows, "bench"):
        await producer.send(topic, value, partition=0)
    await producer.send(topic, close, partition=0, headers=[(CE_TYPE, CLOSE_TYPE)])


async def _measure(settings: Settings, days: list[int], clock: _Clock, runner: web.AppRunner, port: int) -> None:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    names = Topics(settings)
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.bootstrap, fetch_max_wait_ms=5, auto_offset_reset="latest")
    await consumer.start()
    consumer.assign([TopicPartition(names.name(Topic.ALERTS), 0)])
    await consumer.seek_to_end()
    done = asyncio.Event()

    async def listen() -> None:
        while not done.is_set():
            for records in (await consumer.getmany(timeout_ms=20)).values():
                for record in records:
                    if dict(record.headers).get(CE_TYPE) != BARRIER_TYPE:
                        clock.record(clock.topic, msgspec.json.decode(record.value, type=Alert))

    tasks = [asyncio.create_task(listen()), asyncio.create_task(_load(settings, done))]
    await asyncio.sleep(1.0)  # the load reaches its rate
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, acks=1, linger_ms=0)
    await producer.start()
    for at, day in enumerate(days):
        await _send(producer, names, _rows("indices.daily", day, _CLOSES))
        ratio = 0.11 if at % 2 == 0 else 0.09
        totals = {e: {"fin_balance": 5e11, "fin_buy": ratio * 5e11} for e in range(2)}
        await _send(producer, names, _rows("margin.market", day, totals))
        if at % 2:
            clock.sent[to_date(day)] = time.perf_counter()
        await asyncio.sleep(_EVERY_S)
    deadline = time.perf_counter() + 10
    while len(clock.webhook) < len(clock.sent) and time.perf_counter() < deadline:
        await asyncio.sleep(0.02)
    done.set()
    await asyncio.gather(*tasks)
    await producer.stop()
    await consumer.stop()
    await runner.cleanup()


def figures(broker: str, days: int = 200) -> list[Figure]:
    """Return the latencies to the alerts topic and to a webhook."""
    clock = _Clock()

    async def hook(request: web.Request) -> web.Response:
        body = await request.json()
        clock.record(clock.webhook, msgspec.convert(body["alert"], type=Alert))
        return web.Response(status=204)

    application = web.Application()
    application.router.add_post("/", hook)
    port = free_port()
    assert EXCHANGES[:2] == ("SSE", "SZSE")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with services(broker, folder) as settings_of:
            channel = Channel(kind="webhook", url=SecretStr(f"http://127.0.0.1:{port}/"), per_minute=6000,
                              max_age_days=10_000)  # fmt: skip
            settings = settings_of("alerts", channels={"hook": channel})
            Topics(settings).create()
            calendar = xshg()
            first = calendar.position(to_day(date(2018, 1, 2)))
            found = [calendar.day_at(first + i) for i in range(days)]
            with running_worker(settings, folder):
                asyncio.run(_measure(settings, found, clock, web.AppRunner(application), port))
    figures = list[Figure]()
    targets = (("alerts.v1", clock.topic, 15, 50), ("a local webhook", clock.webhook, None, 100))
    for name, seen, median, slowest in targets:
        p50, p99 = np.percentile(clock.ms(seen), [50, 99])
        what = f"the completing event to {name}, {len(clock.sent)} at {_RATE:,} events/s"
        figures += [
            Figure(f"{what}, p50", p50, "ms", at_most=median),
            Figure(f"{what}, p99", p99, "ms", at_most=slowest),
        ]
    return figures


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    days: Annotated[int, typer.Option(help="number of days to close, one every 100 ms")] = 200,
) -> None:
    """Measure and print."""
    out.print(table_of(f"{broker} broker", figures(broker, days)))


if __name__ == "__main__":
    typer.run(main)
