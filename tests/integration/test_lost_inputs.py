"""Topics that have lost messages, or are other topics than before: workers stand still, and a reset computes anew."""

from __future__ import annotations

import asyncio
from contextlib import closing
from datetime import date

import pytest
from kafka import TopicPartition

from feeds import simulate
from processors.days import to_day
from streams.calendars import xshg
from streams.clients import async_redis_client, kafka_admin, kafka_reader
from streams.stages.input_check import InputCheck
from streams.tables import TablePartition, encoded
from streams.topics import Topic, Topics
from tests.chaos.faults import run_marginwatch
from tests.harness import Stack, wait_until
from tests.integration.test_faults import problems


def feed(stack: Stack, days: slice) -> None:
    """Publish some days of a market of 40 days and wait until they are published."""
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=40, stocks=30, funds=4))
    with stack.publisher() as publisher:
        for _, batches in list(market.history())[days]:
            publisher.day(batches)
        publisher.flush()


def settle(stack: Stack) -> str:
    with stack.publisher() as publisher:
        return stack.settle(publisher)


def create_again(stack: Stack) -> None:
    """Delete the input topics and create them: what a lost volume or an operator leaves.

    The embedded broker creates a topic that a client asks about: a worker that runs can be faster than this.
    """
    names = [stack.publisher_topic(topic) for topic in (Topic.MARGIN_DAILY, Topic.PRICES_DAILY, Topic.MARGIN_MARKET)]
    with closing(kafka_admin(stack.settings)) as admin:

        def ids() -> dict[str, object]:
            return {topic["name"]: topic["topic_id"] for topic in admin.describe_topics() if topic["name"] in names}

        def other_topics() -> bool:
            Topics(stack.settings).create()
            found = ids()
            return len(found) == len(names) and not found.items() & before.items()

        before = ids()
        admin.delete_topics(names)
        wait_until(other_topics, what="other topics of the same names")


@pytest.mark.parametrize(
    ("broker", "fed_again"),
    [("embedded", 5), pytest.param("kafka", 25, marks=pytest.mark.kafka)],
    indirect=["broker"],
)
def test_a_worker_that_finds_other_topics_stands_still_until_a_reset(stack: Stack, fed_again: int) -> None:
    """Fewer messages than the state has read, and more."""
    first = stack.worker().ready()
    feed(stack, slice(0, 20))
    before = settle(stack)
    published = stack.count(Topic.SIGNALS_MARKET, before)
    assert first.terminate() == 0
    create_again(stack)
    feed(stack, slice(10, 10 + fed_again))

    worker = stack.worker()
    stalled = {f"securities:{p}" for p in range(stack.settings.partitions)} | {"market:0"}
    wait_until(lambda: stalled <= set(problems(worker)), what="a red readyz")
    reason = str(problems(worker)["market:0"]["reason"])
    assert "rebuild --reset --table market" in reason
    assert stack.publisher_topic(Topic.MARGIN_MARKET) in reason
    with pytest.raises(AssertionError, match=rf"would lose their tables.*process {worker.process.pid}"):
        run_marginwatch(stack, "rebuild", "--reset")
    assert worker.terminate() == 0

    run_marginwatch(stack, "rebuild", "--reset")
    stack.worker().ready()
    feed(stack, slice(10 + fed_again, 40))
    after = settle(stack)
    days = stack.market(after).index
    assert len(days) == 40
    assert stack.count(Topic.SIGNALS_MARKET, after) > published
    run_marginwatch(stack, "rebuild", "--check")


@pytest.mark.parametrize("broker", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
def test_what_retention_has_deleted_before_it_was_read_is_fed_again_after_a_reset(stack: Stack) -> None:
    worker = stack.worker().ready()
    feed(stack, slice(0, 10))
    settle(stack)
    assert worker.terminate() == 0
    feed(stack, slice(10, 20))
    name = stack.publisher_topic(Topic.MARGIN_DAILY)
    partitions = [TopicPartition(name, p) for p in range(stack.settings.partitions)]
    with closing(kafka_reader(stack.settings)) as reader, closing(kafka_admin(stack.settings)) as admin:
        admin.delete_records({tp: end - 2 for tp, end in reader.end_offsets(partitions).items()})

    worker = stack.worker()
    stalled = {f"securities:{tp.partition}" for tp in partitions}
    wait_until(lambda: stalled <= set(problems(worker)), what="a red readyz")
    assert "deleted before being read" in str(problems(worker)["securities:0"]["reason"])
    assert worker.terminate() == 0
    with pytest.raises(AssertionError, match="retention has deleted"):
        run_marginwatch(stack, "rebuild", "--table", "market", "--table", "securities", "--check")
    run_marginwatch(stack, "rebuild", "--reset", "--table", "securities")
    worker = stack.worker().ready()
    feed(stack, slice(0, 40))
    days = stack.market(settle(stack))
    assert problems(worker) == {}
    assert len(days) == 40
    assert days["fin_balance"].notna().all()


def test_a_running_worker_notices_other_topics(stack: Stack) -> None:
    worker = stack.worker().ready()
    feed(stack, slice(0, 20))
    settle(stack)
    create_again(stack)
    wait_until(lambda: "rebuild --reset" in str(problems(worker).get("market:0")), what="a red readyz that says why")


@pytest.mark.parametrize("broker", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
def test_a_partition_whose_next_offset_kafka_lacks_goes_on_once_kafka_has_it(stack: Stack) -> None:
    """As behind a leader that was elected without the last messages, and gets them back."""
    name = stack.publisher_topic(Topic.MARGIN_MARKET)

    async def read_further() -> None:
        async with async_redis_client(stack.settings) as redis:
            table = TablePartition(redis, stack.settings.namespace, "market", 0)
            schema = await redis.get(f"{stack.settings.namespace}:{{market:0}}:schema")
            loaded = await table.claim(schema.decode())
            await table.commit(encoded({}, []), {name: loaded.offsets[name] + 2}, {})

    worker = stack.worker().ready()
    feed(stack, slice(0, 5))
    settle(stack)
    assert worker.terminate() == 0
    asyncio.run(read_further())
    worker = stack.worker()
    wait_until(lambda: f"{name}[0] ends at" in str(problems(worker).get("market:0")), what="a red readyz that says why")
    feed(stack, slice(5, 10))
    worker.ready()
    settle(stack)


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_the_first_message_behind_an_offset(stack: Stack) -> None:
    feed(stack, slice(0, 2))
    name = stack.publisher_topic(Topic.MARGIN_MARKET)

    async def ask() -> list[int]:
        check = InputCheck(stack.settings, ())
        try:
            return [await check.first_offset(name, 0, offset) for offset in (0, 2)]
        finally:
            await check.close()

    assert asyncio.run(ask()) == [0, 2]
