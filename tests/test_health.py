"""The HTTP server of a worker: what a client can do to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from feeds import http_listener
from streams import health
from streams.health import Health, HttpServer

_HEAD = b"GET /readyz HTTP/1.1\r\nHost: x\r\n"


@asynccontextmanager
async def serving() -> AsyncIterator[HttpServer]:
    server = HttpServer(Health(), "127.0.0.1", 0, lambda: None)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def test_a_request_whose_head_never_ends_occupies_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_listener, "HEAD_S", 0.5)

    async def go() -> None:
        async with serving() as server, asyncio.timeout(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(_HEAD + b"X-Note: ")
            assert await reader.read() == b""
            writer.close()

    asyncio.run(go())


def test_who_opens_many_connections_has_few_of_them_and_others_are_served(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_listener, "MAX_CONNECTIONS", 5)

    async def go() -> None:
        async with serving() as server, asyncio.timeout(20):
            streams = []
            for _ in range(20):
                streams.append(await asyncio.open_connection("127.0.0.1", server.port))
                streams[-1][1].write(_HEAD)
                await asyncio.sleep(0.01)
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(_HEAD + b"Connection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")  # not ready
            closed = [one.at_eof() or await _ends(one) for one, _ in streams]
            assert closed == [True] * 16 + [False] * 4
            for _, one in [*streams, (reader, writer)]:
                one.close()

    asyncio.run(go())


async def _ends(reader: asyncio.StreamReader) -> bool:
    try:
        async with asyncio.timeout(0.2):
            return await reader.read() == b""
    except TimeoutError:
        return False


def test_a_client_that_reads_no_answer_does_not_delay_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_END_S", 0.2)
    monkeypatch.setattr(health, "generate_latest", lambda: b"#" * 16_000_000)

    async def go() -> float:
        async with serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.readexactly(8) == b"HTTP/1.1"
            begun = time.monotonic()
        writer.close()
        return time.monotonic() - begun

    assert asyncio.run(go()) < 10
