"""How the HTTP client of feeds reads: a whole answer is limited in time and size, from the first byte of its head.

httpx limits the silence between two bytes. A site that sends a byte now and then, in a head without an end or in the
body of a redirection that nobody reads, would occupy a feed for ever.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore

#: An answer may take this many times as long as the silence that its request allows.
_ANSWER_TO_SILENCE = 4
_MOST_BYTES = 80 * 1024 * 1024


class _Stream(httpcore.NetworkStream):
    """A connection that counts what it reads since it was written to last."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._since, self._bytes = time.monotonic(), 0

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if timeout is not None:
            left = self._since + _ANSWER_TO_SILENCE * timeout - time.monotonic()
            if left <= 0:
                raise httpcore.ReadTimeout(f"the answer has not ended after {_ANSWER_TO_SILENCE * timeout:g} s")
            timeout = min(timeout, left)
        data = self._stream.read(max_bytes, timeout)
        self._bytes += len(data)
        if self._bytes > _MOST_BYTES:
            raise httpcore.ReadError(f"the answer has more than {_MOST_BYTES:,} bytes")
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)
        self._since, self._bytes = time.monotonic(), 0

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class LimitedBackend(httpcore.SyncBackend):
    """What connects a client of httpx."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(host, port, timeout, local_address, socket_options))
