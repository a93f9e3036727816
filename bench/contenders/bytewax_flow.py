"""bytewax: a stateful_map; durable: with its recovery store (SQLite, a snapshot every 10 s and at the end)."""

from __future__ import annotations

from typing import Any

import bytewax.operators as op
import msgspec
from bytewax._bytewax import cli_main
from bytewax.connectors.kafka import KafkaSource, KafkaSourceMessage
from bytewax.dataflow import Dataflow
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.recovery import RecoveryConfig, init_db_dir

from bench.contenders.work import Report, advance, task


class Row(msgspec.Struct):
    """The used fields of an event; the decoder skips the others."""

    code: str
    fin_balance: float


job, report = task(), Report()
decode = msgspec.json.Decoder(Row).decode


def rows(message: KafkaSourceMessage[bytes, bytes]) -> tuple[str, float] | None:
    """Return key and balance of an event, None for punctuation."""
    report.start()
    if message.key is None:
        return None
    row = decode(message.value)
    return row.code, row.fin_balance


def change(window: list[float] | None, balance: float) -> tuple[list[float], float | None]:
    """Advance a window."""
    window = [] if window is None else window
    return window, advance(window, balance)


class Sink(StatelessSinkPartition[Any], DynamicSink[Any]):
    """Collects the changes."""

    def build(self, *_: Any) -> Sink:
        """Return the only partition."""
        return self

    def write_batch(self, items: list[tuple[str, float | None]]) -> None:
        """Add changes to the report."""
        report.events += len(items)
        report.last.update(items)


flow = Dataflow("peer")
source = KafkaSource([job.bootstrap], [job.topic], tail=False)
keyed = op.filter_map("rows", op.input("topic", flow, source), rows)
op.output("out", op.stateful_map("change", keyed, change), Sink())
recovery = None
if job.durable:
    init_db_dir(job.folder, 1)
    recovery = RecoveryConfig(job.folder)
cli_main(flow, recovery_config=recovery)
report.done()
