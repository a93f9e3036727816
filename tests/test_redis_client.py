"""The asyncio client of Redis: what is asked arrives as it is, alone and together."""

from __future__ import annotations

import asyncio

import pytest
import uvloop
from redis.asyncio import SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError

from streams.clients import async_redis_client
from streams.local.local_redis import EmbeddedRedis
from streams.settings import Settings
from tests.resets import server_that_resets

VALUES = [b"", b"\x00\r\n$5\r\n", "中文", 0, -7, 2.5, bytearray(b"array"), memoryview(b"view"), b"x" * 3_000_000]
STORED = [b"", b"\x00\r\n$5\r\n", "中文".encode(), b"0", b"-7", b"2.5", b"array", b"view", b"x" * 3_000_000]


def test_arguments_of_any_kind_and_size_arrive(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        redis = async_redis_client(Settings(redis_url=redis_server.url))
        await redis.delete("alone", "together")
        await redis.rpush("alone", *VALUES)
        pipe = redis.pipeline(transaction=False)
        for value in VALUES:
            pipe.rpush("together", value)
        assert await pipe.execute() == list(range(1, len(VALUES) + 1))
        assert await redis.lrange("alone", 0, -1) == await redis.lrange("together", 0, -1) == STORED
        assert await redis.execute_command("OBJECT ENCODING", "alone") == b"quicklist"
        with pytest.raises(DataError):
            await redis.rpush("alone", {"neither": "bytes", "nor": "a number"})
        assert await redis.llen("alone") == len(VALUES)
        await redis.aclose()

    asyncio.run(go())


def test_a_url_of_tls_stays_one() -> None:
    pool = async_redis_client(Settings(redis_url="rediss://127.0.0.1:6380/0")).connection_pool
    assert issubclass(pool.connection_class, SSLConnection)


def test_a_command_over_a_connection_that_was_just_reset_fails_as_one_of_redis() -> None:
    async def go() -> None:
        async with server_that_resets() as port:
            pool = async_redis_client(Settings(redis_url=f"redis://127.0.0.1:{port}/0")).connection_pool
            connection = pool.connection_class(host="127.0.0.1", port=port, socket_timeout=5)
            await connection._connect()
            while connection._reader.exception() is None:
                await asyncio.sleep(0)
            with pytest.raises(RedisConnectionError):
                await connection.send_command("PING")

    uvloop.run(go())
