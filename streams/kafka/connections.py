"""How the clients of aiokafka connect: a lost connection fails its requests at once, and no client creates a topic.

**Lost connections.** A client that finds a connection at its end forgets it without closing it. If it does so before
the task that reads the connection has taken notice, nobody fails the requests that wait there: each waits for its whole
time limit, and with it a produce request all others to its broker, a commit and a rebalance.

**Topics.** The library asks for the metadata of its topics in a way that lets a broker create what is missing, with the
broker's own number of partitions and retention; it has no option for that.
"""

from __future__ import annotations

from functools import partial

from aiokafka import client, conn
from aiokafka.protocol.metadata import MetadataRequest


class Connection(conn.AIOKafkaConnection):  # type: ignore[misc]  # a library without types
    """The library's connection, which fails its requests as soon as somebody finds it at its end."""

    def connected(self) -> bool:
        if super().connected():
            return True
        self.close(reason=conn.CloseReason.CONNECTION_BROKEN)  # nothing if it is closed
        return False


def install() -> None:
    """Let every client of aiokafka that is made from now on connect so."""
    conn.AIOKafkaConnection = Connection
    client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
