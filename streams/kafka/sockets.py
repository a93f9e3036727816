"""kafka-python closes the socket of a connection that is given up while it is made.

A client that is closed while its background task connects to a broker cancels the task, and leaves the socket to the
garbage collector: connected, until a cycle is collected.
"""

from __future__ import annotations

import functools
import socket
from typing import Any

from kafka.net.inet import KafkaNetSocket


def install() -> None:
    """Let every client of kafka-python that connects from now on close such a socket."""
    connect = KafkaNetSocket.sock_connect
    if hasattr(connect, "__wrapped__"):
        return

    @functools.wraps(connect)
    async def closing_connect(self: KafkaNetSocket, net: Any, sock: socket.socket, *where: Any, **until: Any) -> Any:
        try:
            return await connect(self, net, sock, *where, **until)
        except BaseException:  # the end of a cancelled task, too
            sock.close()
            raise

    KafkaNetSocket.sock_connect = closing_connect
