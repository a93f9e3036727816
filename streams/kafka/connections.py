"""How the clients of aiokafka connect: a lost connection fails its requests at once, and no client creates a topic.

**Lost connections.** A client that finds a connection at its end forgets it without closing it. If it does so before
the task that reads the connection has taken notice, nobody fails the requests that wait there: each waits for its whole
time limit, and with it a produce request all others to its broker, a commit and a rebalance. uvloop answers a request
over a connection that was just reset with a `RuntimeError`, which no client expects; here it is one of Kafka's errors.
A connection that a firewall or a load balancer has forgotten takes requests and answers none: the library gives it up
after a request that was not answered in time, but not after one for metadata, which a client without other requests
would send over it again and again.

**Topics.** The library asks for the metadata of its topics in a way that lets a broker create what is missing, with the
broker's own number of partitions and retention; it has no option for that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from aiokafka import client, conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest


class Connection(conn.AIOKafkaConnection):  # type: ignore[misc]  # a library without types
    """The library's connection, which fails its requests as soon as somebody finds it at its end, or silent."""

    def connected(self) -> bool:
        if super().connected():
            return True
        self.close(reason=conn.CloseReason.CONNECTION_BROKEN)  # nothing if it is closed
        return False

    def send(self, request: Any, expect_response: bool = True) -> Any:
        with self._reset_is_an_error_of_kafka():
            return self._in_time(super().send(request, expect_response))

    async def _in_time(self, answer: Awaitable[Any]) -> Any:
        try:
            return await answer
        except TimeoutError:
            self.close(reason=conn.CloseReason.CONNECTION_TIMEOUT)
            raise

    def _send_sasl_token(self, payload: bytes, expect_response: bool = True) -> Any:
        with self._reset_is_an_error_of_kafka():
            return super()._send_sasl_token(payload, expect_response)

    @contextmanager
    def _reset_is_an_error_of_kafka(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # of uvloop
            self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
            raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken: {error}") from error


def install() -> None:
    """Let every client of aiokafka that is made from now on connect so."""
    conn.AIOKafkaConnection = Connection
    client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
