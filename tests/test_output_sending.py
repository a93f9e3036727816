"""Publishing outputs: their order, their batches, and by whose producer; failures lose none of it silently."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError

from streams.calendars import xshg
from streams.errors import FencedError, RevokedError
from streams.settings import Settings
from streams.stages import output_publisher
from streams.stages.market_stage import MarketStage
from streams.stages.output_publisher import OutputPublisher
from streams.stages.output_sender import send
from streams.stages.registry import STAGES
from streams.stages.securities_stage import SecuritiesStage
from streams.tables import Output
from streams.topics import Topic, Topics

Sent = tuple[str, int, bytes | None]
SETTINGS = Settings(topic_prefix="t.")
TOPICS = Topics(SETTINGS)
MARKET, SECURITY, FEATURES = map(TOPICS.name, (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY, Topic.FEATURES))


class Batch:
    """A batch that has room for so many messages."""

    def __init__(self, room: int) -> None:
        self.outputs: list[bytes | None] = []
        self.closed = False
        self._room = room

    def append(self, *, timestamp: None, key: bytes, value: bytes, headers: Any) -> object | None:
        assert not self.closed
        if self.outputs and len(self.outputs) == self._room:
            return None
        self.outputs.append(value)
        return object()

    def close(self) -> None:
        self.closed = True


class Producer:
    """Notes what it sends, singly or as batches, and acknowledges it later; or fails for a value."""

    def __init__(self, room: int = 3, failing: dict[bytes, Exception] | None = None) -> None:
        self.sent: list[Sent] = []
        self.batches: list[int] = []
        self.acknowledged = 0
        self.started = self.stopped = False
        self.epoch: tuple[int, int] | None = None
        self._room = room
        self.failing = failing or {}

    async def start(self) -> None:
        self.started = True

    async def stop(self) -> None:
        self.stopped = True

    def create_batch(self) -> Batch:
        return Batch(self._room)

    async def send(self, topic: str, value: bytes, *, key: bytes, partition: int, headers: Any) -> Awaitable[None]:
        self.sent.append((topic, partition, value))
        return self._acknowledged([value])

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> Awaitable[None]:
        assert batch.closed
        self.sent += [(topic, partition, value) for value in batch.outputs]
        self.batches.append(len(batch.outputs))
        return self._acknowledged(batch.outputs)

    async def _acknowledged(self, values: Iterable[bytes | None]) -> None:
        await asyncio.sleep(0)
        self.acknowledged += 1
        for value in values:
            if value in self.failing:
                raise self.failing[value]  # type: ignore[index]


def outputs(topic: str, count: int, partition: int = 0) -> list[Output]:
    return [Output(topic, partition, b"k", b"%d" % n, []) for n in range(count)]


def sent(topic: str, count: int, partition: int = 0) -> list[Sent]:
    return [(topic, partition, b"%d" % n) for n in range(count)]


@pytest.mark.parametrize(("count", "batches"), [(0, []), (1, []), (4, []), (5, [3, 2]), (6, [3, 3]), (7, [3, 3, 1])])
def test_few_outputs_are_sent_singly_and_many_in_full_batches(count: int, batches: list[int]) -> None:
    producer = Producer()
    asyncio.run(send(producer, outputs("a", count)))  # type: ignore[arg-type]
    assert (producer.sent, producer.batches) == (sent("a", count), batches)
    assert producer.acknowledged == (len(batches) or count)


def test_outputs_keep_their_order_within_each_partition_of_each_topic() -> None:
    producer = Producer()
    mixed = [one for group in zip(outputs("a", 5), outputs("a", 5, 1), outputs("b", 5), strict=True) for one in group]
    asyncio.run(send(producer, mixed[:-1]))  # type: ignore[arg-type]
    for place in (("a", 0, 5), ("a", 1, 5), ("b", 0, 4)):
        assert [one for one in producer.sent if one[:2] == place[:2]] == sent(place[0], place[2], place[1])
    assert sorted(producer.batches) == [2, 2, 3, 3]  # four of "b" are few


@pytest.mark.parametrize("count", [3, 9])
def test_a_failure_is_raised_after_all_others_have_been_awaited(count: int) -> None:
    producer = Producer(failing={b"1": KafkaTimeoutError("late")})
    with pytest.raises(KafkaTimeoutError, match="late"):
        asyncio.run(send(producer, outputs("a", count)))  # type: ignore[arg-type]
    assert producer.acknowledged == 3


# -- the fence ---------------------------------------------------------------------------------------------------


class Table:
    """A claimed partition; ``lost`` once another worker has claimed it."""

    def __init__(self, table: str = MarketStage.name, partition: int = 0) -> None:
        self.table, self.partition = table, partition
        self.lost = False

    async def check_owner(self) -> None:
        if self.lost:
            raise FencedError("another worker owns it")


class World:
    """A publisher, the broker's epochs, and every producer that was made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, fences: bool = True) -> None:
        self.shared = Producer()
        self.made: list[Producer] = []
        self.identities: list[str] = []
        self.failing: dict[bytes, Exception] = {}

        async def next_epoch(producer: Producer, identity: str) -> tuple[int, int] | None:
            assert producer is self.shared
            self.identities.append(identity)
            return (7, len(self.identities)) if fences else None

        def make(settings: Settings, *, purpose: str, idempotent: bool, **sizes: int) -> Producer:
            assert idempotent and purpose == MarketStage.name
            self.made.append(Producer(failing=self.failing))
            return self.made[-1]

        monkeypatch.setattr(output_publisher, "next_epoch", next_epoch)
        monkeypatch.setattr(output_publisher, "use_epoch", lambda producer, epoch: setattr(producer, "epoch", epoch))
        monkeypatch.setattr(output_publisher, "async_kafka_producer", make)
        stages = [stage(SETTINGS, TOPICS, xshg()) for stage in STAGES]
        self.publisher = OutputPublisher(SETTINGS, stages, lambda: self.shared)  # type: ignore[arg-type, return-value]

    def claim(self, table: Table) -> None:
        self.publisher.claimed(table)  # type: ignore[arg-type]

    async def open(self, table: Table) -> None:
        await self.publisher.open(table)  # type: ignore[arg-type]


def run(steps: Callable[[], Awaitable[None]]) -> None:
    async def go() -> None:
        async with asyncio.timeout(10):
            await steps()

    asyncio.run(go())


def test_topics_that_are_not_compacted_are_written_by_the_shared_producer_without_a_claim(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)

    async def steps() -> None:
        world.claim(Table(SecuritiesStage.name))
        await world.open(Table(SecuritiesStage.name))
        await world.publisher.publish([*outputs(FEATURES, 2), *outputs("t.prices.daily.v1.dlq", 1)])

    run(steps)
    assert world.shared.sent == [*sent(FEATURES, 2), *sent("t.prices.daily.v1.dlq", 1)]
    assert world.made == [] and world.identities == []


def test_compacted_topics_are_written_by_a_producer_with_the_next_epoch_of_their_stage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch)

    async def steps() -> None:
        world.claim(Table())
        await world.open(Table())
        await world.publisher.publish([*outputs(MARKET, 2), *outputs(FEATURES, 1), *outputs(SECURITY, 1)])
        await world.publisher.publish(outputs(MARKET, 1))
        await world.publisher.close()

    run(steps)
    (producer,) = world.made
    assert producer.sent == [*sent(MARKET, 2), *sent(SECURITY, 1), *sent(MARKET, 1)]
    assert world.shared.sent == sent(FEATURES, 1)
    assert world.identities == [f"{SETTINGS.group}-{MarketStage.name}-0"]
    assert producer.epoch == (7, 1) and producer.started and producer.stopped


def test_a_partition_that_was_not_claimed_or_given_up_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)

    async def steps() -> None:
        with pytest.raises(RevokedError):
            await world.publisher.publish(outputs(MARKET, 1))
        world.claim(Table())
        await world.publisher.publish(outputs(MARKET, 1))
        world.publisher.release()
        with pytest.raises(RevokedError):
            await world.publisher.publish(outputs(MARKET, 1))
        await world.publisher.close()

    run(steps)
    assert [(one.sent, one.stopped) for one in world.made] == [(sent(MARKET, 1), True)]
    assert world.shared.sent == []


def test_every_claim_has_a_producer_and_an_epoch_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)

    async def steps() -> None:
        for _ in range(2):
            world.claim(Table())
            await world.publisher.publish(outputs(MARKET, 1))
        await world.publisher.close()

    run(steps)
    assert [one.epoch for one in world.made] == [(7, 1), (7, 2)]
    assert all(one.stopped for one in world.made)


def test_an_owner_that_another_worker_has_replaced_takes_no_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The epoch would fence the true owner."""
    world, table = World(monkeypatch), Table()
    table.lost = True

    async def steps() -> None:
        world.claim(table)
        with pytest.raises(FencedError):
            await world.publisher.publish(outputs(MARKET, 1))

    run(steps)
    assert world.identities == [] and world.made == []


@pytest.mark.parametrize("error", [KafkaTimeoutError("late"), MessageSizeTooLargeError("large")])
def test_a_producer_that_has_failed_is_closed_and_the_next_try_has_another_one(
    monkeypatch: pytest.MonkeyPatch, error: KafkaError
) -> None:
    """Its numbers have a gap, or it is fenced."""
    world = World(monkeypatch)

    async def steps() -> None:
        world.claim(Table())
        world.failing[b"1"] = error
        with pytest.raises(type(error)):
            await world.publisher.publish(outputs(MARKET, 2))
        world.failing.clear()
        await world.publisher.publish(outputs(MARKET, 2))
        await world.publisher.close()

    run(steps)
    assert [(one.sent, one.stopped) for one in world.made] == [(sent(MARKET, 2), True)] * 2
    assert [one.epoch for one in world.made] == [(7, 1), (7, 2)]


def test_a_broker_that_acknowledges_nothing_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)
    monkeypatch.setattr(output_publisher, "ACKNOWLEDGED_S", 0.05)

    async def never(values: Sequence[bytes]) -> None:
        await asyncio.Event().wait()

    async def steps() -> None:
        world.claim(Table())
        await world.open(Table())
        monkeypatch.setattr(world.made[0], "_acknowledged", never)
        with pytest.raises(TimeoutError):
            await world.publisher.publish(outputs(MARKET, 1))
        await world.publisher.close()

    run(steps)
    assert world.made[0].stopped


def test_a_broker_without_fences_is_asked_once_and_gets_all_by_the_shared_producer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World(monkeypatch, fences=False)

    async def steps() -> None:
        world.claim(Table())
        await world.publisher.publish(outputs(MARKET, 1))
        await world.publisher.publish(outputs(MARKET, 2))

    run(steps)
    assert world.shared.sent == [*sent(MARKET, 1), *sent(MARKET, 2)]
    assert len(world.identities) == 1 and world.made == []


def test_a_producer_that_does_not_start_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(monkeypatch)

    async def refused(producer: Producer) -> None:
        raise KafkaTimeoutError("no broker")

    async def steps() -> None:
        world.claim(Table())
        monkeypatch.setattr(Producer, "start", refused)
        with pytest.raises(KafkaTimeoutError):
            await world.publisher.publish(outputs(MARKET, 1))

    run(steps)
    assert [one.stopped for one in world.made] == [True]
