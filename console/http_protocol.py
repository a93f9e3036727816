"""The HTTP protocol of the console's server, with a time limit for the head of a request.

uvicorn waits without end for the rest of a request line or of headers, so a client that sends a byte now and then
occupies a connection for as long as it likes.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Open connections of all clients, websockets included.
MAX_CONNECTIONS = 500
#: Time in which the head of a request must arrive, seconds.
HEAD_S = 10.0


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose connections end if the head of a request is late."""

    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head from now on."""
        super().connection_made(transport)
        self._late = self.loop.call_later(HEAD_S, self._end, transport)

    def data_received(self, data: bytes) -> None:
        """Expect the head of the next request from its first byte on."""
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._late = self.loop.call_later(HEAD_S, self._end, self.transport)
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head has arrived."""
        self._disarm()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limit."""
        self._disarm()
        super().connection_lost(exc)

    def _disarm(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _end(self, transport: Any) -> None:
        cast(asyncio.Transport, transport).close()
