"""quixstreams: state in RocksDB with its changelog topic, committed every 5 s (its default) and at the end.

Its seconds include closing the application, about 0.1 s: nothing public says when the last commit is done.
"""

from __future__ import annotations

from typing import Any

from quixstreams import Application, State

from bench.contenders.work import Report, advance, task

told, report = task(), Report()
app = Application(
    broker_address=told.bootstrap,
    consumer_group=told.folder.name,
    auto_offset_reset="earliest",
    state_dir=told.folder,
    loglevel="WARNING",
)


def change(row: dict[str, Any], state: State) -> None:
    """Advance the window of the event's key."""
    report.start()
    window = state.get("window", [])
    report.last[row["code"]] = advance(window, row["fin_balance"])
    state.set("window", window)
    report.events += 1
    if report.events == told.events:
        app.stop()  # it commits: flushes the changelog, then RocksDB


rows = app.dataframe(app.topic(told.topic, value_deserializer="json"))
rows = rows.filter(lambda row: "code" in row)  # no markers
rows.update(change, stateful=True)
app.run()
report.done()
