"""quixstreams: state in RocksDB with its changelog topic, committed every 5 s (its default) and at the end.

Its seconds include closing the application, about 0.1 s: no public API reports when the last commit is done.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application, State

from bench.contenders.work import Report, advance, task

job, report = task(), Report()
app = Application(
    broker_address=job.bootstrap,
    consumer_group=job.folder.name,
    auto_offset_reset="earliest",
    state_dir=job.folder,
    loglevel="WARNING",
)


def change(row: dict[str, Any], state: State) -> None:
    """Advance the window of the event's key."""
    report.start()
    window = state.get("window", [])
    report.last[row["code"]] = advance(window, row["fin_balance"])
    state.set("window", window)
    report.events += 1
    if report.events == job.events:
        app.stop()  # commits: flushes the changelog, then RocksDB


rows = app.dataframe(app.topic(job.topic, value_deserializer="json"))
rows = rows.filter(lambda row: "code" in row)  # without punctuation
rows.update(change, stateful=True)
app.run()
report.done()
