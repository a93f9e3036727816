"""A port that is taken is an error before the work begins, which names what to set instead."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams import worker
from streams.errors import PortError
from streams.local.local_redis import EmbeddedRedis
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


def test_the_console_refuses_a_port_that_is_taken_before_it_prints_its_address(
    taken: int, redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "streams", "console", "--port", str(taken)]
    # NiceGUI refuses to run under pytest without ports of its own choice.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    environment["MARGINWATCH_REDIS_URL"] = redis_server.url
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error port {taken} of {LOOPBACK} can't be listened on (Address already in use")
    assert "--port (MARGINWATCH_CONSOLE_PORT)" in done.stderr
    assert "http://" not in done.stderr


@pytest.mark.usefixtures("restored_logs")
def test_a_worker_refuses_a_port_that_is_taken(taken: int) -> None:
    with pytest.raises(PortError, match=r"MARGINWATCH_HTTP_PORT \(0 chooses a free port\)"):
        worker.run(Settings(http_port=taken))
