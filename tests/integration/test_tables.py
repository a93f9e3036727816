"""State in Redis: all of a step or nothing, zombies refused, outputs kept until they are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from redis.asyncio import Redis

from processors.outputs import MarketSignal
from streams.codecs import signal_codec
from streams.errors import FencedError
from streams.latest import LatestWriter
from streams.local.local_redis import EmbeddedRedis
from streams.records import sequence_of
from streams.script_queue import ScriptQueue
from streams.tables import Loaded, Output, TablePartition, encoded, numbered, peek

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
            await table.commit(encoded(many, [OUT]), {"margin.daily.v1": 42}, {})
            assert (await peek(redis, "t", "securities", 3)).marks == {"margin.daily.v1": ""}
            await table.commit(
                encoded({"row/0": None, "row/1": b"new"}, [OUT]), {"margin.daily.v1": 43}, {"margin.daily.v1": "m"}
            )
            loaded = await TablePartition(redis, "t", "securities", 3).claim(SCHEMA)
            expected = {k: v for k, v in many.items() if k != "row/0"} | {"row/1": b"new"}
            assert loaded.rows == expected
            assert loaded.offsets == {"margin.daily.v1": 43}
            assert loaded.marks == {"margin.daily.v1": "m"}
            assert loaded.outbox == [OUT]

    asyncio.run(run())


def test_a_row_that_was_never_stored_is_deleted_in_vain(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit(encoded({"x": b"1", "never": None}), {"a": 1}, {})
            await table.commit(encoded({"x": None, "y": b"2", "never": None}), {"a": 2}, {})
            assert table.rows == 1
            loaded = await table.claim(SCHEMA)
            assert (loaded.whole, loaded.rows) == (True, {"y": b"2"})

    asyncio.run(run())


def test_the_digest_is_a_number_of_64_bits_whatever_is_stored(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            for size in (1, 500, 20):
                rows = {f"{i}": b"1" if i < size else None for i in range(500)}
                await table.commit(encoded(rows, [OUT]), {"a": size}, {})
                assert len(await redis.get("t:{market:0}:digest")) == 16
                assert (await peek(redis, "t", "market", 0)).whole

    asyncio.run(run())


def test_the_outbox_is_empty_behind_a_step_without_outputs(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit(encoded({}, [OUT]), {"a": 1}, {})
            await table.commit(encoded({}), {"a": 2}, {})
            assert (await table.claim(SCHEMA)).outbox == []

    asyncio.run(run())


def test_the_keys_of_a_partition_are_the_documented_ones(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "mw", "securities", 3)
            await table.claim(SCHEMA)
            await table.commit(encoded({"x": b"1"}, [OUT]), {"a": 1}, {})
            parts = ("rows", "offsets", "owner", "outbox", "schema", "digest")
            assert set(await redis.keys()) == {f"mw:{{securities:3}}:{part}".encode() for part in parts}

    asyncio.run(run())


def test_nothing_is_known_of_a_partition_that_was_never_stored(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            assert await peek(redis, "mw", "securities", 3) == Loaded({}, {}, [], schema="", discarded=None)

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
            with pytest.raises(FencedError, match="market:0 is not as this worker left it"):
                await zombie.commit(encoded({"x": b"zombie"}, [OUT]), {"a": 99}, {})
            loaded = await owner.claim(SCHEMA)
            assert (loaded.rows, loaded.offsets, loaded.outbox) == ({}, {}, [])

    asyncio.run(run())


def test_a_restarted_redis_knows_the_script_again(tmp_path) -> None:
    async def run() -> None:
        with EmbeddedRedis(tmp_path, append_only=True) as server:
            redis = Redis.from_url(server.url)
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit(encoded({"x": b"1"}), {"a": 1}, {})
            server.restart()
            await redis.connection_pool.disconnect()
            await table.commit(encoded({"x": b"2"}), {"a": 2}, {})
            assert (await table.claim(SCHEMA)).rows == {"x": b"2"}
            await redis.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("stored", [None, "0"])
def test_state_of_another_schema_is_discarded_with_the_claim(redis_server: EmbeddedRedis, stored: str | None) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            older, table = (TablePartition(redis, "t", "market", 0) for _ in range(2))
            await older.claim(stored or "")
            await older.commit(encoded({"x": b"old"}, [OUT]), {"a": 7}, {})
            if stored is None:  # the release before schemas were stored
                await redis.delete("t:{market:0}:schema")
            loaded = await table.claim(SCHEMA)
            assert (loaded.rows, loaded.offsets, loaded.outbox, table.offsets) == ({}, {}, [], {})
            assert loaded.discarded == (stored or "")
            with pytest.raises(FencedError):
                await older.commit(encoded({"x": b"zombie"}), {"a": 8}, {})
            await table.commit(encoded({"x": b"new"}), {"a": 1}, {})
            again = await TablePartition(redis, "t", "market", 0).claim(SCHEMA)
            assert (again.rows, again.schema, again.discarded) == ({"x": b"new"}, SCHEMA, None)

    asyncio.run(run())


def test_an_empty_partition_has_nothing_to_discard(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            assert (await table.claim(SCHEMA)).discarded is None
            await table.commit(encoded({"x": b"1"}), {"a": 1}, {})
            assert (await peek(redis, "t", "market", 0)).schema == SCHEMA

    asyncio.run(run())


@pytest.mark.parametrize("part", ["rows", "offsets", "outbox", "digest"])
def test_state_of_which_a_key_is_gone_is_discarded_with_the_claim(redis_server: EmbeddedRedis, part: str) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit(encoded({"x": b"1", "y": b"2"}), {"a": 1}, {"a": "m"})
            await table.commit(encoded({"x": None}, [OUT]), {"a": 2}, {"a": "n"})
            assert (await table.claim(SCHEMA)).whole
            await redis.delete(f"t:{{market:0}}:{part}")
            assert not (await peek(redis, "t", "market", 0)).whole
            loaded = await table.claim(SCHEMA)
            assert (loaded.whole, loaded.rows, loaded.offsets, loaded.outbox) == (False, {}, {}, [])
            await table.commit(encoded({"x": b"new"}), {"a": 1}, {})
            again = await table.claim(SCHEMA)
            assert (again.whole, again.rows, table.rows) == (True, {"x": b"new"}, 1)

    asyncio.run(run())


@pytest.mark.parametrize(
    "damage",
    [
        ("HSET", "rows", "x", "other"),
        ("HDEL", "rows", "x"),
        ("HSET", "rows", "z", "surplus"),
        ("HSET", "offsets", "a", "9 m"),
        ("HDEL", "offsets", "a"),
        ("SET", "outbox", b"\x90"),
    ],
)
def test_any_change_by_others_is_noticed(redis_server: EmbeddedRedis, damage: tuple[str, ...]) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit(encoded({"x": b"1", "y": b"2"}, [OUT]), {"a": 1, "b": 5}, {})
            command, part, *values = damage
            await redis.execute_command(command, f"t:{{market:0}}:{part}", *values)
            assert not (await table.claim(SCHEMA)).whole

    asyncio.run(run())


@pytest.mark.parametrize("part", ["rows", "offsets", "digest"])
def test_an_owner_whose_key_is_gone_stores_nothing_more(redis_server: EmbeddedRedis, part: str) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            await table.commit(encoded({"x": b"1", "y": b"2"}), {"a": 1}, {})
            await redis.delete(f"t:{{market:0}}:{part}")
            with pytest.raises(FencedError, match="a part of the stored state is missing"):
                await table.commit(encoded({"z": b"3"}), {"a": 2}, {})

    asyncio.run(run())


async def claimed(redis: Redis, count: int) -> tuple[ScriptQueue, list[TablePartition]]:
    """Partitions of one worker, whose steps a queue runs together."""
    queue = ScriptQueue(redis)
    tables = [TablePartition(redis, "t", "securities", partition, queue) for partition in range(count)]
    for table in tables:
        await table.claim(SCHEMA)
    return queue, tables


def test_steps_of_several_partitions_are_one_request_and_each_is_refused_for_itself(
    redis_server: EmbeddedRedis,
) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            queue, tables = await claimed(redis, 3)
            await TablePartition(redis, "t", "securities", 1).claim(SCHEMA)
            await redis.script_flush()  # as after a restart of Redis
            for row in (b"1", b"2"):
                with patch.object(queue, "_request", wraps=queue._request) as request:
                    done = await asyncio.gather(
                        *(table.commit(encoded({"x": row}), {"a": int(row)}, {}) for table in tables),
                        return_exceptions=True,
                    )
                assert [type(one) for one in done] == [type(None), FencedError, type(None)]
                assert request.call_count == 1
            found = [await peek(redis, "t", "securities", partition) for partition in range(3)]
            assert [one.rows for one in found] == [{"x": b"2"}, {}, {"x": b"2"}]

    asyncio.run(run())


def test_every_step_of_a_request_without_an_answer_fails(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            _, tables = await claimed(redis, 2)
            with patch.object(redis, "pipeline", side_effect=ConnectionError):
                done = await asyncio.gather(
                    *(table.commit(encoded({}), {"a": 1}, {}) for table in tables), return_exceptions=True
                )
            assert [type(one) for one in done] == [ConnectionError] * 2

    asyncio.run(run())


def test_a_step_whose_answer_was_lost_is_stored_once(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            await table.claim(SCHEMA)
            run, queue = table._scripts.run, table._scripts

            async def unanswered(script: Any, keys: Any, args: Any) -> None:
                await run(script, keys, args)
                raise ConnectionError

            with patch.object(queue, "run", unanswered), pytest.raises(ConnectionError):
                await table.commit(encoded({"x": b"1"}), {"a": 1}, {})
            await table.commit(encoded({"x": b"1"}), {"a": 1}, {})
            await table.commit(encoded({"y": b"2"}), {"a": 2}, {})
            loaded = await table.claim(SCHEMA)
            assert (loaded.whole, loaded.rows) == (True, {"x": b"1", "y": b"2"})

    asyncio.run(run())


def test_the_sequence_is_stored_with_its_step_and_outlives_the_rows(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            table = TablePartition(redis, "t", "market", 0)
            assert (await table.claim(SCHEMA)).sequence == 0
            first = numbered([OUT, OUT, msgspec.structs.replace(OUT, topic="x.dlq")], 40, {OUT.topic})
            await table.commit(encoded({"x": b"1"}, first), {"a": 1}, {})
            await table.commit(encoded({"x": b"2"}), {"a": 2}, {})  # a step without outputs
            assert [sequence_of(o) for o in first] == [41, 42, 0]
            assert (await peek(redis, "t", "market", 0)).sequence == 42
            other = await TablePartition(redis, "t", "market", 0).claim("2")
            assert (other.rows, other.discarded, other.sequence, other.whole) == ({}, SCHEMA, 42, True)
            await redis.delete("t:{market:0}:rows")
            assert (await table.claim("2")).sequence == 42

    asyncio.run(run())


def test_values_beside_the_state_are_the_owners_alone(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            zombie, owner = (TablePartition(redis, "t", "market", 0) for _ in range(2))
            await zombie.claim(SCHEMA)
            await zombie.commit(encoded({"x": b"1"}), {"a": 1}, {})
            await zombie.write_beside({"t:latest:a": b"old", "t:latest:b": b"old"})
            await owner.claim(SCHEMA)
            await owner.write_beside({"t:latest:a": b"new"})
            with pytest.raises(FencedError):
                await zombie.write_beside({"t:latest:a": b"late", "t:latest:b": b"late"})
            with pytest.raises(FencedError):
                await zombie.check_owner()
            await owner.check_owner()
            assert await redis.mget("t:latest:a", "t:latest:b") == [b"new", b"old"]

    asyncio.run(run())


def test_the_newest_values_of_a_worker_that_lost_the_market_are_refused_and_forgotten(
    redis_server: EmbeddedRedis,
) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            zombie, owner = LatestWriter(redis, "t"), LatestWriter(redis, "t")
            for revision, writer in enumerate((zombie, owner)):
                table = TablePartition(redis, "t", "market", 0)
                await table.claim(SCHEMA)
                writer.claimed(table)
                writer.offer([market_signal(revision)])
            await owner.flush()
            await zombie.flush()
            newest = msgspec.json.decode(await redis.get("t:latest:market"), type=dict[str, MarketSignal])
            assert newest["fin_balance"].revision == 1
            await redis.delete("t:latest:market")
            await zombie.flush()  # it has nothing left to write
            assert await redis.get("t:latest:market") is None

    asyncio.run(run())


def test_what_a_claim_publishes_again_replaces_no_other_newest_value(redis_server: EmbeddedRedis) -> None:
    async def run() -> None:
        async with client(redis_server) as redis:
            for names in (("fin_balance", "breadth_200"), ("fin_balance",)):
                table, writer = TablePartition(redis, "t", "market", 0), LatestWriter(redis, "t")
                await table.claim(SCHEMA)
                writer.claimed(table)
                writer.offer([market_signal(len(names), name) for name in names])
                await writer.flush()  # before the app has restored the values
            newest = msgspec.json.decode(await redis.get("t:latest:market"), type=dict[str, MarketSignal])
            assert {name: signal.revision for name, signal in newest.items()} == {"fin_balance": 1, "breadth_200": 2}

    asyncio.run(run())


def market_signal(revision: int, name: str = "fin_balance") -> Output:
    when = datetime(2024, 6, 28, 1, tzinfo=UTC)
    signal = MarketSignal(
        signal=name, subject="market", trade_date=when.date(), available_at=when, revision=revision, value=1.0
    )
    return signal_codec.encode_market(signal, "signals.market.v1")
