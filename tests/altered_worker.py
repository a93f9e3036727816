"""`python -m tests.altered_worker`: a worker that stops itself at a point of a step, or lacks a safeguard, or fails.

The environment says which:

- ``TEST_STOP_FILE``: where this file exists and contains the name of a topic, the worker sends itself SIGSTOP when
  it publishes to that topic, or, with ``TEST_STOP_AT=store``, when it stores such outputs; once, and the file is gone
  then. SIGCONT lets it go on.
- ``TEST_MUTANT``: a safeguard of `MUTANTS` that it lacks.
- ``TEST_FAILING``: its market stage fails on one row, see `failing`.

What takes the place of a method has the types of that method, and mypy checks this file: a change of the method is
noticed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from processors.daily_store import ApplyResult, DailyStore
from processors.events import RowBatch
from processors.market import Item, Market
from processors.outputs import StageOutput
from streams import tables, worker
from streams.settings import Settings
from streams.stages import output_publisher
from streams.stages.output_log import Numbering, OutputLog
from streams.stages.partition_runner import PartitionRunner, _Step
from streams.stages.retries import StillOurs
from streams.tables import Encoded, Output, TablePartition

STOP_FILE, STOP_AT, MUTANT, FAILING = "TEST_STOP_FILE", "TEST_STOP_AT", "TEST_MUTANT", "TEST_FAILING"
#: Revision of the row of `rates.daily` on which a failing market stage fails.
FAILS_AT = 666_666


def stop_once(wanted: Path, outputs: Sequence[Output]) -> None:
    """Stop this process if the file asks for it."""
    if wanted.exists() and wanted.read_text() in {output.topic for output in outputs}:
        wanted.unlink()
        os.kill(os.getpid(), signal.SIGSTOP)


def stop_at_publication(wanted: Path) -> None:
    """Stop between storing a step and publishing it."""
    publish = output_publisher.send  # type: ignore[attr-defined]

    async def stop_and_publish(producer: Any, outputs: Sequence[Output]) -> None:
        stop_once(wanted, outputs)
        await publish(producer, outputs)

    output_publisher.send = stop_and_publish  # type: ignore[attr-defined]


def stop_at_store(wanted: Path) -> None:
    """Stop between folding a step and storing it."""
    commit = TablePartition.commit

    async def stop_and_commit(
        self: TablePartition, step: Encoded, offsets: Mapping[str, int], marks: Mapping[str, str]
    ) -> None:
        stop_once(wanted, step.outputs)
        await commit(self, step, offsets, marks)

    TablePartition.commit = stop_and_commit  # type: ignore[method-assign]


def without_fence() -> None:
    """Store a step whoever owns the partition, and whatever Redis contains."""
    for name in ("_COMMIT", "_WRITE_BESIDE"):
        script = getattr(tables, name)
        setattr(tables, name, script.replace("return redis.error_reply(", "local _ = ("))
        assert getattr(tables, name) != script


def without_outbox() -> None:
    """Publish a step before it is stored."""
    store = PartitionRunner._store

    async def publish_and_store(
        self: PartitionRunner, step: _Step, table: TablePartition, still_ours: StillOurs
    ) -> None:
        await self._retries.publish(self._publish, step.encoded.outputs, still_ours)
        self._show_outputs(step.stage, step.encoded.outputs)
        await store(self, step, table, still_ours)

    PartitionRunner._store = publish_and_store  # type: ignore[method-assign]


def without_order() -> None:
    """Begin the sequence of outputs at 0 with every claim."""

    async def from_nothing(self: OutputLog, stored: int, topics: Collection[str]) -> Numbering:
        return Numbering(0, ahead=False)

    OutputLog.numbering = from_nothing  # type: ignore[method-assign]


def without_telescoping() -> None:
    """Raise the revision of a day by one for each batch that changes it, however many rows it changes."""
    raise_revisions = DailyStore._raise_revisions

    def by_batches(self: DailyStore, day: int, step: int, applied: ApplyResult) -> None:
        raise_revisions(self, day, 1, applied)

    DailyStore._raise_revisions = by_batches  # type: ignore[method-assign]


Fold = Callable[[Market, Iterable[Item]], list[StageOutput]]


def failing(real: Fold) -> Fold:
    """Return a fold that fails on one row, as an error in the code would."""

    def fold(self: Market, items: Iterable[Item]) -> list[StageOutput]:
        items = list(items)
        rates = [item for item in items if isinstance(item, RowBatch) and item.topic == "rates.daily"]
        if any((batch.revisions == FAILS_AT).any() for batch in rates):
            raise ValueError("a poisoned row")
        return real(self, items)

    return fold


#: Safeguard → what a worker without it does.
MUTANTS: Mapping[str, Callable[[], None]] = {
    "fence": without_fence,
    "outbox": without_outbox,
    "order": without_order,
    "revisions": without_telescoping,
}


def main() -> None:
    """Run the worker until it is asked to end."""
    if mutant := os.environ.get(MUTANT):
        MUTANTS[mutant]()
    if FAILING in os.environ:
        Market.fold = failing(Market.fold)  # type: ignore[assignment,method-assign]
    if wanted := os.environ.get(STOP_FILE):
        (stop_at_store if os.environ.get(STOP_AT) == "store" else stop_at_publication)(Path(wanted))
    worker.run(Settings())


if __name__ == "__main__":
    main()
