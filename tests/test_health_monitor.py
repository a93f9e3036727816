"""What makes a worker not ready: a partition that stands still, whatever the others do."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from streams import health_monitor
from streams.clients import async_redis_client
from streams.health import Health
from streams.health_monitor import HealthMonitor
from streams.local.local_redis import EmbeddedRedis
from streams.settings import Settings
from streams.stages.owned_partition import OwnedPartition
from streams.stages.stage import StageState
from streams.tables import TablePartition, encoded

ONE, OTHER = TP("t.prices.daily.v1", 0), TP("t.prices.daily.v1", 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(health_monitor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def monitor(health: Health) -> HealthMonitor:
    health.clear("starting")
    unused: Any = None
    return HealthMonitor(
        runner=unused, feeds=unused, health=health, redis=unused, kafka_answers=unused, positions=unused,
        check_inputs=unused, stall_after_s=60.0, on_lost=unused, on_idle=unused,
    )  # fmt: skip


def test_a_partition_that_stands_still_is_named_while_another_one_goes_on(clock: list[float]) -> None:
    health = Health()
    watched = monitor(health)
    for second in range(0, 62, 2):
        assert health.ready
        clock[0] = 1000.0 + second
        watched._check_progress({ONE: (7, 12), OTHER: (second, 1000)})
    clock[0] += 2
    watched._check_progress({ONE: (7, 12), OTHER: (62, 1000)})
    reason = health.problems()["progress"]["reason"]
    assert reason == "messages wait and no step was finished: 5 of t.prices.daily.v1[0] for 62 s"
    clock[0] += 2
    watched._check_progress({ONE: (8, 12), OTHER: (64, 1000)})
    assert health.ready


def test_time_counts_from_the_first_message_that_waits_and_from_the_assignment(clock: list[float]) -> None:
    health = Health()
    watched = monitor(health)
    for end in (7, 5):  # nothing waits, or the topic has lost its end, which is another problem
        watched._check_progress({ONE: (7, end)})
        clock[0] += 500
    watched._check_progress({ONE: (7, 8)})
    assert health.ready
    clock[0] += 50
    watched._check_progress({})  # the consumer starts again
    clock[0] += 50
    watched._check_progress({ONE: (7, 9)})
    clock[0] += 50
    watched._check_progress({ONE: (7, 9)})
    assert health.ready
    clock[0] += 11
    watched._check_progress({ONE: (7, 9)})
    assert not health.ready


def test_a_worker_that_has_nothing_to_do_ends_where_redis_was_emptied_or_set_back(
    redis_server: EmbeddedRedis,
) -> None:
    async def go() -> list[str]:
        async with async_redis_client(Settings(redis_url=redis_server.url)) as redis:  # type: ignore[arg-type]
            tables = {name: TablePartition(redis, "monitor-test", name, 0) for name in ("securities", "market")}
            watched, found, state = monitor(Health()), [], cast(StageState, object())
            owned = {(name, 0): OwnedPartition(table, state) for name, table in tables.items()}
            owned["charts", 0] = OwnedPartition(TablePartition(redis, "monitor-test", "charts", 0), None)  # not claimed
            watched._runner = SimpleNamespace(owned=owned)  # type: ignore[assignment]
            watched._on_lost = lambda error: found.append(str(error))
            key = "monitor-test:{securities:0}:owner"
            for table in tables.values():
                await table.claim("schema")
            older = await redis.get(key)
            for offset in range(3):
                await tables["securities"].commit(encoded({}), {"prices.daily.v1": offset}, {})
            await watched._check_claims()
            assert not found
            await TablePartition(redis, "monitor-test", "market", 0).claim("schema")  # of another worker: a rebalance
            await watched._check_claims()
            assert not found
            await redis.set(key, older)
            await watched._check_claims()
            await redis.flushdb()
            await watched._check_claims()
            return found

    assert asyncio.run(go()) == [
        "securities:0 was set back in Redis, from step 3 to 0",
        "securities:0 is not in Redis any more: was it emptied?",
    ]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RedisConnectionError("refused"), "Redis does not answer within 3 s"),
        (ResponseError("MISCONF unable to persist to disk."), "Redis refuses the command: MISCONF unable to persist"),
    ],
)
def test_a_redis_that_refuses_is_told_from_one_without_an_answer(error: RedisError, reason: str) -> None:
    async def refuse() -> bool:
        raise error

    async def answer() -> bool:
        return True

    async def go() -> None:
        health = Health()
        watched = monitor(health)
        assert not await watched._answers("redis", refuse)
        assert health.problems()["redis away"]["reason"].startswith(reason)
        assert await watched._answers("redis", answer)
        assert health.ready

    asyncio.run(go())
