"""State in Redis: all of a step or nothing, zombies refused, outputs kept until they are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from streams.errors import FencedError
from streams.local_redis import EmbeddedRedis
from streams.tables import Output, TablePartition, peek

SCHEMA = "1"
OUT = Output("signals.market.v1", 0, b"k", b"v", [("ce_id", b"1")])


@asynccontextmanager
async def client(server: EmbeddedRedis) -> AsyncIterator[Redis]:
    redis = Redis.from_url(server.url)
    await redis.flushdb()
    try:
        yield redis
    finally:
        await redis.aclose()


def test_a_step_is_stored_whole_and_loaded_again(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "securities", 3)
            assert (await table.claim(SCHEMA)).rows == {}
            many = {f"row/{i}": bytes([i % 256]) * 10 for i in range(9000)}
            await table.commit(many, {"margin.daily.v1": 42}, [OUT])
            await table.commit({"row/0": None, "row/1": b"new"}, {"margin.daily.v1": 43}, [OUT])
            loaded = await TablePartition(redis, "t", "securities", 3).claim(SCHEMA)
            expected = {k: v for k, v in many.items() if k != "row/0"} | {"row/1": b"new"}
            assert loaded.rows == expected
            assert loaded.offsets == {"margin.daily.v1": 43}
            assert loaded.outbox == [OUT]

    asyncio.run(run())


def test_the_outbox_is_empty_behind_a_step_without_outputs(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit({}, {"a": 1}, [OUT])
            await table.commit({}, {"a": 2}, [])
            assert (await table.claim(SCHEMA)).outbox == []

    asyncio.run(run())


@pytest.mark.parametrize("emptied", [False, True])
def test_a_zombie_is_refused_and_changes_nothing(redis_server: EmbeddedRedis, emptied: bool) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            zombie, owner = (TablePartition(redis, "t", "market", 0) for _ in range(2))
            await zombie.claim(SCHEMA)
            if emptied:
                await redis.flushdb()
            else:
                await owner.claim(SCHEMA)
            with pytest.raises(FencedError, match="not as this worker left it"):
                await zombie.commit({"x": b"zombie"}, {"a": 99}, [OUT])
            loaded = await owner.claim(SCHEMA)
            assert (loaded.rows, loaded.offsets, loaded.outbox) == ({}, {}, [])

    asyncio.run(run())


def test_a_restarted_redis_knows_the_script_again(tmp_path) -> None:
    async def run() -> None:
        with EmbeddedRedis(tmp_path, append_only=True) as server:
            redis = Redis.from_url(server.url)
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit({"x": b"1"}, {"a": 1}, [])
            server.restart()
            await redis.connection_pool.disconnect()
            await table.commit({"x": b"2"}, {"a": 2}, [])
            assert (await table.claim(SCHEMA)).rows == {"x": b"2"}
            await redis.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("stored", [None, "0"])
def test_state_of_another_schema_is_discarded_with_the_claim(redis_server: EmbeddedRedis, stored: str | None) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            older, table = (TablePartition(redis, "t", "market", 0) for _ in range(2))
            await older.claim(stored or "")
            await older.commit({"x": b"old"}, {"a": 7}, [OUT])
            if stored is None:  # the release before schemas were stored
                await redis.delete("t:{market:0}:schema")
            loaded = await table.claim(SCHEMA)
            assert (loaded.rows, loaded.offsets, loaded.outbox, table.offsets) == ({}, {}, [], {})
            assert loaded.discarded == (stored or "")
            with pytest.raises(FencedError):
                await older.commit({"x": b"zombie"}, {"a": 8}, [])
            await table.commit({"x": b"new"}, {"a": 1}, [])
            again = await TablePartition(redis, "t", "market", 0).claim(SCHEMA)
            assert (again.rows, again.schema, again.discarded) == ({"x": b"new"}, SCHEMA, None)

    asyncio.run(run())


def test_an_empty_partition_has_nothing_to_discard(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            assert (await table.claim(SCHEMA)).discarded is None
            await table.commit({"x": b"1"}, {"a": 1}, [])
            assert (await peek(redis, "t", "market", 0)).schema == SCHEMA

    asyncio.run(run())
