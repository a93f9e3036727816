"""faust-streaming: an agent that takes event by event; durable: its own table, in RocksDB with a changelog topic."""

from __future__ import annotations

import os
from typing import Any

import faust
import mode.loop

from bench.contenders.work import Report, advance, task

mode.loop.use("uvloop")
task_, report = task(), Report()
app = faust.App(
    task_.folder.name,
    broker=f"kafka://{task_.bootstrap}",
    store="rocksdb://" if task_.durable else "memory://",
    datadir=task_.folder,
    topic_disable_leader=True,
    web_enabled=False,
)
windows: Any = app.Table("windows", partitions=1) if task_.durable else {}


@app.agent(app.topic(task_.topic, key_serializer="raw", value_serializer="json"))
async def work(stream: Any) -> None:
    """Advance the window of each event's key."""
    async for event in stream.events():
        report.start()
        row = event.value
        if "code" not in row:
            continue  # a marker
        window = windows.get(row["code"], [])
        report.last[row["code"]] = advance(window, row["fin_balance"])
        windows[row["code"]] = window
        report.events += 1
        if report.events == task_.events:
            if task_.durable:
                await app.producer.flush()
                await app.consumer.commit()
            report.done()
            os._exit(0)  # a shutdown in order takes seconds and changes nothing


faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
