"""Rounds of a running session: the polls of all partitions in one turn of the event loop, rounds apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP
from mode.utils.queues import FlowControlEvent

from streams import app as app_module
from streams.app import MarginwatchApp
from streams.kafka.poll_queue import PollQueue
from streams.kafka.transport import Poll
from streams.settings import Settings
from streams.topics import Topic, Topics


class World:
    """A worker's agent over a queue of polls, and the steps that it begins: partition, first offset, turn, moment."""

    def __init__(self) -> None:
        self.queue = PollQueue(lambda _tp: 0, 1_000_000, flow_control=FlowControlEvent())
        self.names, self.generation, self.turn = Topics(Settings(partitions=4)), 1, 0
        self.steps: list[tuple[int, int, int, float]] = []
        self.acknowledged: list[tuple[int, int]] = []

    def put(self, topic: Topic, partition: int, offset: int, *, generation: int = 1, size: int = 1) -> None:
        tp = TP(self.names.name(topic), partition)
        record = SimpleNamespace(topic=tp.topic, partition=partition, offset=offset, timestamp=0, value=b"x" * size)
        message = SimpleNamespace(tp=tp, topic=tp.topic, generation_id=generation, tracked=False)
        self.queue.put_nowait(SimpleNamespace(value=Poll([record]), message=message))

    async def _step(self, poll: Poll, still_ours: Any, done: Any) -> None:
        assert still_ours()
        self.steps.append((poll.partition, poll.records[0].offset, self.turn, time.monotonic()))
        await done()

    async def _ack(self, event: Any) -> None:
        self.acknowledged.append((event.value.partition, event.value.offset))

    async def _events(self, rounds: list[list[Any]]) -> AsyncIterator[Any]:
        for arrived in rounds:
            for one in arrived:
                self.put(*one[:3], **(one[3] if len(one) > 3 else {}))
            while self.queue.qsize():
                await asyncio.sleep(0)  # Faust's stream turns the loop between two events
                self.turn += 1
                yield self.queue.get_nowait()

    def run(self, *rounds: list[Any]) -> list[tuple[int, int, int]]:
        """Let the agent work what arrives, each list behind the one before; return the steps without moments."""
        app = SimpleNamespace(
            names=self.names, should_stop=False, consumer_generation_id=self.generation,
            consumer=SimpleNamespace(track_message=lambda _message: None),
            flow_control=SimpleNamespace(is_active=lambda: True), runner=SimpleNamespace(step=self._step),
        )  # fmt: skip
        app._step = lambda *arguments: MarginwatchApp._step(app, *arguments)  # type: ignore[arg-type]
        stream = SimpleNamespace(channel=SimpleNamespace(queue=self.queue), ack=self._ack)
        asyncio.run(MarginwatchApp._work(app, self._events(list(rounds)), stream))  # type: ignore[arg-type]
        return [step[:3] for step in self.steps]


def test_the_polls_of_all_partitions_are_folded_in_one_turn_of_the_loop() -> None:
    """Then their steps are one request to Redis and one to Kafka: `ScriptQueue` collects those of one turn."""
    world = World()
    live = [(Topic.MARGIN_INTRADAY, partition, 0) for partition in range(4)]
    assert world.run(live) == [(partition, 0, 1) for partition in range(4)]
    assert sorted(world.acknowledged) == [(partition, 0) for partition in range(4)]


@pytest.mark.parametrize(
    ("topic", "size", "apart"),
    [(Topic.MARGIN_INTRADAY, 1, True), (Topic.MARGIN_INTRADAY, 100_000, False), (Topic.MARGIN_DAILY, 1, False)],
    ids=["live rows", "a backlog of them", "rows of a day"],
)
def test_rounds_of_live_rows_alone_are_apart(
    topic: Topic, size: int, apart: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered_s = 0.1 if apart else 30.0  # a busy machine pauses a test for tens of milliseconds
    monkeypatch.setattr(app_module, "_GATHER_S", gathered_s)
    world = World()
    world.run([(topic, 0, 0, {"size": size})], [(topic, 0, 1, {"size": size})])
    (*_, first), (*_, second) = world.steps
    assert (second - first >= gathered_s / 2) == apart


def test_a_poll_from_before_a_rebalance_is_given_up() -> None:
    world = World()
    world.generation = 2
    assert world.run([(Topic.MARGIN_INTRADAY, 0, 0)], [(Topic.MARGIN_INTRADAY, 1, 0, {"generation": 2})]) == [(1, 0, 2)]
    assert world.acknowledged == [(0, 0), (1, 0)]
