"""What supervised servers are given: a port of their own."""

from __future__ import annotations

import random
import socket
import subprocess
import sys

import pytest

from streams.errors import LocalServiceError
from streams.local_service import LOOPBACK, free_port

#: A process that chooses a port, and then waits.
_OTHER = """
import random, sys
from streams.local_service import free_port
random.sample = lambda *_: [{port}]
print(free_port(), flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ports are reserved on Linux")
def test_a_port_that_a_process_has_chosen_is_given_to_no_other_while_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    port, other = free_port(), free_port()
    assert port != other
    monkeypatch.setattr(random, "sample", lambda *_: [port])
    with pytest.raises(LocalServiceError, match="no free port"):
        free_port()  # nothing listens there yet

    wanted = next(p for p in range(20_000, 32_000) if p not in (port, other))
    code = _OTHER.format(port=wanted)
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        found = int(process.stdout.readline())
        monkeypatch.setattr(random, "sample", lambda *_: [found])
        with pytest.raises(LocalServiceError, match="no free port"):
            free_port()
        process.communicate()
    assert free_port() == found


@pytest.mark.skipif(sys.platform != "linux", reason="ports are reserved on Linux")
def test_a_preferred_port_is_given_once_and_not_where_a_server_listens() -> None:
    wanted = free_port()
    assert free_port(wanted) != wanted  # it is reserved, though nothing listens
    with socket.socket() as server:
        server.bind((LOOPBACK, 0))
        server.listen()
        served = server.getsockname()[1]
        assert free_port(served) != served
    assert free_port(served) == served
