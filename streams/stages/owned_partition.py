"""A partition that a worker owns: its table, its state, where it is read, and when its topics were active last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog

from streams import metrics
from streams.kafka.transport import Poll
from streams.stages.stage import Overview, StageState
from streams.tables import Loaded, TablePartition

log = structlog.get_logger()


class OwnedPartition:
    """One partition of a stage.

    Attributes
    ----------
    state : None while it could not be loaded. While a thread folds it (`folding`), nothing else reads its tables.
    finishing : the task that stores and publishes the last step.
    read : topic → next offset to fold; at most a step ahead of what is stored.
    sequence : that of the last output; at most a step ahead of what is stored, too.
    live_reported : live feed → what was reported last of it: the day, and since when it is silent (µs since the epoch).
    """

    def __init__(self, table: TablePartition, state: StageState | None) -> None:
        self.table = table
        self.state = state
        self._before: Overview | None = None
        self.finishing: asyncio.Task[None] | None = None
        self.read = dict(table.offsets)
        self.sequence = 0
        self.marks: dict[str, str] = {}  # of the messages before `read`
        self.live_reported: dict[str, tuple[int, int | None]] = {}
        self._active_at: dict[str, float] = {}
        self._since = time.monotonic()

    @property
    def folding(self) -> bool:
        """Whether a thread folds the state."""
        return self._before is not None

    @contextmanager
    def folded_in_a_thread(self) -> Iterator[None]:
        """Let a thread have the state in this block; who asks for its overview meanwhile gets that from before."""
        self._before = self.overview()
        try:
            yield
        except asyncio.CancelledError:
            self.state = None  # the thread goes on, and nobody takes its result
            raise
        finally:
            self._before = None

    def overview(self) -> Overview:
        """Return what metrics show of the state."""
        if self._before is not None:
            return self._before
        return Overview() if self.state is None else self.state.overview()

    def mark_active(self, topic: str) -> None:
        """Note that messages of a topic have arrived."""
        self._active_at[topic] = time.monotonic()

    def idle_s(self, topic: str) -> float:
        """For how many seconds no message of a topic has arrived."""
        return time.monotonic() - self._active_at.get(topic, self._since)

    async def finished(self) -> None:
        """Wait until the last step is stored and its outputs are acknowledged."""
        if self.finishing is not None:
            await self.finishing
            self.finishing = None

    def unread(self, poll: Poll) -> Sequence[Any]:
        """Drop what is already in the state (a poll fetched before a seek took effect)."""
        start = self.read.get(poll.topic, 0)
        if poll.records[0].offset >= start:
            return poll.records
        return [record for record in poll.records if record.offset >= start]


def report_discarded(loaded: Loaded, stage: str, partition: int, schema: str) -> None:
    """Log and count what a claim has deleted: the partition is computed again from the beginning of its topics."""
    where = {"stage": stage, "partition": partition}
    if loaded.discarded is not None:
        log.warning(
            "state of another release is discarded: the partition is rebuilt from the beginning of its topics",
            **where,
            stored=loaded.discarded or "no schema",
            schema=schema,
        )
        metrics.STATE_DISCARDED.labels(stage, "schema").inc()
    if not loaded.whole:
        log.critical(
            "a part of the stored state is missing, what is left is discarded: the partition is rebuilt from the "
            "beginning of its topics. Does Redis evict keys, or was a key deleted?",
            **where,
        )
        metrics.STATE_DISCARDED.labels(stage, "incomplete").inc()
