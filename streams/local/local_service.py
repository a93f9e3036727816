"""The supervisor of child processes on this machine: broker, Redis, worker and console.

A child runs in a process group of its own and ends with the process that started it: in order after a signal
(`streams.exit_signals`), by the kernel on Linux even if its parent is killed. Local servers are for demonstration,
development and tests; production runs its own Kafka and Redis.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from streams.errors import LocalServiceError

LOOPBACK = "127.0.0.1"
EXTRA = "install it with: pip install 'marginwatch[local]'"
#: What to do where the folders of the user can't be written: a system user, a container.
WRITABLE = "set HOME to a folder that can be written"
_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1
#: Loaded here: nothing should be loaded any more between fork and exec, where it is used.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port(preferred: int | None = None) -> int:
    """Return a port of the loopback interface that no server listens on, and no other caller gets.

    It is the preferred one where that is free. Any other lies below Linux's ephemeral range (32768 and up): while a
    server restarts, a client's outgoing connection could otherwise be given the server's own port, and the server could
    not come back. On Linux it is reserved for this process as long as this process lives: a server needs seconds until
    it listens.
    """
    for port in ([preferred] if preferred else []) + random.sample(range(20_000, 32_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(
                socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
            )  # else one that was served a minute ago is taken
            probe.bind((LOOPBACK, port))
            if _reserve(port):
                return port
    raise LocalServiceError("no free port on 127.0.0.1 in a hundred tries between 20000 and 32000: end other servers")


def _reserve(port: int) -> bool:
    """Reserve a port by a socket of that name in Linux's abstract namespace, which ends with this process."""
    if _LIBC is None:
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0marginwatch port {port}")
    except OSError:
        name.close()
        return False
    name.detach()  # open as long as this process lives
    return True


def cache_folder() -> Path:
    """Return the folder of what is fetched once for all programs of this user."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "marginwatch"


@contextlib.contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Let one process at a time prepare what all of them start from.

    Raises `LocalServiceError` if the folder can't be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise LocalServiceError(f"{folder} can't be written ({error.strerror}): {WRITABLE}") from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _end_with_parent(parent: int) -> None:
    """Ask Linux to kill this child when its parent ends; elsewhere a killed parent leaves it behind."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before it could be asked
            os._exit(1)


class LocalService(ABC):
    """A server process on a loopback port.

    Start it from a thread that lasts: Linux ends the server with the thread that started it.

    Parameters
    ----------
    data_dir : where it keeps data and its log; created if missing.
    port : 0 chooses a free one, kept over restarts.
    """

    name: str
    start_timeout_s = 20.0

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or free_port()
        self.log = self.data_dir / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line; may prepare what it needs first."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server serves its protocol."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    def _environment(self) -> dict[str, str]:
        """Return the environment of the server: this process's own."""
        return dict(os.environ)

    @property
    def _folder(self) -> Path | None:
        """The working directory of the server; None for this process's own."""
        return self.data_dir

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise LocalServiceError(f"{self.name} is not running: start it first")
        return self._process.pid

    def start(self) -> Self:
        """Start and wait until it really answers.

        Raises
        ------
        LocalServiceError : if it runs already, its port is taken, its program is missing, or it ends or stays
            silent; then with the end of its log.
        """
        if self._process is not None:
            raise LocalServiceError(f"{self.name} was started already (process {self.pid}): stop it first")
        if listens(self.port):
            # Else the other server's answer would pass for ours.
            raise LocalServiceError(f"port {self.port} for {self.name} is taken: end what listens there, or use port 0")
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = self._command()
        try:
            with self.log.open("ab") as out:
                self._process = subprocess.Popen(
                    command,
                    stdout=out,
                    stderr=out,
                    stdin=subprocess.DEVNULL,
                    cwd=self._folder,
                    env=self._environment(),
                    start_new_session=True,  # a terminal's Ctrl-C reaches this process alone, which ends it in order
                    preexec_fn=functools.partial(_end_with_parent, os.getpid()) if _LIBC is not None else None,
                )
        except OSError as error:
            raise LocalServiceError(
                f"{self.name} can't be run: {command[0]}: {error.strerror}; install it or name another binary"
            ) from error
        try:
            self._await_answer()
        except BaseException:  # also a Ctrl-C: no half-started server stays behind
            self.kill()
            raise
        return self

    def answers(self) -> bool:
        """Whether the server serves its protocol now."""
        return self._answers()

    def check(self, what: str) -> None:
        """Raise `LocalServiceError` if the server has ended; ``what`` names the step for the message."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise LocalServiceError(
                f"the {self.name} ended with code {code} during {what}; the end of {self.log}:\n{tail(self.log)}"
            )

    def stop(self, timeout: float = 15.0) -> None:
        """End it in its own way, by force after ``timeout`` seconds."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it and whatever it has started by SIGKILL: nothing is flushed."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):  # the group is empty
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def restart(self) -> Self:
        """Stop and start on the same port and data."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP); return when none of its threads runs any more."""
        self._signal(signal.SIGSTOP)
        assert self._process is not None
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise LocalServiceError(f"{self.name} is not running: start it first")
        self._process.send_signal(number)  # nothing happens if it has ended

    def _await_answer(self) -> None:
        deadline = time.monotonic() + self.start_timeout_s
        while True:
            self.check("its start")
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise LocalServiceError(
                    f"the {self.name} does not answer on port {self.port} after {self.start_timeout_s:.0f} s; "
                    f"the end of {self.log}:\n{tail(self.log)}"
                )
            time.sleep(0.02)


def tail(log: Path) -> str:
    """Return the last lines of a log."""
    return "\n".join(log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])


def listens(port: int) -> bool:
    """Whether a server listens on a loopback port."""
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
