"""The order of what is published: no clock and no late worker makes an older message the newest."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from alerts.commands import Acknowledge, SetSilence
from alerts.model import Silence
from feeds import simulate
from processors.days import to_day
from processors.events import RowBatch
from streams import readers
from streams.calendars import xshg
from streams.local.local_kafka import ApacheKafka, Broker
from streams.readers import NewestByKey
from streams.records import sequence_header, sequence_of
from streams.stages.output_log import Numbering, OutputLog
from streams.system_status import latest_market
from streams.topics import Topic, Topics
from tests.altered_worker import STOP_FILE
from tests.chaos.faults import run_marginwatch
from tests.harness import Stack, Worker, wait_until

DAYS = list(
    simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=5, stocks=62, funds=4)).history()
)
KEYED = (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY, Topic.ALERTS)


def corrected(batch: RowBatch, factor: float, revision: int) -> RowBatch:
    figures = batch.figures | {"fin_balance": batch.figures["fin_balance"] * factor}
    revisions = batch.revisions + revision
    return RowBatch(batch.topic, batch.keys, batch.days, revisions, batch.stamps, figures)


@contextmanager
def paused_before(stack: Stack, topic: Topic, worker: Worker, file: Path) -> Iterator[Callable[[], None]]:
    """Let a worker stop itself before its next message to a topic; yields what waits for that."""
    file.write_text(Topics(stack.settings).name(topic))
    try:
        yield lambda: wait_until(lambda: not file.exists(), what="a worker that has stopped itself")
    finally:
        worker.process.send_signal(signal.SIGCONT)


def records(stack: Stack, topic: Topic) -> list[Any]:
    return list(readers.read(stack.settings, topic))


def late(stack: Stack, topic: Topic) -> int:
    """Count the messages that a compacting reader leaves out."""
    newest = NewestByKey()
    return sum(not newest.accepts(record) for record in records(stack, topic))


def out_of_order(stack: Stack, topic: Topic) -> list[bytes]:
    """Return the keys with a late message that was not there before, or whose last message is not the newest one.

    A step that the next owner publishes again repeats all of its messages, in their order.
    """
    newest, seen, last = NewestByKey(), set[tuple[bytes, int]](), dict[bytes, bool]()
    found = []
    for record in records(stack, topic):
        message = record.key, sequence_of(record)
        last[record.key] = newest.accepts(record)
        if not last[record.key] and message not in seen:
            found.append(record.key)
        seen.add(message)
    return found + [key for key, is_newest in last.items() if not is_newest]


def gave_up(log: str) -> bool:
    """Whether a paused worker has given its step up: it was refused as the owner, or was in the group again first.

    Which of both comes first is chance: a worker notices that its generation is over as soon as it sends a heartbeat.
    """
    return "is not as this worker left it" in log or "partitions claimed" in log


def test_a_worker_that_was_paused_between_storing_and_publishing_makes_nothing_older_the_newest(
    stack: Stack, broker: Broker, tmp_path: Path
) -> None:
    """It wakes behind the correction that its successor has published."""
    on_kafka = isinstance(broker, ApacheKafka)
    stack.alterations[STOP_FILE] = str(tmp_path / "pause")
    zombie = stack.worker().ready()
    stack.alterations.clear()
    with stack.publisher() as publisher:
        for _, batches in DAYS[:-1]:
            publisher.day(batches)
        stack.settle(publisher)
        last = DAYS[-1][1]
        with paused_before(stack, Topic.SIGNALS_MARKET, zombie, tmp_path / "pause") as wait_for_pause:
            publisher.day({topic: rows for topic, rows in last.items() if topic != "margin.market"})
            publisher.day({"margin.market": last["margin.market"]})
            publisher.flush()
            wait_for_pause()
            successor = stack.worker().ready()
            publisher.rows_of(corrected(last["margin.market"], 1.5, 1))
            stack.settle_latest(publisher)
            expected = latest_market(stack.settings, stack.redis)["fin_balance"]
            before = zombie.log.read_text()
        if on_kafka:
            wait_until(lambda: gave_up(zombie.log.read_text()[len(before) :]), what="a zombie that gives its step up")
        else:
            wait_until(lambda: late(stack, Topic.SIGNALS_MARKET) > 0, what="the late messages")
        successor.ready()
        stack.settle_latest(publisher)

    assert expected.trade_date == date(2024, 6, 28)
    assert expected.revision > 0
    (found,) = [
        s
        for s in readers.market_signals(stack.settings)
        if (s.name, s.trade_date) == ("fin_balance", expected.trade_date)
    ][-1:]
    assert found == expected
    assert latest_market(stack.settings, stack.redis)["fin_balance"] == expected
    if on_kafka:  # compaction keeps the last message of a key
        assert {topic: out_of_order(stack, topic) for topic in KEYED} == {topic: [] for topic in KEYED}


@pytest.mark.parametrize("emptied", [False, True])
def test_sequences_grow_behind_an_emptied_redis_and_one_that_is_set_back(stack: Stack, emptied: bool) -> None:
    first = stack.worker().ready()
    with stack.publisher() as publisher:
        for _, batches in DAYS[:2]:
            publisher.day(batches)
        stack.settle(publisher)
        keys = stack.redis.keys(f"{stack.settings.namespace}:*")
        before = {key: stack.redis.dump(key) for key in keys}
        publisher.day(DAYS[2][1])
        stack.settle(publisher)
        assert first.terminate() == 0
        highest = {topic: max(map(sequence_of, records(stack, topic))) for topic in KEYED[:3]}
        assert min(highest.values()) > 0
        known = {topic: {(sequence_of(r), r.value) for r in records(stack, topic)} for topic in KEYED[:3]}
        stack.redis.delete(*stack.redis.keys(f"{stack.settings.namespace}:*"))
        if not emptied:
            for key, value in before.items():
                stack.redis.restore(key, 0, value)
        stack.worker().ready()
        publisher.day(DAYS[3][1])
        stack.settle(publisher)
    for topic, before_it in known.items():
        new = {(sequence_of(r), r.value) for r in records(stack, topic)} - before_it
        assert new
        assert min(new)[0] > max(highest.values())


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_the_next_sequence_is_above_all_that_the_topics_contain(stack: Stack) -> None:
    topics = [Topics(stack.settings).name(topic) for topic in KEYED]

    async def go() -> tuple[list[Numbering], list[int], list[int]]:
        log = OutputLog(stack.settings)
        producer = AIOKafkaProducer(bootstrap_servers=stack.settings.bootstrap)
        await producer.start()
        found = [await log.numbering(0, topics), await log.numbering(9, topics)]
        for sequence in (500, 20, 21):  # two of them late
            await producer.send_and_wait(topics[0], b"{}", key=b"k", headers=[sequence_header(sequence)], partition=0)
        found += [await log.numbering(100, topics), await log.numbering(800, topics)]
        for _ in range(1000):  # of an earlier release
            await producer.send(topics[1], b"{}", key=b"k", partition=0)
        await producer.flush()
        found.append(await log.numbering(500, topics))
        for sequence in range(1001, 1041):  # more than are read at first
            await producer.send(topics[2], b"{}", key=b"k", headers=[sequence_header(sequence)], partition=0)
        await producer.flush()
        since = [sequence_of(record) for record in await log.since(20, topics)]
        newest = [sequence_of(record) for record in await log.since(1010, topics)]
        await producer.stop()
        await log.close()
        return found, since, newest

    (empty, stored, behind, ahead, counted), since, newest = asyncio.run(go())
    assert since == [21, 500, *range(1001, 1041)]
    assert newest == [*range(1011, 1041)]
    assert (empty, stored, ahead) == ((0, False), (9, False), (800, False))
    assert behind.after > 500
    assert behind.ahead
    assert counted == (1003, False)


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_what_people_have_said_outlives_an_emptied_redis(stack: Stack) -> None:
    first = stack.worker().ready()
    with stack.publisher() as publisher:
        for _, batches in DAYS:
            publisher.day(batches)
        barrier = stack.settle(publisher)
        alert = stack.alerts(barrier)[-1]
        now = datetime.now(UTC)
        said = Acknowledge(alert=alert.id, by="li", at=now, note="on it")
        silence = Silence(id="s", until=now + timedelta(hours=1), by="li", rule=alert.rule)
        for command in (said, SetSilence(silence=silence, at=now)):
            publisher.raw(Topic.ALERT_COMMANDS, msgspec.json.encode(command))
        publisher.flush()

        def acknowledged() -> bool:
            return any(a.acknowledged is not None for a in stack.alerts(stack.settle(publisher)))

        wait_until(acknowledged, what="the acknowledgement")
        assert first.terminate() == 0
        stack.redis.delete(*stack.redis.keys(f"{stack.settings.namespace}:*"))
        stack.worker().ready()
        (again,) = [a for a in stack.alerts(stack.settle(publisher)) if a.id == alert.id]
        assert again.acknowledged is not None
        assert (again.acknowledged.by, again.acknowledged.note) == ("li", "on it")
    assert all(table["equal"] for table in json.loads(run_marginwatch(stack, "rebuild", "--check", "--json")))
