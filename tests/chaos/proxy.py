"""A TCP proxy that simulates a network failure between a worker and Redis or the broker."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

_CHUNK = 1 << 16


class Proxy:
    """Forwards a loopback port to a server. While cut, connections transfer no bytes and new ones get no answer.

    ``target`` is the server's port; a change is for new connections.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.target = target
        self._connected = threading.Event()
        self._connected.set()
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=256)
        self._listener.settimeout(0.2)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def cut(self) -> None:
        """Stop the transfer without RST or FIN, like a pulled cable."""
        self._connected.clear()

    def heal(self) -> None:
        """Resume the transfer, including bytes sent in the meantime."""
        self._connected.set()

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._closing.set()
        self._connected.set()
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError, OSError):
                client, _ = self._listener.accept()
                thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _serve(self, client: socket.socket) -> None:
        with client:
            self._connected.wait()
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
            except OSError:
                return
            with server:
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    end.settimeout(None)
                with contextlib.suppress(OSError):
                    self._pump({client: server, server: client})

    def _pump(self, other: dict[socket.socket, socket.socket]) -> None:
        while not self._closing.is_set():
            readable, _, _ = select.select(list(other), [], [], 0.5)
            for end in readable:
                data = end.recv(_CHUNK)
                self._connected.wait()
                if not data:
                    return
                other[end].sendall(data)
