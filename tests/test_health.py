"""The HTTP server of a worker: what a client can do to it."""

from __future__ import annotations

import asyncio

import pytest

from streams import health
from streams.health import Health, HttpServer


def test_a_request_whose_head_never_ends_occupies_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_HEAD_S", 0.5)

    async def go() -> None:
        server = HttpServer(Health(), "127.0.0.1", 0, lambda: None)
        await server.start()
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /readyz HTTP/1.1\r\nX-Note: ")
            async with asyncio.timeout(20):
                assert await reader.read() == b""
            writer.close()
        finally:
            await server.stop()

    asyncio.run(go())
