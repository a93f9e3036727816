"""Replaying topics into fresh tables: to prove that Redis contains what follows from the topics, or to replace it.

Every row of a table is a pure function of the messages before the offsets that are stored with it. So a replay up to
exactly these offsets must give the same rows, byte for byte; it can be compared while workers run. An alert's time of
raising and the offsets it quotes are the only things that a replay can't know, and are left out of the comparison.

A table that is replaced is claimed first: a worker that still owns it is refused from then on, and ends. So tables are
replaced only while no worker is connected to Redis, unless the caller forces it. A table of which Redis
contains nothing (it was emptied) is replayed up to the end of its topics, and its outputs are published again: all ids
are the same, so subscribers ignore what they have.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from redis.asyncio import Redis

from alerts.lifecycle import timeless
from streams.calendars import xshg
from streams.clients import async_kafka_reader, async_redis_client, started, unreachable
from streams.errors import FencedError, RebuildError, RunningWorkersError
from streams.latest import LatestWriter
from streams.publisher import Publisher
from streams.readers import PATIENCE_S, Ends
from streams.records import mark_of
from streams.running_workers import running_workers
from streams.settings import Settings
from streams.stages.market_stage import MarketStage
from streams.stages.output_log import OutputLog
from streams.stages.quarantine import FoldError, Quarantine, fold, halves, place_of
from streams.stages.registry import STAGES
from streams.stages.stage import Stage, StageState
from streams.tables import Loaded, Output, TablePartition, encoded, last_sequence, numbered, peek
from streams.topics import Topics

if TYPE_CHECKING:
    from streams.clients import AsyncReader

_POLL_MS = 250


@dataclass(slots=True)
class StateComparison:
    """How a replay differs from one partition of a table; rows by name."""

    table: str
    partition: int
    messages: int = 0
    rows: int = 0
    different: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)  # in the replay, not in Redis
    surplus: list[str] = field(default_factory=list)  # in Redis, not in the replay
    replaced: bool = False

    @property
    def equal(self) -> bool:
        """Whether Redis contains exactly what the replay gives."""
        return not (self.different or self.missing or self.surplus)


@dataclass(slots=True)
class _Replay:
    state: StageState
    rows: dict[str, bytes]
    offsets: dict[str, int]
    marks: dict[str, str] = field(default_factory=dict)
    messages: int = 0


def rebuild(
    settings: Settings,
    tables: Iterable[str] = (),
    *,
    check: bool = False,
    reset: bool = False,
    force: bool = False,
    on_progress: Callable[[str, int, int], None] = lambda _table, _done, _total: None,
) -> list[StateComparison]:
    """Replay tables (all, in the order of the stages, if none is named) and compare; replace them unless ``check``.

    Parameters
    ----------
    reset : delete the tables first and replay all that their topics contain now, which is less or more than what they
        were computed from; the outputs are published again.
    force : replace tables whether or not workers run; one that owns a replaced table ends.
    on_progress : called with the table's partition, the messages replayed and their number.

    Raises
    ------
    RunningWorkersError : if workers run although tables may be replaced, or Redis does not show whether any do.
    TopicError : if no broker answers, or a topic is missing.
    RebuildError : if a topic has lost its beginning and the tables are not reset, no broker answers any more, or a
        worker claims a table while it is replaced.
    """
    wanted = set(tables)
    unknown = sorted(wanted - {stage.name for stage in STAGES})
    if unknown:
        raise RebuildError(f"no table {', '.join(unknown)}: choose from {', '.join(s.name for s in STAGES)}")
    wanted = wanted or {stage.name for stage in STAGES}
    try:
        return asyncio.run(_rebuild(settings, wanted, on_progress, check=check, reset=reset, force=force))
    except KafkaError as error:
        raise RebuildError(unreachable(settings, error)) from error


async def _rebuild(
    settings: Settings,
    wanted: set[str],
    on_progress: Callable[[str, int, int], None],
    *,
    check: bool,
    reset: bool,
    force: bool,
) -> list[StateComparison]:
    topics, calendar = Topics(settings), xshg(settings.calendar_file)
    out: list[StateComparison] = []
    async with async_redis_client(settings, timeout_s=30) as redis:
        for make in STAGES:
            if make.name in wanted:
                stage = make(settings, topics, calendar)
                for partition in range(topics.partitions(stage.inputs[0])):
                    if not check and not force:  # each time: a worker may have started meanwhile
                        await _require_no_workers(settings, redis)
                    if not out:
                        await topics.require()
                    out.append(
                        await _partition(settings, stage, partition, redis, on_progress, check=check, reset=reset)
                    )
    return out


async def _require_no_workers(settings: Settings, redis: Redis) -> None:
    """Raise `RunningWorkersError` if workers run, or nothing shows whether they do."""
    try:
        running = await running_workers(settings, redis)
    except RunningWorkersError as error:
        raise RunningWorkersError(
            f"{error}. --check compares tables beside workers; if no worker runs, --force replaces them"
        ) from error
    if running:
        raise RunningWorkersError(
            f"workers of the namespace {settings.namespace} run, and would lose their tables: {', '.join(running)}. "
            "Stop them, or compare with --check; --force replaces tables beside them (one on a machine that is gone is "
            "listed for minutes), and every worker that owns one ends"
        )


async def _partition(
    settings: Settings,
    stage: Stage,
    partition: int,
    redis: Redis,
    on_progress: Callable[[str, int, int], None],
    *,
    check: bool,
    reset: bool,
) -> StateComparison:
    table = TablePartition(redis, settings.namespace, stage.name, partition)
    schema = stage.open(partition).schema
    stored = await peek(redis, settings.namespace, stage.name, partition) if check else await table.claim(schema)
    if check and stored.offsets and stored.schema != schema:
        raise RebuildError(
            f"{stage.name}:{partition} is stored by another release (schema {stored.schema or 'none'}, this release "
            f"reads {schema}): a worker of this release rebuilds it when it starts. Start one, and compare afterwards"
        )
    if reset and not check:
        await table.discard()
        stored = Loaded({}, {}, [], sequence=stored.sequence)
    latest = LatestWriter(redis, settings.namespace) if not check and stage.name == MarketStage.name else None
    if latest is not None:
        latest.claimed(table)
    # Outputs of what was stored have been published, or wait in the outbox; those of an emptied table may be missing.
    publishes = not check and not stored.offsets
    with Publisher(settings, source="rebuild") if publishes else nullcontext() as publisher:
        sequence = await _sequence_after(settings, stage, stored.sequence) if publishes else stored.sequence

        def publish(outputs: list[Output]) -> None:
            nonlocal sequence
            if publisher is not None:
                outputs = numbered(outputs, sequence, stage.output_names)
                sequence = last_sequence(outputs, sequence)
            if latest is not None:
                latest.offer(outputs)
            if publisher is not None:
                for o in outputs:
                    short = stage.topics.short(o.topic)
                    publisher.raw(short, o.value, key=o.key, partition=o.partition, headers=o.headers)

        name = f"{stage.name}:{partition}"
        replay = await _replay(
            settings,
            stage,
            partition,
            stored.offsets,
            publish,
            lambda done, total: on_progress(name, done, total),
            Quarantine(settings, redis),
            whole=not reset,
        )
    found = compare(stage.name, partition, stored.rows, replay.rows)
    found.messages = replay.messages
    if not stored.whole:
        found.different.append("digest of the state: a key was deleted, evicted or changed")
    if not check and (not found.equal or not stored.offsets):
        await _replace(table, stored, replay, sequence)
        found.replaced = True
    if latest is not None:
        await latest.flush()
    return found


async def _sequence_after(settings: Settings, stage: Stage, stored: int) -> int:
    log = OutputLog(settings)
    try:
        return (await log.numbering(stored, stage.output_names)).after
    finally:
        await log.close()


async def _replace(table: TablePartition, stored: Loaded, replay: _Replay, sequence: int) -> None:
    gone: dict[str, bytes | None] = {name: None for name in stored.rows if name not in replay.rows}
    try:
        await table.commit(encoded(gone | replay.rows, stored.outbox, sequence), replay.offsets, replay.marks)
    except FencedError as error:
        raise RebuildError(
            f"a worker has claimed {table.table}:{table.partition} while it was replayed; nothing was replaced. "
            "Stop the workers, rebuild, start them again"
        ) from error


def compare(table: str, partition: int, stored: Mapping[str, bytes], replayed: Mapping[str, bytes]) -> StateComparison:
    """Compare rows byte for byte, except for the times of raising."""
    return StateComparison(
        table,
        partition,
        rows=len(replayed),
        different=sorted(
            name
            for name in stored.keys() & replayed.keys()
            if stored[name] != replayed[name] and timeless(name, stored[name]) != timeless(name, replayed[name])
        ),
        missing=sorted(replayed.keys() - stored.keys()),
        surplus=sorted(stored.keys() - replayed.keys()),
    )


async def _replay(
    settings: Settings,
    stage: Stage,
    partition: int,
    offsets: Mapping[str, int],
    publish: Callable[[list[Output]], None],
    on_progress: Callable[[int, int], None],
    quarantine: Quarantine,
    *,
    whole: bool,
) -> _Replay:
    """Fold every message before ``offsets`` (where there are none: all there are) into an empty state.

    Parameters
    ----------
    whole : refuse topics whose beginning retention has deleted.
    """
    out = _Replay(stage.open(partition), {}, dict(offsets))
    async with AsyncExitStack() as clients:
        reader = async_kafka_reader(settings, purpose="rebuild", out_of_range="none")
        consumer = await clients.enter_async_context(started(reader))
        partitions = [TopicPartition(stage.topics.name(topic), partition) for topic in stage.inputs]
        starts = await consumer.beginning_offsets(partitions)
        listed = await consumer.end_offsets(partitions)
        # A stored table is replayed up to its offsets, an emptied one up to the ends of its topics.
        targets = {tp: offsets.get(tp.topic, 0) for tp in partitions} if offsets else {}
        wanted = [tp for tp in partitions if not offsets or targets[tp] > 0]
        if whole:
            _check_beginnings(stage, starts, wanted)
        consumer.assign(wanted)
        for tp in wanted:
            consumer.seek(tp, starts[tp])
        replay = _Positions(consumer, Ends(listed), targets, set(wanted))
        while replay.left:
            for tp, records in (await replay.poll()).items():
                publish(await _fold(stage, partition, tp, records, out, quarantine))
            on_progress(out.messages, max(out.messages, sum(replay.end(tp) - starts[tp] for tp in wanted)))
    return out


async def _fold(
    stage: Stage, partition: int, tp: Any, records: Sequence[Any], out: _Replay, quarantine: Quarantine
) -> list[Output]:
    """Fold records of one partition, keep the rows that they change, and return the outputs.

    A message whose fold fails is quarantined as a worker would do; raises `RebuildError` where a worker would stall.
    """
    try:
        outputs, changed = fold(out.state, stage.topics.short(tp.topic), records)
    except FoldError as error:
        out.state, changed = stage.open(partition), {}
        out.state.load_rows(dict(out.rows))
        if len(records) > 1:
            return [o for half in halves(records) for o in await _fold(stage, partition, tp, half, out, quarantine)]
        try:
            outputs = await quarantine.set_aside(stage, records[0], error)
        except Exception as cause:
            place = place_of(records[0])
            raise RebuildError(
                f"the message {place} can't be folded ({error}); after a look at it, `marginwatch dlq skip "
                f"{place.topic} {place.partition} {place.offset}` leaves it out"
            ) from cause
    else:
        quarantine.succeeded(records)
    for name, data in changed.items():
        if data is None:
            out.rows.pop(name, None)
        else:
            out.rows[name] = data
    out.messages += len(records)
    out.offsets[tp.topic] = max(out.offsets.get(tp.topic, 0), records[-1].offset + 1)
    out.marks[tp.topic] = mark_of(records[-1])
    return outputs


class _Positions:
    """How far the replay has read every partition, and which have not reached their target yet.

    Parameters
    ----------
    targets : the offset to stop before, by partition; where there is none, the partition's end.
    left : partitions that are still to be read.
    """

    def __init__(self, consumer: AsyncReader, ends: Ends, targets: Mapping[Any, int], left: set[Any]) -> None:
        self.left = left
        self._consumer = consumer
        self._ends = ends
        self._targets = targets
        self._waited_s = 0.0

    def end(self, tp: Any) -> int:
        """The offset to stop before, as far as it is known."""
        return self._targets.get(tp, self._ends.get(tp) or 0)

    async def poll(self) -> dict[Any, list[Any]]:
        """Return records before the targets; raises `RebuildError` if none come for `PATIENCE_S`, or they are gone."""
        began = time.monotonic()
        try:
            polled = await self._consumer.getmany(*self.left, timeout_ms=_POLL_MS)
        except OffsetOutOfRangeError as error:
            gone = min(error.args[0])
            where = f"{gone.topic}[{gone.partition}]"
            raise RebuildError(f"{where}: retention deletes what is being replayed: run the command again") from error
        inside = {}
        for tp in self.left:
            self._ends.learn(tp, self._consumer.highwater(tp))
            before = self._targets.get(tp, self._ends.get(tp))
            records = [one for one in polled.get(tp, ()) if before is None or one.offset < before]
            if records:
                inside[tp] = records
        done = {tp for tp in self.left if self._reached(tp, await self._consumer.position(tp))}
        for tp in done:
            self._consumer.pause(tp)
        self.left -= done
        self._waited_s = 0.0 if polled or done else self._waited_s + time.monotonic() - began
        if self._waited_s > PATIENCE_S:
            tp = min(self.left)
            raise RebuildError(
                f"the broker serves nothing of {tp.topic}[{tp.partition}] from offset "
                f"{await self._consumer.position(tp)}, but its messages up to {self.end(tp)} are wanted: check the "
                "broker"
            )
        return inside

    def _reached(self, tp: Any, position: int) -> bool:
        """Whether a partition needs no more reading; raises `RebuildError` if its target lies behind its end."""
        target, end = self._targets.get(tp), self._ends.get(tp)
        if target is None:
            return self._ends.reached(tp, position)
        if position < target and end is not None and end < target:
            raise RebuildError(
                f"{tp.topic}[{tp.partition}] ends at offset {end}, but the table contains messages up to {target}: is "
                "it the same cluster?"
            )
        return position >= target


def _check_beginnings(stage: Stage, starts: Mapping[Any, int], wanted: Iterable[Any]) -> None:
    for tp in wanted:
        if starts[tp] > 0 and not stage.topics.all[stage.topics.short(tp.topic)].compacted:
            raise RebuildError(
                f"{tp.topic}[{tp.partition}] begins at offset {starts[tp]}: retention has deleted what was before it, "
                "so a replay can't give the same state. Keep the tables, compute them from what is left (--reset), or "
                "feed the history again into fresh topics"
            )
