"""A port that is taken is an error before the work begins, which names what to set instead."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from streams import worker
from streams.errors import PortError
from streams.local.local_service import LOOPBACK, free_port
from streams.ports import require_free
from streams.settings import Settings


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that a server listens on."""
    with socket.create_server((LOOPBACK, 0)) as server:
        yield server.getsockname()[1]


def test_a_port_is_free_if_nothing_listens_there(taken: int) -> None:
    require_free(LOOPBACK, free_port(), "")
    require_free(LOOPBACK, 0, "")
    for host in (LOOPBACK, "0.0.0.0"):
        with pytest.raises(PortError, match=rf"port {taken} of {host} .*Address already in use.*: set another"):
            require_free(host, taken, "set another")


def test_a_host_that_is_not_this_machine_is_named() -> None:
    with pytest.raises(PortError, match=r"port 80 of 192\.0\.2\.1 can't be listened on"):
        require_free("192.0.2.1", 80, "")


def test_a_worker_refuses_a_port_that_is_taken(taken: int) -> None:
    with pytest.raises(PortError, match=r"MARGINWATCH_HTTP_PORT \(0 chooses a free port\)"):
        worker.run(Settings(http_port=taken))
