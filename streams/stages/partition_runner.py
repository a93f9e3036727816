"""The step of every stage (fold, store, publish), and the partitions that this worker owns.

A step is folded, then stored, then its outputs are published. Storing and publishing go on while the next polls are
folded, those of other partitions too, and a partition's next step is not stored before they are done: so the outbox in
Redis always contains everything that may not have arrived yet, outputs keep their order, and waiting for Redis and
Kafka costs no time. The state in memory is at most one step ahead of Redis; a worker that lost it starts from Redis.
Polls of a partition that wait together are folded together (`streams.kafka.poll_queue`). Large ones, those of a
backlog, are folded in a thread, one at a time: meanwhile the worker answers, and folds small polls of other partitions.

A poll is never skipped. While Redis or Kafka is away, the step waits. A message whose fold fails is quarantined, see
`streams.stages.quarantine`. Anything else that fails (state that can't be read, one failing message after another)
*stalls* its partition: ``/readyz``, ``marginwatch_stalled`` and the log report it, and the runner loads the state again
and retries, while the other partitions go on. A partition whose input topics have lost messages is stalled until
somebody decides (`streams.stages.input_check`). Only a zombie, or a Redis that was emptied or set back, ends the
worker.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import structlog
from faust.types import TP
from msgspec import MsgspecError
from redis.asyncio import Redis

from processors.errors import StateError
from streams import metrics
from streams.errors import FencedError, InputLostError, RevokedError
from streams.health import Health
from streams.kafka.transport import Poll
from streams.records import is_barrier, mark_of
from streams.script_queue import ScriptQueue
from streams.settings import Settings
from streams.stages.input_check import InputCheck
from streams.stages.market_stage import MarketStage
from streams.stages.output_log import OutputLog
from streams.stages.owned_partition import OwnedPartition, report_discarded
from streams.stages.quarantine import FoldError, Quarantine, fold, halves
from streams.stages.retries import Pauses, Publish, Retries, StillOurs
from streams.stages.stage import Stage, StageState
from streams.tables import Encoded, Output, TablePartition, encoded, numbered
from streams.topics import Topics

log = structlog.get_logger()
_T = TypeVar("_T")
_FIRST_STALL_S, _LONGEST_STALL_S = 1.0, 30.0
#: Polls of so many bytes are folded in a thread: their fold takes some tens of milliseconds.
_LARGE_BYTES = 128 * 1024

Done = Callable[[], Awaitable[Any]]


async def _later() -> None:
    """Acknowledge nothing: a part of a poll is stored, the poll is not."""


@dataclass(frozen=True, slots=True)
class _Step:
    """A folded poll: what is to be stored and published."""

    stage: Stage
    poll: Poll
    records: Sequence[Any]
    encoded: Encoded
    mark: str  # of the last record
    started: float  # perf_counter


class PartitionRunner:
    """All partitions that this worker owns.

    Parameters
    ----------
    publish : sends outputs and awaits their acknowledgements.
    inputs : compares stored offsets with the topics.
    output_log : finds the sequences that the output topics contain.
    on_claimed : called with the table of every partition that this worker has claimed, before it publishes.
    open_outputs : makes ready to publish what such a partition computes.
    on_outputs : called with what the market stage has published (latest values).
    on_finished : called with every finished step, so that a failed one can end the worker.
    """

    def __init__(
        self,
        *,
        stages: Iterable[Stage],
        topics: Topics,
        redis: Redis,
        settings: Settings,
        publish: Publish,
        inputs: InputCheck,
        output_log: OutputLog,
        health: Health,
        on_claimed: Callable[[TablePartition], None],
        open_outputs: Callable[[TablePartition], Awaitable[None]],
        on_outputs: Callable[[Sequence[Output]], None],
        on_finished: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self._stages = {topic: stage for stage in stages for topic in stage.inputs}
        self._topics = topics
        self._redis = redis
        self._scripts = ScriptQueue(redis)
        self.pauses = Pauses()
        self._retries = Retries(redis, topics, health, self.pauses)
        self._namespace = settings.namespace
        self._publish = publish
        self._inputs = inputs
        self._output_log = output_log
        self._on_claimed = on_claimed
        self._open_outputs = open_outputs
        self._health = health
        self._quarantine = Quarantine(settings, redis)
        self._on_outputs = on_outputs
        self._on_finished = on_finished
        self._folder = ThreadPoolExecutor(1, "fold")
        self.owned: dict[tuple[str, int], OwnedPartition] = {}
        self.last_step = time.monotonic()

    # -- ownership -------------------------------------------------------------------------------------------

    async def claim(self, assigned: set[TP], still_ours: StillOurs) -> None:
        """Load every assigned partition from Redis and publish again what its last step left unacknowledged."""
        for owned in self.owned.values():
            if owned.finishing is not None:
                owned.finishing.cancel()  # the next owner of the partition goes on from what Redis contains
        wanted = {(self._stage(tp).name, tp.partition): self._stage(tp) for tp in assigned}
        for name, partition in self.owned.keys() - wanted.keys():
            if self._health.clear(f"{name}:{partition}"):  # its new owner reports the problem
                metrics.STALLED.labels(name, str(partition)).set(0)
        self.owned.clear()
        started = time.monotonic()
        for (name, partition), stage in sorted(wanted.items(), key=lambda item: item[0]):
            if not still_ours():
                raise RevokedError  # a claim would end the worker that owns the partition by now
            try:
                await self._open(stage, partition, still_ours)
            except RevokedError:
                raise
            except Exception as error:  # noqa: BLE001 - any error stalls this partition only, and is reported
                table = TablePartition(self._redis, self._namespace, name, partition, self._scripts)
                self.owned[name, partition] = OwnedPartition(table, None)
                self._stalled(name, partition, error, first=True)
        for stage in {*self._stages.values()}:
            metrics.OWNED.labels(stage.name).set(sum(name == stage.name for name, _ in self.owned))
        names, seconds = [f"{name}:{p}" for name, p in sorted(self.owned)], round(time.monotonic() - started, 3)
        log.info("partitions claimed", count=len(names), seconds=seconds, partitions=names)

    async def _open(self, stage: Stage, partition: int, still_ours: StillOurs) -> OwnedPartition:
        table = TablePartition(self._redis, self._namespace, stage.name, partition, self._scripts)
        state = stage.open(partition)
        loaded = await self._retries.persist(lambda: table.claim(state.schema), still_ours)
        report_discarded(loaded, stage.name, partition, state.schema)
        self._on_claimed(table)
        try:
            state.load_rows(loaded.rows)
        except (StateError, MsgspecError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"the rows of {stage.name}:{partition} in Redis can't be read ({type(error).__name__}: {error}); "
                f"`marginwatch rebuild --table {stage.name}` replays them"
            ) from error
        numbering = await self._retries.ask(
            lambda: self._output_log.numbering(loaded.sequence, stage.output_names), still_ours
        )
        # An outbox that was published long ago would hide the highest sequence from the next claim.
        if not (numbering.ahead and stage.compacted):
            await self._retries.publish(self._publish, loaded.outbox, still_ours)
        self._show_outputs(stage, loaded.outbox)  # the newest values in Redis may be older
        await self._check_inputs(stage, partition, loaded.offsets, loaded.marks, still_ours)
        await self._retries.ask(lambda: self._open_outputs(table), still_ours)
        owned = self.owned[stage.name, partition] = OwnedPartition(table, state)
        owned.marks, owned.sequence = loaded.marks, numbering.after
        return owned

    async def _check_inputs(
        self,
        stage: Stage,
        partition: int,
        offsets: Mapping[str, int],
        marks: Mapping[str, str],
        still_ours: StillOurs,
    ) -> None:
        """Raise `InputLostError` if the topics have lost what a state contains or needs next."""
        positions = {(topic, partition): (offset, marks.get(topic, "")) for topic, offset in offsets.items()}
        lost = await self._retries.ask(lambda: self._inputs.find_lost(positions), still_ours) if positions else {}
        if lost:
            raise InputLostError(
                f"{'; '.join(lost.values())}. The partition computes nothing more. If they can't be restored, run "
                f"`marginwatch rebuild --reset --table {stage.name}`, which computes the state from what the topics "
                "now contain, and feed the lost days again with --no-ledger: the ledger counts them as published"
            )

    async def _check_gap(self, poll: Poll, expected: int, still_ours: StillOurs) -> None:
        """Raise `FencedError` if a poll begins behind messages that the topic contains and the state does not."""
        first = await self._retries.ask(
            lambda: self._inputs.first_offset(poll.topic, poll.partition, expected), still_ours
        )
        if first < poll.records[0].offset:
            raise FencedError(
                f"{poll.topic}[{poll.partition}] was read from offset {poll.records[0].offset}, but {first} is next: "
                "the messages between them are not in the state"
            )

    async def check_inputs(self, still_ours: StillOurs) -> None:
        """Stall partitions whose topics have lost messages; raises `RevokedError` if they were revoked meanwhile."""
        for (name, partition), owned in list(self.owned.items()):
            if owned.state is None:
                continue
            stage = next(stage for stage in self._stages.values() if stage.name == name)
            try:
                await self._check_inputs(stage, partition, owned.read, owned.marks, still_ours)
            except InputLostError as error:
                if not still_ours():
                    raise RevokedError from error  # its new owner reports it
                owned.state = None
                self._stalled(name, partition, error, first=True)

    def reached(self, tp: TP) -> int:
        """Return how far a topic has come in the partition that reads it (`StageState.reached`); 0 if not known."""
        owned = self.owned.get((self._stage(tp).name, tp.partition))
        return owned.state.reached.get(self._topics.short(tp.topic), 0) if owned and owned.state else 0

    def start_offset(self, topic: str, partition: int) -> int | None:
        """Where to read a partition from: the offset stored with its state; None for the beginning of the topic."""
        owned = self.owned.get((self._stages[self._topics.short(topic)].name, partition))
        return owned.table.offsets.get(topic) if owned is not None else None

    def _stage(self, tp: TP) -> Stage:
        return self._stages[self._topics.short(tp.topic)]

    # -- a step ----------------------------------------------------------------------------------------------

    async def step(self, poll: Poll, still_ours: StillOurs, done: Done) -> None:
        """Fold one poll and begin to store it; retry as long as it fails.

        Parameters
        ----------
        done : awaited as soon as the poll is stored, or given up.

        Raises
        ------
        RevokedError : if the partition was revoked meanwhile; nothing was lost.
        FencedError : if another worker owns it (this one is a zombie); nothing was published.
        """
        stage = self._stages[self._topics.short(poll.topic)]

        async def attempt(part: Poll) -> list[Poll]:
            try:
                return await self._step(stage, part, still_ours, done if part.offset == poll.offset else _later)
            except (RevokedError, FencedError):
                raise
            except Exception:
                owned = self.owned.get((stage.name, poll.partition))
                if owned is not None:
                    owned.state = None  # half a fold may be in it
                raise

        size = stage.messages_at_once or len(poll)
        parts = [Poll(poll.records[start : start + size]) for start in range(0, len(poll), size)]
        while parts:
            part = parts.pop(0)
            parts = await self._retry(stage, part, partial(attempt, part), still_ours) + parts

    async def _retry(self, stage: Stage, poll: Poll, attempt: Callable[[], Awaitable[_T]], still_ours: StillOurs) -> _T:
        """Try until it succeeds; meanwhile the poll's partition is stalled, and reported as such."""
        wait, first = _FIRST_STALL_S, True
        while True:
            try:
                result = await attempt()
            except (RevokedError, FencedError):
                raise
            except Exception as error:
                self._stalled(stage.name, poll.partition, error, first=first, poll=poll)
                if not await self.pauses.wait(wait, still_ours):
                    raise RevokedError from error
                wait, first = min(wait * 2, _LONGEST_STALL_S), False
            else:
                break
        self.last_step = time.monotonic()
        if self._health.clear(f"{stage.name}:{poll.partition}"):
            metrics.STALLED.labels(stage.name, str(poll.partition)).set(0)
            log.info("the partition goes on", stage=stage.name, partition=poll.partition)
        return result

    def _stalled(self, stage: str, partition: int, error: Exception, *, first: bool, poll: Poll | None = None) -> None:
        self._health.raise_(f"{stage}:{partition}", f"stalled: {type(error).__name__}: {error}")
        metrics.STALLED.labels(stage, str(partition)).set(1)
        where = {} if poll is None else {"topic": poll.topic, "offsets": f"{poll.records[0].offset}-{poll.offset}"}
        report = log.critical if first else log.error
        report("a partition is stalled", stage=stage, partition=partition, **where, exc_info=error if first else None)

    async def _step(self, stage: Stage, poll: Poll, still_ours: StillOurs, done: Done) -> list[Poll]:
        """Fold a poll and begin to store it; return what is left of it: its parts, if its fold failed."""
        short = self._topics.short(poll.topic)
        owned = self.owned.get((stage.name, poll.partition))
        if owned is None:
            raise RevokedError
        if as_stored := owned.state is None:
            with contextlib.suppress(RevokedError):
                await owned.finished()
            stored = owned.table.offsets
            owned = await self._open(stage, poll.partition, still_ours)
            if any(owned.table.offsets.get(topic, 0) < offset for topic, offset in stored.items()):
                raise FencedError(
                    f"{stage.name}:{poll.partition} is not as this worker left it: Redis was emptied or set back, and "
                    "the messages before this poll are not in the state"
                )
        state = owned.state
        if state is None:
            raise RevokedError
        started = time.perf_counter()
        records = owned.unread(poll)
        if not records:
            await done()
            return []
        if records[0].offset > (expected := owned.read.get(poll.topic, 0)):
            await self._check_gap(poll, expected, still_ours)
        if not all(is_barrier(record) for record in records):
            owned.mark_active(short)
        try:
            found = await self._fold(stage, owned, state, Poll(records), still_ours)
        except FoldError as error:
            owned.state = None
            if not as_stored:
                return [Poll(records)]  # once more, on the state as it is stored
            if len(records) > 1:
                return [Poll(half) for half in halves(records)]
            found = encoded({}, await self._quarantine.set_aside(stage, records[0], error))
        else:
            self._quarantine.succeeded(records)
        owned.sequence = found.sequence or owned.sequence
        step = _Step(stage, poll, records, found, mark_of(records[-1]), started)
        owned.read[poll.topic], owned.marks[poll.topic] = poll.offset + 1, step.mark
        await owned.finished()
        owned.finishing = asyncio.create_task(self._finish(step, owned.table, still_ours, done))
        owned.finishing.add_done_callback(self._on_finished)
        return []

    async def _fold(
        self, stage: Stage, owned: OwnedPartition, state: StageState, poll: Poll, still_ours: StillOurs
    ) -> Encoded:
        """Fold a poll; a large one, and one of a stage that takes long, in a thread, while other partitions go on."""
        topic, sequence = self._topics.short(poll.topic), owned.sequence

        def folded() -> Encoded:
            outputs, rows = fold(state, topic, poll.records)
            return encoded(rows, numbered(outputs, sequence, stage.output_names))

        if not stage.messages_at_once and poll.size < _LARGE_BYTES:
            return folded()
        # A stage that takes long does not delay large polls.
        thread = None if stage.messages_at_once else self._folder
        with owned.folded_in_a_thread():
            found = await asyncio.get_running_loop().run_in_executor(thread, folded)
        if not still_ours():
            owned.state = None  # it has what is not stored
            raise RevokedError
        return found

    async def _finish(self, step: _Step, table: TablePartition, still_ours: StillOurs, done: Done) -> None:
        try:
            await self._store(step, table, still_ours)
        finally:
            await done()  # also when given up: the next owner reads it again
        metrics.MESSAGES.labels(self._topics.short(step.poll.topic)).inc(len(step.records))
        metrics.BATCH.labels(step.stage.name).observe(time.perf_counter() - step.started)
        if step.encoded.outputs:
            await self._retries.publish(self._publish, step.encoded.outputs, still_ours)
            self._show_outputs(step.stage, step.encoded.outputs)
            metrics.AGE.labels(step.stage.name).observe(max(0.0, time.time() - step.records[-1].timestamp / 1000))

    def _show_outputs(self, stage: Stage, outputs: Sequence[Output]) -> None:
        if outputs and stage.name == MarketStage.name:
            self._on_outputs(outputs)

    async def _store(self, step: _Step, table: TablePartition, still_ours: StillOurs) -> None:
        """Store a step, however often it fails: it is data by now, and storing it twice does no harm."""
        offsets, marks = {step.poll.topic: step.poll.offset + 1}, {step.poll.topic: step.mark}

        async def attempt() -> None:
            await self._retries.persist(lambda: table.commit(step.encoded, offsets, marks), still_ours)

        await self._retry(step.stage, step.poll, attempt, still_ours)

    async def settle(self) -> None:
        """Wait until every step of this worker is stored and published (before it lets its partitions go)."""
        for owned in self.owned.values():
            with contextlib.suppress(RevokedError, FencedError):
                await owned.finished()
