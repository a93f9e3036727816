"""The connections of the console's server: what clients can do that send or read nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from console import http_protocol
from console.http_protocol import HttpProtocol

_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"
_MOST = 5


async def _app(scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"#" * (16_000_000 if scope["path"] == "/large" else 1)})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(
        _app, port=0, http=HttpProtocol, limit_concurrency=_MOST + 1, lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await running


@pytest.mark.parametrize(
    "sent", [b"", _HEAD, b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"], ids=["nothing", "half a head", "reads nothing"]
)
def test_who_opens_many_connections_has_few_of_them_and_others_are_served(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(http_protocol, "MAX_CONNECTIONS", _MOST)

    async def go() -> None:
        async with serving() as port, asyncio.timeout(30):
            streams = []
            for _ in range(20):
                streams.append(await asyncio.open_connection("127.0.0.1", port, limit=1024))
                streams[-1][1].write(sent)
                await asyncio.sleep(0.02)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(_HEAD + b"Connection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
            for _, one in [*streams, (reader, writer)]:
                one.transport.abort()

    asyncio.run(go())
