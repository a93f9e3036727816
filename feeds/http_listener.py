"""The HTTP server of a process that has other work, whatever its clients do.

A client that opens connections and sends nothing would take every file that the process may open, and its own
connections to Kafka and Redis with them; one that reads no answer would delay the end of the process.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler

#: A connection without a whole head of a request for this long is closed; the library would wait for an hour.
HEAD_S = 75.0
#: Open connections; one more closes the oldest one that waits for a request, or the oldest one.
MAX_CONNECTIONS = 100


class HttpListener:
    """Serves an application.

    Parameters
    ----------
    host : an empty one listens on every interface.
    port : 0 chooses a free one.
    end_s : how long the current requests may take when the server stops.

    Attributes
    ----------
    port : the port on which it listens.
    """

    def __init__(self, app: web.Application, host: str, port: int, *, end_s: float) -> None:
        app.middlewares.append(self._marked_busy)
        self._busy: set[asyncio.BaseProtocol] = set()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=end_s, keepalive_timeout=HEAD_S)
        self._host = host
        self._listening: asyncio.Server | None = None
        self.port = port

    async def start(self) -> None:
        """Listen; raises `OSError` if the port is taken."""
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._connection, self._host or None, self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop after the current requests."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        """Return the protocol of a new connection, for which others make room."""
        server = self._runner.server
        assert server is not None
        connections = [one for one in server.connections if one.transport is not None]  # oldest first
        surplus = len(connections) + 1 - MAX_CONNECTIONS
        if surplus > 0:
            for one in sorted(connections, key=self._busy.__contains__)[:surplus]:
                transport = one.transport
                one.force_close()
                if transport is not None:
                    transport.abort()  # else it waits until the client has read its answer
        return server()

    @web.middleware
    async def _marked_busy(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._busy.add(request.protocol)
        try:
            return await handler(request)
        finally:
            self._busy.discard(request.protocol)
