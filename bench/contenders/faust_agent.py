"""faust-streaming: an agent that takes event by event; durable: its own table, in RocksDB with a changelog topic."""

from __future__ import annotations

import os
from typing import Any

import faust
import mode.loop

from bench.contenders.work import Report, advance, task

mode.loop.use("uvloop")
job, report = task(), Report()
app = faust.App(
    job.folder.name,
    broker=f"kafka://{job.bootstrap}",
    store="rocksdb://" if job.durable else "memory://",
    datadir=job.folder,
    topic_disable_leader=True,
    web_enabled=False,
)
windows: Any = app.Table("windows", partitions=1) if job.durable else {}


@app.agent(app.topic(job.topic, key_serializer="raw", value_serializer="json"))
async def work(stream: Any) -> None:
    """Advance the window of each event's key."""
    async for event in stream.events():
        report.start()
        row = event.value
        if "code" not in row:
            continue  # punctuation
        window = windows.get(row["code"], [])
        report.last[row["code"]] = advance(window, row["fin_balance"])
        windows[row["code"]] = window
        report.events += 1
        if report.events == job.events:
            if job.durable:
                await app.producer.flush()
                await app.consumer.commit()
            report.done()
            os._exit(0)  # a graceful shutdown takes seconds and changes no state


faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
