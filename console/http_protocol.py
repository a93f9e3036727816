"""The HTTP protocol of the console's server, with a time limit for the head of a request.

uvicorn waits without end for the rest of a request line or of headers, so a client that sends a byte now and then
occupies a connection for as long as it likes. It also accepts any number of connections: a client that only opens them
would take every file that the process may open.
"""

from __future__ import annotations

import asyncio
from operator import itemgetter

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

#: Open connections of all clients, websockets included; one more ends the one that waits longest for its client: for a
#: head, or until an answer is read. Where none waits, the server answers with 503.
MAX_CONNECTIONS = 500
#: Time in which the head of a request must arrive, seconds.
HEAD_S = 10.0


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol, whose connections end if the head of a request is late."""

    _late: asyncio.TimerHandle | None = None
    _waits_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect a head from now on."""
        if len(self.connections) >= MAX_CONNECTIONS:
            self._make_room()
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        """Expect the head of the next request from its first byte on."""
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """The head has arrived."""
        self._disarm()
        super().on_headers_complete()

    def pause_writing(self) -> None:
        """The client does not read its answer."""
        self._waits_since = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read most of it."""
        if self._late is None:
            self._waits_since = None
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the limit."""
        self._disarm()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._waits_since = self.loop.time()
        self._late = self.loop.call_later(HEAD_S, self._end)

    def _disarm(self) -> None:
        self._waits_since = None
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _make_room(self) -> None:
        waiting = [
            (one._waits_since, one)
            for one in self.connections
            if isinstance(one, HttpProtocol) and one._waits_since is not None
        ]
        if waiting:
            min(waiting, key=itemgetter(0))[1]._end()

    def _end(self) -> None:
        self._disarm()
        self.connections.discard(self)  # at once: the server counts them with the next request
        if self.cycle is not None:
            self.cycle.disconnected = True  # else it writes into a transport that is closed
        self.transport.abort()  # `close` waits until the client has read its answer
